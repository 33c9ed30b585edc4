"""Training on a layer, with small programs in place of `uformer train`. Nothing here needs napari."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from uformer.errors import OptionError, TrainingError
from uformer.image.value_range import FULL, ValueRange
from uformer.napari_plugin import learning
from uformer.napari_plugin.layers import Monitor, Planes, Stopped
from uformer.notices import ignore

Program = Callable[[str], None]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Program:
    """Let `train` run a Python program."""

    def set_program(code: str) -> None:
        monkeypatch.setattr(learning, "command", lambda *_: [sys.executable, "-S", "-c", code])

    return set_program


def test_folder_is_new_and_named_after_the_layer(tmp_path: Path) -> None:
    assert learning.new_folder(tmp_path, "a/b: cells").name == "a-b-cells-noise2void"
    (tmp_path / "cells-noise2void").mkdir()
    (tmp_path / "cells-noise2void-2").mkdir()
    assert learning.new_folder(tmp_path, "cells").name == "cells-noise2void-3"
    assert learning.new_folder(tmp_path, "../..").name == "layer-noise2void"


def test_images_fill_the_range_that_restoring_uses(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-500, 500, (3, 8, 9)).astype(np.int32)
    learning.write_images(Planes(values, rgb=False), ValueRange(-400, 400), tmp_path / "new", Monitor())
    files = sorted((tmp_path / "new").iterdir())
    assert len(files) == 3
    written = tifffile.imread(files[1])
    assert (written.dtype.name, written.shape) == ("uint16", (8, 9))
    assert np.abs(written / 65_535 - np.clip((values[1] + 400) / 800, 0, 1)).max() < 1e-5


def test_8_bit_colours_stay(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (2, 8, 9, 4), dtype=np.uint8)
    learning.write_images(Planes(values, rgb=True), FULL, tmp_path / "new", Monitor())
    assert np.array_equal(tifffile.imread(tmp_path / "new" / "0001.tif"), values[1, ..., :3])


def test_long_stack_is_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "MOST_IMAGES", 4)
    planes = Planes(np.zeros((9, 2, 2), np.uint8), rgb=False)
    learning.write_images(planes, FULL, tmp_path / "new", Monitor())
    assert len(list((tmp_path / "new").iterdir())) == 4


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match="Not a directory; choose another folder$"):
        learning.write_images(
            Planes(np.zeros((2, 2)), rgb=False), FULL, tmp_path / "file" / "images", Monitor()
        )


def test_training_shows_its_figures_and_returns_the_weights(tmp_path: Path, program: Program) -> None:
    (tmp_path / "run").mkdir()
    lines = [{"step": 50, "loss": 0.0123456}, {"step": 50, "held_out_loss": 0.1}]
    text = "\n".join([*map(json.dumps, lines), '{"step": 10'])
    (tmp_path / "run" / "log.jsonl").write_text(text, encoding="utf-8")
    program("import time; time.sleep(0.1)")
    monitor = Monitor()
    assert learning.train(tmp_path, 2, monitor) == tmp_path / "run" / "best.safetensors"
    assert monitor.text == "training: 0.0 of 2 min, step 50, loss 0.01235"
    learning.train(tmp_path, 1e-9, monitor)
    assert (monitor.share, monitor.text) == (1, "finishing the training, step 50, loss 0.01235")


def test_summary_names_the_weights_and_the_result(tmp_path: Path) -> None:
    weights = f"trained weights: {tmp_path / 'run' / 'best.safetensors'}"
    assert learning.summary(tmp_path) == weights
    (tmp_path / "train.log").write_text("step 9\nresult: better\nnext: uformer restore\n", encoding="utf-8")
    assert learning.summary(tmp_path) == f"{weights}; result: better"


def test_failed_training_says_why(tmp_path: Path, program: Program) -> None:
    program("import sys; sys.exit('a line\\nuformer: error: no images are left to learn from\\n')")
    with pytest.raises(TrainingError, match="^no images are left to learn from$"):
        learning.train(tmp_path, 1, Monitor())
    program("import sys; sys.exit(3)")
    with pytest.raises(TrainingError, match="^the training ended with code 3; see .*train.log$"):
        learning.train(tmp_path, 1, Monitor())


@pytest.mark.parametrize("obeys", [True, False])
def test_stop_ends_the_process(
    tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch, obeys: bool
) -> None:
    """It is asked first, so that it saves its state, and killed if it does not end."""
    handler = "lambda *_: (open('saved', 'w').close(), sys.exit(130))" if obeys else "signal.SIG_IGN"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(learning, "_PATIENCE", 30 if obeys else 0.1)
    program(
        f"import signal, sys, time; signal.signal(signal.SIGTERM, {handler}); open('ready', 'w').close();"
        "time.sleep(60)"
    )
    monitor = Monitor()
    monitor.should_stop = (tmp_path / "ready").exists
    start = time.monotonic()
    with pytest.raises(Stopped):
        learning.train(tmp_path, 1, monitor)
    assert time.monotonic() - start < 25
    assert (tmp_path / "saved").exists() == obeys


def test_command(tmp_path: Path) -> None:
    line = " ".join(learning.command(tmp_path, 2.5)[1:])
    assert line == (
        f"-P -m uformer train noise2void --data {tmp_path}/images --out {tmp_path}/run "
        "--start uformer_t.denoise --set minutes=2.5 --set steps=1000000"
    )


@pytest.mark.slow
def test_layer_is_trained_on_and_restored(tmp_path: Path) -> None:
    clean = 20 + 60 * (np.indices((128, 128)).sum(0) // 20 % 2)
    noisy = np.random.default_rng(0).poisson(np.stack([clean] * 4)).astype(np.uint16)
    folder = tmp_path / "cells-noise2void"
    restored = learning.train_and_restore(Planes(noisy, rgb=False), folder, 0.2, Monitor(), ignore)
    weights = folder / "run" / "best.safetensors"
    assert weights.is_file()
    assert learning.summary(folder).startswith(f"trained weights: {weights}; result: ")
    assert (restored.shape, restored.dtype) == (noisy.shape, noisy.dtype)
    errors = [np.square(values - clean.astype(float)).mean() for values in (noisy, restored)]
    assert errors[1] < errors[0] / 2
