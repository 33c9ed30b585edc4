import io
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from uformer.errors import PictureError
from uformer.restore.masks import Mask, mask_values

LEVELS = np.arange(0, 240, 2, dtype=np.uint8).reshape(10, 12)
VALUES = LEVELS.astype(np.float32) / np.float32(255)


def png() -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(LEVELS).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize(
    "mask",
    [
        LEVELS,
        LEVELS[..., None],
        VALUES,
        VALUES.astype(np.float64),
        LEVELS.astype(np.uint16) * 257,
        np.repeat(LEVELS[..., None], 3, axis=2),
        np.stack([LEVELS, 255 - LEVELS], axis=2),
        PIL.Image.fromarray(LEVELS),
        PIL.Image.fromarray(LEVELS).convert("RGB"),
        PIL.Image.fromarray(LEVELS.astype(np.uint16) * 257),
        PIL.Image.fromarray(VALUES),
        torch.from_numpy(LEVELS),
        torch.from_numpy(LEVELS)[None],
        torch.from_numpy(LEVELS).repeat(3, 1, 1),
        np.ma.masked_array(VALUES, VALUES > 0.5),
        png(),
    ],
    ids=[
        "uint8",
        "1 channel",
        "float",
        "double",
        "16-bit",
        "colours",
        "alpha",
        "pil",
        "rgb",
        "16-bit pil",
        "float pil",
        "tensor",
        "tensor of 1 channel",
        "tensor of colours",
        "masked array",
        "file",
    ],
)
def test_the_forms_of_a_mask(mask: Any) -> None:
    values = mask_values(mask)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, VALUES, atol=1e-6)


def test_a_mask_of_bfloat16() -> None:
    half = torch.full((2, 3), 0.5)
    assert np.array_equal(mask_values(half.bfloat16()), half.numpy())


def test_a_mask_of_bool_and_a_file(tmp_path: Any) -> None:
    assert np.array_equal(mask_values(LEVELS > 100), (LEVELS > 100).astype(np.float32))
    (tmp_path / "mask.png").write_bytes(png())
    np.testing.assert_allclose(mask_values(str(tmp_path / "mask.png")), VALUES, atol=1e-6)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (3, "mask: expected a path, bytes, an array or an image, not int"),
        (np.zeros((2, 2, 5), np.uint8), r"mask: an array of shape \(2, 2, 5\) is not an image"),
        (np.zeros(4, np.uint8), r"mask: an array of shape \(4,\) is not an image"),
        (PIL.Image.new("RGBa", (2, 2)), "mask: Pillow mode RGBa is not supported"),
        (PIL.Image.new("I", (2, 2), 65535), "mask: values range from 65535 to 65535; expected 0 to 1"),
        (torch.zeros(2, 2).to(torch.float8_e4m3fn), "mask: a tensor of torch"),
        (np.full((2, 2), 200.0), "mask: values range from 200 to 200"),
        ("none.png", r"mask: .*none\.png"),
        (b"text", "mask: "),
    ],
)
def test_no_mask(mask: Any, message: str) -> None:
    with pytest.raises((PictureError, OSError), match=message):
        mask_values(mask)


def test_the_same_size_is_taken_as_it_is() -> None:
    mask = Mask(VALUES, 10, 12)
    assert np.array_equal(mask.window(2, 7, 3, 9), VALUES[2:7, 3:9])
    assert not mask.white
    assert Mask(np.ones((2, 3), np.float32), 10, 15).white


def test_another_size_is_stretched() -> None:
    ramp = np.tile((np.arange(12) + 0.5) / 12, (10, 1)).astype(np.float32)
    large = Mask(ramp, 100, 120)
    whole = large.window(0, 100, 0, 120)
    np.testing.assert_allclose(whole[50, 10:110], (np.arange(10, 110) + 0.5) / 120, atol=1e-6)
    assert np.array_equal(large.window(13, 77, 5, 99), whole[13:77, 5:99])
    small = Mask(whole, 10, 12).window(0, 10, 0, 12)
    np.testing.assert_allclose(small[:, 1:-1], ramp[:, 1:-1], atol=1e-6)
    assert (Mask(np.zeros((1, 1), np.float32), 5, 5).window(0, 5, 0, 5) == 0).all()


@pytest.mark.parametrize(
    ("size", "image"), [((100, 150), (2000, 3000)), ((67, 100), (2000, 3000)), ((333, 500), (1001, 1500))]
)
def test_a_ratio_may_be_off_by_rounding(size: tuple[int, int], image: tuple[int, int]) -> None:
    Mask(np.ones(size, np.float32), *image)


@pytest.mark.parametrize(
    ("size", "image"), [((100, 100), (2000, 3000)), ((100, 150), (3000, 2000)), ((10, 12), (10, 15))]
)
def test_another_ratio_is_refused(size: tuple[int, int], image: tuple[int, int]) -> None:
    with pytest.raises(
        PictureError,
        match=rf"mask: {size[1]} x {size[0]} does not fit an image of {image[1]} x {image[0]}; use a",
    ):
        Mask(np.ones(size, np.float32), *image)
