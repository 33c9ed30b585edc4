"""Changes to an XMP packet: orientation, size, and properties that no longer apply.

They are found by a text search, so that no XML is parsed.
"""

import re
from collections.abc import Mapping

Claims = Mapping[str, tuple[str, ...]]
"""Beginnings of namespaces, and the beginnings of the properties in them; an empty name stands for all."""

EXTENSION: Claims = {
    "http://ns.adobe.com/xmp/note/": ("HasExtendedXMP",),
    "http://ns.google.com/photos/1.0/depthmap/": ("",),
    "http://ns.google.com/photos/1.0/image/": ("",),
    "http://ns.google.com/photos/1.0/audio/": ("",),
}
"""Properties that need extended XMP: the reference to it, and the formats of what it holds."""

_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>\s*))([1-8])(?=\s*[\"'<])")
_WIDTH = re.compile(rb"((?:tiff:ImageWidth|exif:PixelXDimension)(?:\s*=\s*[\"']|>\s*))[0-9]+(?=\s*[\"'<])")
_HEIGHT = re.compile(rb"((?:tiff:ImageLength|exif:PixelYDimension)(?:\s*=\s*[\"']|>\s*))[0-9]+(?=\s*[\"'<])")

_PREFIX = re.compile(rb"xmlns:([\w.-]+)\s*=\s*[\"']([^\"'<>]*)[\"']")
_VALUE = rb"\"[^\"<]*+\"|'[^'<]*+'"
# No part matches "<", so the search takes linear time.
_TAG = re.compile(rb"<(/?)([\w.-]+):([\w.-]+)((?:[^<>\"']|" + _VALUE + rb")*+)>")
_ATTRIBUTE = re.compile(rb"\s([\w.-]+):([\w.-]+)\s*=\s*(?:" + _VALUE + rb")")


def orientation(xmp: bytes) -> int:
    """The orientation of an XMP packet, 1 to 8; 1 if it has none."""
    found = _ORIENTATION.search(xmp)
    return int(found[2]) if found else 1


def upright(xmp: bytes) -> bytes:
    """The same packet, byte for byte, with orientation 1."""
    return _ORIENTATION.sub(rb"\g<1>1", xmp)


def with_size(xmp: bytes, width: int, height: int) -> bytes:
    """The same packet with this width and height where it states them."""
    return _HEIGHT.sub(rb"\g<1>%d" % height, _WIDTH.sub(rb"\g<1>%d" % width, xmp))


def has(xmp: bytes, claims: Claims) -> bool:
    """Whether a packet has any of these properties."""
    return without(xmp, claims) != xmp


def without(xmp: bytes, claims: Claims) -> bytes:
    """The packet without these properties, whether they are attributes or elements."""
    names: dict[bytes, tuple[bytes, ...]] = {}
    for prefix, space in _PREFIX.findall(xmp):
        for beginning, wanted in claims.items():
            if space.startswith(beginning.encode()):
                names[prefix] = tuple(name.encode() for name in wanted)
    if not names:
        return xmp

    def is_claimed(prefix: bytes, name: bytes) -> bool:
        if prefix == b"xmlns":  # the declaration of a namespace of which nothing is left
            return b"" in names.get(name, ())
        return name.startswith(names.get(prefix, ()))

    parts, position = [], 0
    inside, depth = (b"", b""), 0  # the element that is being left out
    for tag in _TAG.finditer(xmp):
        name, closes, is_empty = (tag[2], tag[3]), bool(tag[1]), tag[4].endswith(b"/")
        if depth:
            if name == inside:
                depth += -1 if closes else not is_empty
            if not depth:
                position = tag.end()
        elif not closes and is_claimed(*name):
            parts.append(xmp[position : tag.start()])
            position, inside, depth = tag.end(), name, int(not is_empty)
        elif not closes:
            kept = _ATTRIBUTE.sub(lambda each: b"" if is_claimed(each[1], each[2]) else each[0], tag[4])
            parts += [xmp[position : tag.start(4)], kept]
            position = tag.end(4)
    return xmp if depth else b"".join([*parts, xmp[position:]])
