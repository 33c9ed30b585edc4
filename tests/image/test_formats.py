from pathlib import Path

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
        (b"\0\0\0\x14ftypheic\0\0\0\0mif1avif", None),  # the brand lies behind the end of the box
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"GIF89a", None),
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
    with pytest.raises(PictureError, match=r"suffix '\.bmp' is not one of \.png, \.jpg, \.jpeg, \.webp, \.tif, \.tiff, \.avif"):
        formats.by_suffix(".bmp")


def test_picture_files_are_those_that_their_names_call_so(tmp_path: Path) -> None:
    (tmp_path / "c.png").mkdir()
    for name in ("b.PNG", "a.jpg", "._b.png", "notes.txt", "c.png/d.tif"):
        (tmp_path / name).write_text("x")
    assert [path.name for path in formats.picture_files(tmp_path, below=False)] == ["a.jpg", "b.PNG"]
    assert [path.name for path in formats.picture_files(tmp_path, below=True)] == ["a.jpg", "b.PNG", "d.tif"]
