import io
import struct

import numpy as np
import PIL.Image
import pytest
import pyvips

from uformer.image import containers, formats

NOISE = np.random.default_rng(0).integers(0, 256, (9, 14, 4), np.uint8)


def encoded(picture_format: formats.Format, *, bands: int = 3) -> bytes:
    image = pyvips.Image.new_from_array(NOISE[..., :bands].copy(), interpretation="srgb")
    keep = 0
    if picture_format is formats.AVIF:
        image.set_type(pyvips.GValue.blob_type, "exif-data", containers.PLACEHOLDER)
        keep = 1
    data = getattr(image, f"{picture_format.operation}save_buffer")(**picture_format.options, keep=keep)
    return bytes(data)


@pytest.mark.parametrize("picture_format", formats.FORMATS, ids=lambda each: each.name)
@pytest.mark.parametrize("odd", [0, 1])
def test_exif_goes_in_and_the_pixels_stay(picture_format: formats.Format, odd: int, exif: bytes) -> None:
    before = encoded(picture_format)
    after = containers.embed_exif(before, picture_format, exif + bytes(odd), width=14, height=9, alpha=False)
    first, second = (pyvips.Image.new_from_buffer(data, "").numpy() for data in (before, after))
    np.testing.assert_array_equal(first, second)
    with PIL.Image.open(io.BytesIO(after)) as image:
        assert image.getexif()[0x010F] == "Acme"


@pytest.mark.parametrize("bands", [3, 4])
def test_webp_says_what_it_holds(bands: int, exif: bytes) -> None:
    after = containers.embed_exif(
        encoded(formats.WEBP, bands=bands), formats.WEBP, exif, width=14, height=9, alpha=bands == 4
    )
    assert int.from_bytes(after[4:8], "little") == len(after) - 8
    assert after[12:16] == b"VP8X"
    assert after[20] & 0x08
    assert bool(after[20] & 0x10) == (bands == 4)
    assert pyvips.Image.webpload_buffer(after).bands == bands


def test_density_of_a_jpeg() -> None:
    data = containers.embed_density(encoded(formats.JPEG), (300 / 25.4, 72 / 25.4))
    with PIL.Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.info["dpi"] == (300, 72)
    silly = containers.embed_density(encoded(formats.JPEG), (0.0, 1e9))
    assert struct.unpack_from(">HH", silly, 14) == (1, 65535)


def test_frames_are_counted() -> None:
    pictures = [PIL.Image.fromarray(np.roll(NOISE[..., :3], shift)) for shift in range(3)]
    for picture_format, several in ((formats.PNG, 3), (formats.AVIF, 2)):
        for count, expected in ((1, 1), (3, several)):
            file = io.BytesIO()
            pictures[0].save(file, picture_format.name, save_all=count > 1, append_images=pictures[1:count])
            assert containers.frames(file.getvalue(), picture_format) == expected


def test_colours_of_an_avif() -> None:
    file = io.BytesIO()
    PIL.Image.fromarray(NOISE[..., :3].copy()).save(file, "AVIF")
    data = file.getvalue()
    at = data.find(b"nclx")
    assert containers.nclx(data) is None
    for primaries, transfer in ((9, 16), (12, 13), (9, 18)):
        other = data[: at + 4] + struct.pack(">HH", primaries, transfer) + data[at + 8 :]
        assert containers.nclx(other) == (primaries, transfer)
    assert containers.nclx(data[: at + 4]) is None
    assert containers.nclx(encoded(formats.AVIF)) is None


def test_a_gain_map_of_an_avif_is_seen() -> None:
    data = encoded(formats.AVIF)
    assert not containers.has_gain_map(data)
    assert containers.has_gain_map(data[:16] + b"tmap" + data[20:])


def test_lossless_webp_is_seen() -> None:
    image = pyvips.Image.new_from_array(NOISE, interpretation="srgb")
    assert containers.is_lossless_webp(image.webpsave_buffer(lossless=True))
    assert not containers.is_lossless_webp(image.webpsave_buffer(Q=90))
