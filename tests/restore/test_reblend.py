"""`--keep-residual`, and later `--residual` without a network."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.restore.reporting.test_report_files import leaning, run
from tests.restore.stand_in import save_picture
from uformer.restore import memory
from uformer.restore.network import Network

__all__ = ["leaning"]  # a fixture


def pixels(path: Path) -> np.ndarray:
    return np.asarray(PIL.Image.open(path)).astype(int)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_other_controls_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save_picture(tmp_path / "a.png", mode, size=(80, 60))
    monkeypatch.setattr(memory, "MOST_IN_MEMORY", 1000)  # kept in memory all the same
    assert run(source, "-o", tmp_path / "full.png", "--keep-residual") == 0
    kept = tmp_path / "full.png.residual.npz"
    assert run(source, "-o", tmp_path / "expected.png", "--luma", "50%") == 0
    assert run(source, "-o", tmp_path / "other.png", "--keep-residual", "--luma", "0.5") == 0

    def load(*_: object, **__: object) -> Network:
        raise AssertionError("the network is not needed")

    monkeypatch.setattr(Network, "load", load)
    assert blend(source, "-o", tmp_path / "half.png", "--luma", "50%", "--residual", kept) == 0
    assert np.array_equal(pixels(tmp_path / "half.png"), pixels(tmp_path / "other.png"))
    assert np.abs(pixels(tmp_path / "half.png") - pixels(tmp_path / "expected.png")).max() <= 1
    assert blend(source, "-o", tmp_path / "half.png", "--residual", kept) == 2  # it exists
    other = save_picture(tmp_path / "b.png", mode, size=(80, 60), seed=1)
    assert blend(other, "-o", tmp_path / "c.png", "--residual", kept) == 1
    assert "full.png.residual.npz: belongs to another image" in capsys.readouterr().err


def test_notices_are_lines_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save_picture(tmp_path / "a.jpg", "CMYK", size=(80, 60))
    assert run(source, "-o", tmp_path / "full.jpg", "--keep-residual", "--quiet") == 0
    arguments = (source, "--residual", tmp_path / "full.jpg.residual.npz", "--mask", source, "--overwrite")
    assert blend(*arguments, "--quiet") == 0
    assert capsys.readouterr().err == ""
    assert blend(*arguments) == 0
    assert capsys.readouterr().err == f"uformer: {source}: is CMYK; converted to sRGB\n" * 2


def blend(*arguments: object) -> int:
    from uformer.cli import main

    return main(["restore", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{a}", "--residual", "x", "--task", "derain"), "--task has no effect; omit it"),
        (("{a}", "{a}", "--residual", "x"), "--residual: takes exactly one image file"),
        (("-", "--residual", "x"), "--residual: takes exactly one image file"),
        (("{a}", "--residual", "x", "--json"), "--residual: cannot be combined with"),
        (("-", "--keep-residual"), "--keep-residual: is written beside an output file"),
        (("{a}", "--keep-residual", "--tasks", "derain,denoise"), "--keep-residual: keeps the answer of one"),
    ],
)
def test_wrong_use(
    tmp_path: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save_picture(tmp_path / "a.png")
    assert blend(*(text.format(a=source) for text in arguments)) == 2
    assert message in capsys.readouterr().err
