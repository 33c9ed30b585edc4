"""What is written has the layout and the metadata of the stack, and a pyramid of its own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from tests.image.stacks import counts
from tests.image.zarrs import save_ome
from uformer.errors import OptionError, PictureError
from uformer.image.zarr_stack import opened_zarr
from uformer.image.zarr_stack_writer import bins, writing_zarr


def copied(source: Path, output: Path, *, more: int = 0) -> None:
    """Write a copy with `more` added to each sample."""
    with opened_zarr(source) as stack, writing_zarr(stack, output) as write_page:
        for page in range(stack.count):
            write_page(page, stack.read(page) + stack.dtype.type(more))


@pytest.mark.parametrize("version", [2, 3])
def test_layout_and_metadata_stay(tmp_path: Path, version: int) -> None:
    shards: dict[str, Any] = {"shards": (1, 2, 8, 8)} if version == 3 else {}
    values = save_ome(
        tmp_path / "a.zarr", counts(2, 2, 9, 10), "czyx", version=version, chunks=(1, 1, 4, 4), **shards
    )
    zarr.consolidate_metadata(tmp_path / "a.zarr")
    zarr.open_group(tmp_path / "a.zarr").create_array("labels", shape=(9, 10), dtype="uint8")
    copied(tmp_path / "a.zarr", tmp_path / "out.zarr", more=7)
    before, after = (zarr.open_group(tmp_path / name, mode="r") for name in ("a.zarr", "out.zarr"))
    assert after.attrs.asdict() == before.attrs.asdict()
    assert after.metadata.consolidated_metadata is not None
    assert np.array_equal(np.asarray(after["0"]), values + 7)
    for level in "01":
        documents = [
            {name: json.loads((tmp_path / each / level / name).read_text()) for name in names}
            for each in ("a.zarr", "out.zarr")
            for names in [["zarr.json"] if version == 3 else [".zarray", ".zattrs"]]
        ]
        assert documents[0] == documents[1]
    assert sorted(after.array_keys()) == ["0", "1"]
    mean = (values[..., :8, :] + 7.0).reshape(2, 2, 4, 2, 5, 2).mean(axis=(3, 5))
    assert np.array_equal(np.asarray(after["1"])[:, :, :4], np.rint(mean))


def test_a_level_may_be_smaller_in_depth_too(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    values = np.random.default_rng(0).random((4, 6, 8)).astype(np.float32)
    group.create_array("s/0", data=values)
    group.create_array("s/1", shape=(2, 3, 4), dtype="float32")
    levels = [{"path": "s/0"}, {"path": "s/1"}]
    group.attrs["ome"] = {"multiscales": [{"axes": [{"name": name} for name in "zyx"], "datasets": levels}]}
    copied(tmp_path / "a.zarr", tmp_path / "out.zarr")
    found = np.asarray(zarr.open_array(tmp_path / "out.zarr/s/1"))
    assert np.allclose(found, values.reshape(2, 2, 3, 2, 4, 2).mean(axis=(1, 3, 5)))


@pytest.mark.parametrize(
    ("whole", "part", "edges"),
    [
        (8, 4, [0, 2, 4, 6, 8]),
        (9, 4, [0, 2, 4, 6, 8]),
        (9, 5, [0, 2, 4, 6, 8, 9]),
        (3, 3, [0, 1, 2, 3]),
        (10, 7, [0, 1, 2, 4, 5, 7, 8, 10]),
        (1, 1, [0, 1]),
    ],
)
def test_bins_of_a_pyramid(whole: int, part: int, edges: list[int]) -> None:
    assert bins(whole, part).tolist() == edges


def test_an_output_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    save_ome(tmp_path / "a.zarr", counts(2, 8, 10), "zyx")

    def stop_after_a_page(output: Path) -> None:
        with opened_zarr(tmp_path / "a.zarr") as stack, writing_zarr(stack, output) as write_page:
            write_page(0, stack.read(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_after_a_page(tmp_path / "out.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]
    old = save_ome(tmp_path / "out.zarr", counts(3, 8, 10), "zyx")
    with pytest.raises(KeyboardInterrupt):
        stop_after_a_page(tmp_path / "out.zarr")
    assert np.array_equal(np.asarray(zarr.open_array(tmp_path / "out.zarr/0")), old)
    copied(tmp_path / "a.zarr", tmp_path / "out.zarr")
    assert zarr.open_array(tmp_path / "out.zarr/0").shape == (2, 8, 10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr", "out.zarr"]


def test_errors_of_the_caller_stay_what_they_are(tmp_path: Path) -> None:
    save_ome(tmp_path / "a.zarr", counts(8, 10), "yx")
    with opened_zarr(tmp_path / "a.zarr") as stack:
        with pytest.raises(OptionError, match="^mine$"), writing_zarr(stack, tmp_path / "out.zarr"):
            raise OptionError("mine")
        writing = writing_zarr(stack, tmp_path / "none/out.zarr")
        with pytest.raises(PictureError, match="out.zarr: cannot be written: "), writing:
            pass


def test_what_was_there_comes_back_if_the_last_step_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_ome(tmp_path / "a.zarr", counts(2, 8, 10), "zyx")
    old = save_ome(tmp_path / "out.zarr", counts(3, 8, 10), "zyx")
    rename = Path.rename

    def fail_once(path: Path, target: Path) -> Path:
        if path.name == "out.zarr" and target.name == "out.zarr":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(PictureError, match="out.zarr: cannot be written: No space left on device"):
        copied(tmp_path / "a.zarr", tmp_path / "out.zarr")
    assert np.array_equal(np.asarray(zarr.open_array(tmp_path / "out.zarr/0")), old)


def test_other_folders_are_not_replaced(tmp_path: Path) -> None:
    save_ome(tmp_path / "a.zarr", counts(8, 10), "yx")
    (tmp_path / "mine").mkdir()
    with pytest.raises(PictureError, match="mine: exists and is not a Zarr"):
        copied(tmp_path / "a.zarr", tmp_path / "mine")
