import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.image.cameras import dng, needs_raw, ramp
from uformer.errors import PictureError
from uformer.image.color import linear_to_srgb
from uformer.image.develop import Raw
from uformer.image.read import header, read
from uformer.image.vet import Limits
from uformer.image.write import write

needs_raw()

INSIDE = np.s_[8:-8, 8:-8]
SRGB_TO_P3 = np.array([[0.8225, 0.1774, 0], [0.0332, 0.9669, 0], [0.0171, 0.0724, 0.9108]])


def displayed(linear: np.ndarray) -> np.ndarray:
    return linear_to_srgb(linear.astype(np.float32))


def test_a_gray_ramp_becomes_display_values_of_16_bits() -> None:
    image = read(dng(ramp()))
    assert (image.depth, image.suffix, image.lossless) == (16, ".tif", True)
    np.testing.assert_allclose(image.pixels[INSIDE], displayed(ramp())[INSIDE], atol=0.006)


@pytest.mark.parametrize("neutral", [(1, 1, 1), (0.5, 1, 0.6)])
def test_colours_are_those_of_display_p3_under_the_cameras_white_balance(neutral: tuple[float, ...]) -> None:
    colour = np.array([0.5, 0.2, 0.1])
    image = read(dng(np.broadcast_to(colour, (48, 48, 3)), neutral=neutral))
    np.testing.assert_allclose(image.pixels[24, 24], displayed(SRGB_TO_P3 @ colour), atol=0.01)
    assert image.metadata.icc is not None
    assert image.metadata.icc[12:20] == b"mntrRGB "


def test_brightness_is_not_stretched() -> None:
    image = read(dng(ramp() * 0.25))
    np.testing.assert_allclose(image.pixels[INSIDE], displayed(ramp() * 0.25)[INSIDE], atol=0.006)


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_the_image_comes_out_upright(orientation: int, turns: int) -> None:
    data = dng(ramp(40, 64), orientation=orientation)
    image, head = read(data), header(data)
    assert (
        (head.height, head.width) == (image.height, image.width) == ((40, 64) if turns % 2 == 0 else (64, 40))
    )
    expected = np.rot90(displayed(ramp(40, 64)), turns)
    np.testing.assert_allclose(image.pixels[INSIDE], expected[INSIDE], atol=0.006)
    assert head.orientation == 1


def test_the_tiff_that_is_written_has_profile_and_camera(tmp_path: Path) -> None:
    write(read(dng(ramp(), orientation=6)), tmp_path / "out.tif")
    again = read(tmp_path / "out.tif")
    assert again.depth == 16
    assert (again.height, again.width) == (96, 64)
    assert again.metadata.icc
    assert again.metadata.exif
    assert b"Acme One" in again.metadata.exif


@pytest.mark.parametrize("length", [200, 900, 9000])
def test_a_file_that_is_cut_off_is_refused_in_one_line(
    length: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PictureError, match=r"^image: cannot be read as [^\n]*$"):
        read(dng(ramp())[:length])
    assert capfd.readouterr() == ("", "")


def test_other_noise_of_the_process_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONVERBOSE", "1")
    assert read(dng(ramp())).depth == 16


def test_a_claim_of_too_many_pixels_is_refused_from_the_header() -> None:
    data = bytearray(dng(ramp()))
    at = data.index(b"\x00\x01\x04\x00\x01\x00\x00\x00" + (96).to_bytes(4, "little"))
    data[at + 8 : at + 12] = (60_000).to_bytes(4, "little")
    at = data.index(b"\x01\x01\x04\x00\x01\x00\x00\x00" + (64).to_bytes(4, "little"))
    data[at + 8 : at + 12] = (8_000).to_bytes(4, "little")
    start = time.monotonic()
    with pytest.raises(PictureError, match="more than its .* bytes can hold|too large|limit"):
        read(bytes(data))
    assert time.monotonic() - start < 60


def test_limits() -> None:
    with pytest.raises(PictureError, match="over the limit of 6000"):
        header(dng(ramp()), limits=Limits(max_pixels=6000))
    with pytest.raises(PictureError, match="^image: decoding takes longer than the limit of 0 s$"):
        read(dng(ramp()), limits=Limits(max_seconds=0))


def test_the_decoder_itself() -> None:
    code = (
        "import sys; from uformer.image.develop import Raw; raw = Raw(sys.stdin.buffer.read());"
        "print(raw.header(), raw.pixels().shape)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], input=dng(ramp()), capture_output=True, check=True, timeout=120
    )
    assert b"'bits': 16" in result.stdout
    assert b"(64, 96, 3)" in result.stdout
    with pytest.raises(ValueError, match="does not know this kind of file"):
        Raw(b"nothing that LibRaw knows" * 100)
