"""JPEG files as phones write them: with gain maps, videos and further images behind the image."""

import io
import struct
from typing import Any

import numpy as np
import PIL.Image

from uformer.image import jpeg

SMOOTH = (np.mgrid[0:40, 0:64].sum(axis=0)[..., None] * [1, 2, 1]).astype(np.uint8)
HDRGM = 'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
CONTAINER = (
    'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
    'xmlns:Item="http://ns.google.com/photos/1.0/container/item/"'
)
CAMERA = 'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"'
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(range(256)) * 4
ISO = b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"


def encoded(pixels: np.ndarray = SMOOTH, **options: Any) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "JPEG", **{"quality": 95, "subsampling": 0} | options)
    return file.getvalue()


def xmp(attributes: str, inside: str = "") -> tuple[int, bytes]:
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4" {attributes}>{inside}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    return jpeg.APP1, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode()


def directory(*items: tuple[str, str, int]) -> str:
    """A container directory of semantic, media type and length."""
    listed = "".join(
        f'<rdf:li><Container:Item Item:Mime="{kind}" Item:Semantic="{name}" Item:Length="{length}"/></rdf:li>'
        for name, kind, length in items
    )
    return f"<Container:Directory><rdf:Seq>{listed}</rdf:Seq></Container:Directory>"


def index(order: str, kind: int, images: list[tuple[int, int]]) -> bytes:
    """The payload of a Multi-Picture segment of images, each a size and an offset."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    out = b"MPF\0" + mark + struct.pack(order + "IH", 8, 2)
    out += struct.pack(order + "HHII", 0xB001, 4, 1, len(images))
    out += struct.pack(order + "HHII", 0xB002, 7, 16 * len(images), 8 + 2 + 2 * 12 + 4) + bytes(4)
    for number, (size, offset) in enumerate(images):
        out += struct.pack(order + "IIIHH", kind if number else 0x030000, size, offset, 0, 0)
    return out


def behind(
    data: bytes, parts: list[bytes], segments: list[tuple[int, bytes]], *, order: str = ">", kind: int = 0
) -> bytes:
    """A JPEG with parts behind it, the images among them in an index."""
    images = [part for part in parts if part[:2] == b"\xff\xd8"]
    length = len(index(order, kind, [(0, 0)] * (1 + len(images)))) + 4
    size = len(data) + length + sum(len(jpeg.segment(*each)) for each in segments)
    base = jpeg.place_for_segments(data) + sum(len(jpeg.segment(*each)) for each in segments) + 8
    starts = [size + sum(map(len, parts[:number])) for number in range(len(parts))]
    entries = [(len(image), starts[parts.index(image)] - base) for image in images]
    listed = index(order, kind, [(size, 0), *entries])
    return jpeg.with_segments(data, [*segments, (jpeg.APP2, listed)]) + b"".join(parts)


def ultra_hdr(*, order: str = ">", video: bytes = b"", **options: Any) -> bytes:
    """An Ultra HDR image, with a motion photo's video if wanted."""
    gain = jpeg.with_segments(encoded(SMOOTH[::2, ::2, 0]), [xmp(HDRGM + ' hdrgm:GainMapMax="2.3"')])
    items = [("Primary", "image/jpeg", 4711), ("GainMap", "image/jpeg", len(gain))]
    items += [("MotionPhoto", "video/mp4", len(video))] * bool(video)
    motion = f'{CAMERA} GCamera:MotionPhoto="1"' if video else ""
    packet = xmp(f"{HDRGM} {CONTAINER} {motion}", directory(*items))
    parts = [gain, video] if video else [gain]
    return behind(encoded(**options), parts, [packet, (jpeg.APP2, ISO)], order=order)


def motion_photo(**options: Any) -> bytes:
    """A photo with a video, as Google's cameras wrote it before the container."""
    packet = xmp(f'{CAMERA} GCamera:MicroVideo="1" GCamera:MicroVideoOffset="{len(VIDEO)}" GCamera:Other="x"')
    return jpeg.with_segments(encoded(**options), [packet]) + VIDEO


def turned(orientation: int) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return exif
