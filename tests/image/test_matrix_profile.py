"""Profiles of displays: littlecms reads them, and sees the colours of the standards."""

import io

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from uformer.image.matrix_profile import SRGB, Corners, Curve, matrix_profile, of_code_points

COLOURS = np.random.default_rng(0).integers(0, 256, (8, 64, 3), dtype=np.uint8)


def in_srgb(data: bytes | None, values: np.ndarray = COLOURS) -> np.ndarray:
    source = ImageCms.ImageCmsProfile(io.BytesIO(data or b""))
    target = ImageCms.createProfile("sRGB")
    image = Image.fromarray(values)
    found = ImageCms.profileToProfile(
        image, source, target, renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB"
    )
    return np.asarray(found).astype(int)


def test_known_profiles_are_met() -> None:
    assert np.abs(in_srgb(of_code_points(1, 13)) - COLOURS).max() <= 1
    muted = (COLOURS // 3 + 80).astype(np.uint8)  # inside sRGB
    p3, known = of_code_points(12, 13), bytes(pyvips.Operation.call("profile_load", "p3"))
    assert np.abs(in_srgb(p3, muted) - in_srgb(known, muted)).max() <= 1
    ours, theirs = (ImageCms.ImageCmsProfile(io.BytesIO(each or b"")).profile for each in (p3, known))
    assert ours.profile_description == "Display P3"
    for name in ("red_colorant", "green_colorant", "blue_colorant"):
        assert getattr(ours, name)[0] == pytest.approx(getattr(theirs, name)[0], abs=0.0015)


@pytest.mark.parametrize("curve", [1.0, 1.8, 2.2])
@pytest.mark.parametrize("gray", [False, True])
def test_powers(curve: float, gray: bool) -> None:
    ramp = np.arange(0, 256, 5, dtype=np.uint8)[None]
    light = (ramp / 255) ** curve
    expected = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    data = matrix_profile(SRGB, curve, gray=gray)
    found = in_srgb(data, ramp if gray else np.repeat(ramp[..., None], 3, axis=2))
    lit = ramp[0] > 10  # littlecms rounds the darkest levels of a gray profile
    assert np.abs(found - expected[..., None])[:, lit].max() < 1


@pytest.mark.parametrize("primaries", [4, 5, 6, 7, 8, 9, 11, 12, 22])
def test_white_is_white(primaries: int) -> None:
    """Whatever the white point, the brightest value is shown as white."""
    assert np.abs(in_srgb(of_code_points(primaries, 8), np.full((1, 1, 3), 255, np.uint8)) - 255).max() <= 1


@pytest.mark.parametrize(("primaries", "transfer"), [(9, 16), (9, 18), (1, 9), (10, 13), (3, 1), (12, 17)])
def test_hdr_and_rare_code_points_have_no_profile(primaries: int, transfer: int) -> None:
    assert of_code_points(primaries, transfer) is None


@pytest.mark.parametrize(
    ("corners", "curve"),
    [
        ((0.3,) * 8, 1.0),  # no triangle
        ((0.9, 0.05, *SRGB[2:]), 1.0),  # white outside it
        ((0.3127, 0.0, *SRGB[2:]), 1.0),
        ((float("nan"), *SRGB[1:]), 1.0),
        ((0.435244, 0.544943, 1.014164, 0.071264, 0.310533, 0.861458, 0.289366, 0.066537), 1.0),  # too large
        (SRGB, 0.0),
        (SRGB, 1e5),
    ],
)
def test_numbers_that_describe_no_display(corners: Corners, curve: Curve) -> None:
    assert matrix_profile(corners, curve) is None


def test_the_same_numbers_give_the_same_bytes() -> None:
    assert matrix_profile(SRGB, 1.0) == matrix_profile(SRGB, 1.0)
    gray = matrix_profile(SRGB, 1.0, gray=True)
    assert gray is not None
    assert (gray[16:20], len(gray)) == (b"GRAY", int.from_bytes(gray[:4], "big"))
    known = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert gray[36:40] == known[36:40] == b"acsp"
    assert gray[68:80] == known[68:80]  # D50
