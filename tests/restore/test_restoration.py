"""One inference, any number of results, in the form of the image."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.restore.test_restorer import SMALL, Tiles, make, picture
from uformer.errors import OptionError, PictureError
from uformer.image.image import Image, Pixels
from uformer.restore.restorer import Restorer


def smoother(tiles: Tiles) -> Tiles:
    """A network that blurs, darkens and tints."""
    shifted = tiles + np.roll(tiles, 1, axis=2) + np.roll(tiles, 1, axis=3)
    tint = np.array([0.02, 0.05, 0.1], np.float32)[:, None, None]
    return (shifted / 3 - tint).astype(np.float32)


def restorer(**options: Any) -> Restorer:
    return make(smoother, **options)[0]


def levels(result: Any, expected: Any) -> int:
    """Return the largest difference."""
    return int(np.abs(np.asarray(result).astype(int) - np.asarray(expected).astype(int)).max())


def test_the_network_runs_once() -> None:
    network, backend = make(smoother)
    restoration = network.infer(picture())
    runs = len(backend.shapes)
    results = [restoration.blend(luma=share) for share in (0, 0.5, 1)]
    assert len(backend.shapes) == runs > 0
    assert not np.array_equal(results[0], results[2])
    assert [each.dtype for each in restoration.residuals] == [np.float16]


@settings(max_examples=10)
@given(
    st.builds(
        dict, **dict.fromkeys(("strength", "luma", "chroma", "detail", "grain", "shadows"), st.floats(0, 1))
    )
)
def test_a_blend_is_what_the_restorer_returns(controls: dict[str, Any]) -> None:
    """But for the rounding of the residual to float16."""
    expected = restorer(tile=32, **controls)(picture())
    assert levels(restorer(tile=32).infer(picture()).blend(**controls), expected) <= 1


def test_the_restorers_controls_are_the_defaults() -> None:
    restoration = restorer(strength=0.5, chroma=0).infer(picture())
    assert levels(restoration.blend(), restorer(strength=0.5, chroma=0)(picture())) <= 1
    assert levels(restoration.blend(strength=1, chroma=1), restorer()(picture())) <= 1


def in_form(form: str) -> Any:
    array = picture(channels=4 if "alpha" in form else 1 if "gray" in form else 3)
    if form == "16-bit":
        return array.astype(np.uint16) * 257
    if form == "float":
        return array.astype(np.float32) / np.float32(255)
    if form == "gray":
        return array[..., 0]
    if form in ("tensor", "batch"):
        tensor = torch.from_numpy(array.transpose(2, 0, 1).copy())
        return torch.stack([tensor, 255 - tensor]) if form == "batch" else tensor
    if form in ("pil", "pil alpha"):
        return PIL.Image.fromarray(array)
    if form == "image":
        alpha = array[..., 0].copy()
        return Image(pixels=array.astype(np.float32) / np.float32(255), alpha=alpha)
    return array


FORMS = ["array", "alpha", "16-bit", "float", "gray", "tensor", "batch", "pil", "pil alpha", "image"]


@pytest.mark.parametrize("form", FORMS)
def test_the_form_stays(form: str) -> None:
    given = in_form(form)
    options: dict[str, Any] = {"luma": 0.7, "chroma": 0.2, "detail": 0.5, "grain": 0.5}
    result, expected = restorer().infer(given).blend(**options), restorer(**options)(given)
    assert type(result) is type(expected)
    if form == "image":
        assert np.array_equal(result.alpha, given.alpha)
        result, expected = result.pixels, expected.pixels
    values, wanted = np.asarray(result), np.asarray(expected)
    assert (values.shape, values.dtype) == (wanted.shape, wanted.dtype)
    tolerance = 1 if values.dtype == np.uint8 else 20 if values.dtype == np.uint16 else 3e-4
    np.testing.assert_allclose(values.astype(float), wanted.astype(float), atol=tolerance)
    if "alpha" in form:
        assert np.array_equal(values[..., 3], np.asarray(given)[..., 3])


@pytest.mark.parametrize("form", FORMS)
def test_a_black_mask_returns_the_image(form: str) -> None:
    given = in_form(form)
    black = np.zeros((40, 70), np.uint8)
    for result in (restorer().infer(given).blend(mask=black, grain=1), restorer()(given, mask=black)):
        if form == "image":
            assert np.array_equal(result.pixels, given.pixels)
        else:
            assert np.array_equal(np.asarray(result), np.asarray(given))


def test_a_white_mask_is_no_mask() -> None:
    restoration = restorer().infer(in_form("float"))
    white = np.ones((4, 7), bool)
    assert np.array_equal(restoration.blend(mask=white, luma=0.3), restoration.blend(luma=0.3))
    assert np.array_equal(restorer()(picture(), mask=white), restorer()(picture()))


def test_a_mask_restores_its_white_part() -> None:
    mask = np.zeros((40, 70), bool)
    mask[:, 35:] = True
    result, expected = restorer()(picture(), mask=mask), restorer()(picture())
    assert np.array_equal(result[:, :35], picture()[:, :35])
    assert levels(result[:, 35:], expected[:, 35:]) <= 1
    assert np.array_equal(restorer()(picture()), expected), "the mask belongs to one call"
    with pytest.raises(PictureError, match="mask: 40 x 40 does not fit an image of 70 x 40"):
        restorer()(picture(), mask=np.ones((40, 40), bool))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("crop", [(0, 0, 70, 40), (11, 7, 30, 21), (69, 39, 1, 1), (0, 12, 9, 28)])
def test_a_crop_is_a_part_of_the_whole(form: str, crop: tuple[int, int, int, int]) -> None:
    restoration = restorer().infer(in_form(form))
    options: dict[str, Any] = {"chroma": 0.2, "detail": 1.0, "grain": 1.0, "mask": picture(channels=1)}
    whole, part = restoration.blend(**options), restoration.blend(crop=crop, **options)
    left, top, width, height = crop
    rows, columns = slice(top, top + height), slice(left, left + width)
    if form == "image":
        assert np.array_equal(part.alpha, whole.alpha[rows, columns])
        whole, part = whole.pixels, part.pixels
    values = np.asarray(whole)
    tensor = form in ("tensor", "batch")
    assert np.array_equal(np.asarray(part), values[..., rows, columns] if tensor else values[rows, columns])


@pytest.mark.parametrize(
    ("crop", "message"),
    [
        ((0, 0, 71, 40), "crop: left 0, top 0, width 71 and height 40 must lie in the image of 70 x 40"),
        ((-1, 0, 5, 5), "crop: left -1"),
        ((0, 0, 0, 5), "width 0"),
        ((1, 2, 3), "crop: .* must be four numbers"),
        ("all", "crop: 'all' must be four numbers"),
    ],
)
def test_a_wrong_crop(crop: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        restorer().infer(picture()).blend(crop=crop)


def test_a_wrong_control() -> None:
    restoration = restorer().infer(picture())
    with pytest.raises(
        OptionError, match=r"unknown control 'lumma'; known: strength, luma, chroma, detail, "
    ):
        restoration.blend(lumma=0.5)
    with pytest.raises(OptionError, match=r"luma: 2\.0 must be between 0 and 1"):
        restoration.blend(luma=2)
    with pytest.raises(OptionError, match="output: needs the path of an image file"):
        restoration.blend(output="a.png")


def test_later_changes_of_the_callers_image_do_not_matter() -> None:
    image = picture()
    restoration = restorer().infer(image)
    before = restoration.blend()
    image[:] = 0
    assert np.array_equal(restoration.blend(), before)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PIL.Image.fromarray(picture()).save(path)
    restoration = restorer().infer(path)
    assert restoration.blend() == tmp_path / "a.restored.png"
    assert levels(PIL.Image.open(tmp_path / "a.restored.png"), restorer()(picture())) <= 1
    with pytest.raises(OptionError, match="exists"):
        restoration.blend(luma=0)
    assert restoration.blend(luma=0, output=tmp_path / "b.png", crop=(0, 0, 9, 5)) == tmp_path / "b.png"
    assert PIL.Image.open(tmp_path / "b.png").size == (9, 5)
    assert restorer().infer(str(path)).blend(overwrite=True) == str(tmp_path / "a.restored.png")
    encoded = restorer().infer(path.read_bytes()).blend(strength=0)
    assert np.array_equal(np.asarray(PIL.Image.open(io.BytesIO(encoded))), picture())


def test_out_of_memory_begins_again() -> None:
    def hungry(tiles: Tiles) -> Tiles:
        if tiles.shape[-1] > 64:
            raise MemoryError
        return smoother(tiles)

    network, _ = make(hungry)
    with pytest.warns(UserWarning, match="out of memory"):
        restoration = network.infer(picture(100, 100))
    assert levels(restoration.blend(), restorer(tile=64)(picture(100, 100))) <= 1


def test_a_huge_change_of_the_network_stays_finite() -> None:
    network, _ = make(lambda tiles: tiles * np.float32(1e6))
    result = network.infer(in_form("float")).blend(mask=np.zeros((40, 70), bool))
    assert np.array_equal(result, in_form("float"))
    assert SMALL.in_channels == 3


def test_no_picture_is_refused() -> None:
    with pytest.raises(PictureError, match="cannot restore a dict"):
        restorer().infer({})


def luma(pixels: Pixels) -> Pixels:
    return pixels @ np.array([0.299, 0.587, 0.114])


def test_luma_0_leaves_the_luma_within_rounding() -> None:
    """Rounding moves each channel by half a level at most."""
    result = restorer(luma=0)(picture())
    assert np.abs(luma(result.astype(float)) - luma(picture().astype(float))).max() <= 0.5 + 1e-3
    assert levels(result, picture()) > 5
