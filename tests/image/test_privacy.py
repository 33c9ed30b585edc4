import io
import re
import time

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uformer.image import iptc
from uformer.image.image import Metadata
from uformer.image.privacy import safe


def full_exif() -> bytes:
    exif = PIL.Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Acme", "Box 1", "2020:01:02 03:04:05"
    exif[0x8298], exif[0x013B], exif[0x010E] = "(c) Jane", "SECRET artist", "SECRET title"
    exif.get_ifd(0x8769).update(
        {
            0x829A: (1, 250),
            0x829D: (28, 10),
            0x8827: 400,
            0x9003: "2020:01:02 03:04:05",
            0x927C: b"SECRET maker",
            0x9286: b"SECRET comment",
        }
    )
    exif.get_ifd(0x8769).update(
        {
            0xA430: "SECRET owner",
            0xA431: "SECRET body",
            0xA434: "Lens 50",
            0xA435: "SECRET lens",
            0xA420: "SECRET id",
        }
    )
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 29: "SECRET gps"})
    return exif.tobytes().removeprefix(b"Exif\0\0")


XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>\
<rdf:Description
 xmp:CreateDate="2020-01-02T03:04:05" tiff:Model="Box 1 &amp; more"
 exif:GPSLatitude="52,SECRET" aux:SerialNumber="SECRET"
 dc:creator="SECRET"
 aux:OwnerName="SECRET" xmpMM:DocumentID="SECRET" Iptc4xmpCore:Location="SECRET">\
<exif:FNumber>28/10</exif:FNumber>
 <dc:rights><rdf:Alt><rdf:li xml:lang="x-default">(c) Jane</rdf:li></rdf:Alt></dc:rights>
 <dc:creator><rdf:Seq><rdf:li>SECRET</rdf:li></rdf:Seq></dc:creator><photoshop:City>SECRET</photoshop:City>
 <xmp:Thumbnails><rdf:Alt><rdf:li xmpGImg:image="SECRET"/></rdf:Alt></xmp:Thumbnails>\
</rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_exif() -> None:
    before = full_exif()
    assert before.count(b"SECRET") == 9
    after = safe(Metadata(exif=before)).exif
    assert after is not None
    assert b"SECRET" not in after
    seen = PIL.Image.Exif()
    seen.load(b"Exif\0\0" + after)
    assert (seen[0x010F], seen[0x0110], seen[0x0132], seen[0x8298]) == (
        "Acme",
        "Box 1",
        "2020:01:02 03:04:05",
        "(c) Jane",
    )
    assert dict(seen.get_ifd(0x8825)) == {}
    exposure = seen.get_ifd(0x8769)
    assert (exposure[0x829A], exposure[0x829D], exposure[0x8827], exposure[0xA434]) == (
        (1, 250),
        (28, 10),
        400,
        "Lens 50",
    )


def test_a_thumbnail_goes() -> None:
    file = io.BytesIO()
    PIL.Image.new("RGB", (8, 8)).save(file, "JPEG")
    exif = full_exif()
    first = int.from_bytes(exif[4:8], "little" if exif[:2] == b"II" else "big")
    assert first == 8
    safe_exif = safe(Metadata(exif=exif + file.getvalue())).exif
    assert safe_exif is not None
    assert b"\xff\xd8\xff" not in safe_exif


def test_xmp() -> None:
    after = safe(Metadata(xmp=XMP)).xmp
    assert after is not None
    assert b"SECRET" not in after
    for kept in (b"2020-01-02T03:04:05", b"Box 1 &amp; more", b"28/10", b"(c) Jane"):
        assert kept in after
    assert set(re.findall(rb"<(\w+):", after)) <= {b"x", b"rdf", b"xmp", b"tiff", b"exif", b"dc"}


def test_xmp_is_well_formed() -> None:
    from xml.etree import ElementTree

    after = safe(Metadata(xmp=XMP)).xmp
    assert after is not None
    assert len(ElementTree.fromstring(after).findall(".//*")) == 8  # noqa: S314 - our own


@pytest.mark.parametrize("value", [b"&unknown;", b"<x/>", b'a" exif:GPSLatitude="1', b"a & b"])
def test_values_that_are_no_plain_text_are_left_out(value: bytes) -> None:
    assert safe(Metadata(xmp=b"<x> <tiff:Model>" + value + b"</tiff:Model></x>")).xmp is None


def test_iptc() -> None:
    notice, city = b"\x1c\x02\x74\0\x05(c) x", b"\x1c\x02\x5a\0\x06SECRET"
    assert safe(Metadata(iptc=iptc.wrapped(city + notice))).iptc == iptc.wrapped(notice)
    assert safe(Metadata(iptc=iptc.wrapped(city))).iptc is None


def test_colours_and_resolution_stay() -> None:
    metadata = Metadata(icc=b"profile", resolution=(2.0, 3.0))
    assert safe(metadata) == metadata


@given(st.binary(max_size=200))
def test_what_cannot_be_read_is_left_out(data: bytes) -> None:
    found = safe(Metadata(exif=data, xmp=data, iptc=data))
    assert found.iptc is None or len(found.iptc) < 300


def test_a_large_packet_costs_no_time() -> None:
    start = time.process_time()
    for part in (b' tiff:Model="', b"<tiff:Model>a", b"<dc:rights> ", b"&amp;", b" "):
        safe(Metadata(xmp=part * ((2**20 - 1) // len(part))))
    assert safe(Metadata(xmp=XMP + bytes(2**20))).xmp is None
    assert time.process_time() - start < 20
