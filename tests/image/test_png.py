import dataclasses
import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
from PIL import ImageCms

from uformer.errors import PictureError
from uformer.image import png
from uformer.image.image import Image, Metadata
from uformer.image.read import Limits, header, read
from uformer.image.write import MetadataPolicy, encode

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
XMP_KEYWORD = b"XML:com.adobe.xmp"


def chunk(name: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def itxt(text: bytes, *, packed: bool = False) -> bytes:
    return chunk(
        b"iTXt", XMP_KEYWORD + bytes([0, packed, 0]) + b"en\0x\0" + (zlib.compress(text) if packed else text)
    )


def raw_profile(kind: bytes, profile: bytes, *, packed: bool = True) -> bytes:
    """A raw profile as ImageMagick writes it: digits in lines of 72."""
    digits = profile.hex().encode()
    lines = [digits[start : start + 72] for start in range(0, len(digits), 72)]
    text = b"\n" + kind + b"\n%8d\n" % len(profile) + b"\n".join(lines) + b"\n"
    keyword = b"Raw profile type " + kind + b"\0"
    return chunk(b"zTXt", keyword + b"\0" + zlib.compress(text)) if packed else chunk(b"tEXt", keyword + text)


def exif(orientation: int | None) -> bytes:
    block = PIL.Image.Exif()
    block[0x010F] = "Acme"
    if orientation is not None:
        block[0x0112] = orientation
    return block.tobytes().removeprefix(b"Exif\0\0")


def file(before: bytes = b"", behind: bytes = b"", pixels: np.ndarray = PIXELS) -> bytes:
    """A PNG with chunks before and after its pixels."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    data = buffer.getvalue()
    return data[:33] + before + data[33:-12] + behind + data[-12:]


SAID = {
    "eXIf": chunk(b"eXIf", exif(6)),
    "raw profile": raw_profile(b"exif", b"Exif\0\0" + exif(6)),
    "raw profile without its mark": raw_profile(b"exif", exif(6)),
    "raw profile that is not packed": raw_profile(b"exif", exif(6), packed=False),
    "raw APP1": raw_profile(b"APP1", b"Exif\0\0" + exif(6)),
    "raw APP1 of XMP": raw_profile(b"APP1", b"http://ns.adobe.com/xap/1.0/\0" + XMP),
    "raw xmp": raw_profile(b"xmp", XMP),
    "XMP": itxt(XMP),
    "XMP, packed": itxt(XMP, packed=True),
    "XMP as plain text": chunk(b"tEXt", XMP_KEYWORD + b"\0" + XMP),
}


@pytest.mark.parametrize("behind", [False, True], ids=["in front of the pixels", "behind them"])
@pytest.mark.parametrize("way", SAID)
def test_orientation_is_applied_and_kept_as_upright(way: str, behind: bool) -> None:
    data = file(behind=SAID[way]) if behind else file(before=SAID[way])
    image = read(data)
    np.testing.assert_array_equal(np.rint(image.pixels * 255), np.rot90(PIXELS, -1))
    assert (header(data).width, header(data).height) == (4, 6)
    is_xmp = way.lower().endswith("xmp") or "XMP" in way
    assert image.metadata.xmp == (XMP.replace(b'"6"', b'"1"') if is_xmp else None)
    assert image.metadata.exif == (None if is_xmp else exif(1))


def test_exif_wins_over_xmp() -> None:
    for said, turned in (
        (exif(3), np.rot90(PIXELS, 2)),
        (exif(1), PIXELS),
        (exif(None), np.rot90(PIXELS, -1)),
    ):
        image = read(file(itxt(XMP) + chunk(b"eXIf", said)))
        np.testing.assert_array_equal(np.rint(image.pixels * 255), turned)
        assert image.metadata.xmp == XMP.replace(b'"6"', b'"1"')


def test_a_chunk_of_its_own_wins_over_a_raw_profile() -> None:
    own, raw = chunk(b"eXIf", exif(3)), raw_profile(b"exif", exif(6))
    for data in (file(own + raw), file(raw + own), file(raw, own)):
        assert png.metadata(data)[0] == exif(3)


@pytest.mark.parametrize(
    "damaged",
    [
        chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 3\nzz\n"),
        chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 9\n4949\n"),
        chunk(b"tEXt", b"Raw profile type exif\0"),
        chunk(b"zTXt", b"Raw profile type exif\0\0nothing packed"),
        chunk(b"zTXt", XMP_KEYWORD + b"\0\0" + zlib.compress(XMP)[:-8]),
        chunk(b"zTXt", XMP_KEYWORD + b"\0\0" + zlib.compress(bytes(2**25))),
        chunk(b"iTXt", XMP_KEYWORD + b"\0\0\0"),
        chunk(b"tEXt", b"a" * 100),
        chunk(b"tEXt", b""),
    ],
)
def test_damaged_texts_count_as_absent(damaged: bytes) -> None:
    assert png.metadata(file(damaged)) == (None, None)


def animated(claimed: int, held: int) -> bytes:
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 6, 4, 0, 0, 1, 10, 0, 0))
    return file(chunk(b"acTL", struct.pack(">II", claimed, 0)) + frame * min(held, 1), frame * (held - 1))


@pytest.mark.parametrize("claimed", [0, 1, 2, 3, 50_000, 2**32 - 1])
def test_an_animation_opens_whatever_number_of_frames_it_claims(claimed: int) -> None:
    assert header(animated(claimed, 3)).frames == 3
    with pytest.raises(PictureError, match="^image: is an animation of 3 frames"):
        read(animated(claimed, 3))
    assert read(animated(claimed, 0)).width == 6  # no frame at all: a still image, so no warning


def test_frames_that_are_held_are_counted() -> None:
    assert png.frames(animated(7, 3)) == 3
    assert png.frames(file()) == 1
    assert png.frames(file(chunk(b"fcTL", bytes(26)) * 2)) == 1  # not animated without acTL


def test_chunks_end_where_the_file_does() -> None:
    data = file(chunk(b"tEXt", b"a\0b"))
    assert [name for name, _, _ in png.chunks(data)] == [b"IHDR", b"tEXt", b"IDAT", b"IEND"]
    assert [name for name, _, _ in png.chunks(data[:-20])] == [b"IHDR", b"tEXt"]
    assert list(png.chunks(b"")) == []


def test_metadata_behind_the_pixels_count_too() -> None:
    data = file(behind=chunk(b"eXIf", exif(6) + bytes(2000)))
    assert read(data, limits=Limits(max_metadata=3000)).width == 4
    with pytest.raises(PictureError, match=r"bytes of metadata, over the limit of 1000"):
        read(data, limits=Limits(max_metadata=1000))


def test_only_so_many_chunks_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "_MOST_CHUNKS", 10)
    data = file(chunk(b"teSt", b"") * 100, SAID["eXIf"])
    assert len(list(png.chunks(data))) == 10
    assert png.metadata(data) == (None, None)


@pytest.mark.parametrize(
    ("chunks", "other"),
    [
        ([], False),
        ([(b"gAMA", struct.pack(">I", 45455))], False),
        ([(b"gAMA", struct.pack(">I", 100_000))], True),
        ([(b"gAMA", struct.pack(">I", 100_000)), (b"sRGB", b"\0")], False),
        ([(b"cICP", bytes([9, 16, 0, 1]))], True),
        ([(b"cICP", bytes([1, 13, 0, 1]))], False),
        ([(b"cICP", b"")], False),
        ([(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))], False),
        ([(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))], True),
        ([(b"cHRM", bytes(7))], False),
    ],
)
def test_other_colours_are_seen(chunks: list[tuple[bytes, bytes]], other: bool) -> None:
    data = file(b"".join(chunk(*each) for each in chunks))
    assert png.has_other_colours(png.kept(data)) == other


TEXTS = (
    (b"tEXt", b"parameters\0a lighthouse\nSteps: 20"),
    (b"zTXt", b"Comment\0\0" + zlib.compress(b"scan 12 of 40")),
    (b"iTXt", b"Title\0\0\0da\0Titel\0" + "Lighthouse, Øresund".encode()),
)
LINEAR = (b"gAMA", struct.pack(">I", 100_000))
PQ = (b"cICP", bytes([9, 16, 0, 1]))


def test_texts_and_colours_are_written_back() -> None:
    """Those before the pixels and those behind them; EXIF and XMP have chunks of their own."""
    before = b"".join(chunk(*each) for each in (LINEAR, PQ, *TEXTS[:2]))
    data = file(before + itxt(XMP) + raw_profile(b"exif", exif(1)), chunk(*TEXTS[2]))
    image = read(data)
    assert image.metadata.chunks == (LINEAR, PQ, *TEXTS)
    kept = encode(image, ".png")
    assert png.kept(kept) == (LINEAR, PQ, *TEXTS)
    assert [name for name, _, _ in png.chunks(kept)].count(b"eXIf") == 1
    with PIL.Image.open(io.BytesIO(kept)) as seen:
        seen.load()
        assert seen.text["Comment"] == "scan 12 of 40"  # type: ignore[attr-defined]
        assert seen.text["Title"] == "Lighthouse, Øresund"  # type: ignore[attr-defined]
        assert seen.info["gamma"] == 1.0
    policies: tuple[MetadataPolicy, ...] = ("strip", "safe")
    for policy in policies:
        assert png.kept(encode(image, ".png", metadata=policy)) == (LINEAR, PQ)


def test_other_formats_cannot_hold_them() -> None:
    said: list[str] = []
    image = read(file(b"".join(chunk(*each) for each in (PQ, *TEXTS))))
    encode(image, ".jpg", notify=said.append)
    assert said == [
        (
            "has colours (cICP) that no colour profile describes, such as HDR; "
            "JPEG is written without their description and will look wrong; use .png"
        ),
        "JPEG cannot hold PNG texts (parameters, Comment, Title); left out",
    ]


WIDE_GAMUT = (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp", ".avif"])
@pytest.mark.parametrize(
    ("chunks", "value", "seen"),
    [
        ([LINEAR], (128, 128, 128), (188, 188, 188)),
        ([(b"gAMA", struct.pack(">I", 55_556))], (128, 128, 128), (146, 146, 146)),  # gamma 1.8
        ([(b"cICP", bytes([12, 13, 0, 1]))], (150, 100, 100), (159, 97, 99)),  # Display P3
        ([WIDE_GAMUT], (100, 150, 100), (66, 151, 97)),  # Adobe RGB's primaries under gamma 2.2
    ],
)
def test_other_formats_get_a_profile_that_says_the_same(
    suffix: str, chunks: list[tuple[bytes, bytes]], value: tuple[int, ...], seen: tuple[int, ...]
) -> None:
    """littlecms sees the same colours; the expected ones are from the standards' formulas."""
    metadata = Metadata(chunks=tuple(chunks))
    pixels = np.full((24, 24, 3), value, np.float32) / np.float32(255)
    for channels in (3, 1) if len(set(value)) == 1 else (3,):
        said: list[str] = []
        image = Image(pixels=pixels[..., :channels].copy(), metadata=metadata)
        with PIL.Image.open(io.BytesIO(encode(image, suffix, notify=said.append))) as file:
            found = file.info.get("icc_profile")
            source = ImageCms.ImageCmsProfile(io.BytesIO(found)) if found else ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(
                file,
                source,
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
            )
        assert converted is not None
        assert np.abs(np.asarray(converted)[12, 12].astype(int) - seen).max() <= 2
        assert said == []


def test_numbers_that_describe_no_colours_have_no_profile() -> None:
    flat = (b"cHRM", struct.pack(">8I", *([30000] * 8)))
    narrow = (b"cICP", bytes([12, 13, 0, 0]))
    for found in ((flat,), (narrow,), (PQ,), ((b"gAMA", struct.pack(">I", 2**31)),)):
        assert png.profile(found, gray=False) is None


def test_a_colour_profile_makes_srgb_superfluous(profile: bytes) -> None:
    image = read(file(chunk(b"sRGB", b"\0")))
    assert png.kept(encode(image, ".png")) == ((b"sRGB", b"\0"),)
    profiled = dataclasses.replace(image, metadata=dataclasses.replace(image.metadata, icc=profile))
    assert png.kept(encode(profiled, ".png")) == ()


def test_chunks_that_depend_on_the_pixels_are_not_copied() -> None:
    others = chunk(b"sBIT", b"\5\5\5") + chunk(b"teST", b"any") + chunk(b"tIME", bytes(7))
    data = file(others + chunk(b"teSt", b"any"))
    assert png.kept(data) == ((b"teSt", b"any"),)


def test_content_credentials_are_reported() -> None:
    said: list[str] = []
    read(file(chunk(b"caBX", bytes(9))), notify=said.append)
    assert said == ["image: holds content credentials (C2PA); left out"]
