"""Every form of an image comes back in the same form, and alpha is never changed."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.restore.forms import (
    default_output,
    from_values,
    through_array,
    through_pil,
    through_tensor,
    to_values,
    values_of,
)


def brighter(pixels: NDArray[np.float32], depth: int) -> NDArray[np.float32]:
    assert pixels.dtype == np.float32
    assert pixels.ndim == 3
    return pixels + np.float32(0.25)


def same(pixels: NDArray[np.float32], depth: int) -> NDArray[np.float32]:
    return pixels


DTYPES = [np.uint8, np.uint16, np.float16, np.float32, np.float64]
SHAPES = [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4), (1, 1), (1, 1, 3)]


def some(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    rng = np.random.default_rng(0)
    if np.issubdtype(dtype, np.floating):
        return rng.random(shape, dtype=np.float32).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_array_shape_type_and_values_survive(shape: tuple[int, ...], dtype: Any) -> None:
    array = some(shape, dtype)
    before = array.copy()
    out = through_array(array, same)
    assert out.dtype == array.dtype
    assert np.array_equal(out, array)  # integers and float32 pass through [0, 1] without loss
    assert np.array_equal(array, before)


def test_the_values_of_a_batch() -> None:
    batch = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).reshape(2, 3, 4, 5)
    found = values_of(batch)
    assert [depth for _, depth in found] == [8, 8]
    assert np.array_equal(found[1][0], to_values(batch[1].numpy()).transpose(1, 2, 0))


@pytest.mark.parametrize(("dtype", "depth"), [(np.uint8, 8), (np.uint16, 16), (np.float16, 32), (float, 32)])
def test_the_depth_is_passed_on(dtype: Any, depth: int) -> None:
    seen = []
    through_array(np.zeros((2, 2), dtype), lambda pixels, depth: (seen.append(depth), pixels)[1])  # type: ignore[func-returns-value]
    assert seen == [depth]


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize(
    "subclass", [np.matrix, lambda array: np.ma.masked_array(array, array > 20)], ids=["matrix", "masked"]
)
def test_a_subclass_becomes_a_plain_array(subclass: Any) -> None:
    array = some((5, 7), np.uint8)
    out = through_array(subclass(array), lambda values, depth: same(values + 0, depth))
    assert type(out) is np.ndarray
    assert np.array_equal(out, array)


def test_floats_of_any_range_stay_as_they_are() -> None:
    array = np.array([[-500.0, 0.5], [1.0, 70000.0]])
    assert np.array_equal(through_array(array, same), array)


@pytest.mark.parametrize("shape", [(5, 7, 2), (5, 7, 4)])
def test_alpha_stays(shape: tuple[int, ...]) -> None:
    array = some(shape, np.uint8)
    out = through_array(array, brighter)
    assert np.array_equal(out[..., -1], array[..., -1])
    assert np.array_equal(out[..., :-1], np.minimum(array[..., :-1].astype(int) + 64, 255))


def test_a_network_of_four_channels_takes_all_four() -> None:
    array = np.full((3, 3, 4), 0.5, np.float32)
    assert (through_array(array, brighter, channels=4) == 0.75).all()


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 3, 5, 7), (2, 1, 5, 7), (4, 5, 7)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16, torch.bfloat16])
def test_tensor_shape_and_type_survive(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    tensor = (torch.rand(shape) * 255).round()
    tensor = tensor.to(dtype) if dtype == torch.uint8 else (tensor / 255).to(dtype)
    out = through_tensor(tensor, same)
    assert out.dtype == dtype
    assert torch.equal(out, tensor)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(3, 5, 7).to(torch.float8_e4m3fn),
        torch.zeros(3, 5, 7).to_sparse(),
        torch.zeros(3, 5, 7, device="meta"),
    ],
    ids=["float8", "sparse", "meta"],
)
def test_a_tensor_that_numpy_cannot_hold_is_refused(tensor: torch.Tensor) -> None:
    with pytest.raises(PictureError, match=r"a tensor of torch\.float.* cannot be read; expected a dense"):
        through_tensor(tensor, same)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "I", "F"])
def test_pil_mode_survives(mode: str) -> None:
    kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
    picture = (
        PIL.Image.fromarray(some((5, 7), np.uint16).astype(kinds[mode]))
        if mode in kinds
        else PIL.Image.new(mode, (7, 5), 77 if mode == "L" else None)
    )
    picture.info["dpi"] = (72, 72)
    out = through_pil(picture, same)
    assert (out.mode, out.size, out.info["dpi"]) == (mode, (7, 5), (72, 72))
    assert np.array_equal(np.asarray(out), np.asarray(picture))


@pytest.mark.parametrize(("mode", "out"), [("P", "RGB"), ("1", "L"), ("CMYK", "RGB")])
def test_other_pil_modes_become_plain_ones(mode: str, out: str) -> None:
    assert through_pil(PIL.Image.new(mode, (7, 5)), same).mode == out


@pytest.mark.parametrize(("mode", "kept"), [("CMYK", False), ("LAB", False), ("YCbCr", True), ("RGB", True)])
def test_the_profile_of_other_colours_is_dropped(mode: str, kept: bool) -> None:
    picture = PIL.Image.new(mode, (7, 5))
    picture.info["icc_profile"] = b"profile"
    assert ("icc_profile" in through_pil(picture, same).info) is kept


def test_a_transparent_colour_becomes_alpha() -> None:
    picture = PIL.Image.new("RGB", (2, 1), (255, 0, 0))
    picture.info["transparency"] = (255, 0, 0)
    out = through_pil(picture, lambda pixels, depth: pixels * np.float32(0.5))
    assert out.mode == "RGBA"
    assert out.getpixel((0, 0)) == (128, 0, 0, 0)
    assert "transparency" not in out.info


def test_sixteen_bits_survive_either_byte_order() -> None:
    picture = PIL.Image.frombytes("I;16B", (2, 1), np.array([20000, 65535], ">u2").tobytes())
    assert np.asarray(through_pil(picture, same)).tolist() == [[20000, 65535]]


def test_an_unknown_pil_mode_is_refused() -> None:
    with pytest.raises(PictureError, match="Pillow mode La is not supported; convert to one of 1, L, "):
        through_pil(PIL.Image.new("La", (2, 2)), same)


@pytest.mark.parametrize("shape", [(0, 5), (5,), (5, 7, 5), (2, 2, 2, 2)])
def test_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(PictureError, match="is not an image|the image has 5 channels"):
        through_array(np.zeros(shape, np.uint8), same)


@pytest.mark.parametrize(
    "bad",
    [np.full((2, 2), np.nan), np.full((2, 2), np.inf, np.float16), np.zeros((2, 2), bool)],
)
def test_pixels_that_mean_nothing_are_refused(bad: NDArray[Any]) -> None:
    with pytest.raises(PictureError, match="expected|finite"):
        to_values(bad)


@pytest.mark.parametrize(
    "kind", ["int8", "int16", "int32", "uint32", "int64", "uint64", "float16", "float64"]
)
def test_types_without_a_white_have_values_of_their_own(kind: str) -> None:
    info = np.finfo(kind) if kind.startswith("f") else np.iinfo(kind)
    array = np.array([[info.min, 5, info.max, 7]], kind)
    seen: list[tuple[float, int]] = []

    def raised(values: NDArray[Any], depth: int) -> NDArray[Any]:
        seen.append((float(values[0, 1, 0]), depth))
        return np.where([[[0], [1], [1], [0]]], values + 0.6, values)

    found = through_array(array, raised)
    assert seen == [(5, 32)]
    assert found.dtype == array.dtype
    more = 5.6 if kind.startswith("f") else 6
    assert found[0, [0, 1, 3]].tolist() == [array[0, 0], pytest.approx(more, rel=1e-3), 7]
    assert float(found[0, 2]) == pytest.approx(float(info.max))


def test_levels_are_rounded_and_clipped() -> None:
    pixels = np.array([-0.1, 0.4999 / 255, 0.5001 / 255, 1.2], np.float32)
    assert from_values(pixels, np.zeros(4, np.uint8)).tolist() == [0, 0, 1, 255]


def test_default_output() -> None:
    assert default_output(Path("a/b.c.jpg")) == Path("a/b.c.restored.jpg")
