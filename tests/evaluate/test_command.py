"""`uformer eval` from end to end: numbers by hand, files whole, inputs untouched, one line for each thing that is wrong."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import scipy.io

from tests.evaluate.conftest import save_dnd, save_pairs, save_picture, save_sidd
from tests.networks import TINY, build
from uformer.cli import main
from uformer.evaluate import command
from uformer.restore.restorer import Restorer
from uformer.weights import checkpoint, registry

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(identity: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run `uformer eval ...` in a folder with weights, tiny.safetensors, that change nothing."""
    monkeypatch.chdir(tmp_path)
    checkpoint.save(tmp_path / "tiny.safetensors", build(TINY))

    def run(*arguments: str, weights: bool = True) -> tuple[int, str, str]:
        named = ["--weights", "tiny.safetensors"] if weights else []
        code = main(["eval", *arguments, *named])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_pairs_by_hand(run: Run, tmp_path: Path) -> None:
    save_pairs(tmp_path / "data", {"a": (100, 101), "b": (100, 110)})
    code, out, err = run("pairs", "data", "--json", "out.json")
    assert (code, err) == (0, "")
    (row,) = (line.split() for line in out.splitlines() if line.startswith("measured"))
    by_hand = f"{(20 * math.log10(255) + 20 * math.log10(25.5)) / 2:.2f}"
    assert row[1:3] == ["2", by_hand]
    assert row[4] == by_hand
    values = json.loads((tmp_path / "out.json").read_text())
    assert values["results"][0]["scores"][0]["restored"]["psnr"] == pytest.approx(20 * math.log10(255), abs=1e-4)
    assert values["protocol"]["name"] == "pairs"


def test_two_folders(run: Run, tmp_path: Path) -> None:
    save_pairs(tmp_path, {"a": (100, 110)}, names=("noisy", "truth"))
    assert f"{20 * math.log10(25.5):.2f}" in run("pairs", "noisy", "truth")[1]


def test_rain_is_scored_on_luma(run: Run, tmp_path: Path) -> None:
    save_pairs(tmp_path / "data", {"rain-001": (100, 100)}, names=("rainy", "x"))
    save_picture(tmp_path / "data/norain-001.png", level=110)
    _, out, _ = run("rain100l", "data")
    y = [round(16 + 219 * level / 255) for level in (100, 110)]
    assert f"{20 * math.log10(255 / (y[1] - y[0])):.2f}" in out
    assert "warning: 1 pictures; Rain100L has 100" in out
    assert "37.48" in out


def test_gaussian_has_a_row_a_sigma(run: Run, tmp_path: Path) -> None:
    save_picture(tmp_path / "data/a.png", level=128, size=(64, 64))
    _, out, _ = run("gaussian", "data")
    for sigma in (15, 25, 50):
        (row,) = (line.split() for line in out.splitlines() if line.startswith(f"measured sigma {sigma}"))
        assert float(row[4]) == pytest.approx(20 * math.log10(255 / sigma), abs=0.4)


def test_sidd_from_its_files(run: Run, tmp_path: Path) -> None:
    noisy = save_sidd(tmp_path / "ValidationNoisyBlocksSrgb.mat", seed=1).astype(float)
    clean = save_sidd(tmp_path / "ValidationGtBlocksSrgb.mat", seed=2).astype(float)
    by_hand = np.mean(-10 * np.log10(((noisy - clean) ** 2).mean(axis=(2, 3, 4)) / 255**2))
    code, out, _ = run("sidd", ".")
    assert code == 0
    assert f"{by_hand:.2f}" in out
    assert "39.89" in out


def test_a_real_network_restores_and_reports_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = build(TINY)
    checkpoint.save("tiny.safetensors", model)
    save_picture(tmp_path / "data/degraded/a.png", seed=1)
    save_picture(tmp_path / "data/clean/a.png", seed=2)
    arguments = ["--weights", "tiny.safetensors", "--precision", "fp32", "--json", "out.json", "--save", "kept"]
    assert main(["eval", "pairs", "data", *arguments]) == 0
    values = json.loads((tmp_path / "out.json").read_text())
    assert (values["backend"], values["precision"]) == ("openvino", "fp32")
    kept = np.asarray(PIL.Image.open("kept/a.png")).astype(float)
    clean = np.asarray(PIL.Image.open("data/clean/a.png")).astype(float)
    by_hand = -10 * math.log10(((kept - clean) ** 2).mean() / 255**2)
    assert values["results"][0]["restored"]["psnr"] == pytest.approx(by_hand, abs=1e-4)
    assert values["results"][0]["input"]["psnr"] != values["results"][0]["restored"]["psnr"]


def test_bad_pictures_are_named_at_the_end_with_code_1(run: Run, tmp_path: Path) -> None:
    save_pairs(tmp_path / "data", {"a": (1, 2), "b": (1, 2)})
    (tmp_path / "data/degraded/a.png").write_bytes(b"no picture")
    code, out, err = run("pairs", "data")
    assert code == 1
    assert "measured  1 " in out
    assert "1 pictures have no numbers" in out
    assert err.startswith("uformer: error: a: data/degraded/a.png: not a PNG")
    assert err.count("\n") == 1
    (tmp_path / "data/degraded/b.png").write_bytes(b"")
    code, out, err = run("pairs", "data", "--json", "out.json")
    assert (code, out, err.count("\n")) == (1, "", 2)
    assert len(json.loads((tmp_path / "out.json").read_text())["failures"]) == 2


def test_a_limit_is_said_beside_the_number(run: Run, tmp_path: Path) -> None:
    save_pairs(tmp_path / "data", dict.fromkeys("abc", (1, 2)))
    _, out, _ = run("pairs", "data", "--limit", "2")
    assert "measured  2 " in out
    assert "warning: --limit 2: only the first 2 of 3 pictures" in out


def test_restored_pictures_are_kept(run: Run, tmp_path: Path) -> None:
    level = save_picture(tmp_path / "test/S1/blur/1.png", seed=3)
    save_picture(tmp_path / "test/S1/sharp/1.png", seed=4)
    assert run("gopro", ".", "--save", "kept")[0] == 0
    assert np.array_equal(np.asarray(PIL.Image.open(tmp_path / "kept/S1/1.png")), level)
    code, _, err = run("gopro", ".", "--save", "kept")
    assert (code, "kept/S1/1.png exists" in err) == (2, True)
    assert run("gopro", ".", "--save", "kept", "--overwrite")[0] == 0


def test_inputs_are_never_replaced(run: Run, tmp_path: Path) -> None:
    save_pairs(tmp_path / "data", {"a": (1, 2)})
    for side in ("degraded", "clean"):
        before = (tmp_path / f"data/{side}/a.png").read_bytes()
        code, _, err = run("pairs", "data", "--save", f"data/{side}", "--overwrite")
        assert code == 2
        assert "the pictures that are measured lie there" in err
        assert (tmp_path / f"data/{side}/a.png").read_bytes() == before


def test_submissions(run: Run, tmp_path: Path) -> None:
    blocks = save_sidd(tmp_path / "BenchmarkNoisyBlocksSrgb.mat")
    code, out, _ = run("sidd-benchmark", ".", "--save", "sidd")
    assert code == 0
    assert "next: submit it at https://" in out
    cell = scipy.io.loadmat(tmp_path / "sidd/SubmitSrgb.mat")["DenoisedBlocksSrgb"]
    assert np.array_equal(np.rint(cell[0, 0] * 255), blocks[0, 0])
    save_dnd(tmp_path / "dnd", [[(1, 1, 9, 9)], [(1, 1, 8, 8)]])
    (tmp_path / "dnd/images_srgb/0002.mat").write_bytes(b"damaged")
    code, out, err = run("dnd", "dnd", "--save", "bundle")
    assert code == 1
    assert "40.04" in out
    assert "next:" not in out
    assert err.startswith("uformer: error: 0002.mat: ")
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == ["0001.mat"]


BAD_USAGE = [
    ([], "expected PROTOCOL FOLDER"),
    (["pairs"], "expected PROTOCOL FOLDER"),
    (["magic", "data"], "unknown protocol 'magic'"),
    (["pairs", "nowhere"], "nowhere: no such folder"),
    (["gopro", "data/clean"], "its owners offer it at https://"),
    (["gaussian", "data", "data"], "gaussian takes one folder"),
    (["pairs", "data", "--limit", "0"], "--limit 0 must be at least 1"),
    (["pairs", "data", "--json", "there.json"], "there.json exists"),
    (["pairs", "data", "--json", "nowhere/out.json"], "there is no folder nowhere"),
    (["pairs", "data", "--precision", "int4"], "int4"),
    (["pairs", "data", "--save", "there.json"], "there.json: cannot be made"),
    (["dnd", "data"], "and --save FOLDER for the files to submit"),
    (["dnd", "nowhere", "--save", "out"], "nowhere: no such folder"),
    (["dnd", "data", "--save", "out"], "info.mat missing"),
    (["dnd", "data", "--save", "out", "--limit", "3"], "a submission must be whole"),
    (["dnd", "data", "--save", "out", "--json", "out.json"], "only the benchmark's server knows"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_USAGE, ids=[" ".join(arguments) for arguments, _ in BAD_USAGE])
def test_wrong_usage_is_one_line_and_code_2(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    save_pairs(tmp_path / "data", {"a": (1, 2)})
    (tmp_path / "there.json").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert message in err
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.json").read_text() == "mine"


def test_two_pictures_of_one_name_cannot_both_be_kept(run: Run, tmp_path: Path) -> None:
    for path in ("degraded/a.png", "degraded/a.jpg", "clean/a.png", "clean/a.jpg"):
        save_picture(tmp_path / "data" / path)
    code, _, err = run("pairs", "data", "--save", "kept")
    assert (code, "two pictures have the same name" in err) == (2, True)


def test_weights_of_the_protocols_task_are_taken(run: Run, tmp_path: Path) -> None:
    save_picture(tmp_path / "data/a.png")
    shipped = registry.for_task("denoise")
    assert f"{shipped.name} (sha256 {shipped.sha256[:12]}" in run("gaussian", "data", weights=False)[1]
    save_pairs(tmp_path / "pairs", {"a": (1, 2)})
    code, _, err = run("pairs", "pairs", "--task", "magic", weights=False)
    assert code == 2
    assert "no weights for the task 'magic' ship" in err


def test_progress_is_a_line_now_and_then_where_nobody_looks(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_SECONDS_BETWEEN_LINES", -1)
    save_pairs(tmp_path / "data", {"a": (1, 2)})
    assert run("pairs", "data")[2] == "uformer: pairs: 1 of 1\n"
    assert run("pairs", "data", "--quiet")[2] == ""


def test_a_missing_extra_says_how_to_get_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_sidd(tmp_path / "ValidationNoisyBlocksSrgb.mat")
    save_sidd(tmp_path / "ValidationGtBlocksSrgb.mat")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    code, _, err = run("sidd", ".")
    assert code == 2
    assert 'pip install "uformer[eval]"' in err


def test_the_list_needs_no_folder(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Restorer, "from_options", lambda *_: pytest.fail("not needed"))
    assert main(["eval", "--list"]) == 0
    assert "realblur-j" in capsys.readouterr().out
