"""What cameras write behind the image of a JPEG file: HDR gain maps, depth maps and videos.

Two lists point at them. The Multi-Picture Format (CIPA DC-007), in an APP2 segment, has the position of each
image. Google's container, in XMP, has the length of each item. Ultra HDR uses both, a motion photo the
second one or its predecessor, MicroVideo. All are carried byte for byte, so only the positions change. If the
image is turned upright, its gain map is turned too.
"""

import dataclasses
import re
import struct

from uformer.image import jpeg, vips, xmp_packet
from uformer.image.formats import LOWEST_QUALITY, Encoded
from uformer.image.ifd import Form, entries, header, unpack
from uformer.image.image import Attached
from uformer.words import counted

_MPF = b"MPF\0"
_MP_ENTRIES = 0xB002
_ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"
_MOST_BYTES = 2**26  # carried in memory

CLAIMS: xmp_packet.Claims = {
    "http://ns.adobe.com/hdr-gain-map/": ("",),
    "http://ns.apple.com/HDRGainMap/": ("",),
    "http://ns.google.com/photos/1.0/container/": ("",),
    "http://ns.google.com/photos/1.0/camera/": ("MotionPhoto", "MicroVideo"),
    "http://ns.google.com/photos/dd/1.0/": ("",),
}
"""Properties that describe what is behind the image."""

_GAIN_MAP, _DEPTH_MAP, _VIDEO = "HDR gain map", "depth map", "video"
_SIGNS = {
    _GAIN_MAP: re.compile(rb"ns\.adobe\.com/hdr-gain-map/|HDRGainMap|hdrgainmap|iso:ts:21496:-1"),
    _DEPTH_MAP: re.compile(rb"[Dd]epth ?[Mm]ap"),
    _VIDEO: re.compile(rb"ftyp(?:mp4|iso|qt  |avc1|hvc1|3gp|dash)|MotionPhoto_Data"),
}
"""The parts that are carried, and the bytes by which they are recognised."""


TURNED = "the image is turned upright"
_PRIMARY = re.compile(rb"<[^<>]*Semantic\s*=\s*[\"']Primary[\"'][^<>]*>")
_GAIN_ITEM = re.compile(rb"<[^<>]*Semantic\s*=\s*[\"']GainMap[\"'][^<>]*>")
_LENGTH = re.compile(rb"(:Length\s*=\s*[\"'])[0-9]+")


def attached(data: Encoded, xmp: bytes | None, *, size: tuple[int, int], orientation: int) -> Attached | None:
    """What a JPEG file claims to hold behind its image; None if nothing is claimed, or nothing is there.

    `size`: of the upright image. `orientation`: in which the image is stored.
    """
    index = _index(data)
    if index is None and not (xmp and xmp_packet.has(xmp, CLAIMS)):
        return None
    end = jpeg.end(data)
    behind = data[end : end + _MOST_BYTES + 1]
    if not behind:
        return None
    pictures = _pictures(index[0])[1:] if index else []
    starts = tuple(index[1] + start - end for _, start in pictures) if index else ()
    lie_behind = all(
        0 <= start <= len(behind) - size for start, (size, _) in zip(starts, pictures, strict=True)
    )
    return Attached(
        data=behind,
        names=tuple(name for name, sign in _SIGNS.items() if sign.search(behind)),
        index=index[0] if index else None,
        starts=starts,
        versions=tuple(
            payload
            for marker, payload, _ in jpeg.segments(data)
            if marker == jpeg.APP2 and payload.startswith(_ISO_GAIN_MAP)
        ),
        is_sound=lie_behind,
        size=size,
        orientation=orientation,
    )


def described(found: Attached) -> str:
    """What is left out, as the beginning of a sentence."""
    if found.names:
        return f"its {' and '.join(found.names)} {'is' if len(found.names) == 1 else 'are'} left out"
    number = len(found.starts)
    if number:
        return f"{counted(number, 'further image')} {'is' if number == 1 else 'are'} left out"
    return "the data behind the image is left out"


def obstacle(found: Attached, size: tuple[int, int]) -> str | None:
    """Why it cannot be written behind an image of this size; None if it can."""
    if not found.names:
        return "only gain maps, depth maps and videos are carried over"
    if len(found.data) > _MOST_BYTES:
        return f"they have more than {_MOST_BYTES // 2**20} MiB"
    if not found.is_sound:
        return "the list of images in the file is false"
    if found.names == (_VIDEO,):
        return None
    if found.orientation != 1 and _GAIN_MAP not in found.names:
        return TURNED
    return None if size == found.size else "the image has another size"


def upright(found: Attached, xmp: bytes) -> tuple[Attached, bytes] | None:
    """The same with its gain map turned like the image, and the XMP packet of the image before it.

    The gain map is encoded again, at the quality that it has. None if something else would have to be turned,
    or the gain map cannot be.
    """
    if found.orientation == 1 or found.names == (_VIDEO,):
        return found, xmp
    end = jpeg.end(found.data)
    gain, rest = found.data[:end], found.data[end:]
    frame = jpeg.frame(gain) if gain[:2] == b"\xff\xd8" else None
    listed = _GAIN_ITEM.findall(xmp)
    is_alone = found.starts in ((), (0,)) and set(found.names) <= {_GAIN_MAP, _VIDEO}
    if frame is None or frame.width * frame.height > found.size[0] * found.size[1] or not is_alone:
        return None
    if not _SIGNS[_GAIN_MAP].search(gain) or (b"Semantic" in xmp and len(listed) != 1):
        return None
    try:
        quality = max(jpeg.coding(gain).quality, LOWEST_QUALITY)
        pixels, _, _ = vips.turned_jpeg(gain, found.orientation, quality=quality)
    except vips.Error:
        return None
    kept = [
        (marker, payload)
        for marker, payload, _ in jpeg.segments(gain)
        if marker in (jpeg.APP1, jpeg.APP2) and not payload.startswith(b"Exif")
    ]
    gain = jpeg.with_segments(pixels, kept)
    index = found.index
    if index is not None and found.starts:
        form, first, _ = _entries(index)
        index = index[: first + 20] + struct.pack(form.word, len(gain)) + index[first + 24 :]
    xmp = _GAIN_ITEM.sub(lambda item: _LENGTH.sub(rb"\g<1>%d" % len(gain), item[0]), xmp)
    return dataclasses.replace(found, data=gain + rest, index=index, orientation=1), xmp


def described_by(xmp: bytes) -> bytes:
    """The XMP packet of the image before it, without the length of that image, which has changed.

    Google's container allows 0: the items follow the end of the image.
    """
    return _PRIMARY.sub(lambda item: _LENGTH.sub(rb"\g<1>0", item[0]), xmp)


def segments_for(found: Attached, *, size: int, place: int) -> list[tuple[int, bytes]]:
    """The segments that belong to it, for a JPEG image that has `size` bytes without them.

    `place`: where they will lie in the file.
    """
    out = [(jpeg.APP2, payload) for payload in found.versions]
    if found.index is not None:
        before = sum(len(jpeg.segment(*each)) for each in out)
        length = before + len(jpeg.segment(jpeg.APP2, found.index))
        base = place + before + 4 + len(_MPF)
        out.append((jpeg.APP2, _moved(found.index, found.starts, size=size + length, base=base)))
    return out


def _moved(index: bytes, starts: tuple[int, ...], *, size: int, base: int) -> bytes:
    """The index for an image of `size` bytes, with offsets that count from `base`."""
    out = bytearray(index)
    form, first, _ = _entries(index)
    struct.pack_into(form.word, out, first + 4, size)
    for number, start in enumerate(starts, start=1):
        struct.pack_into(form.word, out, first + 16 * number + 8, size + start - base)
    return bytes(out)


def _index(data: Encoded) -> tuple[bytes, int] | None:
    """The payload of the Multi-Picture segment, and the position from which its offsets count."""
    for marker, payload, start in jpeg.segments(data):
        if marker == jpeg.APP2 and payload.startswith(_MPF):
            return (payload, start + len(_MPF)) if len(_pictures(payload)) > 1 else None
    return None


def _pictures(index: bytes) -> list[tuple[int, int]]:
    """Size and offset of each image, the first included; empty if the index is malformed."""
    try:
        form, first, count = _entries(index)
        places = range(first + 4, first + 4 + 16 * count, 16)
        return [(unpack(form.word, index, at)[0], unpack(form.word, index, at + 4)[0]) for at in places]
    except ValueError:
        return []


def _entries(index: bytes) -> tuple[Form, int, int]:
    """The byte order of an index, and position and number of its entries. Raises ValueError if malformed."""
    form, offset = header(index[len(_MPF) :])
    for entry in entries(index[len(_MPF) :], form, offset):
        if entry.tag == _MP_ENTRIES and not form.big:
            return form, len(_MPF) + entry.start, entry.count // 16
    raise ValueError("the index lists no images")
