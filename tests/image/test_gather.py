import io
import struct
from typing import Any

import numpy as np
import PIL.Image
import pytest

from tests.image.tiffs import tiff
from uformer.image import containers, exif_block, jpeg
from uformer.image.gather import left_out, metadata_of
from uformer.image.opening import DEFAULT_LIMITS, opened
from uformer.image.read import read
from uformer.image.write import encode

PIXELS = np.zeros((12, 20, 3), np.uint8)
GUID = b"0123456789ABCDEF0123456789ABCDEF"


def pillow(form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(PIXELS).save(file, form, **options)
    return file.getvalue()


def extended(*pieces: bytes, exif: bytes = b"") -> bytes:
    """A JPEG whose XMP is continued in further segments."""
    packet = (
        b'<r:D xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="%b" xmlns:x="x" x:y="1" '
        b'xmlns:GImage="http://ns.google.com/photos/1.0/image/" GImage:Mime="image/jpeg"/>'
    ) % GUID
    segments = [(jpeg.APP1, b"http://ns.adobe.com/xap/1.0/\0" + packet)]
    size = sum(map(len, pieces))
    for piece in pieces:
        header = GUID + struct.pack(">II", size, 0)
        segments.append((jpeg.APP1, b"http://ns.adobe.com/xmp/extension/\0" + header + piece))
    return jpeg.with_segments(pillow("JPEG", exif=exif), segments)


def told(data: bytes) -> list[str]:
    with opened(data, DEFAULT_LIMITS) as file:
        metadata, orientation = metadata_of(file)
        return left_out(file, metadata, turned=orientation != 1)


def test_comments_of_a_jpeg() -> None:
    data = jpeg.with_segments(pillow("JPEG", comment="grüße".encode()), [(jpeg.COMMENT, b"second")])
    image = read(data)
    assert set(image.metadata.comments) == {"grüße".encode(), b"second"}
    kept = encode(image, ".jpg")
    assert read(kept).metadata.comments == image.metadata.comments
    with PIL.Image.open(io.BytesIO(kept)) as seen:
        assert seen.info["comment"] in image.metadata.comments
    assert read(encode(image, ".jpg", metadata="strip")).metadata.comments == ()
    assert read(encode(image, ".jpg", metadata="safe")).metadata.comments == ()


def test_extended_xmp() -> None:
    data = extended(b"a" * 60_000, b"b" * 1000)
    image = read(data)
    assert [len(each) for each in image.metadata.extended_xmp] == [60_075, 1075]
    kept = read(encode(image, ".jpg"))
    assert kept.metadata.extended_xmp == image.metadata.extended_xmp
    assert kept.metadata.xmp == image.metadata.xmp
    assert b"HasExtendedXMP" in (kept.metadata.xmp or b"")
    said: list[str] = []
    png = read(encode(image, ".png", notify=said.append))
    assert said == ["PNG cannot hold extended XMP; left out"]
    assert b"HasExtendedXMP" not in (png.metadata.xmp or b"")
    assert b"GImage" not in (png.metadata.xmp or b"")
    assert b'x:y="1"' in (png.metadata.xmp or b"")
    order = [jpeg.segment(jpeg.APP1, each) for each in image.metadata.extended_xmp]
    swapped = jpeg.with_segments(data.replace(order[0], b""), [(jpeg.APP1, image.metadata.extended_xmp[0])])
    assert read(swapped).metadata.xmp == image.metadata.xmp  # whatever comes first
    assert read(encode(image, ".jpg", metadata="safe")).metadata.extended_xmp == ()


def test_a_depth_map_in_xmp_does_not_survive_a_turn(turned_exif: bytes) -> None:
    depth = b'<x xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Data="abcd"/>'
    assert told(extended(depth)) == []
    data = extended(depth, exif=b"Exif\0\0" + turned_exif)
    assert told(data) == ["a depth map in another orientation"]
    image = read(data, notify=lambda _: None)
    assert image.metadata.extended_xmp == ()
    assert b"HasExtendedXMP" not in (image.metadata.xmp or b"")


def test_thumbnails_in_xmp_do_not_survive_a_turn() -> None:
    packet = (
        b'<r:D xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4" tiff:Orientation="%d">'
        b"<xmp:Thumbnails><r:Alt>base64</r:Alt></xmp:Thumbnails></r:D>"
    )
    for orientation, count in ((1, 2), (6, 0)):
        found = read(pillow("JPEG", xmp=packet % orientation)).metadata.xmp or b""
        assert (found.count(b"Thumbnails"), found.count(b'xmp:Rating="4"')) == (count, 1)


def test_a_signed_history_is_reported() -> None:
    manifest = b"JP\0\1\0\0\0\1\0\0\0\x20jumb\0\0\0\x18jumdc2pa"
    assert told(jpeg.with_segments(pillow("JPEG"), [(0xEB, manifest)])) == ["content credentials (C2PA)"]
    assert told(pillow("JPEG")) == []


def test_colours_of_an_avif_become_those_of_a_png() -> None:
    data = bytearray(pillow("AVIF"))
    at = data.find(b"nclx")
    data[at + 4 : at + 8] = struct.pack(">HH", 9, 16)
    image = read(bytes(data))
    assert image.metadata.chunks == ((b"cICP", bytes([9, 16, 0, 1])),)
    assert (b"cICP", bytes([9, 16, 0, 1])) in read(encode(image, ".png")).metadata.chunks
    said: list[str] = []
    encode(image, ".avif", notify=said.append)
    assert len(said) == 1
    assert "has colours (cICP) that no colour profile describes" in said[0]
    assert "AVIF is written without their description and will look wrong" in said[0]
    assert containers.nclx(bytes(data)) == (9, 16)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_sizes_agree_with_the_pixels(form: str, orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769).update({0xA002: 20, 0xA003: 12})
    packet = b"<r:D tiff:ImageWidth='20' exif:PixelYDimension='12' tiff:ImageLength='12'/>"
    options: Any = {} if form == "PNG" else {"xmp": packet}
    data = pillow(form, exif=exif, **options)
    width, height = (20, 12) if orientation == 1 else (12, 20)
    for suffix in (".jpg", ".png", ".webp", ".tif"):
        again = encode(read(data), suffix)
        with PIL.Image.open(io.BytesIO(again)) as seen:
            assert seen.size == (width, height)
            assert seen.getexif().get_ifd(0x8769)[0xA002] == width
            assert seen.getexif().get_ifd(0x8769)[0xA003] == height
        if options:
            found = read(again).metadata.xmp or b""
            assert b"tiff:ImageWidth='%d'" % width in found
            assert found.count(b"='%d'" % height) == 2


def test_a_maker_note_that_was_already_lost_is_reported() -> None:
    """A TIFF whose maker note has offsets that lead out of it, as copying without a change leaves them."""
    note = struct.pack("<HHHII", 1, 6, 2, 20, 70_000) + bytes(4)
    fields = struct.pack("<HHHII", 1, 0x927C, 7, len(note), 0)
    data = tiff([bytes(64)], width=8, height=8, tags={0x8769: (4, [0])})
    at = len(data)
    inner = fields[:-4] + struct.pack("<I", at + 18) + bytes(4) + note
    (first,) = struct.unpack_from("<I", data, 4)
    pointer = data.index(struct.pack("<HHI", 0x8769, 4, 1), first) + 8
    data = data[:pointer] + struct.pack("<I", at) + data[pointer + 4 :] + inner
    assert exif_block.has_maker_note(data)
    assert told(data) == ["a maker note"]
