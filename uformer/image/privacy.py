"""Metadata that are safe to publish: date, camera model, exposure and copyright.

Only what is on these lists stays. Location, thumbnail, serial numbers, maker notes, names of people, titles
and comments are not on them.
"""

import dataclasses
import re

from uformer.image import exif_block, iptc
from uformer.image.image import Metadata

_FIRST = {
    0x010F, 0x0110, 0x0112, 0x0131, 0x0132, 0x8298,  # make, model, orientation, software, time, copyright
    0x011A, 0x011B, 0x0128,  # resolution
}  # fmt: skip
_EXPOSURE = {
    0x829A, 0x829D, 0x8822, 0x8827, 0x8830, 0x8831, 0x8832, 0x8833,  # time, aperture, program, sensitivity
    0x9000, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9101, 0x9102,  # version, times and their zones, coding
    0x9201, 0x9202, 0x9203, 0x9204, 0x9205, 0x9206, 0x9207, 0x9208, 0x9209, 0x920A,  # shutter to focal length
    0x9290, 0x9291, 0x9292, 0xA000, 0xA001, 0xA20E, 0xA20F, 0xA210, 0xA215, 0xA217, 0xA300, 0xA301,
    0xA401, 0xA402, 0xA403, 0xA404, 0xA405, 0xA406, 0xA407, 0xA408, 0xA409, 0xA40A, 0xA40C,  # modes
    0xA432, 0xA433, 0xA434, 0xA500,  # lens
}  # fmt: skip
_IPTC = {0, 55, 60, 62, 63, 116}  # version, times, copyright notice

_NAMESPACES = {
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
}
_SIMPLE = (
    "xmp:CreateDate", "xmp:ModifyDate", "xmp:CreatorTool", "photoshop:DateCreated",
    "xmpRights:Marked", "xmpRights:WebStatement",
    "tiff:Make", "tiff:Model", "tiff:Orientation", "aux:Lens", "aux:LensInfo",
    "exif:DateTimeOriginal", "exif:ExposureTime", "exif:FNumber", "exif:ExposureProgram",
    "exif:ExposureBiasValue", "exif:FocalLength", "exif:FocalLengthIn35mmFilm", "exif:MeteringMode",
    "exif:WhiteBalance", "exif:ColorSpace", "exif:PhotographicSensitivity",
)  # fmt: skip
_LANGUAGES = ("dc:rights", "xmpRights:UsageTerms")
_LONGEST = 2**20  # bytes of XMP that are searched
_TEXT = rb"((?:[^\"<>&]|&(?:amp|lt|gt|quot|apos|#[0-9]{1,7});){1,4096})"


def safe(metadata: Metadata) -> Metadata:
    """The metadata without location, people and serial numbers; unreadable blocks are dropped entirely."""
    return dataclasses.replace(
        metadata,
        exif=metadata.exif and exif_block.selected(metadata.exif, _FIRST, _EXPOSURE),
        xmp=metadata.xmp and _safe_xmp(metadata.xmp),
        iptc=metadata.iptc and iptc.selected(metadata.iptc, _IPTC),
    )


def _safe_xmp(xmp: bytes) -> bytes | None:
    """A new packet with only the listed properties; None if it has none of them.

    They are found as text, by their usual prefixes, so that no XML is parsed.
    """
    found: list[bytes] = []
    if len(xmp) > _LONGEST:
        return None
    for name in _SIMPLE:
        encoded = re.escape(name.encode())
        match = re.search(
            rb"\s"
            + encoded
            + rb"\s*=\s*\""
            + _TEXT
            + rb"\"|<"
            + encoded
            + rb">"
            + _TEXT
            + rb"</"
            + encoded
            + rb">",
            xmp,
        )
        if match:
            text = match[1] if match[1] is not None else match[2]
            found.append(b"<%b>%b</%b>" % (name.encode(), text, name.encode()))
    for name in _LANGUAGES:
        encoded = re.escape(name.encode())
        match = re.search(
            rb"<" + encoded + rb">\s*<rdf:Alt>\s*<rdf:li[^<>]{0,64}>" + _TEXT + rb"</rdf:li>", xmp
        )
        if match:
            item = b'<rdf:Alt><rdf:li xml:lang="x-default">%b</rdf:li></rdf:Alt>' % match[1]
            found.append(b"<%b>%b</%b>" % (name.encode(), item, name.encode()))
    if not found:
        return None
    spaces = " ".join(f'xmlns:{prefix}="{address}"' for prefix, address in _NAMESPACES.items())
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    head = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}">'
    return (
        f'{head}<rdf:Description rdf:about="" {spaces}>'.encode()
        + b"".join(found)
        + b"</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
