"""Alignment undoes a shift and a change of brightness, and scores only pixels that both images cover."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import scipy.ndimage
import skimage

from uformer.errors import PictureError
from uformer.evaluate.align import align, aligned_scores
from uformer.metrics import psnr


def scene(height: int = 80, width: int = 100, *, smooth: int = 3) -> np.ndarray:
    """Return smooth structures, `smooth` pixels wide, as (H, W, 3) float32 in [0.1, 0.9]."""
    noise = np.random.default_rng(0).random((height, width, 3))
    values = scipy.ndimage.gaussian_filter(noise, (smooth, smooth, 0))
    low, high = values.min(), values.max()
    return (0.1 + 0.8 * (values - low) / (high - low)).astype(np.float32)


def test_a_shift_and_a_gain_are_undone() -> None:
    whole = scene()
    clean, moved = whole[:-4, :-3], whole[4:, 3:] * np.float32(0.8)
    assert psnr(moved, clean, rounded=False) < 20
    after, similarity = aligned_scores(moved, clean)
    assert after > 35
    assert similarity > 0.98
    _, seen = align(moved, clean)
    assert not seen[:3].any()
    assert not seen[:, :2].any()
    assert seen[6:, 5:].all()


def in_place(clean: np.ndarray) -> np.ndarray:
    """Return the image unchanged: there is nothing to align."""
    return clean


def moved(clean: np.ndarray) -> np.ndarray:
    """Return the image shifted by (9, 8) pixels and darkened, with other content at two edges."""
    return np.float32(0.8) * np.roll(clean, (-9, -8), axis=(0, 1))


def by_hand(restored: np.ndarray, clean: np.ndarray) -> dict[str, float]:
    """Compute the scores as RealBlur's evaluation describes, with OpenCV and scikit-image.

    The result also holds the scores without the mask.
    """
    restored, clean = restored.astype(np.float64), clean.astype(np.float64)
    gained = (restored * (restored * clean).sum() / (restored * restored).sum()).astype(np.float32)
    gray_clean, gray_gained = (
        cv2.cvtColor(each.astype(np.float32), cv2.COLOR_RGB2GRAY) for each in (clean, gained)
    )
    start = np.eye(3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 0)
    _, homography = cv2.findTransformECC(  # type: ignore[call-overload]
        gray_clean, gray_gained, start, cv2.MOTION_HOMOGRAPHY, stop, None, 5
    )
    height, width = clean.shape[:2]
    back = (
        np.stack(np.meshgrid(np.arange(width), np.arange(height), [1]), axis=-1)[:, :, 0]
        @ homography.astype(np.float64).T
    )
    at = np.rint(back[..., :2] / back[..., 2:])
    seen = ((at >= 0) & (at <= (width - 1, height - 1))).all(axis=2)
    warped = cv2.warpPerspective(
        gained,
        homography,
        (width, height),
        flags=cv2.INTER_CUBIC + cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    ).astype(np.float64)
    squares = ((warped - clean) ** 2).mean(axis=2)
    _, similarity = skimage.metrics.structural_similarity(
        clean * seen[..., None], warped * seen[..., None], channel_axis=2, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, data_range=1.0, full=True,
    )  # fmt: skip
    inside = np.s_[5:-5, 5:-5]
    return {
        "psnr": -10 * np.log10(squares[seen].mean()),
        "psnr of all pixels": -10 * np.log10(squares.mean()),
        "psnr of all pixels, those not seen black": -10 * np.log10((squares * seen).mean()),
        "ssim": similarity[inside][seen[inside]].mean(),
        "ssim of all pixels": similarity[inside].mean(),
        "seen": seen.mean(),
    }


@pytest.mark.parametrize("change", [in_place, moved])
def test_scores_are_those_computed_by_hand(change: Callable[[np.ndarray], np.ndarray]) -> None:
    clean = scene(120, 140, smooth=5)
    noise = 0.02 * np.random.default_rng(1).standard_normal(clean.shape, dtype=np.float32)
    restored = np.clip(change(clean) + noise, 0, 1)
    after, similarity = aligned_scores(restored, clean)
    expected = by_hand(restored, clean)
    assert after == pytest.approx(expected["psnr"], abs=1e-3)
    assert similarity == pytest.approx(expected["ssim"], abs=1e-5)
    if change is moved:
        assert expected["seen"] < 0.9
        for wrong in ("psnr of all pixels", "psnr of all pixels, those not seen black"):
            assert abs(after - expected[wrong]) > 0.3
        assert abs(similarity - expected["ssim of all pixels"]) > 0.005


def test_identical_images_have_high_scores() -> None:
    clean = scene()
    after, similarity = aligned_scores(clean, clean)
    assert after > 50
    assert similarity > 0.999


@pytest.mark.parametrize(
    "restored",
    [np.zeros((40, 40, 3), np.float32), np.full((40, 40, 3), 0.5, np.float32)],
    ids=["black", "flat"],
)
def test_what_cannot_be_aligned_is_one_line(restored: np.ndarray) -> None:
    with pytest.raises(PictureError, match="cannot be aligned"):
        aligned_scores(restored, scene(40, 40))
