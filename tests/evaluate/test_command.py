"""`uformer eval` from end to end: scores by hand, complete files, unchanged inputs, one-line errors."""

import dataclasses
import errno
import json
import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import pyvips
import scipy.io
import tifffile

from tests.evaluate.conftest import save_dnd, save_pairs, save_picture, save_sidd
from tests.evaluate.test_kaggle import read_back
from tests.image.stacks import counts
from tests.networks import TINY, build
from uformer.cli import main
from uformer.errors import PictureError
from uformer.evaluate import command, results
from uformer.evaluate.evaluation import Evaluation, evaluate
from uformer.evaluate.protocols import PROTOCOLS
from uformer.image.read import read
from uformer.restore.restorer import Restorer
from uformer.weights import checkpoint, registry

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    identity: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Return a function that runs `uformer eval ...` with weights that change nothing, tiny.safetensors."""
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
    assert values["results"][0]["scores"][0]["restored"]["psnr"] == pytest.approx(
        20 * math.log10(255), abs=1e-4
    )
    assert values["protocol"]["name"] == "pairs"


def test_two_folders(run: Run, tmp_path: Path) -> None:
    save_pairs(tmp_path, {"a": (100, 110)}, names=("noisy", "truth"))
    assert f"{20 * math.log10(25.5):.2f}" in run("pairs", "noisy", "truth")[1]


def test_rain_is_scored_on_luma(run: Run, tmp_path: Path) -> None:
    save_pairs(tmp_path / "data", {"rain-001": (100, 100)}, names=("rainy", "x"))
    save_picture(tmp_path / "data/norain-001.png", level=110)
    _, out, err = run("rain100l", "data")
    y = [round(16 + 219 * level / 255) for level in (100, 110)]
    assert f"{20 * math.log10(255 / (y[1] - y[0])):.2f}" in out
    assert "warning: found 1 image; Rain100L has 100" in out
    assert err.startswith("uformer: warning: found 1 image; Rain100L has 100: do not compare")
    assert err.count("\n") == 1
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
    arguments = [
        "--weights",
        "tiny.safetensors",
        "--precision",
        "fp32",
        "--json",
        "out.json",
        "--save",
        "kept",
    ]
    assert main(["eval", "pairs", "data", *arguments]) == 0
    values = json.loads((tmp_path / "out.json").read_text())
    assert (values["backend"], values["precision"]) == ("openvino", "fp32")
    kept = np.asarray(PIL.Image.open("kept/a.png")).astype(float)
    clean = np.asarray(PIL.Image.open("data/clean/a.png")).astype(float)
    by_hand = -10 * math.log10(((kept - clean) ** 2).mean() / 255**2)
    assert values["results"][0]["restored"]["psnr"] == pytest.approx(by_hand, abs=1e-4)
    assert values["results"][0]["input"]["psnr"] != values["results"][0]["restored"]["psnr"]


def test_bad_images_are_named_at_the_end_with_code_1(run: Run, tmp_path: Path) -> None:
    save_pairs(tmp_path / "data", {"a": (1, 2), "b": (1, 2)})
    (tmp_path / "data/degraded/a.png").write_bytes(b"no image")
    code, out, err = run("pairs", "data")
    assert code == 1
    assert "measured  1 " in out
    assert "1 image has no scores" in out
    assert err.startswith("uformer: error: a: data/degraded/a.png: not a PNG")
    assert err.count("\n") == 1
    (tmp_path / "data/degraded/b.png").write_bytes(b"")
    code, out, err = run("pairs", "data", "--json", "out.json")
    assert (code, out, err.count("\n")) == (1, "", 2)
    assert len(json.loads((tmp_path / "out.json").read_text())["failures"]) == 2


def test_a_limit_is_reported_with_the_score(run: Run, tmp_path: Path) -> None:
    save_pairs(tmp_path / "data", dict.fromkeys("abc", (1, 2)))
    _, out, _ = run("pairs", "data", "--limit", "2")
    assert "measured  2 " in out
    assert "warning: --limit 2: only the first 2 of 3 images" in out


def test_restored_images_are_saved(run: Run, tmp_path: Path) -> None:
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
        assert f"--save data/{side}: the folder holds the images that are measured" in err
        assert (tmp_path / f"data/{side}/a.png").read_bytes() == before


def whole(monkeypatch: pytest.MonkeyPatch, name: str, shape: tuple[int, int, int]) -> None:
    """Make this shape that of a complete submission."""
    monkeypatch.setattr(command, "find", lambda _: dataclasses.replace(PROTOCOLS[name], shape=shape))


def test_submissions(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = save_sidd(tmp_path / "BenchmarkNoisyBlocksSrgb.mat", shape=(2, 3, 16, 16, 3))
    with monkeypatch.context() as patched:
        whole(patched, "sidd-benchmark", (2, 3, 16))
        code, out, err = run("sidd-benchmark", ".", "--save", "sidd")
    assert (code, err) == (0, "")
    assert (
        "sidd: 2 files; next: submit SubmitSrgb.csv at https://www.kaggle.com/competitions/sidd-benchmark-srgb-psnr\n"
        in out
    )
    assert np.array_equal(
        read_back(tmp_path / "sidd/SubmitSrgb.csv", (16, 16, 3)), blocks.reshape(6, 16, 16, 3)
    )
    cell = scipy.io.loadmat(tmp_path / "sidd/SubmitSrgb.mat")["DenoisedBlocksSrgb"]
    assert np.array_equal(np.rint(cell[0, 0] * 255), blocks[0, 0])
    save_dnd(tmp_path / "dnd", [[(1, 1, 9, 9)], [(1, 1, 8, 8)]])
    (tmp_path / "dnd/images_srgb/0002.mat").write_bytes(b"damaged")
    code, out, err = run("dnd", "dnd", "--save", "bundle")
    assert code == 1
    assert "40.04" in out
    assert "next:" not in out
    assert err.splitlines()[-1].startswith("uformer: error: 0002.mat: ")
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == ["0001.mat"]


def test_an_incomplete_submission_is_reported_first_and_not_called_ready(run: Run, tmp_path: Path) -> None:
    save_sidd(tmp_path / "BenchmarkNoisyBlocksSrgb.mat")
    save_dnd(tmp_path / "dnd", [[(1, 1, 9, 9)], [(1, 1, 9, 9)]])
    for name, folder, lacks in (
        (
            "sidd-benchmark",
            ".",
            (
                "found 2 images with 6 crops of 20 x 16; "
                "SIDD's benchmark has 40 images with 1280 crops of 256 x 256"
            ),
        ),
        (
            "dnd",
            "dnd",
            "found 2 images with 2 crops of 9 x 9; DND has 50 images with 1000 crops of 512 x 512",
        ),
    ):
        code, out, err = run(name, folder, "--save", f"{name}-files")
        assert code == 0
        assert err == f"uformer: warning: {lacks}: incomplete submission\n"
        assert out.splitlines()[-1] == f"{name}-files: 2 files; {lacks}: incomplete submission"
        assert "submit it" not in out
        assert "next:" not in out
        assert run(name, folder, "--save", f"{name}-files", "--overwrite", "--quiet")[1:] == (out, "")


def test_options_that_change_a_submission_are_reported(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_dnd(tmp_path / "dnd", [[(1, 1, 9, 9)]])
    whole(monkeypatch, "dnd", (1, 1, 9))
    code, out, err = run("dnd", "dnd", "--save", "bundle", "--strength", "0.5", "--ensemble")
    assert code == 0
    assert err.startswith("uformer: warning: the submission is made with --ensemble, --strength 0.5; ")
    assert err.count("\n") == 1
    assert (
        "bundle: 1 files, made with --ensemble, --strength 0.5; next: submit them at https://noise.visinf"
        in out
    )
    assert "differs: " in out
    assert run("dnd", "dnd", "--save", "plain")[2] == ""


def test_a_wrong_count_is_reported_before_anything_is_restored(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_pairs(tmp_path / "data", {"a": (1, 2)})
    seen: list[str] = []

    def watched(*arguments: Any, **named: Any) -> Evaluation:
        seen.append(capsys.readouterr().err)
        return evaluate(*arguments, **named)

    monkeypatch.setattr(command, "evaluate", watched)
    run("gopro", "data")
    run("gopro", "data", "--quiet")
    assert seen == [
        (
            "uformer: warning: found 1 image; GoPro's test set has 1111: "
            "do not compare with the published numbers\n"
        ),
        "",
    ]


def test_options_that_change_the_numbers_are_reported(run: Run, tmp_path: Path) -> None:
    save_pairs(tmp_path / "data", {"a": (1, 2)})
    _, out, _ = run(
        "pairs",
        "data",
        "--ensemble",
        "--strength",
        "0.5",
        "--tile",
        "16",
        "--overlap",
        "4",
        "--json",
        "out.json",
    )
    (row,) = (line for line in out.splitlines() if line.startswith("measured"))
    assert row.endswith("--ensemble, --strength 0.5, --tile 16, --overlap 4")
    values = json.loads((tmp_path / "out.json").read_text())
    assert [values[key] for key in ("ensemble", "strength", "tile", "overlap")] == [True, 0.5, 16, 4]


def test_numbers_are_shown_even_if_the_json_cannot_be_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_pairs(tmp_path / "data", {"a": (100, 110)})

    def full(_text: str, path: Path) -> None:
        raise PictureError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr(results, "write_json", full)
    code, out, err = run("pairs", "data", "--json", "out.json")
    assert (code, err) == (1, "uformer: error: out.json: cannot be written: No space left on device\n")
    assert f"{20 * math.log10(25.5):.2f}" in out


def test_a_json_that_cannot_be_written_is_refused_before_anything_is_computed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_pairs(tmp_path / "data", {"a": (1, 2)})
    monkeypatch.setattr(command, "evaluate", lambda *_, **__: pytest.fail("too late"))
    for name, reason in (
        ("data", "data"),
        ("/dev/null", "/dev/null"),
        ("x" * 300, "File name too long"),
    ):
        code, out, err = run("pairs", "data", "--json", name, "--overwrite")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert reason in err

    def refuse(dir: Path) -> None:  # noqa: A002 - tempfile's name
        raise PermissionError(errno.EACCES, "Permission denied", str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    code, _, err = run("pairs", "data", "--json", "out.json")
    assert (code, err) == (2, "uformer: error: out.json: cannot be written: Permission denied\n")


def save_channels(path: Path, channels: int, *, seed: int) -> np.ndarray:
    """Write a random TIFF file with any number of channels; return its uint8 values (H, W, C)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (24, 32, channels), dtype=np.uint8)
    pyvips.Image.new_from_array(values, interpretation="multiband").tiffsave(str(path))
    return values


def test_networks_of_other_channels_are_measured_by_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.save("five.safetensors", build(dataclasses.replace(TINY, in_channels=5, out_channels=5)))
    degraded = save_channels(tmp_path / "data/degraded/a.tif", 5, seed=1).astype(float)
    clean = save_channels(tmp_path / "data/clean/a.tif", 5, seed=2).astype(float)
    assert main(["eval", "pairs", "data", "--weights", "five.safetensors", "--json", "out.json"]) == 0
    values = json.loads((tmp_path / "out.json").read_text())
    by_hand = -10 * math.log10(((degraded - clean) ** 2).mean() / 255**2)
    assert values["results"][0]["input"]["psnr"] == pytest.approx(by_hand, abs=1e-4)
    assert values["channels"] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gopro", "data"], "weights with 5 channels: gopro uses RGB images"),
        (["pairs", "data", "--save", "kept"], "--save: images with 5 channels cannot be written as PNG"),
    ],
)
def test_options_that_other_channels_exclude_are_refused_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.save("five.safetensors", build(dataclasses.replace(TINY, in_channels=5, out_channels=5)))
    save_pairs(tmp_path / "data", {"a": (1, 2)})
    assert main(["eval", *arguments, "--weights", "five.safetensors"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"uformer: error: {message}")
    assert err.count("\n") == 1
    assert not (tmp_path / "kept").exists()


BAD_USAGE = [
    ([], "expected PROTOCOL FOLDER"),
    (["pairs"], "expected PROTOCOL FOLDER"),
    (["magic", "data"], "unknown protocol 'magic'"),
    (["pairs", "nowhere"], "nowhere: no such folder"),
    (["gopro", "data/clean"], "get it from https://"),
    (["gaussian", "data", "data"], "gaussian takes one folder"),
    (["pairs", "data", "--limit", "0"], "--limit 0: must be at least 1"),
    (["pairs", "data", "--json", "there.json"], "there.json exists"),
    (["pairs", "data", "--json", "nowhere/out.json"], "nowhere"),
    (["pairs", "data", "--precision", "int4"], "int4"),
    (["pairs", "data", "--save", "there.json"], "there.json: is a file"),
    (["dnd", "data"], "and --save FOLDER for the files to submit"),
    (["dnd", "nowhere", "--save", "out"], "nowhere: no such folder"),
    (["dnd", "data", "--save", "out"], "missing info.mat"),
    (["dnd", "data", "--save", "out", "--limit", "3"], "--limit 3: a submission must be complete"),
    (["dnd", "data", "--save", "out", "--json", "out.json"], "only the benchmark's server knows"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), BAD_USAGE, ids=[" ".join(arguments) for arguments, _ in BAD_USAGE]
)
def test_wrong_usage_is_one_line_and_code_2(
    run: Run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    save_pairs(tmp_path / "data", {"a": (1, 2)})
    (tmp_path / "there.json").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert message in err
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.json").read_text() == "mine"


def test_two_images_of_one_name_cannot_both_be_saved(run: Run, tmp_path: Path) -> None:
    for path in ("degraded/a.png", "degraded/a.jpg", "clean/a.png", "clean/a.jpg"):
        save_picture(tmp_path / "data" / path)
    code, _, err = run("pairs", "data", "--save", "kept")
    assert (code, "two images have the same name" in err) == (2, True)


def test_the_protocols_task_selects_the_weights(run: Run, tmp_path: Path) -> None:
    save_picture(tmp_path / "data/a.png")
    shipped = registry.for_task("denoise")
    assert f"{shipped.name} (sha256 {shipped.sha256[:12]}" in run("gaussian", "data", weights=False)[1]
    save_pairs(tmp_path / "pairs", {"a": (1, 2)})
    code, _, err = run("pairs", "pairs", "--task", "magic", weights=False)
    assert code == 2
    assert "no weights ship for the task 'magic'" in err


def test_progress_is_lines_without_a_terminal(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_SECONDS_BETWEEN_LINES", -1)
    save_pairs(tmp_path / "data", {"a": (1, 2)})
    assert run("pairs", "data")[2] == "uformer: pairs: 1 of 1\n"
    assert run("pairs", "data", "--quiet")[2] == ""


def test_a_missing_extra_says_how_to_get_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_sidd(tmp_path / "ValidationNoisyBlocksSrgb.mat")
    save_sidd(tmp_path / "ValidationGtBlocksSrgb.mat")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    code, _, err = run("sidd", ".")
    assert code == 2
    assert 'pip install "uformer[eval]"' in err


def test_the_list_needs_no_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Restorer, "from_options", lambda *_, **__: pytest.fail("not needed"))
    assert main(["eval", "--list"]) == 0
    assert "realblur-j" in capsys.readouterr().out


def test_a_task_that_is_not_the_protocols_is_refused(run: Run, tmp_path: Path) -> None:
    save_picture(tmp_path / "data/rainy/rain-1.png")
    save_picture(tmp_path / "data/norain-1.png")
    code, _, err = run("rain100l", "data", "--task", "deblur", weights=False)
    assert (code, err.count("\n")) == (2, 1)
    assert "--task deblur: rain100l uses weights for derain; select others with --weights" in err


def test_pairs_are_scored_and_saved_in_their_own_depth(run: Run, tmp_path: Path) -> None:
    counts = np.random.default_rng(0).integers(100, 400, (24, 32)).astype(np.uint16)
    for name, offset in (("degraded", 3), ("clean", 0)):
        (tmp_path / "data" / name).mkdir(parents=True)
        PIL.Image.fromarray(counts + np.uint16(offset)).save(tmp_path / "data" / name / "a.tif")
    code, out, _ = run("pairs", "data", "--range", "100:400", "--save", "kept")
    assert (code, "PSNR for a peak of 300" in out) == (0, True)
    assert f"{20 * math.log10(300 / 3):.2f}" in out
    saved = PIL.Image.open(tmp_path / "kept/a.tif")
    assert saved.mode == "I;16"
    assert np.array_equal(np.asarray(saved), counts + 3)
    out = run("pairs", "data", "--data-range", "4095")[1]
    assert f"{20 * math.log10(4095 / 3):.2f}" in out
    assert "rounded to the depth of its file" in out


def test_all_pages_of_stacks_are_scored_and_saved(run: Run, tmp_path: Path) -> None:
    values = counts(2, 12, 14).astype(np.float32)
    for name, offset in (("noisy.tif", 3), ("clean.tif", 0)):
        tifffile.imwrite(tmp_path / name, values + offset, photometric="minisblack")
    code, out, _ = run("pairs", "noisy.tif", "clean.tif", "--range", "100:400", "--save", "kept")
    assert (code, f"{20 * math.log10(300 / 3):.2f}" in out) == (0, True)
    saved = read(tmp_path / "kept/noisy, page 2.tif")
    assert np.array_equal(saved.values[..., 0], values[1] + 3)


@pytest.mark.parametrize(
    ("kind", "offset"), [("int16", -1024), ("uint32", 2**30), ("int64", -(2**40)), ("float64", 2**40)]
)
def test_large_counts_keep_their_digits_and_type(run: Run, tmp_path: Path, kind: str, offset: int) -> None:
    """float32 holds whole numbers up to 2^24 only."""
    values = (counts(2, 12, 14).astype(np.int64) + offset).astype(kind)
    for name, more in (("noisy.tif", 3), ("clean.tif", 0)):
        tifffile.imwrite(tmp_path / name, values + np.array(more, kind), photometric="minisblack")
    code, out, _ = run("pairs", "noisy.tif", "clean.tif", "--data-range", "300", "--save", "kept")
    assert (code, f"{20 * math.log10(300 / 3):.2f}" in out) == (0, True)
    saved = tifffile.imread(tmp_path / "kept/noisy, page 2.tif")
    assert saved.dtype == kind
    assert np.array_equal(saved, values[1] + 3)


def test_a_data_range_that_cannot_be(run: Run, tmp_path: Path) -> None:
    save_pairs(tmp_path / "data", {"a": (1, 2)})
    for value, why in (("0", "must be auto or more than 0"), ("much", "--data-range")):
        code, _, err = run("pairs", "data", "--data-range", value)
        assert (code, why in err) == (2, True)
    for name in ("--data-range=255", "--range=full"):
        code, _, err = run("gaussian", "data/clean", name)
        assert (code, "only for pairs; gaussian scores images of 8 bits" in err) == (2, True)
