"""Noise: Gaussian, and what a camera makes of a little light.

Pictures are float32 (H, W, 3), sRGB in [0, 1], in and out. Every function is pure and seeded by its `rng`.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from uformer.image.color import linear_to_srgb, srgb_to_linear

Pixels = NDArray[np.float32]


def gaussian_noise(clean: Pixels, rng: Generator, *, sigma: float) -> Pixels:
    """Add white Gaussian noise of standard deviation `sigma`, on the 0-255 scale; not clipped. Raises ValueError for a negative sigma."""
    if sigma < 0:
        raise ValueError(f"sigma: {sigma} must not be negative")
    return clean + rng.standard_normal(clean.shape, dtype=np.float32) * np.float32(sigma / 255)


def camera_noise(
    clean: Pixels,
    rng: Generator,
    *,
    shot: float,
    read: float,
    red_gain: float = 2.0,
    blue_gain: float = 1.7,
    bayer: bool = True,
    smooth: float = 0.0,
    mix: float = 0.0,
) -> Pixels:
    """Shot and read noise in linear light before white balance, correlated as developing a raw file correlates it; clipped to [0, 1].

    Variance on the sensor is shot * signal + read^2, signal 1 being saturation (Foi et al. 2008; Brooks et al., CVPR 2019, section 3.1).

    `shot`, `read`: about 1e-4 to 2e-2 and 1e-5 to 6e-3. `red_gain`, `blue_gain`: white balance against green, 1 to 2.5.
    `bayer`: each sensor pixel sees one colour, and bilinear demosaicing spreads its noise over its neighbours; else each colour has
    noise of its own at every pixel. `smooth`: standard deviation in pixels of a Gaussian that the noise is smoothed by, its strength
    kept. `mix`: largest off-diagonal entry of a random colour matrix (camera to sRGB), rows summing to one, 0 to 0.4.
    Raises ValueError for a negative value or a gain below 1.
    """
    if min(shot, read, smooth, mix) < 0 or min(red_gain, blue_gain) < 1:
        raise ValueError(f"camera noise: {shot=}, {read=}, {smooth=}, {mix=} must not be negative, {red_gain=}, {blue_gain=} not below 1")
    gains = np.array([red_gain, 1.0, blue_gain], np.float32)
    linear = srgb_to_linear(np.clip(clean, 0, 1))
    sensor = linear / gains
    noise = rng.standard_normal(clean.shape, dtype=np.float32) * np.sqrt(np.float32(shot) * sensor + np.float32(read**2))
    if bayer:
        noise = _demosaic_bilinear(noise)
    if smooth > 0:
        noise = _smooth_keeping_strength(noise, smooth)
    noise = noise * gains
    if mix > 0:
        matrix = rng.uniform(-mix, mix / 4, (3, 3))  # a camera's matrix subtracts the other colours
        np.fill_diagonal(matrix, 0)
        np.fill_diagonal(matrix, 1 - matrix.sum(axis=1))
        noise = noise @ matrix.T.astype(np.float32)
    return linear_to_srgb(np.clip(linear + noise, 0, 1))


def _demosaic_bilinear(noise: Pixels) -> Pixels:
    """Keep of each RGGB sensor pixel its own colour, and fill the other two in from the nearest ones that have them."""
    rows, columns = np.indices(noise.shape[:2])
    red = (rows % 2 == 0) & (columns % 2 == 0)
    blue = (rows % 2 == 1) & (columns % 2 == 1)
    out = np.empty_like(noise)
    for channel, seen in enumerate((red, ~(red | blue), blue)):
        diagonal = channel != 1  # green neighbours lie beside, red and blue ones also across
        plane = _spread(np.where(seen, noise[..., channel], np.float32(0)), diagonal=diagonal)
        out[..., channel] = plane / _spread(seen.astype(np.float32), diagonal=diagonal)
    return out


def _spread(plane: Pixels, *, diagonal: bool) -> Pixels:
    """Share (H, W) out to the neighbours, diagonal ones too or not; against the weights' own spread, bilinear interpolation."""
    padded = np.pad(plane, 1)
    if diagonal:
        across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
        return across[:-2] + 2 * across[1:-1] + across[2:]
    return 4 * plane + padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]


def _smooth_keeping_strength(noise: Pixels, sigma: float) -> Pixels:
    radius = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / np.linalg.norm(kernel)).astype(np.float32)  # unit energy keeps the variance of white noise
    for axis in (0, 1):
        pad = [(0, 0)] * noise.ndim
        pad[axis] = (radius, radius)
        padded = np.pad(noise, pad, mode="reflect" if noise.shape[axis] > radius else "symmetric")
        length = noise.shape[axis]
        noise = sum(weight * padded.take(range(k, k + length), axis=axis) for k, weight in enumerate(kernel))
    return noise
