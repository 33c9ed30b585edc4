import struct
from typing import Any

import numpy as np
import pytest

from uformer.errors import PictureError
from uformer.image import exif_block, formats, png
from uformer.image.carry import MetadataPolicy, carried
from uformer.image.fields import Value, block
from uformer.image.formats import Format
from uformer.image.image import Image, Metadata


def shown(target: Format, policy: MetadataPolicy = "keep", **fields: Any) -> tuple[Metadata, list[str]]:
    said: list[str] = []
    image = Image(pixels=np.zeros((5, 9, 3), np.float32), metadata=Metadata(**fields))
    return carried(image, target, policy, said.append), said


FIELDS: dict[str, Any] = {
    "comments": (b"hello",),
    "extended_xmp": (b"more",),
    "chunks": ((b"gAMA", struct.pack(">I", 100_000)), (b"tEXt", b"a\0b")),
    "tags": block({269: Value(2, b"page\0")}, "<"),
}


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        (formats.JPEG, {"comments", "extended_xmp"}),
        (formats.PNG, {"chunks"}),
        (formats.TIFF, {"tags"}),
        (formats.WEBP, set()),
        (formats.AVIF, set()),
    ],
)
def test_each_format_gets_its_own(target: Format, kept: set[str]) -> None:
    found, said = shown(target, **FIELDS)
    for name, value in FIELDS.items():
        assert getattr(found, name) == (value if name in kept else None if name == "tags" else ())
    lost = " ".join(said)
    for name, words in (
        ("comments", "comments"),
        ("extended_xmp", "extended XMP"),
        ("chunks", "PNG texts (a)"),
        ("tags", "the names of its page"),
    ):
        assert (words in lost) == (name not in kept)
    assert (found.icc is None) == (target is formats.PNG)  # a profile says what the chunk said
    assert "colours" not in lost


@pytest.mark.parametrize("policy", ["strip", "safe"])
@pytest.mark.parametrize("target", formats.FORMATS)
def test_only_colours_stay_under_the_other_policies(target: Format, policy: MetadataPolicy) -> None:
    found, said = shown(target, policy, **FIELDS)
    if target is formats.PNG:
        assert found == Metadata(chunks=FIELDS["chunks"][:1])
    else:
        assert found == Metadata(icc=png.profile(FIELDS["chunks"], gray=False))
    assert said == []


def test_texts_in_a_notice_are_few() -> None:
    texts = tuple((b"tEXt", b"%d\0x" % number) for number in range(9))
    assert shown(formats.JPEG, chunks=texts)[1] == ["JPEG cannot hold PNG texts (0, 1, 2, ...); left out"]
    assert png.keywords(texts * 2) == [str(number) for number in range(9)]


def test_a_maker_note_that_a_tiff_cannot_hold() -> None:
    note = struct.pack(">HHHII", 1, 6, 2, 20, 44) + bytes(4) + b"a value of 20 bytes\0"
    inner = struct.pack(">HHHII", 1, 0x927C, 7, len(note), 44 - 18) + bytes(4)
    head = b"MM\0*" + struct.pack(">IHHHII", 8, 1, 0x8769, 4, 1, 26) + bytes(4)
    exif = head + inner + note
    exif = exif.replace(struct.pack(">II", len(note), 26), struct.pack(">II", len(note), 44))
    assert exif_block.has_maker_note(exif)
    assert shown(formats.PNG, exif=exif)[1] == []
    assert shown(formats.TIFF, exif=exif)[1] == ["TIFF cannot hold the maker note of this camera; left out"]


@pytest.mark.parametrize("field", ["exif", "xmp", "iptc"])
def test_blocks_that_are_too_large_for_a_jpeg(field: str) -> None:
    fields: dict[str, Any] = {field: bytes(70_000)}
    with pytest.raises(PictureError, match=f"70000 bytes of {field.upper()} do not fit into JPEG"):
        shown(formats.JPEG, **fields)
