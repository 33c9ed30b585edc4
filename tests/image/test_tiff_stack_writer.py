"""What is written has the axes, the pixel size and the tags of the stack."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import tifffile

from tests.image.stacks import counts, save_imagej, save_ome
from uformer.errors import PictureError
from uformer.image.tiff_stack import TiffStack, opened_tiff
from uformer.image.tiff_stack_writer import needs_bigtiff, writing_tiff


def copied(source: Path, output: Path) -> None:
    with opened_tiff(source) as stack, writing_tiff(stack, output) as write_page:
        for page in range(stack.count):
            write_page(page, stack.read(page))


@pytest.mark.parametrize(("save", "name"), [(save_imagej, "a.tif"), (save_ome, "a.ome.tif")])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_axes_pixel_size_and_metadata_are_read_back(
    tmp_path: Path, save: Callable[..., np.ndarray], name: str, options: dict[str, str]
) -> None:
    values = save(tmp_path / name, counts(3, 2, 8, 10), "TCYX", **options)
    copied(tmp_path / name, tmp_path / "out.ome.tif")
    with tifffile.TiffFile(tmp_path / name) as before, tifffile.TiffFile(tmp_path / "out.ome.tif") as after:
        assert (after.series[0].axes, after.series[0].shape) == ("TCYX", values.shape)
        assert np.array_equal(after.asarray(), values)
        assert after.ome_metadata == before.ome_metadata
        assert after.imagej_metadata == before.imagej_metadata
        for tag in ("XResolution", "YResolution", "ResolutionUnit", "ImageDescription", "Software"):
            values_of = [each.pages.first.tags.valueof(tag) for each in (before, after)]
            assert values_of[0] == values_of[1]
        assert after.pages.first.compression == before.pages.first.compression


def test_rgb_alpha_tiles_and_byte_order_stay(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (2, 32, 48, 4), dtype=np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        photometric="rgb",
        extrasamples=["unassalpha"],
        tile=(16, 16),
        byteorder=">",
        resolution=(300, 200),
        resolutionunit="CENTIMETER",
    )
    copied(tmp_path / "a.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        page = file.pages.first
        assert (file.byteorder, page.photometric, page.tile) == (">", tifffile.PHOTOMETRIC.RGB, (16, 16))
        assert (page.extrasamples, page.resolution, page.resolutionunit) == ((2,), (300.0, 200.0), 3)
        assert np.array_equal(file.asarray(), values)


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    save_imagej(tmp_path / "a.tif", counts(2, 8, 10), "TYX")

    def stop_after_a_page() -> None:
        with (
            opened_tiff(tmp_path / "a.tif") as stack,
            writing_tiff(stack, tmp_path / "out.tif") as write_page,
        ):
            write_page(0, stack.read(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_after_a_page()
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize(
    ("pages", "page_bytes", "read_from_big", "expected"),
    [
        (9, 2**20, False, False),
        (9, 2**20, True, True),
        (4096, 2**20, False, True),
        (2_000_000, 160, False, True),
    ],
)
def test_large_stacks_are_written_as_bigtiff(
    pages: int, page_bytes: int, *, read_from_big: bool, expected: bool
) -> None:
    page, file = SimpleNamespace(nbytes=page_bytes), SimpleNamespace(is_bigtiff=read_from_big)
    stack = SimpleNamespace(count=pages, tags_of=lambda _: page, file=file)
    assert needs_bigtiff(cast(TiffStack, stack)) == expected


def test_bigtiff_stays_bigtiff(tmp_path: Path) -> None:
    values = counts(3, 40, 50)  # of smaller pages, tifffile thinks that they follow each other without a gap
    tifffile.imwrite(tmp_path / "a.tif", values, bigtiff=True, photometric="minisblack")
    copied(tmp_path / "a.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.is_bigtiff
        assert np.array_equal(file.asarray(), values)


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_imagej(tmp_path / "a.tif", counts(3, 8, 10), "TYX")

    def write(*_: object, **__: object) -> None:
        raise OSError("640 requested and 512 written")  # what numpy says

    monkeypatch.setattr(tifffile.TiffWriter, "write", write)
    with pytest.raises(PictureError, match=r"out\.tif: cannot be written: the disk is full$"):
        copied(tmp_path / "a.tif", tmp_path / "out.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
