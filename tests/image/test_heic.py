import io

import numpy as np
import pytest

from tests.image.cameras import heic, needs_heic, ramp
from uformer.errors import PictureError
from uformer.image.heic import Heic
from uformer.image.matrix_profile import of_code_points
from uformer.image.read import header, read
from uformer.image.write import encode

needs_heic()

RGB = np.rint(ramp() * 255).astype(np.uint8)
RGB[..., 1] = 120
RGB[..., 2] = RGB[::-1, ::-1, 0]
EXIF = b"II*\0\x08\0\0\0\2\0\x0f\1\2\0\4\0\0\0Acm\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"


def test_eight_bits() -> None:
    data = heic(RGB, "RGB")
    image, head = read(data), header(data)
    assert (image.depth, image.suffix, image.lossless) == (8, ".jpg", False)
    assert (head.width, head.height, head.channels, head.depth, head.suffix, head.whole) == (
        96,
        64,
        3,
        8,
        ".jpg",
        True,
    )
    np.testing.assert_allclose(image.pixels * 255, RGB, atol=2)


def test_ten_bits_come_out_as_16() -> None:
    samples = RGB.astype(np.uint16) * 257
    image = read(heic(samples, "RGB;16"))
    assert image.depth == 16
    np.testing.assert_allclose(image.pixels, samples / 65535, atol=3 / 1023)
    assert image.pixels.max() == 1


@pytest.mark.parametrize("width", [95, 33])
def test_rows_of_odd_length(width: int) -> None:
    np.testing.assert_allclose(read(heic(RGB[:, :width], "RGB")).pixels * 255, RGB[:, :width], atol=2)


def test_alpha_is_kept_and_the_output_is_png() -> None:
    alpha = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None], (64, 96))
    image = read(heic(np.dstack([RGB, alpha]), "RGBA"))
    assert image.alpha is not None
    np.testing.assert_allclose(image.alpha.astype(int), alpha, atol=1)
    assert image.suffix == ".png"
    assert header(heic(np.dstack([RGB, alpha]), "RGBA")).alpha


def test_gray() -> None:
    image = read(heic(RGB[..., :1], "L"))
    assert image.channels == 1
    np.testing.assert_allclose(image.pixels[..., 0] * 255, RGB[..., 0], atol=2)


def test_profile_exif_and_xmp_are_kept() -> None:
    icc = read(heic(RGB, "RGB", color_primaries=12, transfer_characteristics=13)).metadata.icc
    assert icc is not None
    assert icc[12:20] == b"mntrRGB "
    module = needs_heic()
    file = module.from_bytes(mode="RGB", size=(96, 64), data=RGB.tobytes())
    file[0].info |= {"icc_profile": icc, "icc_profile_type": "prof", "exif": EXIF, "xmp": b"<x:xmpmeta/>"}
    out = io.BytesIO()
    file.save(out, quality=90)
    kept = read(out.getvalue()).metadata
    assert kept.icc == icc
    assert kept.exif is not None
    assert b"Acm" in kept.exif
    assert kept.xmp == b"<x:xmpmeta/>"
    assert read(encode(read(out.getvalue()), ".jpg")).metadata.icc == icc


def test_other_colours_are_warned_of() -> None:
    said: list[str] = []
    read(heic(RGB, "RGB", color_primaries=9, transfer_characteristics=16), notify=said.append)
    assert any("declares HDR or rare colours" in line for line in said)
    said.clear()
    image = read(heic(RGB, "RGB", color_primaries=9, transfer_characteristics=14), notify=said.append)
    assert (image.metadata.icc, said) == (of_code_points(9, 14), [])


def test_the_orientation_is_applied_once() -> None:
    module = needs_heic()
    pil = pytest.importorskip("PIL.Image")
    image = pil.fromarray(RGB)
    exif = pil.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise
    file = module.from_pillow(image)
    file[0].info["exif"] = exif.tobytes()
    out = io.BytesIO()
    module.register_heif_opener()
    image.save(out, "HEIF", exif=exif.tobytes(), quality=-1, chroma=444)
    read_back, head = read(out.getvalue()), header(out.getvalue())
    assert (read_back.height, read_back.width) == (head.height, head.width) == (96, 64)
    np.testing.assert_allclose(read_back.pixels * 255, np.rot90(RGB, 3), atol=4)
    assert head.orientation == 1


def test_only_the_primary_image_is_read() -> None:
    said: list[str] = []
    image = read(heic(RGB, "RGB", more=[RGB[:32, :32]]), notify=said.append)
    assert (image.height, image.width) == (64, 96)
    assert said == ["image: holds 2 images; only the primary one is read"]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
def test_a_file_that_is_cut_off_is_refused_in_one_line(
    share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = heic(RGB, "RGB")
    with pytest.raises(PictureError, match=r"^image: cannot be read as HEIC: [^\n]*$"):
        read(data[: int(len(data) * share)])
    assert capfd.readouterr() == ("", "")


def test_the_decoder_itself() -> None:
    decoder = Heic(heic(RGB, "RGB"))
    found = decoder.header()
    assert (found["width"], found["height"], found["bands"], found["bits"]) == (96, 64, 3, 8)
    assert decoder.pixels().shape == (64, 96, 3)
    with pytest.raises(ValueError, match=r"."):
        Heic(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
