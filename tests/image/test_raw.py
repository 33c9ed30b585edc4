import io

import pytest

from tests.image.tiffs import Tag, directory, tiff
from uformer.errors import PictureError
from uformer.image import raw
from uformer.image.read import header, read

MAKE, SUB_IFDS, NEW_SUBFILE_TYPE = 271, 330, 254
CFA, LINEAR_RAW = 32803, 34892


def make(name: str) -> Tag:
    return 2, name.encode() + b"\0"


def with_sub_ifd(maker: str, fields: dict[int, Tag], *, first: dict[int, Tag] | None = None) -> bytes:
    """A TIFF whose first page is an RGB thumbnail with a subdirectory."""
    tags: dict[int, Tag | None] = {NEW_SUBFILE_TYPE: (4, [1]), MAKE: make(maker), **(first or {})}
    size = len(
        tiff([bytes(48)], width=4, height=4, photometric=2, samples=3, tags=tags | {SUB_IFDS: (4, [0])})
    )
    start = size + size % 2
    data = tiff(
        [bytes(48)], width=4, height=4, photometric=2, samples=3, tags=tags | {SUB_IFDS: (4, [start])}
    )
    return data + bytes(size % 2) + directory(fields, start)


SENSOR: dict[int, Tag] = {256: (4, [8]), 257: (4, [8]), 259: (3, [34713]), 262: (3, [CFA])}

FILES = {
    "Nikon NEF": with_sub_ifd("NIKON CORPORATION", SENSOR),
    "Sony ARW": with_sub_ifd("SONY ", SENSOR | {259: (3, [32767])}, first={259: (3, [6])}),
    "Pentax PEF": tiff(
        [bytes(128)],
        width=8,
        height=8,
        bits=16,
        photometric=CFA,
        tags={259: (3, [65535]), MAKE: make("PENTAX")},
    ),
    "Samsung SRW": with_sub_ifd("SAMSUNG", SENSOR | {259: (3, [32770])}),
    "Hasselblad 3FR": with_sub_ifd("Hasselblad", SENSOR | {259: (3, [7])}),
    "DNG": tiff(
        [bytes(48)],
        width=4,
        height=4,
        photometric=2,
        samples=3,
        tags={50706: (1, [1, 4, 0, 0]), NEW_SUBFILE_TYPE: (4, [1])},
    ),
    "Acme Cameras": with_sub_ifd("Acme  Cameras", SENSOR),
    "of an unknown camera": tiff([bytes(64)], width=8, height=8, photometric=CFA),
    "Canon CR2": b"II*\0\x10\0\0\0CR\2\0" + bytes(60),
    "Canon CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(40),
    "Canon CRW": b"II\x1a\0\0\0HEAPCCDR" + bytes(40),
    "Fujifilm RAF": b"FUJIFILMCCD-RAW 0201FF119503" + bytes(40),
    "Olympus ORF": b"IIRO\x08\0\0\0" + bytes(40),
    "Panasonic RW2": b"IIU\0\x18\0\0\0" + bytes(40),
    "Minolta MRW": b"\0MRM" + bytes(40),
    "Sigma X3F": b"FOVb" + bytes(40),
}


@pytest.mark.parametrize("name", FILES)
def test_each_is_named_in_one_line(name: str) -> None:
    said = f"^image: (cannot be read as|is) camera raw \\({name}\\)[^\n]*$"
    for ask in (read, header):
        with pytest.raises(PictureError, match=said):
            ask(FILES[name])


def test_linear_raw_and_sensor_data_on_another_page() -> None:
    assert (
        raw.kind(tiff([bytes(48)], width=4, height=4, photometric=LINEAR_RAW, samples=3))
        == "of an unknown camera"
    )
    first = tiff([bytes(16)], width=4, height=4, tags={MAKE: make("Canon")})
    start = len(first) + len(first) % 2
    at = int.from_bytes(first[4:8], "little")
    count = int.from_bytes(first[at : at + 2], "little")
    pointer = at + 2 + 12 * count
    data = (
        first[:pointer]
        + start.to_bytes(4, "little")
        + first[pointer + 4 :]
        + bytes(len(first) % 2)
        + directory(SENSOR, start)
    )
    assert raw.kind(data) == "Canon"


def test_an_image_is_no_raw_file() -> None:
    import PIL.Image

    for maker in ("NIKON CORPORATION", "Canon", "SONY"):
        assert (
            raw.kind(tiff([bytes(48)], width=4, height=4, photometric=2, samples=3, tags={MAKE: make(maker)}))
            is None
        )
    for form in ("PNG", "JPEG", "TIFF", "WEBP", "AVIF"):
        buffer = io.BytesIO()
        PIL.Image.new("RGB", (4, 4)).save(buffer, form)
        assert raw.kind(buffer.getvalue()) is None


@pytest.mark.parametrize("data", [b"", b"II*\0", b"II*\0\xff\0\0\0", FILES["Nikon NEF"][:60]])
def test_what_is_too_damaged_to_tell_is_left_to_others(data: bytes) -> None:
    assert raw.kind(data) is None


def test_directories_that_loop_end() -> None:
    data = bytearray(tiff([bytes(16)], width=4, height=4))
    at = int.from_bytes(data[4:8], "little")
    pointer = at + 2 + 12 * int.from_bytes(data[at : at + 2], "little")
    data[pointer : pointer + 4] = at.to_bytes(4, "little")
    assert raw.kind(bytes(data)) is None


def test_a_page_that_is_only_a_thumbnail_or_a_mask_is_refused() -> None:
    for role, said in (
        (1, "its first page is a thumbnail, as in a camera raw file"),
        (4, "its first page is a transparency mask"),
    ):
        with pytest.raises(PictureError, match=said):
            read(tiff([bytes(16)], width=4, height=4, tags={NEW_SUBFILE_TYPE: (4, [role])}))
