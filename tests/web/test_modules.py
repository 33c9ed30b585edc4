"""The modules of the static site, in node: tiles as in the library, and files whose metadata are kept."""

import base64
import io
import re
import struct
import zlib
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from tests.image.test_thumbnail import exif as with_thumbnail
from tests.image.test_thumbnail import seen
from tests.web.conftest import ICC, XMP, encoded, in_node, needs_node, photo
from uformer.image import privacy, thumbnail
from uformer.restore.tiles import blend, cut, plan_axis, plan_tiles
from uformer.web.assemble import page_files

SETTINGS: dict[str, Any] = {"overlap": 32, "multiple": 128, "align": 32, "margin": 8}
THUMBNAILS: list[tuple[Any, ...]] = [
    (6, b"a thumbnail", "<", b"behind it"),
    (3, b"a thumbnail", ">"),
    (1, b"a thumbnail"),
]
LENGTHS = (1, 5, 100, 112, 113, 240, 241, 500, 1333, 4000)
SCRIPT = """
import { planAxis, weightsOf, sourceOf, restoreTiles } from "./tiles.js";
import { split } from "./containers.js";
import { decode, encode, turned } from "./codec.js";
import { upright } from "./exif.js";

const axes = given.lengths.map((length) => {
  const axis = planAxis(length, { tile: 256, multiple: 128 });
  const last = axis.starts.at(-1);
  const source = [...sourceOf(axis, 0), ...sourceOf(axis, last)];
  return { ...axis, weights: weightsOf(axis).map((each) => [...each]), source };
});

const { width, height, pixels } = given.image;
const rows = [];
const network = async (values) => values.map((value, at) => value * (0.5 + (at % 7) / 20));
const steps = [];
const next = async (done, all) => { steps.push([done, all]); };
const finished = (first, planes, count) => { rows.push([first, count, planes.map((plane) => [...plane])]); };
const plan = { tile: 128, multiple: 128 };
await restoreTiles(Uint8ClampedArray.from(pixels), width, height, plan, network, next, finished);

const refused = {};
for (const [name, data] of Object.entries(given.refused)) {
  try {
    split(bytes(data));
  } catch (problem) {
    refused[name] = `${problem.type} ${problem.detail}`;
  }
}

const made = {};
for (const [name, data] of Object.entries(given.files)) {
  made[name] = {};
  for (const metadata of ["keep", "safe", "strip"]) {
    const image = await decode(new Blob([bytes(data)]), 1e6);
    made[name][metadata] = text(new Uint8Array(await (await encode(image, { metadata })).arrayBuffer()));
  }
}
const { bare, ...jpeg } = split(bytes(given.jpeg));
const webp = split(bytes(given.webp));
const { join } = await import("./containers.js");
const joined = {
  jpeg: text(join("JPEG", bytes(given.plain.jpeg), jpeg)),
  webp: text(join("WebP", bytes(given.plain.webp), webp)),
  bare: text(bare), bareWebp: text(webp.bare),
};
const large = await decode(new Blob([bytes(given.files.rgba)]), 100).catch((problem) => problem.type);
const grid = Uint8ClampedArray.from({ length: 4 * 6 }, (_, at) => at);
const turns = [1, 2, 3, 4, 5, 6, 7, 8].map((orientation) => {
  const out = turned(grid, 3, 2, orientation);
  return { ...out, pixels: [...out.pixels] };
});
const thumbnails = given.thumbnails.map((block) => text(upright(bytes(block), 30, 40)));
answer({ axes, rows, steps, refused, made, joined, large, turns, thumbnails });
"""


def heif() -> bytes:
    return struct.pack(">I", 24) + b"ftypheic" + bytes(12)


def deep_png() -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(np.full((2, 2), 40_000, np.uint16)).save(file, "PNG")
    return file.getvalue()


def animated(kind: str) -> bytes:
    frames = [PIL.Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(
        file, kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )
    return file.getvalue()


def tiff() -> bytes:
    file = io.BytesIO()
    PIL.Image.new("L", (2, 2)).save(file, "TIFF")
    return file.getvalue()


def plain(kind: str) -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", (40, 24), "teal").save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (170, 140, 4), dtype=np.uint8)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {
        "rgba": photo("PNG", "RGBA"),
        "gray": photo("PNG", "LA", orientation=1),
        "upside": photo("PNG", "RGBA", orientation=3),
    }


@pytest.fixture(scope="module")
def found(
    tmp_path_factory: pytest.TempPathFactory, image: np.ndarray, files: dict[str, bytes]
) -> dict[str, Any]:
    values = {
        "lengths": LENGTHS,
        "image": {"width": 140, "height": 170, "pixels": image.ravel().tolist()},
        "files": {name: encoded(data) for name, data in files.items()},
        "jpeg": encoded(photo("JPEG", comment=b"a comment", quality=95)),
        "webp": encoded(photo("WEBP", lossless=True)),
        "thumbnails": [encoded(with_thumbnail(*each)) for each in THUMBNAILS],
        "plain": {"jpeg": encoded(plain("JPEG")), "webp": encoded(plain("WEBP"))},
        "refused": {
            "deep": encoded(deep_png()),
            "cmyk": encoded(photo("JPEG", "CMYK")),
            "apng": encoded(animated("PNG")),
            "webp": encoded(animated("WEBP")),
            "tiff": encoded(tiff()),
            "heic": encoded(heif()),
            "text": encoded(b"hello"),
            "cut": encoded(files["rgba"][:60]),
            "cut jpeg": encoded(photo("JPEG")[:300]),
        },
    }
    return in_node(tmp_path_factory.mktemp("node"), SCRIPT, values)


@needs_node
def test_tiles_lie_where_the_library_puts_them(found: dict[str, Any]) -> None:
    for length, axis in zip(LENGTHS, found["axes"], strict=True):
        wanted = plan_axis(length, tile=256, **SETTINGS)
        assert (axis["tile"], tuple(axis["starts"])) == (wanted.tile, wanted.starts)
        np.testing.assert_allclose(axis["weights"], wanted.weights(), atol=1e-6)
        assert axis["source"] == [*wanted.source(0), *wanted.source(wanted.starts[-1])]


@needs_node
def test_tiles_are_blended_as_in_the_library(found: dict[str, Any], image: np.ndarray) -> None:
    planar = image[:, :, :3].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    plan = plan_tiles(170, 140, tile=128, **SETTINGS)
    factors = (0.5 + np.arange(3 * 128 * 128) % 7 / 20).astype(np.float32).reshape(3, 128, 128)
    tiles = (tile * factors for tile in cut(lambda first, last: planar[:, first:last], plan))
    wanted = np.concatenate([rows.copy() for _, rows in blend(tiles, plan)], axis=1)
    got = np.concatenate([np.reshape(planes, (3, count, 140)) for _, count, planes in found["rows"]], axis=1)
    assert [first for first, _, _ in found["rows"]] == [
        0,
        *np.cumsum([count for _, count, _ in found["rows"]])[:-1],
    ]
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    assert found["steps"] == [[done, plan.count] for done in range(plan.count)]


@needs_node
def test_files_that_the_page_cannot_restore_are_named(found: dict[str, Any]) -> None:
    wanted = {
        "deep": "cannot-read this PNG has 16 bits per sample; the page restores 8, "
        "uformer on a computer keeps 16",
        "cmyk": "cannot-read this JPEG has CMYK colours; save it as RGB first",
        "apng": "cannot-read an animation cannot be restored; save its frames as images",
        "webp": "cannot-read an animation cannot be restored; save its frames as images",
        "tiff": "cannot-read TIFF or camera raw cannot be read in the browser; "
        "uformer on a computer reads it",
        "heic": "cannot-read HEIC cannot be read in the browser; uformer on a computer reads it",
        "text": "not-a-picture not a PNG, JPEG or WebP file",
        "cut": "not-a-picture the PNG is cut off",
        "cut jpeg": "not-a-picture the JPEG is damaged",
    }
    assert found["refused"] == {name: f"urn:uformer:{why}" for name, why in wanted.items()}
    assert found["large"] == "urn:uformer:too-many-pixels"


def opened(text: str) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(base64.b64decode(text)))


@needs_node
def test_a_png_comes_back_exactly_and_upright(found: dict[str, Any], files: dict[str, bytes]) -> None:
    for name, data in files.items():
        original = PIL.Image.open(io.BytesIO(data))
        kept = opened(found["made"][name]["keep"])
        assert kept.mode == original.mode
        assert np.array_equal(np.asarray(kept), np.asarray(PIL.ImageOps.exif_transpose(original)))
        assert kept.getexif()[0x0112] == 1
        assert kept.info["icc_profile"] == ICC
        assert (kept.info["Title"], kept.info["XML:com.adobe.xmp"]) == ("a title", XMP.decode())
        inner = kept.getexif().get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003]) == kept.size
        assert (inner[0xA431], kept.getexif()[0x013B]) == ("serial 77", "The owner")


@needs_node
def test_metadata_can_be_made_safe_or_removed(found: dict[str, Any]) -> None:
    safe = base64.b64decode(found["made"]["rgba"]["safe"])
    image = PIL.Image.open(io.BytesIO(safe))
    tags = image.getexif()
    assert dict(tags) | {0x8769: 0} == {0x010F: "A camera", 0x0112: 1, 0x8769: 0}
    assert tags.get_ifd(0x8769) == {0x829A: 0.01}
    assert image.info["icc_profile"] == ICC
    for secret in (b"owner", b"serial", b"private", b"title"):
        assert secret not in safe
        assert secret not in zlib.compress(b"") + base64.b64decode(found["made"]["rgba"]["strip"])
    stripped = opened(found["made"]["rgba"]["strip"])
    assert not stripped.getexif()
    assert stripped.info["icc_profile"] == ICC


@needs_node
def test_a_thumbnail_that_would_have_to_be_turned_is_removed(found: dict[str, Any]) -> None:
    """As the library removes one that it cannot turn: this one is no JPEG."""
    for given, made in zip(THUMBNAILS, found["thumbnails"], strict=True):
        wanted = bytearray(thumbnail.upright(with_thumbnail(*given), given[0]))
        wanted[18:20] = struct.pack(given[2] + "H" if len(given) > 2 else "<H", 1)  # the orientation
        assert base64.b64decode(made) == wanted
    assert seen(base64.b64decode(found["thumbnails"][0])) is None


def test_the_tags_that_are_safe_are_those_of_the_library() -> None:
    script = page_files()["exif.js"].decode()
    for name in ("FIRST", "EXPOSURE"):
        (listed,) = re.findall(rf"^const {name} = new Set\(\[(.*?)\]\);", script, re.MULTILINE | re.DOTALL)
        assert {int(tag, 16) for tag in re.findall(r"0x\w+", listed)} == set(getattr(privacy, f"_{name}"))


@needs_node
def test_jpeg_and_webp_get_their_metadata_back(found: dict[str, Any]) -> None:
    for kind in ("jpeg", "webp"):
        image = opened(found["joined"][kind])
        assert image.convert("RGB").getpixel((5, 5)) == opened(encoded(plain(kind.upper()))).convert(
            "RGB"
        ).getpixel((5, 5))
        assert image.info["icc_profile"] == ICC
        assert image.info["xmp"] == XMP
        assert image.getexif()[0x013B] == "The owner"
    assert opened(found["joined"]["jpeg"]).info["comment"] == b"a comment"
    for bare, source in (("bare", photo("JPEG", quality=95)), ("bareWebp", photo("WEBP", lossless=True))):
        image = opened(found["joined"][bare])
        assert not image.getexif()
        assert "icc_profile" not in image.info
        assert np.array_equal(np.asarray(image), np.asarray(PIL.Image.open(io.BytesIO(source))))


@needs_node
def test_all_orientations(found: dict[str, Any]) -> None:
    grid = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    for orientation, turned in enumerate(found["turns"], start=1):
        image = PIL.Image.fromarray(grid, "RGBA")
        image.getexif()[0x0112] = orientation
        wanted = np.asarray(PIL.ImageOps.exif_transpose(image))
        got = np.reshape(turned["pixels"], (turned["height"], turned["width"], 4))
        assert np.array_equal(got, wanted), orientation
