"""The orientation in an XMP packet, found by a text search, so that no XML is parsed."""

import re

_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>\s*))([1-8])(?=\s*[\"'<])")


def orientation(xmp: bytes) -> int:
    """The orientation of an XMP packet, 1 to 8; 1 if it has none."""
    found = _ORIENTATION.search(xmp)
    return int(found[2]) if found else 1


def upright(xmp: bytes) -> bytes:
    """The same packet, byte for byte, with orientation 1."""
    return _ORIENTATION.sub(rb"\g<1>1", xmp)
