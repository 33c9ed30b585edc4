"""TIFF and Zarr are opened and written through the same functions."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.image.stacks import counts, save_imagej
from tests.image.zarrs import save_ome
from uformer.image.any_stack import any_header, is_stack, left_out, opened_stack, suffixes_for, writing


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_the_kind_of_the_input_is_that_of_the_output(tmp_path: Path, suffix: str) -> None:
    path, out = tmp_path / f"a{suffix}", tmp_path / f"out{suffix}"
    values = counts(3, 8, 10)
    if suffix == ".tif":
        save_imagej(path, values, "ZYX")
    else:
        save_ome(path, values, "zyx")
    assert is_stack(path)
    assert (any_header(path).frames, bool(any_header(path).stack), suffixes_for(path)[0]) == (3, True, suffix)
    with opened_stack(path) as stack, writing(stack, out) as write_page:
        assert not left_out(stack)
        for page in range(stack.count):
            write_page(page, stack.read(page))
    with opened_stack(out) as stack:
        assert np.array_equal([stack.read(page)[..., 0] for page in range(3)], values)


def test_single_images_are_no_stacks(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", counts(8, 10))
    assert not is_stack(tmp_path / "a.tif")
    assert not is_stack(tmp_path)
    assert any_header(tmp_path / "a.tif").width == 10
