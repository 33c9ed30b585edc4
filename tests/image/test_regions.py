"""Reading and writing row by row gives the same as reading and writing the whole image."""

import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from uformer.errors import PictureError
from uformer.image import value_range
from uformer.image.image import Image
from uformer.image.read import Limits, read
from uformer.image.regions import Regions, regions, write_parts
from uformer.image.write import write
from uformer.staging import sweep

HEIGHT, WIDTH = 301, 130
RNG = np.random.default_rng(0)


def vips_image(channels: int = 3, kind: str = "uint8") -> Any:
    samples = RNG.random((HEIGHT, WIDTH, channels), np.float32)
    if kind != "float32":
        samples = (samples * np.iinfo(kind).max).astype(kind)
    spaces = {"uint8": ("b-w", "srgb"), "uint16": ("grey16", "rgb16"), "float32": ("b-w", "scrgb")}
    return pyvips.Image.new_from_array(samples, interpretation=spaces[kind][channels > 2])


def parts(picture: Regions, rows: int) -> Iterator[tuple[int, Image]]:
    for first in range(0, picture.frame.height, rows):
        yield first, picture.part(first, min(first + rows, picture.frame.height))


FILES: dict[str, Any] = {
    "rgb.png": (vips_image(), {}),
    "gray.png": (vips_image(1), {}),
    "alpha16.png": (vips_image(4, "uint16"), {}),
    "interlaced.png": (vips_image(), {"interlace": True}),
    "rgb.jpg": (vips_image(), {}),
    "progressive.jpg": (vips_image(), {"interlace": True}),
    "strips.tif": (vips_image(), {"compression": "deflate"}),
    "plain.tif": (vips_image(2), {}),
    "tiles.tif": (
        vips_image(3, "uint16"),
        {"tile": True, "tile_width": 64, "tile_height": 48, "bigtiff": True},
    ),
    "float.tif": (vips_image(4, "float32") * 1.01, {"compression": "deflate"}),
    "lab.tif": (vips_image().colourspace("lab"), {}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name, (image, options) in FILES.items():
        image.write_to_file(str(folder / name), **options)
    return folder


@pytest.mark.filterwarnings("ignore:.*converted to sRGB")
@pytest.mark.parametrize("name", FILES)
def test_parts_are_those_of_the_whole(folder: Path, tmp_path: Path, name: str) -> None:
    whole = read(folder / name)
    with regions(folder / name, folder=tmp_path) as picture:
        frame = picture.frame
        assert (frame.pixels.shape, frame.depth, frame.suffix, frame.jpeg) == (
            whole.pixels.shape,
            whole.depth,
            whole.suffix,
            whole.jpeg,
        )
        assert frame.metadata == whole.metadata
        assert (frame.alpha is None) == (whole.alpha is None)
        for first, last in ((0, 10), (5, 290), (200, 301), (300, 301), (0, 301), (40, 41)):  # backwards too
            part = picture.part(first, last)
            assert np.array_equal(part.pixels, whole.pixels[first:last])
            if whole.alpha is not None:
                assert part.alpha is not None
                assert np.array_equal(part.alpha, whole.alpha[first:last])
                assert part.alpha.dtype == frame.alpha.dtype  # type: ignore[union-attr]
            if whole.beyond is not None:
                assert np.array_equal(
                    np.zeros(()) if part.beyond is None else part.beyond, whole.beyond[first:last]
                )


@pytest.mark.filterwarnings("ignore:.*converted to sRGB")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("name", FILES)
def test_the_file_is_the_one_that_write_makes(folder: Path, tmp_path: Path, name: str, suffix: str) -> None:
    whole = read(folder / name)
    if whole.alpha is not None and suffix == ".jpg":
        pytest.skip("no alpha in JPEG")
    write(whole, tmp_path / f"whole{suffix}")
    with regions(folder / name, folder=tmp_path) as picture:
        write_parts(picture.frame, parts(picture, 37), tmp_path / f"parts{suffix}")
    assert (tmp_path / f"parts{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()
    assert {path.stem for path in tmp_path.iterdir()} == {"whole", "parts"}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["turned.jpg", "turned.tif"])
def test_turned_pictures_stand_upright(tmp_path: Path, name: str, orientation: int) -> None:
    image = vips_image().copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    image.write_to_file(str(tmp_path / name))
    whole = read(tmp_path / name)
    assert whole.pixels.shape[:2] == ((HEIGHT, WIDTH) if orientation < 5 else (WIDTH, HEIGHT))
    with regions(tmp_path / name, folder=tmp_path) as picture:
        for first, last in ((0, 20), (10, 100), (90, whole.height)):
            assert np.array_equal(picture.part(first, last).pixels, whole.pixels[first:last])


@pytest.mark.parametrize("policy", ["keep", "strip", "safe"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif"])
def test_metadata(tmp_path: Path, turned_exif: bytes, suffix: str, policy: Any) -> None:
    image = vips_image().copy(xres=3.0, yres=4.0)
    for field, value in (("exif-data", b"Exif\0\0" + turned_exif), ("xmp-data", b"<x:xmpmeta/>")):
        image.set_type(pyvips.GValue.blob_type, field, value)
    image = image.icc_transform("srgb", input_profile="srgb")
    image.write_to_file(str(tmp_path / "a.jpg"))
    whole = read(tmp_path / "a.jpg")
    write(whole, tmp_path / f"whole{suffix}", metadata=policy)
    with regions(tmp_path / "a.jpg", folder=tmp_path) as picture:
        assert picture.frame.metadata == whole.metadata
        write_parts(picture.frame, parts(picture, 64), tmp_path / f"parts{suffix}", metadata=policy)
    assert (tmp_path / f"parts{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, HEIGHT - 1), st.integers(1, HEIGHT)), max_size=8))
def test_any_rows_in_any_order(asked: list[tuple[int, int]]) -> None:
    data = vips_image().pngsave_buffer()
    whole = read(data).pixels
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "a.png").write_bytes(data)
        with regions(Path(name) / "a.png", folder=Path(name)) as picture:
            for first, count in asked:
                last = min(first + count, HEIGHT)
                assert np.array_equal(picture.part(first, last).pixels, whole[first:last])


@pytest.mark.parametrize("name", ["rgb.png", "rgb.jpg", "strips.tif"])
def test_a_file_cut_off_is_found_before_any_work(folder: Path, tmp_path: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) * 2 // 3])
    with (
        pytest.raises(PictureError, match=f"^{tmp_path / name}: cannot be read as"),
        regions(tmp_path / name, folder=tmp_path),
    ):
        pytest.fail("came so far")


@pytest.mark.parametrize("orientation", [1, 2, 3, 6])
def test_the_sample_is_that_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int
) -> None:
    monkeypatch.setattr(value_range, "_SAMPLED", 1000)
    image = (vips_image(3, "float32") * 300 - 20).copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    image.write_to_file(str(tmp_path / "a.tif"))
    whole = value_range.sampled(read(tmp_path / "a.tif").values)
    with regions(tmp_path / "a.tif", folder=tmp_path) as picture:
        picture.part(50, 90)
        assert np.array_equal(picture.sampled(), whole)


def test_warnings_are_those_of_read(folder: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="sRGB") as whole:
        read(folder / "lab.tif")
    with pytest.warns(UserWarning, match="sRGB") as part, regions(folder / "lab.tif", folder=tmp_path):
        pass
    assert [str(each.message) for each in part] == [str(each.message) for each in whole]


def test_other_formats_and_limits_are_refused(folder: Path, tmp_path: Path) -> None:
    vips_image().write_to_file(str(tmp_path / "a.webp"))
    with (
        pytest.raises(PictureError, match="WebP cannot be read by regions"),
        regions(tmp_path / "a.webp", folder=tmp_path),
    ):
        pytest.fail("came so far")
    with (
        pytest.raises(PictureError, match="limit"),
        regions(folder / "rgb.png", folder=tmp_path, limits=Limits(max_pixels=100)),
    ):
        pytest.fail("came so far")


def test_what_stops_half_way_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    def half(picture: Regions) -> Iterator[tuple[int, Image]]:
        yield 0, picture.part(0, 100)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), regions(folder / "rgb.png", folder=tmp_path) as picture:
        write_parts(picture.frame, half(picture), tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


KILLED = """
import os, pathlib, sys
from uformer.image.regions import regions, write_parts

source, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])

def half(picture):
    yield 0, picture.part(0, 200)
    os.kill(os.getpid(), 9)

with regions(source, folder=folder) as picture:
    write_parts(picture.frame, half(picture), folder / "out.png")
"""


def test_what_a_killed_process_left_goes_with_the_next(folder: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, folder / "rgb.png", tmp_path],
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert ended.returncode == -9
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size], (
        "the samples have no name"
    )
    sweep.cache_clear()  # like a new process
    with regions(folder / "rgb.png", folder=tmp_path) as picture:
        write_parts(picture.frame, [(0, picture.part(0, picture.frame.height))], tmp_path / "out.png")
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


def test_a_disk_that_is_too_small_is_named_before_any_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "uformer.image.regions.shutil.disk_usage", lambda _path: types.SimpleNamespace(free=1000)
    )
    with (
        regions(folder / "rgb.png", folder=tmp_path) as picture,
        pytest.raises(PictureError, match=r"out\.png: .* GB of disk space"),
    ):
        write_parts(picture.frame, iter(()), tmp_path / "out.png")


def test_pixels_that_are_not_finite_are_refused(folder: Path, tmp_path: Path) -> None:
    with regions(folder / "rgb.png", folder=tmp_path) as picture:
        part = picture.part(0, 5)
        spoilt = part.with_pixels(part.pixels * np.float32(np.nan))
        with pytest.raises(PictureError, match="not finite"):
            write_parts(picture.frame, [(0, spoilt)], tmp_path / "out.png")


def test_a_few_rows_back_need_no_second_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vips_image().write_to_file(str(tmp_path / "a.png"))
    whole = read(tmp_path / "a.png").pixels
    with regions(tmp_path / "a.png", folder=tmp_path) as picture:
        monkeypatch.setattr(type(picture._file), "again", lambda _: pytest.fail("decoded again"))
        for first, last in ((0, 200), (200, 260), (140, 204), (100, 110), (250, 301), (130, 301)):
            assert np.array_equal(picture.part(first, last).pixels, whole[first:last])
