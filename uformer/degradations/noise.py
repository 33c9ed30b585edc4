"""Noise: Gaussian noise, and the noise of cameras in low light.

Images are float32 (H, W, 3), sRGB in [0, 1], in and out. Every function is pure and seeded by its `rng`.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from uformer.degradations.tables import camera_matrices, expose, responses, unexpose
from uformer.image.color import linear_to_srgb, srgb_to_linear
from uformer.image.image import Pixels

_LEAST = 1e-12  # light per photon, where white is 1; the noise of smaller photons is invisible


def check_ranges(function: str, **ranges: tuple[float, float, float]) -> None:
    """Raise ValueError, naming the parameter, unless each (value, least, largest) lies in its range."""
    for name, (value, least, largest) in ranges.items():
        if not least <= value <= largest:
            raise ValueError(f"{function}: {name} {value:g} must be between {least:g} and {largest:g}")


def gaussian_noise(clean: Pixels, rng: Generator, *, sigma: float, shared: float = 0.0) -> Pixels:
    """Add white Gaussian noise, without clipping.

    - `sigma`: standard deviation on the 0-255 scale, 0 to 1000.
    - `shared`: share of the variance that all channels have in common, 0 to 1. At 0 the channels are
      independent, and at 1 the noise is gray.

    Raises ValueError for a value out of range.
    """
    check_ranges("gaussian_noise", sigma=(sigma, 0, 1000), shared=(shared, 0, 1))
    noise = rng.standard_normal(clean.shape, dtype=np.float32)
    if shared > 0:
        common = rng.standard_normal((*clean.shape[:2], 1), dtype=np.float32)
        noise = np.float32((1 - shared) ** 0.5) * noise + np.float32(shared**0.5) * common
    return clean + noise * np.float32(sigma / 255)


def hot_pixels(noisy: Pixels, rng: Generator, *, share: float) -> Pixels:
    """Replace single pixels with random values, as defective sensor pixels do.

    Half of them change in one channel, half in all channels alike.

    - `share`: share of the pixels that change, 0 to 1.

    Raises ValueError for a share out of range.
    """
    check_ranges("hot_pixels", share=(share, 0, 1))
    count = int(rng.binomial(noisy.shape[0] * noisy.shape[1], share))
    rows, columns = (rng.integers(0, side, count) for side in noisy.shape[:2])
    channels = rng.integers(0, noisy.shape[2], count)
    values = rng.random(count, dtype=np.float32)
    out = noisy.copy()
    out[rows, columns, channels] = values
    gray = rng.random(count) < 0.5
    out[rows[gray], columns[gray]] = values[gray, None]
    return out


def poisson_gaussian_noise(clean: Pixels, rng: Generator, *, shot: float, read: float) -> Pixels:
    """Add Poisson noise and Gaussian noise in linear light, to each channel by itself, clipped to [0, 1].

    - `shot`, `read`: light per photon, and standard deviation of the Gaussian noise, 0 to 1; typically 1e-5
      to 3e-2, and 0 to 1e-1. The variance in linear light is shot * signal + read^2, where a signal of 1 is
      white (Foi et al., IEEE TIP 2008, equation 3).

    Raises ValueError for a value out of range.
    """
    check_ranges("poisson_gaussian_noise", shot=(shot, 0, 1), read=(read, 0, 1))
    linear = srgb_to_linear(np.clip(clean, 0, 1))
    counted = (rng.poisson(linear / shot) * shot).astype(np.float32) if shot > _LEAST else linear
    return linear_to_srgb(
        np.clip(counted + np.float32(read) * rng.standard_normal(clean.shape, dtype=np.float32), 0, 1)
    )


def camera_noise(
    clean: Pixels,
    rng: Generator,
    *,
    shot: float,
    read: float,
    red_gain: float = 2.0,
    blue_gain: float = 1.7,
    bayer: bool = True,
    detail: float = 0.5,
    smooth: float = 0.0,
    camera: float = 0.0,
    response: int | None = None,
    black: float = 0.0,
    chroma: float = 1.0,
) -> Pixels:
    """Add sensor noise and process it as a raw converter does, clipped to [0, 1].

    The image is first converted back to sensor values: linear light, the camera's colours, white balance
    undone. There, shot and read noise have the variance shot * signal + read^2, where a signal of 1 is
    saturation (Foi et al. 2008; Brooks et al., CVPR 2019, section 3.1). The noise then passes through white
    balance, demosaicing, the matrix from the camera's colours to sRGB, and the response curve.

    - `shot`, `read`: noise levels, 0 to 1; typically 1e-4 to 3e-2 and 1e-5 to 1e-2.
    - `red_gain`, `blue_gain`: white balance gains relative to green, 1 to 10; cameras use 1 to 2.5.
    - `bayer`: whether each sensor pixel sees one colour, so that demosaicing spreads its noise over
      neighbours and colours. Otherwise each colour has independent noise at every pixel.
    - `detail`: how far demosaicing corrects a colour by the detail of the measured one, which correlates the
      noise of the colours. 0 is bilinear; 1 is Malvar, He & Cutler (ICASSP 2004), which resembles the noise
      in images from phones.
    - `smooth`: standard deviation in pixels, 0 to 20, of a Gaussian that smooths the noise without weakening
      white noise.
    - `camera`: number of the camera whose colours the sensor sees, 1 to 4, or 0 for sRGB
      (`tables.camera_matrices`). Fractions interpolate: 0.5 is halfway between 0 and 1. A camera's matrix
      strengthens the noise by half or more and makes the colours' noise less alike.
    - `response`: number of the measured response curve that turns light into pixel values, 0 to 200 (CBDNet,
      Guo et al., CVPR 2019, section 3.1), or None for that of sRGB.
    - `black`: error of the black level that the camera subtracts, -0.1 to 0.1 on the sensor's scale. Below 0,
      shadows become too dark (Wei et al., CVPR 2020, section 3, color-biased read noise).
    - `chroma`: share of the noise's colour that the camera's noise reduction leaves, 0 to 1. The noise's luma
      (Rec. 601) is unchanged.

    Raises ValueError for a value out of range.
    """
    check_ranges(
        "camera_noise", shot=(shot, 0, 1), read=(read, 0, 1), detail=(detail, 0, 1), smooth=(smooth, 0, 20)
    )
    check_ranges(
        "camera_noise", red_gain=(red_gain, 1, 10), blue_gain=(blue_gain, 1, 10), chroma=(chroma, 0, 1)
    )
    check_ranges("camera_noise", black=(black, -0.1, 0.1))
    check_ranges(
        "camera_noise",
        camera=(camera, 0, len(camera_matrices()) - 1),
        response=(response or 0, 0, len(responses()) - 1),
    )
    gains = np.array([red_gain, 1.0, blue_gain], np.float32)
    shown = np.clip(clean, 0, 1)
    linear = srgb_to_linear(shown) if response is None else unexpose(shown, response)
    to_camera = _between(camera_matrices(), camera)
    sensor = np.maximum(linear @ to_camera.T.astype(np.float32), 0) / gains
    noise = (
        rng.standard_normal(clean.shape, dtype=np.float32)
        * np.sqrt(np.float32(shot) * sensor + np.float32(read**2))
        * gains
    )
    if bayer:
        noise = _demosaic(noise, detail)
    if smooth > 0:
        noise = _smooth_keeping_strength(noise, smooth)
    noise += np.float32(black) * gains
    noise = noise @ np.linalg.inv(to_camera).T.astype(np.float32)
    light = np.clip(linear + noise, 0, 1)
    noisy = linear_to_srgb(light) if response is None else expose(light, response)
    if chroma < 1:
        luma = (noisy - shown) @ np.array([[0.299], [0.587], [0.114]], np.float32)
        noisy = np.clip(chroma * noisy + (1 - chroma) * (shown + luma), 0, 1).astype(np.float32)
    return noisy


def _between(matrices: NDArray[np.float64], place: float) -> NDArray[np.float64]:
    """Interpolate between the two matrices on either side of a fractional index."""
    lower = min(int(place), len(matrices) - 2)
    mixed: NDArray[np.float64] = matrices[lower] + (place - lower) * (matrices[lower + 1] - matrices[lower])
    return mixed


# Malvar, He & Cutler (ICASSP 2004), figure 2, in eighths: (bilinear interpolation, correction by the measured
# colour).
_GREEN = (  # at red or blue
    ((0, 0, 0, 0, 0), (0, 0, 2, 0, 0), (0, 2, 0, 2, 0), (0, 0, 2, 0, 0), (0, 0, 0, 0, 0)),
    ((0, 0, -1, 0, 0), (0, 0, 0, 0, 0), (-1, 0, 4, 0, -1), (0, 0, 0, 0, 0), (0, 0, -1, 0, 0)),
)
_BESIDE = (  # at green, for the colour of the same row
    ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0, 4, 0, 4, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0)),
    ((0, 0, 0.5, 0, 0), (0, -1, 0, -1, 0), (-1, 0, 5, 0, -1), (0, -1, 0, -1, 0), (0, 0, 0.5, 0, 0)),
)
_ACROSS = (  # red at blue, blue at red
    ((0, 0, 0, 0, 0), (0, 2, 0, 2, 0), (0, 0, 0, 0, 0), (0, 2, 0, 2, 0), (0, 0, 0, 0, 0)),
    ((0, 0, -1.5, 0, 0), (0, 0, 0, 0, 0), (-1.5, 0, 6, 0, -1.5), (0, 0, 0, 0, 0), (0, 0, -1.5, 0, 0)),
)


def _demosaic(noise: Pixels, detail: float) -> Pixels:
    """Keep the one colour that each pixel of an RGGB sensor sees, and interpolate the other two."""
    rows, columns = np.ogrid[: noise.shape[0], : noise.shape[1]]
    seen: NDArray[np.intp] = (rows % 2) + (columns % 2)  # the channel that a sensor pixel sees
    mosaic = np.take_along_axis(noise, seen[..., None], axis=2)[..., 0]
    at_chroma, beside, across = (
        np.array(plain) + detail * np.array(correction) for plain, correction in (_GREEN, _BESIDE, _ACROSS)
    )
    in_row, in_column, opposite = (_filter(mosaic, kernel) for kernel in (beside, beside.T, across))
    out = np.empty_like(noise)
    out[..., 1] = np.where(seen == 1, mosaic, _filter(mosaic, at_chroma))
    for channel, parity in ((0, 0), (2, 1)):  # red lies in the even rows, blue in the odd ones
        at_green = np.where(rows % 2 == parity, in_row, in_column)
        out[..., channel] = np.where(seen == channel, mosaic, np.where(seen == 1, at_green, opposite))
    return out


def _filter(plane: Pixels, kernel: NDArray[np.float64]) -> Pixels:
    """Correlate a plane (H, W) with a 5 x 5 kernel in eighths.

    Beyond the border, the plane repeats with the mosaic's period of two.
    """
    height, width = plane.shape
    at_rows, at_columns = (np.arange(-2, side + 2) for side in (height, width))
    for at, side in ((at_rows, height), (at_columns, width)):
        at[at < 0] += 2
        at[at >= side] -= 2
    padded = plane[np.clip(at_rows, 0, height - 1)[:, None], np.clip(at_columns, 0, width - 1)]
    taps = [(y, x, np.float32(weight / 8)) for (y, x), weight in np.ndenumerate(kernel) if weight]
    return sum(
        (padded[y : y + height, x : x + width] * weight for y, x, weight in taps), np.zeros_like(plane)
    )


def _smooth_keeping_strength(noise: Pixels, sigma: float) -> Pixels:
    radius = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    # A kernel of unit energy keeps the variance of white noise.
    kernel = (kernel / np.linalg.norm(kernel)).astype(np.float32)
    for axis in (0, 1):
        pad = [(0, 0)] * noise.ndim
        pad[axis] = (radius, radius)
        padded = np.pad(noise, pad, mode="reflect" if noise.shape[axis] > radius else "symmetric")
        length = noise.shape[axis]
        noise = sum(weight * padded.take(range(k, k + length), axis=axis) for k, weight in enumerate(kernel))
    return noise
