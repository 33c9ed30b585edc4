import io
import struct
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.image.phones import ISO, SMOOTH, VIDEO, behind, encoded, motion_photo, turned, ultra_hdr, xmp
from uformer.image import attached, jpeg
from uformer.image.image import Image
from uformer.image.read import read
from uformer.image.regions import regions, write_parts
from uformer.image.samples import turned as turned_samples
from uformer.image.write import MetadataPolicy, encode, write


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
            ultra_hdr(exif=turned(6)).replace(b'Semantic="GainMap"', b"Semantic = GainMap"),
            ".jpg",
            "keep",
            "its HDR gain map is left out: the image is turned upright",
        ),
        (
            ultra_hdr(video=b"urn:com:google:DepthMap" + VIDEO, exif=turned(3)),
            ".jpg",
            "keep",
            "its HDR gain map and depth map and video are left out: the image is turned upright",
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


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_gain_map_is_turned_like_the_image(orientation: int) -> None:
    video = VIDEO if orientation % 2 else b""
    data = ultra_hdr(exif=turned(orientation), video=video, order="<>"[orientation % 2])
    out, said = written(data)
    assert said == []
    (gain,) = listed(out)
    assert out[jpeg.end(out) :] == gain + video
    packet = read(out).metadata.xmp or b""
    assert b'Item:Semantic="GainMap" Item:Length="%d"' % len(gain) in packet
    assert b'hdrgm:GainMapMax="2.3"' in (jpeg.xmp(gain) or b"")
    (stored,) = listed(data)
    expected = turned_samples(read(stored).pixels, orientation)
    assert np.abs(read(gain).pixels - expected).max() < 6 / 255


def test_a_gain_map_without_xmp_in_the_image() -> None:
    """As Apple writes it: only the index points at it."""
    gain = jpeg.with_segments(
        encoded(SMOOTH[::2, ::2, 0]), [xmp('a="urn:com:apple:photo:2020:aux:hdrgainmap"')]
    )
    out, said = written(behind(encoded(exif=turned(6)), [gain], []))
    assert said == []
    (found,) = listed(out)
    assert read(found).pixels.shape == (32, 20, 1)


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
    said = written(ultra_hdr(video=VIDEO))[1]
    assert said == ["its HDR gain map and video are left out: they have more than 0 MiB"]


def test_any_damage_is_survived() -> None:
    rng = np.random.default_rng(0)
    data = ultra_hdr(video=VIDEO)
    start = data.index(b"MPF\0")
    for _ in range(200):
        damaged = bytearray(data)
        for position in start + rng.integers(4, 90, 2):
            damaged[position] = rng.integers(256)
        found = attached.attached(bytes(damaged), None, size=(64, 40), orientation=1)
        if found is not None and attached.obstacle(found, (64, 40)) is None:
            attached.segments_for(found, size=1000, place=20)


def test_a_plain_jpeg_has_nothing_behind_it() -> None:
    assert read(encoded()).metadata.attached is None
    assert read(encoded() + bytes(100)).metadata.attached is None
