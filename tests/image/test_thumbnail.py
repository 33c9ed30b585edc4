import io
import struct
from collections.abc import Callable

import numpy as np
import PIL.Image
import pytest

from tests.image.tiffs import directory
from uformer.image import exif_block, jpeg, thumbnail
from uformer.image.ifd import Directory, header, next_directory
from uformer.image.read import read
from uformer.image.write import encode

ROWS = np.linspace(0, 200, 12, dtype=np.uint8)[:, None]
STORED = (ROWS + np.linspace(0, 50, 20, dtype=np.uint8))[..., None].repeat(3, axis=-1)  # 20 x 12


def small(pixels: np.ndarray = STORED, **options: int) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "JPEG", **{"quality": 90} | options)
    return file.getvalue()


def exif(orientation: int, image: bytes, order: str = "<", rest: bytes = b"", compression: int = 6) -> bytes:
    """An EXIF block with a thumbnail, and bytes behind it."""
    main = directory({0x0112: (3, [orientation])}, 8, order)
    second = 8 + len(main)
    tags = {0x0100: (3, [20]), 0x0101: (3, [12]), 0x0103: (3, [compression]), 0x0112: (3, [orientation])}
    tags |= {0x0201: (4, [0]), 0x0202: (4, [len(image)])}
    start = second + len(directory(tags, second, order))
    tags[0x0201] = (4, [start])
    main = directory({0x0112: (3, [orientation])}, 8, order, second)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8) + main + directory(tags, second, order) + image + rest


def seen(block: bytes) -> np.ndarray | None:
    """The pixels of the thumbnail, and checks of its tags; None if there is none."""
    form, first = header(block)
    at = next_directory(block, form, first)
    if not at:
        return None
    tags = Directory(block, at)
    start, length = tags.integer(0x0201, 0), tags.integer(0x0202, 0)
    with PIL.Image.open(io.BytesIO(block[start : start + length])) as image:
        assert (tags.integer(0x0100, 0), tags.integer(0x0101, 0), tags.integer(0x0112, 0)) == (*image.size, 1)
        return np.asarray(image).astype(int)


TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: np.rot90(a, 2),
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("rest", [b"", b"behind it"])
def test_the_thumbnail_is_turned(orientation: int, order: str, rest: bytes) -> None:
    block = thumbnail.upright(exif(orientation, small(), order, rest), orientation)
    found = seen(block)
    assert found is not None
    assert np.abs(found - TURNS[orientation](STORED)).max() < 12
    assert rest in block


def test_an_upright_thumbnail_stays() -> None:
    block = exif(1, small())
    assert thumbnail.upright(block, 1) == block


def test_in_a_file() -> None:
    pixels = np.asarray(PIL.Image.open(io.BytesIO(small())))
    data = jpeg.with_segments(small(pixels), [(jpeg.APP1, b"Exif\0\0" + exif(6, small()))])
    block = read(encode(read(data), ".jpg")).metadata.exif
    assert block is not None
    assert exif_block.orientation(block) == 1
    found = seen(block)
    assert found is not None
    assert found.shape == (20, 12, 3)


@pytest.mark.parametrize(
    "block",
    [
        exif(6, b"no JPEG at all"),
        exif(6, small()[:-100]),
        exif(6, small(np.zeros((1, 3000, 3), np.uint8))),
        exif(6, bytes(20 * 12 * 3), compression=1),
    ],
    ids=["not a JPEG", "damaged", "huge", "not compressed"],
)
def test_one_that_cannot_be_turned_is_removed(block: bytes) -> None:
    found = thumbnail.upright(block, 6)
    assert seen(found) is None
    assert len(found) == len(block)
    assert b"\xff\xd8" not in found


def test_one_that_would_no_longer_fit_is_removed() -> None:
    block = exif(6, small(quality=1), rest=bytes(65_527 - len(exif(6, small(quality=1)))))
    found = thumbnail.upright(block, 6)
    assert len(found) == 65_527


EMPTY = b"II*\0\x08\0\0\0\0\0\xff\xff\xff\xff"


@pytest.mark.parametrize("block", [b"", b"II*\0", EMPTY, exif(6, small())[:60]])
def test_damaged_blocks_stay(block: bytes) -> None:
    assert thumbnail.upright(block, 6) == block


@pytest.mark.parametrize("order", "<>")
def test_a_thumbnail_is_removed(order: str) -> None:
    block = exif(1, small(), order, b"behind it")
    bare = thumbnail.without(block)
    assert seen(bare) is None
    assert small() not in bare
    assert len(bare) == len(block)
    assert bare.endswith(b"behind it")
    assert thumbnail.without(bare) == bare
    assert thumbnail.without(b"no EXIF") == b"no EXIF"
