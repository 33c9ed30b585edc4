"""`uformer batch` on the command line."""

import os
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import uformer.batch
from tests.batch.pictures import contents, folder_of, network
from uformer.cli import main
from uformer.image.image import Image
from uformer.image.write import encode


def test_a_folder_as_restore_does_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, source = str(network(tmp_path)), str(folder_of(tmp_path / "in", 5))
    mask = tmp_path / "mask.png"
    mask.write_bytes(
        encode(Image(pixels=np.linspace(0, 1, 24 * 32, dtype=np.float32).reshape(24, 32, 1)), ".png")
    )
    options = ["--weights", weights, "--mask", str(mask), "--times", "keep", "--threads", "1"]
    os.utime(tmp_path / "in/01.png", (1e9, 1e9))
    assert main(["restore", source, "-o", str(tmp_path / "plain"), *options, "--quiet"]) == 0
    assert main(["batch", source, str(tmp_path / "out"), *options]) == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "plain")
    assert (tmp_path / "out/01.png").stat().st_mtime == 1e9
    assert (tmp_path / "out/manifest.parquet").exists()
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "2"], "--workers: needs --engine ray"),
        (["--num-gpus", "1", "--address", "auto"], "--address, --num-gpus: needs --engine ray"),
        (["--engine", "spark"], "spark"),
        (["--engine", "ray", "--num-cpus", "0"], "num-cpus: 0 must be at least 1"),
        (["--engine", "ray", "--address", "127.0.0.1:1"], "address: no Ray cluster at '127.0.0.1:1'"),
        (["--weights", "nobody"], "unknown network or weights 'nobody'"),
        (["--manifest", "nothing://m"], "Protocol not known"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    source = folder_of(tmp_path / "in", 1)
    assert main(["batch", str(source), str(tmp_path / "out"), *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
    assert not contents(tmp_path / "out")


def test_notices_of_the_mask_are_lines_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = tmp_path / "mask.jpg"
    PIL.Image.new("CMYK", (8, 8)).save(mask)
    arguments = ["batch", str(folder_of(tmp_path / "in", 1)), str(tmp_path / "out"), "--mask", str(mask)]
    assert main([*arguments, "--weights", "nobody"]) == 2
    first, *_ = capsys.readouterr().err.splitlines()
    assert first == f"uformer: {mask}: is CMYK; converted to sRGB"
    assert main([*arguments, "--weights", "nobody", "--quiet"]) == 2
    assert "CMYK" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "engine"), [("fsspec", "local"), ("pyarrow", "local"), ("ray.data", "ray")]
)
def test_a_missing_extra(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    engine: str,
) -> None:
    def missing(name: str, really: object = __import__("importlib").import_module) -> object:
        if name == module:
            raise ModuleNotFoundError(name, name=name)
        return really(name)  # type: ignore[operator]

    for part in ("ray", "quiet_ray"):  # they may have been imported before
        monkeypatch.delitem(sys.modules, f"uformer.batch.{part}", raising=False)
        monkeypatch.delattr(uformer.batch, part, raising=False)
    monkeypatch.setattr("uformer.files.importlib.import_module", missing)
    assert main(["batch", str(tmp_path), str(tmp_path / "out"), "--engine", engine]) == 2
    assert (
        capsys.readouterr().err
        == f'uformer: error: {module} is not installed; run: pip install "uformer[batch]"\n'
    )


def test_help_needs_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ray", "fsspec", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["batch", "--help"]) == 0
    assert "--engine" in capsys.readouterr().out
