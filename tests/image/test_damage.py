import struct
import zlib

import pytest

from tests.image.tiffs import Tag, tiff
from uformer.errors import PictureError
from uformer.image.damage import cause
from uformer.image.read import read


def gray(**tags: Tag | None) -> bytes:
    return tiff(
        [bytes(32), bytes(32)],
        width=8,
        height=8,
        tags={278: (4, [4])} | {int(tag[1:]): field for tag, field in tags.items()},
    )


def of_unknown_type() -> bytes:
    return gray(_60000=(3, [7])).replace(struct.pack("<HHI", 60000, 3, 1), struct.pack("<HHI", 60000, 99, 1))


def with_next_page(offset: int) -> bytes:
    data = gray()
    at = int.from_bytes(data[4:8], "little")
    pointer = at + 2 + 12 * int.from_bytes(data[at : at + 2], "little")
    return data[:pointer] + struct.pack("<I", offset) + data[pointer + 4 :]


DAMAGED = {
    "no header": (b"II*\0", "it has no TIFF header"),
    "directory beyond the end": (
        gray()[:4] + struct.pack("<I", 9999) + gray()[8:],
        "its directory should lie at byte 9999, but the file ends at byte",
    ),
    "cut in the directory": (gray()[:90], "its directory should lie at byte"),
    "no width": (gray(_256=None), "it has no ImageWidth tag"),
    "no height": (gray(_257=None), "it has no ImageLength tag"),
    "width of nothing": (gray(_256=(4, [0])), "its ImageWidth is 0"),
    "two widths": (gray(_256=(4, [8, 8])), "its ImageWidth tag has 2 values, expected 1"),
    "no strips": (gray(_273=None), "it has no StripOffsets tag"),
    "too few strips": (gray(_273=(4, [8])), "its StripOffsets tag has 1 values, expected 2"),
    "lengths of too few strips": (gray(_279=(4, [32])), "its StripByteCounts tag has 1 values, expected 2"),
    "strips without rows": (gray(_278=(4, [0])), "its strips have 8 x 0 pixels"),
    "tiles without rows": (
        gray(_322=(4, [16]), _323=(4, [0]), _324=(4, [8]), _325=(4, [32])),
        "its tiles have 16 x 0 pixels",
    ),
    "strip beyond the end": (
        gray(_273=(4, [8, 5000])),
        (
            "strip 2 of 2 should lie at bytes 5000 to 5032, but the file ends at byte 202; "
            "it is cut off or damaged"
        ),
    ),
    "next page beyond the end": (with_next_page(7777), "page 2: its directory should lie at byte 7777"),
    "next page is none": (with_next_page(16), "page 2: its directory at byte 16 claims 0 tags"),
    "tag of an unknown type": (of_unknown_type(), "its tag 60000 has an unknown type (99)"),
    "damaged data": (
        tiff([b"\x78\x9c" + b"\xff" * 60], width=8, height=8, tags={259: (3, [8])}),
        "its pixel data (deflate) is damaged or too short",
    ),
    "data cut off": (
        tiff([zlib.compress(bytes(range(64)))[:-9]], width=8, height=8, tags={259: (3, [8])}),
        "its pixel data (deflate) is damaged or too short",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_the_reason_is_the_cause(name: str) -> None:
    data, said = DAMAGED[name]
    with pytest.raises(PictureError) as error:
        read(data)
    line = str(error.value)
    assert line.startswith("image: cannot be read as TIFF: " + said)
    assert not any(noise in line for noise in ("tiff2vips", "vips", "custom tag", "SETGET", "Failed to"))
    assert "\n" not in line


def test_a_sound_file_is_read() -> None:
    assert read(gray()).width == 8


@pytest.mark.parametrize(("number", "name"), [(1, "not compressed"), (5, "LZW"), (8, "deflate"), (7, "JPEG")])
def test_where_the_directories_are_sound_the_pixels_are_not(number: int, name: str) -> None:
    assert cause(gray(_259=(3, [number]))) == f"its pixel data ({name}) is damaged or too short"


def test_tables_of_any_size_are_survived() -> None:
    many = gray(_256=(4, [2**31]), _257=(4, [2**31]), _278=(4, [1]))
    assert cause(many).startswith("its StripOffsets tag has 2 values, expected 2147483648")
    claimed = gray().replace(struct.pack("<HHI", 273, 4, 2), struct.pack("<HHI", 273, 4, 2**31))
    assert cause(claimed).startswith("its StripByteCounts tag has 2 values, expected 2147483648")
