import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.image.cameras import dng, heic, needs_heic, needs_raw, ramp
from tests.restore.stand_in import save_picture, tree
from uformer.image import extras
from uformer.image.extras import can_read
from uformer.image.read import read
from uformer.restore.forms import default_output
from uformer.restore.unread import is_unread_image, reason, summary

Run = Callable[..., tuple[int, str, str]]
MISSING = 'pip install "uformer[heic]"'


@pytest.fixture
def without_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_is_installed", lambda module: module != "pillow_heif")


def fill(folder: Path) -> None:
    """Write one PNG, and images that are not read."""
    save_picture(folder / "a.png")
    for name, data in (
        ("b.HEIC", b"?"),
        ("c.heic", b"?"),
        ("d.bmp", b"BM"),
        ("unnamed", b"\xff\xd8\xff\xe0"),
        ("e.dat", b"8BPS\0\1"),
        ("notes.txt", b"hello"),
        (".hidden.bmp", b"BM"),
        ("page.html", b"<html><svg></svg>"),
    ):
        (folder / name).write_bytes(data)


@pytest.mark.usefixtures("without_heic")
def test_a_folder_names_what_it_leaves_out(run: Run, tmp_path: Path) -> None:
    fill(tmp_path / "in")
    code, _, err = run("in")
    assert code == 0
    assert err.splitlines()[-2:] == [
        "uformer: 1 of 1 image restored into in.restored",
        f"uformer: left out: 2 .heic ({MISSING}), 1 without a suffix, 1 .bmp, 1 .dat",
    ]
    assert tree(tmp_path / "in.restored") == ["a.png"]
    assert run("in", "--quiet", "--overwrite")[2] == ""


@pytest.mark.usefixtures("without_heic")
def test_json_has_a_record_for_each(run: Run, tmp_path: Path) -> None:
    fill(tmp_path / "in")
    _, out, _ = run("in", "--json")
    records = {each["input"]: each for each in map(json.loads, out.splitlines())}
    left_out = {name for name, each in records.items() if each["status"] == "left_out"}
    assert left_out == {f"in/{name}" for name in ("b.HEIC", "c.heic", "d.bmp", "unnamed", "e.dat")}
    assert records["in/b.HEIC"]["error"] == f"in/b.HEIC: HEIC needs an extra; run: {MISSING}"
    assert records["in/b.HEIC"]["output"] is None
    assert "convert the image" in records["in/d.bmp"]["error"]


@pytest.mark.usefixtures("without_heic")
def test_a_folder_of_nothing_else_is_an_error_that_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/b.heic").write_bytes(b"?")
    code, _, err = run("in")
    assert code == 1
    assert err.rstrip().endswith(f"left out: 1 .heic ({MISSING})")


def test_a_pattern_counts_only_what_it_names(run: Run, tmp_path: Path) -> None:
    fill(tmp_path / "in")
    assert "left out" not in run("in/*.png")[2]
    assert "left out: " in run("in/*", "-o", "out")[2]


def test_heic_and_raw_in_a_folder(run: Run, tmp_path: Path) -> None:
    needs_heic()
    needs_raw()
    (tmp_path / "in").mkdir()
    gray = np.full((16, 24, 3), 99, np.uint8)
    (tmp_path / "in/a.HEIC").write_bytes(heic(gray, "RGB"))
    (tmp_path / "in/b.dng").write_bytes(dng(ramp()))
    (tmp_path / "in/c.jpg").write_bytes(heic(gray, "RGB"))  # judged by its contents
    code, _, err = run("in")
    assert code == 0, err
    assert tree(tmp_path / "in.restored") == ["a.jpg", "b.tif", "c.jpg"]
    assert (tmp_path / "in.restored/b.tif").read_bytes()[:2] in (b"II", b"MM")
    assert "left out" not in err


def test_one_file_and_outputs_beside_it(run: Run, tmp_path: Path) -> None:
    needs_heic()
    (tmp_path / "a.heic").write_bytes(heic(np.full((16, 24, 3), 99, np.uint8), "RGB"))
    assert run("a.heic") == (0, "a.restored.jpg\n", "")
    assert run("a.heic", "-o", "a.png")[:2] == (0, "a.png\n")
    code, _, err = run("a.heic", "-o", "b.heic")
    assert code == 2
    assert err == "uformer: error: b.heic: HEIC cannot be written; use .png, .jpg, .webp, .tif or .avif\n"
    assert "1 output of earlier runs left out" in run("*.[hj]*")[2]


@pytest.mark.usefixtures("without_heic")
def test_what_is_taken_and_why_not(tmp_path: Path) -> None:
    assert can_read(".PNG")
    assert not can_read(".Heic")
    assert can_read(".gif")
    assert not can_read(".bmp")
    assert reason(Path("a.heic")).endswith(MISSING)
    assert "suffix" in reason(tmp_path / "a")
    assert not is_unread_image(tmp_path / "not there")
    assert not is_unread_image(tmp_path)
    assert summary([]) == ""


def test_the_default_output_in_python() -> None:
    assert default_output(Path("a.HEIC")) == Path("a.restored.jpg")
    assert default_output(Path("in/a.nef")) == Path("in/a.restored.tif")
    assert default_output(Path("a.PNG")) == Path("a.restored.PNG")


def test_camera_raw_becomes_dng_where_asked(run: Run, tmp_path: Path) -> None:
    needs_raw()
    (tmp_path / "a.dng").write_bytes(dng(ramp()))
    save_picture(tmp_path / "b.png")
    assert run("a.dng", "-o", "c.dng") == (0, "c.dng\n", "")
    assert run("a.dng")[:2] == (0, "a.restored.tif\n")
    tiff, developed = read(tmp_path / "a.restored.tif"), read(tmp_path / "c.dng")
    assert np.abs(tiff.pixels - developed.pixels).max() < 0.001
    refusal = "only a camera raw image can be written as DNG; use .tif, which also holds 16 bits"
    assert run("b.png", "-o", "d.dng") == (1, "", f"uformer: error: b.png: {refusal}\n")
    assert run("a.dng", "-o", "d.nef")[2].endswith(".avif (for camera raw also .dng)\n")
    assert not (tmp_path / "d.dng").exists()


def test_a_zarr_without_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zarr").mkdir()
    monkeypatch.setattr(extras, "_is_installed", lambda _: False)
    assert is_unread_image(tmp_path / "a.zarr")
    assert reason(tmp_path / "a.zarr") == 'Zarr needs an extra; run: pip install "uformer[zarr]"'
    assert summary([tmp_path / "a.zarr"]) == 'left out: 1 .zarr (pip install "uformer[zarr]")'
