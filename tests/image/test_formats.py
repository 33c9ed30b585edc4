import pytest

from uformer.errors import PictureError
from uformer.image import formats


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n", formats.PNG),
        (b"\xff\xd8\xff\xe0", formats.JPEG),
        (b"RIFF\x10\0\0\0WEBPVP8 ", formats.WEBP),
        (b"II*\0", formats.TIFF),
        (b"MM\0+", formats.TIFF),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1", formats.AVIF),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", formats.AVIF),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", formats.HEIC),
        (b"\0\0\0\x14ftypheic\0\0\0\0mif1avif", formats.HEIC),  # the brand lies behind the end of the box
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"GIF89a", formats.GIF),
        (b"GIF", None),
        (b"", None),
    ],
)
def test_sniff(start: bytes, expected: formats.Format | None) -> None:
    assert formats.sniff(start) is expected


def test_suffixes_name_one_format_each() -> None:
    assert len(set(formats.SUFFIXES)) == len(formats.SUFFIXES)
    for each in formats.FORMATS:
        for suffix in each.suffixes:
            assert formats.by_suffix(suffix.upper()) is each
            assert formats.supports(suffix)


def test_unknown_suffix() -> None:
    with pytest.raises(
        PictureError,
        match=r"suffix '\.bmp' is not one of \.png, \.jpg, \.jpeg, \.webp, \.tif, \.tiff, \.avif",
    ):
        formats.by_suffix(".bmp")


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"BM\x36\0\0\0", "is a BMP image"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "is a JPEG XL image"),
        (b"\xff\x0a\xfa", "is a JPEG XL image"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "is a JPEG 2000 image"),
        (b"8BPS\0\1", "is a Photoshop image"),
        (b"II\xbc\1", "is a JPEG XR image"),
        (b"gimp xcf v011", "is a GIMP image"),
        (b"SDPX\0\0", "is a DPX image"),
        (b"DDS |", "is a DirectDraw image"),
        (b"BPG\xfb", "is a BPG image"),
        (b"icns\0", "is a ICNS image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "is a PostScript document"),
        (b"%PDF-1.7", "is a PDF document"),
        (b"\0\0\0\x18ftypisom", "is a video"),
        (b"P6\n8 8\n255\n", "is a Netpbm image"),
        (bytes(128) + b"DICM", "is a DICOM image"),
        (b"\n<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "is a SVG image"),
        (b"<!DOCTYPE html><html>", "is a web page (a failed download?)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer (run git lfs pull)"),
    ],
)
def test_what_people_try_gets_its_name(start: bytes, said: str) -> None:
    line = formats.describe(start)
    assert said in line.replace("is an ", "is a ")
    assert "not a PNG, JPEG, WebP, TIFF or AVIF image" in line
    assert line.endswith("convert it to one of these first") == ("image, not" in line)
    assert formats.sniff(start) is None


@pytest.mark.parametrize("start", [b"", b"\0", b"hello", b"P", b"P6", b"Pascal"])
def test_the_unknown_has_no_name(start: bytes) -> None:
    assert formats.describe(start) == formats.NONE_OF_OURS
