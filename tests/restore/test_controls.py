"""The controls, on random images and residuals of any size."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uformer.image.color import luma_of
from uformer.image.image import Pixels
from uformer.restore import controls as module
from uformer.restore import tones
from uformer.restore.controls import Stream, Window, blend_rows
from uformer.restore.masks import Mask
from uformer.restore.options import Controls

shares = st.floats(0, 1, width=32)
any_controls = st.builds(
    Controls,
    **dict.fromkeys(("strength", "luma", "chroma", "detail", "grain", "shadows"), shares),
    tones=st.sampled_from(["free", "lock"]),
)


@st.composite
def images(draw: st.DrawFn) -> tuple[Pixels, Pixels]:
    """Draw an 8-bit image (C, H, W) and a residual."""
    shape = draw(st.sampled_from([1, 3])), draw(st.integers(1, 90)), draw(st.integers(1, 160))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    image = rng.integers(0, 256, shape).astype(np.float32) / np.float32(255)
    return image, rng.normal(0, 0.2, shape).astype(np.float32)


def blended(image: Pixels, residual: Pixels, controls: Controls, mask: Pixels | None = None) -> Pixels:
    def read(window: Window) -> tuple[Pixels, Pixels]:
        rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
        return image[:, rows, columns], residual[:, rows, columns].copy()

    fitted = None if mask is None else Mask(mask, *image.shape[1:])
    bands = blend_rows(read, image.shape, controls, fitted)
    return np.concatenate([rows.copy() for _, rows in bands], axis=1)


def mixed(image: Pixels, residual: Pixels, strength: float) -> Pixels:
    """The formula of --strength alone."""
    return np.clip(residual * np.float32(strength) + image, 0, 1)


@settings(max_examples=25)
@given(images(), shares)
def test_both_parts_alike_are_the_strength(pair: tuple[Pixels, Pixels], share: float) -> None:
    image, residual = pair
    out = blended(image, residual, Controls(luma=share, chroma=share))
    assert np.array_equal(out, mixed(image, residual, share))
    assert np.array_equal(out, blended(image, residual, Controls(strength=share)))


@settings(max_examples=25)
@given(images(), shares, shares)
def test_the_strength_scales_both_parts(pair: tuple[Pixels, Pixels], share: float, chroma: float) -> None:
    both = blended(*pair, Controls(strength=share, chroma=chroma))
    np.testing.assert_allclose(both, blended(*pair, Controls(luma=share, chroma=share * chroma)), atol=1e-6)


@settings(max_examples=25)
@given(images(), shares)
def test_luma_0_leaves_the_luma(pair: tuple[Pixels, Pixels], chroma: float) -> None:
    """Even where clipping the colours would change it."""
    image, residual = pair
    out = blended(image, residual, Controls(luma=0, chroma=chroma))
    np.testing.assert_allclose(luma_of(out), luma_of(image), atol=1e-5)


@settings(max_examples=25)
@given(images())
def test_chroma_0_moves_all_channels_alike(pair: tuple[Pixels, Pixels]) -> None:
    image, residual = pair
    change = blended(image * 0.4 + 0.3, residual * 0.2, Controls(chroma=0)) - (image * 0.4 + 0.3)
    np.testing.assert_allclose(change, np.broadcast_to(change[:1], change.shape), atol=1e-6)


@settings(max_examples=25)
@given(images(), any_controls)
def test_a_black_mask_returns_the_input(pair: tuple[Pixels, Pixels], controls: Controls) -> None:
    image, residual = pair
    assert np.array_equal(blended(image, residual, controls, np.zeros(image.shape[1:], np.float32)), image)


@settings(max_examples=25)
@given(images(), any_controls)
def test_a_white_mask_is_no_mask(pair: tuple[Pixels, Pixels], controls: Controls) -> None:
    white = np.ones(pair[0].shape[1:], np.float32)
    assert np.array_equal(blended(*pair, controls, white), blended(*pair, controls))


@settings(max_examples=25)
@given(images(), any_controls, st.lists(st.integers(1, 40), min_size=1), st.integers(3, 9), st.integers(1, 9))
def test_bands_and_blocks_make_no_difference(
    pair: tuple[Pixels, Pixels], controls: Controls, heights: list[int], rows: int, columns: int
) -> None:
    image, residual = pair

    def bands() -> Iterator[tuple[int, Pixels]]:
        buffer, first = np.empty_like(image), 0
        while first < image.shape[1]:
            part = slice(first, first + heights[first % len(heights)])
            restored = image[:, part] + residual[:, part]
            buffer[:, : restored.shape[1]] = restored
            yield first, buffer[:, : restored.shape[1]]
            buffer[:] = 9  # the next band overwrites this one
            first += restored.shape[1]

    same_residual = (image + residual) - image  # as the stream computes it
    expected = blended(image, same_residual, controls)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 8 * rows)
        patch.setattr(module, "COLUMNS", 8 * columns)
        stream = Stream(bands(), lambda first, last: image[:, first:last])
        parts = blend_rows(stream, image.shape, controls, None)
        out = np.concatenate([part.copy() for _, part in parts], axis=1)
    assert np.array_equal(out, expected)


def test_the_lock_measures_each_cell_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, seen = np.random.default_rng(0), list[int]()
    image, residual = rng.random((2, 3, 200, 150), np.float32)
    real = tones.measured

    def measured(original: Pixels, change: Pixels) -> Pixels:
        seen.append(original[0].size)
        return real(original, change)

    monkeypatch.setattr(tones, "measured", measured)
    blended(image, residual, Controls(tones="lock"))
    assert sum(seen) == image[0].size


def test_a_gray_image_has_no_chroma() -> None:
    rng = np.random.default_rng(0)
    image, residual = rng.random((1, 20, 30), np.float32), rng.normal(0, 0.1, (1, 20, 30)).astype(np.float32)
    assert np.array_equal(blended(image, residual, Controls(chroma=0)), blended(image, residual, Controls()))


def test_other_numbers_of_channels_share_their_mean() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform(0.3, 0.7, (4, 20, 30)).astype(np.float32)
    residual = rng.normal(0, 0.02, image.shape).astype(np.float32)
    out = blended(image, residual, Controls(luma=0))
    np.testing.assert_allclose(out.mean(axis=0), image.mean(axis=0), atol=1e-6)


def test_detail_returns_texture_and_keeps_noise_away() -> None:
    """Left of the middle, the network removed noise from a flat part; on the right, half of a texture."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.03, (1, 96, 192)).astype(np.float32)
    texture = 0.2 * np.sin(np.arange(96, dtype=np.float32) * 2)[None, None, :]
    image = np.full((1, 96, 192), 0.5, np.float32)
    image[:, :, 96:] += texture
    residual = np.zeros_like(image)
    residual[:, :, :96] = -noise[:, :, :96]
    residual[:, :, 96:] = -0.5 * texture
    image[:, :, :96] += noise[:, :, :96]
    image = np.repeat(image, 3, axis=0)
    residual = np.repeat(residual, 3, axis=0)
    plain, detailed = (blended(image, residual, Controls(detail=detail)) for detail in (0, 1))
    change = np.abs(detailed - plain)
    assert change[:, 8:-8, 8:88].mean() < 0.1 * np.abs(residual[:, 8:-8, 8:88]).mean()
    assert change[:, 8:-8, 104:-8].mean() > 0.4 * np.abs(residual[:, 8:-8, 104:-8]).mean()
    assert np.ptp(detailed - plain, axis=0).max() < 1e-6, "neutral"


def test_grain_is_neutral_the_same_each_time_and_spares_black_and_white() -> None:
    image = np.full((3, 70, 200), 0.5, np.float32)
    image[:, :, :50], image[:, :, 50:100] = 0, 1
    none = np.zeros_like(image)
    out = blended(image, none, Controls(grain=1))
    assert np.array_equal(out, blended(image, none, Controls(grain=1)))
    change = (out - image)[:, :, 100:]
    assert np.array_equal(change[0], change[1])
    assert change.std() == pytest.approx(module.GRAIN, rel=0.05)
    assert abs(change.mean()) < 0.002
    assert not np.array_equal(change[0, 0], change[0, 1]), "each row has its own noise"
    assert np.array_equal(out[:, :, :100], image[:, :, :100])


def test_shadows_weight_by_darkness() -> None:
    image = np.repeat(np.array([0.0, 0.5, 0.9], np.float32), 4)[None, None].repeat(3, axis=0)
    residual = np.full_like(image, 0.1)
    change = (blended(image, residual, Controls(shadows=1)) - image)[0, 0, ::4]
    np.testing.assert_allclose(change, [0.1 * 0.9**2, 0.1 * 0.4**2, 0], atol=1e-6)
    halves = blended(image, residual, Controls(shadows=0.5))
    np.testing.assert_allclose(
        halves, (mixed(image, residual, 1) + image + np.float32(change.repeat(4))) / 2, atol=1e-6
    )


def test_the_defaults_are_plain_and_0_is_idle() -> None:
    assert Controls(tones="free").plain
    assert not Controls(chroma=0.5, tones="free").plain
    assert not Controls(tones="lock").plain
    assert Controls(chroma=0.5, tones="free").for_channels(1).plain
    assert Controls(strength=0, detail=1).idle
    assert Controls(luma=0, chroma=0).idle
    assert Controls(luma=0).for_channels(1).idle
    assert not Controls(strength=0, grain=0.1).idle
