"""The process that touches a device first: its jobs, run here in this process."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.networks import TINY
from uformer.errors import PictureError
from uformer.restore.backends import device_process
from uformer.restore.backends.base import Weights
from uformer.restore.backends.choose import Choice
from uformer.restore.backends.golden import golden_tile


class Copier:
    """A backend and runner that returns its tiles."""

    precision = "fp16"

    def for_size(self, _height: int, _width: int) -> "Copier":
        return self

    def __call__(self, tiles: Any) -> Any:
        return tiles


def answer(folder: Path, job: dict[str, Any]) -> Any:
    (folder / "job.json").write_text(json.dumps(job))
    device_process.main(folder)
    return json.loads((folder / "answer.json").read_text())


def test_a_tile_and_its_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(device_process, "read_weights", lambda _: Weights(TINY, {}))
    monkeypatch.setattr(device_process, "choose", lambda *_: Choice("openvino", "npu", Copier))  # type: ignore[arg-type]
    job = {"options": {"device": "npu"}, "side": 30, "timed": False}
    assert answer(tmp_path, job) == {"precision": "fp16", "seconds": None}
    assert np.array_equal(np.load(tmp_path / "tile.npy"), golden_tile(3, 32)), "rounded up to whole windows"
    assert answer(tmp_path, job | {"timed": True})["seconds"] > 0


def test_a_list_and_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(device_process, "devices_of", lambda backend: [{"device": backend}])
    assert answer(tmp_path, {"list": "openvino"}) == {"devices": [{"device": "openvino"}]}
    refused = answer(tmp_path, {"options": {"weights": "none.safetensors"}, "side": 32, "timed": False})
    assert "none.safetensors" in refused["refused"]

    def broken(_: object) -> None:
        raise PictureError("the device npu failed") from RuntimeError("in driver.cpp:\nno memory for it\n")

    monkeypatch.setattr(device_process, "devices_of", broken)
    assert answer(tmp_path, {"list": "openvino"}) == {"failed": "no memory for it"}
