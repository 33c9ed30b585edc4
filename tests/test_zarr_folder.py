from pathlib import Path

from uformer.zarr_folder import is_meant, is_zarr, size_of, stamp


def test_which_folders_are_images(tmp_path: Path) -> None:
    for name in ("a.zarr", "image", "photos"):
        (tmp_path / name).mkdir()
    (tmp_path / "image/.zgroup").write_text("{}")
    (tmp_path / "b.zarr").write_text("a file")
    assert [is_zarr(tmp_path / name) for name in ("a.zarr", "image", "photos")] == [False, True, False]
    meant = [is_meant(tmp_path / name) for name in ("a.zarr", "image", "photos", "b.zarr", "none.zarr")]
    assert meant == [True, True, False, False, False]


def test_size_and_time_cover_all_files(tmp_path: Path) -> None:
    (tmp_path / "a/0").mkdir(parents=True)
    (tmp_path / "a/0/0").write_bytes(b"12345")
    before = stamp(tmp_path / "a")
    assert before[0] == size_of(tmp_path / "a") == size_of(tmp_path / "a/0/0") == 5
    (tmp_path / "a/0/1").write_bytes(b"67")
    assert stamp(tmp_path / "a")[0] == 7
    assert stamp(tmp_path / "a")[1] >= before[1]
