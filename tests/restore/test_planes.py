"""Every plane of a stack is restored; channels keep their own ranges, and pages share them."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from tests.image.stacks import counts, save_imagej
from tests.image.zarrs import save_ome
from tests.restore.conftest import Run
from tests.restore.stand_in import StandIn
from uformer.errors import PictureError
from uformer.image.image import Pixels
from uformer.image.value_range import FULL, ValueRange
from uformer.restore.planes import restore_stack


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[int, ...], ValueRange]]:
    """Let the stand-in add a hundredth of the range to each plane, and return what it restored."""
    found: list[tuple[tuple[int, ...], ValueRange]] = []

    def restore(
        _self: StandIn,
        pixels: Pixels,
        *,
        used: ValueRange = FULL,
        progress: Callable[[int, int], None] | None = None,
        **_: object,
    ) -> Pixels:
        found.append((pixels.shape, used))
        if progress is not None:
            progress(1, 2)
            progress(2, 2)
        return pixels + np.float32(0.01 * used.width)

    monkeypatch.setattr(StandIn, "restore_pixels", restore)
    return found


def test_pages_share_a_range_and_channels_do_not(
    tmp_path: Path, seen: list[tuple[tuple[int, ...], ValueRange]]
) -> None:
    values = np.stack([counts(3, 16, 20), counts(3, 16, 20, low=20_000, high=60_000)], axis=1)
    values[1, 0] //= 2  # a dark frame
    save_imagej(tmp_path / "a.tif", values, "TCYX")
    steps: list[tuple[int, int]] = []
    pages: list[tuple[int, int]] = []
    ranges = restore_stack(
        StandIn(),
        tmp_path / "a.tif",
        tmp_path / "out.tif",
        progress=lambda *step: steps.append(step),
        page_started=lambda *page: pages.append(page),
    )
    assert [used for _, used in seen] == ranges * 3
    assert ranges[1] == FULL != ranges[0]
    assert (pages[0], pages[-1]) == ((1, 6), (6, 6))
    assert (steps[0], steps[-1]) == ((1, 12), (12, 12))
    restored = tifffile.imread(tmp_path / "out.tif").astype(int)
    assert restored.shape == values.shape
    low, high = ranges[0].samples(16)
    assert np.allclose((restored - values)[:, 0], 0.01 * (high - low), atol=1)


def test_rgb_in_colour_and_alpha_unchanged(
    tmp_path: Path, seen: list[tuple[tuple[int, ...], ValueRange]]
) -> None:
    values = np.random.default_rng(0).integers(0, 200, (2, 8, 10, 4), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unassalpha"])
    restore_stack(StandIn(), tmp_path / "a.tif", tmp_path / "out.tif")
    restored = tifffile.imread(tmp_path / "out.tif")
    assert seen == [((8, 10, 3), FULL)] * 2
    assert np.array_equal(restored[..., 3], values[..., 3])
    assert np.array_equal(restored[..., :3], np.rint(values[..., :3] + 2.55))


def test_floats_stay_floats(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(-300, 50, (3, 8, 10)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    (used,) = restore_stack(StandIn(), tmp_path / "a.tif", tmp_path / "out.tif")
    restored = tifffile.imread(tmp_path / "out.tif")
    assert restored.dtype == np.float32
    assert np.allclose(restored - values, 0.01 * used.width, rtol=1e-3)


def test_what_a_stack_cannot_become(tmp_path: Path) -> None:
    save_imagej(tmp_path / "a.tif", counts(2, 8, 10), "TYX")
    with pytest.raises(PictureError, match="is written as TIFF; name an output that ends in .tif, not .png"):
        restore_stack(StandIn(), tmp_path / "a.tif", tmp_path / "out.png")
    with pytest.raises(PictureError, match="--metadata strip is not possible"):
        restore_stack(StandIn(), tmp_path / "a.tif", tmp_path / "out.tif", metadata="strip")


def test_the_command_restores_stacks_among_images(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    values = save_imagej(tmp_path / "in/a.tif", counts(3, 2, 8, 10), "TCYX")
    tifffile.imwrite(tmp_path / "in/b.tif", counts(8, 10))
    code, out, err = run("in", "--json")
    assert (code, "2 of 2 images restored" in err) == (0, True)
    records = {Path(record["input"]).name: record for record in map(json.loads, out.splitlines())}
    assert (records["a.tif"]["pages"], records["b.tif"]["pages"]) == (6, None)
    assert len(records["a.tif"]["range"]) == 2
    assert tifffile.imread(tmp_path / "in.restored/a.tif").shape == values.shape
    code, _, err = run("in/a.tif", "-o", "out.png")
    assert (code, "is written as TIFF; name an output that ends in .tif" in err) == (1, True)


def test_in_python_a_path_is_enough(tmp_path: Path) -> None:
    values = save_imagej(tmp_path / "a.tif", counts(3, 8, 10), "ZYX")
    output = StandIn()(tmp_path / "a.tif", output=tmp_path / "out.tif")
    with tifffile.TiffFile(output) as file:
        assert (file.series[0].axes, file.series[0].shape) == ("ZYX", values.shape)


def test_an_image_becomes_no_zarr(run: Run, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "b.tif", counts(8, 10))
    code, _, err = run("b.tif", "-o", "b.zarr")
    assert (code, "only a Zarr can be written as Zarr; use .tif" in err, err.count("\n")) == (1, True, 1)


def test_a_zarr_becomes_a_zarr(run: Run, tmp_path: Path) -> None:
    values = np.stack([counts(2, 8, 10), counts(2, 8, 10, low=20_000, high=60_000)], axis=1)
    save_ome(tmp_path / "a.ome.zarr", values, "tcyx")
    code, out, err = run("a.ome.zarr", "-o", "out.zarr", "--json")
    assert (code, err) == (0, "uformer: a.ome.zarr: ranges of the channels: 100 to 399, full\n")
    record = json.loads(out)
    assert (record["pages"], record["bytes"] > 500) == (4, True)
    restored = np.asarray(zarr.open_array(tmp_path / "out.zarr/0"))
    assert np.allclose(restored[:, 1].astype(int) - values[:, 1], 655, atol=1)
    for output, why in (("out.tif", "is written as Zarr"), ("a.ome.zarr", "would replace the input")):
        code, _, err = run("a.ome.zarr", "-o", output, "--overwrite")
        assert (code in (1, 2), why in err) == (True, True)
    code, _, err = run("a.ome.zarr/0", "-o", "a.ome.zarr", "--overwrite")
    assert (code, "a.ome.zarr: would replace or change the input" in err) == (1, True)
    assert (tmp_path / "a.ome.zarr/1/zarr.json").exists()


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "uint32", "int64", "float16", "float64"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_samples_of_instruments_keep_type_and_tags(
    tmp_path: Path, seen: list[tuple[tuple[int, ...], ValueRange]], kind: str, compression: str
) -> None:
    values = np.random.default_rng(0).integers(0, 100, (2, 8, 10)).astype(kind)
    options: dict[str, Any] = {"compression": compression, "resolution": (10, 20), "description": "CT"}
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", metadata=None, **options)
    restorer = StandIn()
    restorer.options = dataclasses.replace(restorer.options, range="-100:300")
    assert restore_stack(restorer, tmp_path / "a.tif", tmp_path / "out.tif") == [ValueRange(-100, 300)]
    assert [used for _, used in seen] == [ValueRange(-100, 300)] * 2
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        restored, page = file.asarray(), file.pages.first
        assert (page.description, page.resolution) == ("CT", (10, 20))
        assert (page.compression == 1) == (compression is None)
    assert restored.dtype == kind
    assert np.array_equal(restored, values + values.dtype.type(4))  # a hundredth of the range


def test_what_one_page_of_data_cannot_become(run: Run, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", counts(8, 10).astype(np.int16))
    for words, said in (
        (["-o", "out.png"], "has int16 samples, and is written as TIFF; name an output that ends in .tif"),
        (["--task", "auto"], "has int16 samples, and auto looks at single photos only"),
        (["--report"], "has int16 samples; --report and --keep-residual are for single photos only"),
    ):
        code, _, err = run("a.tif", *words)
        assert (code, said in err) == (1, True)
