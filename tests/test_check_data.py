import math
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.data.pictures import lock, make_pairs, photo, save
from tests.image.cameras import dng, heic, needs_heic, needs_raw, ramp
from uformer.check_data import best_shift
from uformer.cli import main
from uformer.data.captions import HEIGHT
from uformer.image import extras
from uformer.image.read import read


def test_a_good_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_pairs(tmp_path / "set", 5)
    monkeypatch.chdir(tmp_path)
    assert main(["data", "check", "set"]) == 0
    out = capsys.readouterr().out
    assert "5 pairs, 0 problems" in out
    assert "channels: 3 (5)" in out
    assert "sizes: 48 wide, 40 high" in out
    assert "PSNR of the degraded images: 28." in out
    assert "misaligned" not in out
    assert "contact sheet: set.check.png, with 5 pairs" in out
    page = read(tmp_path / "set.check.png").pixels
    assert page.shape == (3 * (HEIGHT + 40) + 2 * 4, 4 * 150 + 3 * 4, 3)
    assert np.allclose(page[HEIGHT : HEIGHT + 40, 154:202], photo(seed=0) / 255, atol=1e-3)


def test_an_existing_sheet_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_pairs(tmp_path)
    sheet = tmp_path / "sheet.png"
    sheet.write_bytes(b"mine")
    assert main(["data", "check", str(tmp_path), "--sheet", str(sheet)]) == 2
    assert sheet.read_bytes() == b"mine"
    assert "sheet.png exists; add" in capsys.readouterr().err
    assert main(["data", "check", str(tmp_path), "--sheet", str(sheet), "--overwrite", "--samples", "1"]) == 0
    assert read(sheet).height == HEIGHT + 40


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "nowhere/s.png"], "there is no folder nowhere"),
        (["-o", "s.xyz"], "unknown format"),
        (["--samples", "-1"], "-1: must not be"),
    ],
)
def test_what_cannot_be_written_is_known_at_once(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_pairs(tmp_path / "set")
    assert main(["data", "check", "set", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err


def test_problems_come_at_the_end_each_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_pairs(tmp_path, 4)
    (tmp_path / "degraded" / "1.png").write_bytes(b"no picture")
    save(tmp_path / "clean" / "2.png", photo(40, 50))
    assert main(["data", "check", str(tmp_path), "-o", str(tmp_path / "s.png")]) == 1
    captured = capsys.readouterr()
    assert "4 pairs, 2 problems" in captured.out
    assert captured.err.count("\n") == captured.err.count("uformer: error: ") == 2
    assert "1.png: not a PNG" in captured.err
    assert "2: the sizes differ, 48 x 40 and 50 x 40" in captured.err


def test_names_without_partner_come_with_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_pairs(tmp_path, 3)
    (tmp_path / "degraded" / "1.png").write_bytes(b"no picture")
    for name in ("degraded/left.png", "clean/right.png", "clean/2.jpg"):
        save(tmp_path / name, photo())
    assert main(["data", "check", str(tmp_path), "-o", str(tmp_path / "s.png")]) == 1
    captured = capsys.readouterr()
    assert "3 pairs, 4 problems" in captured.out
    assert "channels: 3 (2)" in captured.out
    for said in (
        "two images with the same name",
        "left.png: no image with the same name",
        "right.png: no image with the same name",
        "not a PNG",
    ):
        assert captured.err.count(said) == 1
    assert captured.err.count("\n") == captured.err.count("uformer: error: ") == 4


def test_a_check_is_not_counted_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "photos" / "a.png", photo())
    monkeypatch.chdir(tmp_path / "photos")
    assert main(["data", "check", "."]) == 0
    assert "left out" not in capsys.readouterr().out
    assert main(["data", "check", ".", "--overwrite"]) == 0
    out = capsys.readouterr().out
    assert "1 image, 0 problems" in out
    assert "left out, made by uformer: 1 (photos.check.png)" in out


def test_a_folder_that_cannot_be_read_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "set" / "a.png", photo())
    (tmp_path / "set" / "locked").mkdir()
    monkeypatch.chdir(tmp_path)
    lock(monkeypatch, "locked")
    assert main(["data", "check", "set"]) == 1
    captured = capsys.readouterr()
    assert "1 image, 1 problem\n" in captured.out
    assert captured.err.startswith("uformer: error: set/locked: Permission denied; ")
    assert main(["data", "check", "set/locked"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "0 images, 1 problem\n"
    assert captured.err.startswith("uformer: error: set/locked: Permission denied; ")


def test_misaligned_pairs_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_pairs(tmp_path, 2)
    moved = np.roll(photo(seed=1), (1, -2), (0, 1))
    save(tmp_path / "degraded" / "1.png", moved)
    assert (
        main(
            [
                "data",
                "check",
                "--degraded",
                str(tmp_path / "degraded"),
                "--clean",
                str(tmp_path / "clean"),
                "-o",
                str(tmp_path / "s.png"),
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "probably misaligned: 1 pair\n" in out
    assert "moved by -1 down, 2 right" in out


def test_shift_of_a_picture_too_small_to_tell() -> None:
    assert best_shift(np.zeros((9, 9, 3), np.float32), np.ones((9, 9, 3), np.float32)) is None


def test_clean_pictures_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(5):
        save(tmp_path / "set" / f"{index}.png", photo(seed=index))
    assert main(["data", "check", str(tmp_path / "set"), "-o", str(tmp_path / "s.png")]) == 0
    assert "5 images, 0 problems" in capsys.readouterr().out
    assert read(tmp_path / "s.png").width == 4 * 150 + 3 * 4


@pytest.mark.parametrize("arguments", [[], ["a", "--degraded", "b", "--clean", "c"], ["--clean", "c"]])
def test_options_that_do_not_go_together(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", *arguments]) == 2
    assert "give one folder, or both --degraded and --clean" in capsys.readouterr().err


def test_one_pair_is_no_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_pairs(tmp_path / "mine", 1)
    assert main(["data", "check", str(tmp_path / "mine"), "--sheet", str(tmp_path / "s.png")]) == 0
    assert capsys.readouterr().out.startswith("1 pair, 0 problems\n")


def test_data_in_a_small_part_of_its_range_is_seen_and_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for number in range(3):
        clean = 100 + 300 * (photo(64, 80, seed=number)[..., 0] / 255)
        save(tmp_path / "set" / "clean" / f"{number}.png", np.rint(clean).astype(np.uint16))
        noisy = clean + rng.normal(0, 15, clean.shape)
        save(tmp_path / "set" / "degraded" / f"{number}.png", np.rint(noisy).astype(np.uint16))
    monkeypatch.chdir(tmp_path)
    assert main(["data", "check", "set"]) == 0
    assert "PSNR of the degraded images: 2" in capsys.readouterr().out  # at full range it is 73 dB
    page = read(tmp_path / "set.check.png").pixels
    assert page[:64, :80].mean() > 0.3
    assert page[:64, :80].std() > 0.1
    assert main(["data", "check", "set", "--range", "full", "--overwrite"]) == 0
    assert "PSNR of the degraded images: 7" in capsys.readouterr().out


def test_heic_and_raw_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs_heic()
    needs_raw()
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.heic").write_bytes(heic(np.full((40, 48, 3), 99, np.uint8), "RGB"))
    (tmp_path / "set/b.dng").write_bytes(dng(ramp(40, 48)))
    assert main(["data", "check", str(tmp_path / "set"), "-o", str(tmp_path / "s.png")]) == 0
    out = capsys.readouterr().out
    assert "2 images, 0 problems" in out
    assert "sizes: 48 wide, 40 high" in out


def test_what_needs_an_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_pairs(tmp_path / "set", 1)
    (tmp_path / "set/clean/b.heic").touch()
    monkeypatch.setattr(extras, "_is_installed", lambda _: False)
    assert main(["data", "check", str(tmp_path / "set"), "-o", str(tmp_path / "s.png")]) == 0
    assert 'left out: 1 .heic (pip install "uformer[heic]")' in capsys.readouterr().out


def test_images_of_instruments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, kind in enumerate(("int16", "uint32", "float64")):
        values = np.random.default_rng(number).integers(0, 3000, (40, 48)).astype(kind)
        tifffile.imwrite(tmp_path / f"{kind}.tif", values)
    assert main(["data", "check", str(tmp_path), "--sheet", str(tmp_path / "sheet.png")]) == 0
    said = capsys.readouterr().out
    assert "3 images, 0 problems" in said
    assert "channels: 1 (3)" in said


def test_pairs_with_large_counts_are_scored_with_all_their_digits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = np.random.default_rng(0).integers(0, 300, (40, 48))
    for name, more in (("degraded", 3), ("clean", 0)):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "a.tif", (counts + 2**30 + more).astype(np.uint32))
    options = ["--range", f"{2**30}:{2**30 + 303}", "--sheet", str(tmp_path / "sheet.png")]
    assert main(["data", "check", str(tmp_path), *options]) == 0
    score = 20 * math.log10(303 / 3)
    assert f"PSNR of the degraded images: {score:.2f} to {score:.2f} dB" in capsys.readouterr().out
