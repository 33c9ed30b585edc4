import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from uformer.image import attached, jpeg
from uformer.image.image import Image
from uformer.image.read import read
from uformer.image.regions import regions, write_parts
from uformer.image.write import MetadataPolicy, encode, write

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


def listed(data: bytes) -> list[bytes]:
    """The images behind the first, found by the index as a decoder does it, by Pillow's reader."""
    with PIL.Image.open(io.BytesIO(data)) as image:
        entries = image._getmp()[0xB002]  # type: ignore[attr-defined]
    base = data.index(b"MPF\0") + 4
    assert (entries[0]["DataOffset"], data[entries[0]["Size"] - 2 : entries[0]["Size"]]) == (0, b"\xff\xd9")
    return [
        data[base + entry["DataOffset"] : base + entry["DataOffset"] + entry["Size"]] for entry in entries[1:]
    ]


def written(data: bytes, suffix: str = ".jpg", policy: MetadataPolicy = "keep") -> tuple[bytes, list[str]]:
    said: list[str] = []
    return encode(read(data, notify=said.append), suffix, metadata=policy, notify=said.append), said


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("video", [b"", VIDEO])
def test_a_gain_map_is_carried(order: str, video: bytes) -> None:
    data = ultra_hdr(order=order, video=video)
    (gain,) = listed(data)
    out, said = written(data)
    assert said == []
    assert listed(out) == [gain]
    assert out[jpeg.end(out) :] == gain + video  # as the container says: one after the other
    packet = read(out).metadata.xmp or b""
    assert packet.count(b"hdrgm:Version") == 1
    assert b'Item:Length="%d"' % len(gain) in packet
    assert b'Item:Semantic="Primary" Item:Length="0"' in packet
    assert [payload for marker, payload, _ in jpeg.segments(out) if payload.startswith(ISO[:20])] == [ISO]
    again, said = written(out)
    assert said == []
    assert (listed(again), again[jpeg.end(again) :]) == ([gain], gain + video)


def test_streaming_writes_the_same(tmp_path: Path) -> None:
    source, whole, parts = (tmp_path / name for name in ("in.jpg", "whole.jpg", "parts.jpg"))
    source.write_bytes(ultra_hdr(video=VIDEO, comment=b"hello"))
    write(read(source), whole)
    with regions(source, folder=tmp_path) as rows:
        write_parts(rows.frame, [(0, rows.part(0, 40))], parts)
    assert whole.read_bytes() == parts.read_bytes()


CLAIMS = (b"hdrgm", b"hdr-gain-map", b"Container", b"Semantic", b"MotionPhoto", b"MicroVideo")


@pytest.mark.parametrize(
    ("data", "suffix", "policy", "why"),
    [
        (ultra_hdr(), ".png", "keep", "its HDR gain map is left out: PNG cannot hold it"),
        (ultra_hdr(), ".jpg", "strip", "its HDR gain map is left out: only the policy keep retains it"),
        (ultra_hdr(), ".jpg", "safe", "its HDR gain map is left out: only the policy keep retains it"),
        (
            ultra_hdr(exif=turned(6)),
            ".jpg",
            "keep",
            "its HDR gain map is left out: the image is turned upright",
        ),
        (
            ultra_hdr(video=VIDEO, exif=turned(3)),
            ".jpg",
            "keep",
            "its HDR gain map and video are left out: the image is turned upright",
        ),
        (motion_photo(), ".webp", "keep", "its video is left out: WebP cannot hold it"),
    ],
)
def test_what_cannot_be_carried_is_reported_and_no_longer_claimed(
    data: bytes, suffix: str, policy: MetadataPolicy, why: str
) -> None:
    out, said = written(data, suffix, policy)
    assert said == [why]
    packet = read(out).metadata.xmp or b""
    assert [claim for claim in CLAIMS if claim in packet] == []
    assert (b'xmp:Rating="4"' in packet) == (policy == "keep")
    if suffix == ".jpg":
        assert jpeg.end(out) == len(out)
        assert b"MPF\0" not in out


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_video_does_not_depend_on_the_orientation(orientation: int) -> None:
    out, said = written(motion_photo(exif=turned(orientation)))
    assert said == []
    assert out[jpeg.end(out) :] == VIDEO
    packet = read(out).metadata.xmp or b""
    assert b'GCamera:MicroVideoOffset="%d"' % len(VIDEO) in packet


def test_another_size_drops_it() -> None:
    said: list[str] = []
    image = read(ultra_hdr())
    smaller = Image(pixels=image.pixels[:20], metadata=image.metadata)
    assert b"hdrgm" not in encode(smaller, ".jpg", notify=said.append)
    assert said == ["its HDR gain map is left out: the image has another size"]


def test_previews_and_other_views_are_dropped_with_a_notice() -> None:
    data = behind(encoded(), [encoded(SMOOTH[::2]), encoded(SMOOTH[::4])], [], kind=0x010001)
    out, said = written(data)
    assert said == ["2 further images are left out: only gain maps, depth maps and videos are carried over"]
    assert b"MPF\0" not in out


def test_claims_of_what_is_no_longer_there_go() -> None:
    data = ultra_hdr()
    cut = data[: jpeg.end(data)]
    out, said = written(cut)
    assert said == []
    packet = read(out).metadata.xmp or b""
    assert [claim for claim in CLAIMS if claim in packet] == []


def test_an_index_that_is_false_is_not_carried() -> None:
    data = bytearray(ultra_hdr())
    entry = data.index(b"MPF\0") + 4 + 8 + 2 + 24 + 4 + 16
    struct.pack_into(">I", data, entry + 8, 2**31)
    out, said = written(bytes(data))
    assert said == ["its HDR gain map is left out: the list of images in the file is false"]
    assert b"MPF\0" not in out


def test_too_much_is_not_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached, "_MOST_BYTES", 1000)
    assert written(ultra_hdr(video=VIDEO))[1] == ["its HDR gain map is left out: it has more than 0 MiB"]


def test_any_damage_is_survived() -> None:
    rng = np.random.default_rng(0)
    data = ultra_hdr(video=VIDEO)
    start = data.index(b"MPF\0")
    for _ in range(200):
        damaged = bytearray(data)
        for position in start + rng.integers(4, 90, 2):
            damaged[position] = rng.integers(256)
        found = attached.attached(bytes(damaged), None, size=(64, 40), is_turned=False)
        if found is not None and attached.obstacle(found, (64, 40)) is None:
            attached.segments_for(found, size=1000, place=20)


def test_a_plain_jpeg_has_nothing_behind_it() -> None:
    assert read(encoded()).metadata.attached is None
    assert read(encoded() + bytes(100)).metadata.attached is None
