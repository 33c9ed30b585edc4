"""`uformer restore` on good and bad files: one-line errors, exit codes, intact inputs, whole outputs."""

import dataclasses
import errno
import hashlib
import io
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import uformer
from tests.restore.test_restorer import darker, make
from uformer.cli import main
from uformer.errors import OptionError, PictureError
from uformer.image.image import Image
from uformer.restore import command
from uformer.restore.restorer import Restorer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run `uformer restore ...` in an empty folder, with a network that only darkens images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        Restorer,
        "restore_image",
        lambda _self, image, **_: image.with_pixels(np.maximum(image.pixels - np.float32(0.2), 0)),
    )

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["restore", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def save_picture(path: Path, mode: str = "RGB") -> bytes:
    rng = np.random.default_rng(0)
    PIL.Image.fromarray(rng.integers(60, 256, (20, 30, 3), dtype=np.uint8)).convert(mode).save(path)
    return path.read_bytes()


def level(path: Path) -> np.ndarray:
    return np.asarray(PIL.Image.open(path)).astype(int)


def folder(path: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in path.iterdir() if file.is_file()
    }


def test_the_output_lies_beside_the_picture(run: Run, tmp_path: Path) -> None:
    before = save_picture(tmp_path / "a.png")
    assert run("a.png") == (0, "a.restored.png\n", "")
    assert (tmp_path / "a.png").read_bytes() == before
    assert np.array_equal(level(tmp_path / "a.restored.png"), level(tmp_path / "a.png") - 51)
    assert stat.S_IMODE((tmp_path / "a.restored.png").stat().st_mode) & 0o400


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_the_outputs_suffix_is_its_format(run: Run, tmp_path: Path, suffix: str) -> None:
    save_picture(tmp_path / "ä ö[1].png")
    code, out, _ = run("ä ö[1].png", "-o", "out" + suffix, "--quiet")
    assert (code, out) == (0, "")
    assert PIL.Image.open(tmp_path / ("out" + suffix)).size == (30, 20)


@pytest.mark.usefixtures("run")
def test_standard_input_and_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = save_picture(tmp_path / "a.png")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out))
    assert main(["restore", "-"]) == 0
    assert np.array_equal(
        np.asarray(PIL.Image.open(io.BytesIO(out.getvalue()))).astype(int), level(tmp_path / "a.png") - 51
    )
    assert list(folder(tmp_path)) == ["a.png"]


def test_an_existing_output_is_kept_unless_told(run: Run, tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("mine")
    code, out, err = run("a.png", "-o", "b.png")
    assert (code, out) == (2, "")
    assert "b.png exists" in err
    assert (tmp_path / "b.png").read_text() == "mine"
    assert run("a.png", "-o", "b.png", "--overwrite")[0] == 0
    assert PIL.Image.open(tmp_path / "b.png").size == (30, 20)


def test_the_picture_itself_is_never_the_output(run: Run, tmp_path: Path) -> None:
    before = save_picture(tmp_path / "a.png")
    code, _, err = run("a.png", "-o", "./a.png", "--overwrite")
    assert code == 2
    assert "would replace the input" in err
    assert (tmp_path / "a.png").read_bytes() == before


def _truncated(path: Path) -> None:
    data = save_picture(path)
    path.write_bytes(data[: len(data) // 2])


BAD_PICTURES: dict[str, Callable[[Path], object]] = {
    "text.png": lambda path: path.write_text("hello, I am a text"),
    "empty.png": lambda path: path.write_bytes(b""),
    "truncated.jpg": _truncated,
    "missing.png": lambda path: None,
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_picture_is_one_line_and_code_1(run: Run, tmp_path: Path, name: str) -> None:
    BAD_PICTURES[name](tmp_path / name)
    before = folder(tmp_path)
    code, out, err = run(name, "-o", "out.png")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert err.startswith("uformer: error: ")
    assert name in err
    assert folder(tmp_path) == before


BAD_USAGE = [
    (["a.png", "--task", "dehaze"], "unknown task 'dehaze'; known: denoise"),
    (["a.png", "--weights", "empty.safetensors"], "empty.safetensors"),
    (["a.png", "--weights", "none.safetensors"], "none.safetensors"),
    (["a.png", "--weights", "nobody"], "unknown network or weights 'nobody'"),
    (["a.png", "--strength", "2"], "strength: 2.0 must be between 0 and 1"),
    (["a.png", "--strength", "much"], "much"),
    (["a.png", "--tile", "0"], "tile: 0 must be at least 1"),
    (["a.png", "--overlap", "-3"], "overlap: -3 must not be negative"),
    (["a.png", "--backend", "magic"], "magic"),
    (["a.png", "--precision", "int4"], "int4"),
    (["a.png", "--backend", "openvino", "--device", "cuda"], "the openvino backend runs on cpu, gpu or npu"),
    (["a.png", "-o", "out.xyz"], "unknown format '.xyz'"),
    (["a.png", "--fast"], "--fast"),
    (["a.png", "-", "-o", "out"], "-: standard input and output take exactly one image"),
    (["a.png", "-o", "-", "--json"], "without --json"),
    ([".", "-o", "-"], "-: standard input and output take exactly one image"),
    ([".", "-o", "out.png"], "out.png: is the name of an image file; several images need an output folder"),
    ([".", "-o", "."], "the outputs would replace the inputs"),
    ([], "no image given"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_USAGE)
def test_wrong_usage_is_one_line_and_code_2(
    run: Run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    save_picture(tmp_path / "a.png")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    before = folder(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
    assert folder(tmp_path) == before


def test_a_folder_that_is_not_there(run: Run, tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    code, _, err = run("a.png", "-o", "nowhere/out.png")
    assert code == 2
    assert "there is no folder nowhere; create it first" in err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(run: Run, tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    (tmp_path / "locked").mkdir(mode=0o500)
    code, _, err = run("a.png", "-o", "locked/out.png")
    assert (code, err.count("\n")) == (2, 1)
    assert "Permission denied" in err


def test_a_closed_folder_is_known_before_one_picture_is_restored(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_picture(tmp_path / "a.png")
    monkeypatch.setattr("uformer.output.why_closed", lambda _folder: "Read-only file system")
    monkeypatch.setattr(Restorer, "from_options", lambda *_, **__: pytest.fail("too late"))
    for output in ([], ["-o", "out.png"]):
        code, _, err = run("a.png", *output)
        assert (code, err.count("\n")) == (2, 1)
        assert "png: cannot be written: Read-only file system" in err


def test_a_full_disk_leaves_nothing_behind(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = save_picture(tmp_path / "a.png")

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    code, out, err = run("a.png", "-o", "out.png")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "No space left on device" in err
    assert folder(tmp_path) == {"a.png": hashlib.sha256(before).hexdigest()}


def test_alpha_into_jpeg_is_refused_before_any_work(run: Run, tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", "RGBA")
    code, _, err = run("a.png", "-o", "out.jpg")
    assert (code, err.count("\n")) == (1, 1)
    assert "alpha" in err
    assert not (tmp_path / "out.jpg").exists()


def test_interruption_is_code_130(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_picture(tmp_path / "a.png")

    def interrupt(*_: object, **__: object) -> Image:
        raise KeyboardInterrupt

    monkeypatch.setattr(Restorer, "restore_image", interrupt)
    code, out, err = run("a.png")
    assert (code, out, err) == (130, "", "uformer: interrupted\n")
    assert list(folder(tmp_path)) == ["a.png"]


def test_metadata_can_be_stripped(run: Run, tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x010E] = "a secret"
    PIL.Image.new("RGB", (9, 9), "white").save(tmp_path / "a.jpg", exif=exif)
    assert run("a.jpg", "-o", "kept.jpg")[0] == 0
    assert run("a.jpg", "-o", "stripped.jpg", "--metadata", "strip")[0] == 0
    assert b"a secret" in (tmp_path / "kept.jpg").read_bytes()
    assert b"a secret" not in (tmp_path / "stripped.jpg").read_bytes()


def test_picture_errors_are_the_commands_business() -> None:
    assert issubclass(PictureError, ValueError)
    assert command.restore.__doc__


def test_times_are_kept_where_asked(run: Run, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_picture(tmp_path / name)
        os.utime(tmp_path / name, (10**9, 10**9))
    assert run("a.png", "-o", "new.png")[0] == 0
    assert (tmp_path / "new.png").stat().st_mtime > 10**9
    assert run("a.png", "b.png", "-o", "out", "--times", "keep")[0] == 0
    assert [path.stat().st_mtime for path in (tmp_path / "out").iterdir()] == [10**9] * 2
    code, _, err = run("a.png", "-o", "-", "--times", "keep")
    assert (code, err) == (
        2,
        "uformer: error: --times keep: standard input and output have no times; name files\n",
    )
    uformer.restore(tmp_path / "a.png", output=tmp_path / "c.png", times="keep")
    assert (tmp_path / "c.png").stat().st_mtime == 10**9
    with pytest.raises(OptionError, match="^times: needs the path"):
        uformer.restore(np.zeros((8, 8), np.uint8), times="keep")


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_quality_sets_the_size_of_lossy_outputs(run: Run, tmp_path: Path, suffix: str) -> None:
    save_picture(tmp_path / "a.png")
    sizes = []
    for quality in ("20", "80"):
        assert run("a.png", "-o", "a" + suffix, "--quality", quality, "--overwrite")[0] == 0
        sizes.append((tmp_path / ("a" + suffix)).stat().st_size)
    assert sizes[0] < 0.8 * sizes[1]
    assert run("a.png", "--quality", "0")[2] == "uformer: error: quality: 0 must be between 1 and 100\n"


def test_controls_and_mask(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A file, a folder and streams; the mask is stretched to each image."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        Restorer,
        "from_options",
        lambda options, **_: make(darker, **{**dataclasses.asdict(options.controls), "tones": "free"})[0],
    )
    save_picture(tmp_path / "a.png")
    mask = np.zeros((10, 15), np.uint8)
    mask[:, 8:] = 255
    PIL.Image.fromarray(mask).save(tmp_path / "mask.png")
    (tmp_path / "in").mkdir()
    save_picture(tmp_path / "in" / "b.png")
    assert main(["restore", "a.png", "--mask", "mask.png", "--luma", "50%"]) == 0
    assert main(["restore", "in", "--mask", "mask.png", "--luma", "0.5"]) == 0
    assert main(["restore", "a.png", "-o", "c.png", "--quiet"]) == 0
    change = level(tmp_path / "a.restored.png") - level(tmp_path / "a.png")
    assert np.array_equal(level(tmp_path / "a.restored.png"), level(tmp_path / "in.restored" / "b.png"))
    assert (change[:, :15] == 0).all()
    assert (change[:, 18:] == -32).all()
    assert ((level(tmp_path / "c.png") - level(tmp_path / "a.png")) <= -60).all()
    capsys.readouterr()
    assert main(["restore", "a.png", "-o", "d.png", "--mask", "none.png"]) == 1
    assert "none.png" in capsys.readouterr().err
    PIL.Image.fromarray(mask[:, :10]).save(tmp_path / "square.png")
    assert main(["restore", "a.png", "-o", "d.png", "--mask", "square.png"]) == 1
    assert "mask: 10 x 10 does not fit an image of 30 x 20; use a mask with" in capsys.readouterr().err
    assert not (tmp_path / "d.png").exists()
