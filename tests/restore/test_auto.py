"""--task auto: each image goes through the network that fits, or through none."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import uformer
from tests.restore.test_chain import SMALL
from uformer.cli import main
from uformer.errors import OptionError
from uformer.image import read as image_read
from uformer.image.image import Pixels
from uformer.notices import Notify, ignore
from uformer.restore import memory, once, restoration
from uformer.restore.auto import Auto
from uformer.restore.backends.base import Weights
from uformer.restore.chain import make_restorer
from uformer.restore.network import Network
from uformer.restore.options import NetworkOptions, RestoreOptions


class Averaging(Network):
    """Denoising returns the mean of a noisy tile; deraining takes bright streaks away."""

    def run(self, tiles: Pixels, notify: Notify) -> Pixels:
        if self.options.task == "derain":
            return np.minimum(tiles, np.float32(0.6))
        noisy = np.abs(tiles[:, 0] - tiles[:, 1]).mean() > 0.01
        return np.full_like(tiles, tiles.mean()) if noisy else tiles


@pytest.fixture(autouse=True)
def averaging(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(options: NetworkOptions, **_: object) -> Network:
        assert options.task in ("denoise", "derain")
        return Averaging(Weights(SMALL, {}), options)

    monkeypatch.setattr(Network, "load", load)
    once._network.cache_clear()


def photos() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:130, 0:140]
    clean = np.repeat((100 + rows // 4 + columns // 8)[..., None], 3, axis=2)
    rain = np.where((columns + rows) % 9 < 2, 90, 0)[..., None]
    noisy = clean + rng.normal(0, 15, clean.shape)
    shapes = {"clean": clean, "noisy": noisy, "rainy": clean + rain}
    return {name: np.clip(levels, 0, 255).astype(np.uint8) for name, levels in shapes.items()}


EXPECTED = {"clean": [], "noisy": ["denoise"], "rainy": ["derain"]}


def run(*arguments: object) -> int:
    return main(["restore", *map(str, arguments), "--backend", "openvino", "--precision", "fp32"])


@pytest.mark.parametrize("most", [2**24, 1000])
def test_each_image_of_a_folder_gets_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(memory, "MOST_IN_MEMORY", most)  # in memory, and row by row
    for name, levels in photos().items():
        (tmp_path / "in").mkdir(exist_ok=True)
        PIL.Image.fromarray(levels).save(tmp_path / "in" / f"{name}.png")
    assert run(tmp_path / "in", "--task", "auto", "--json") == 0
    printed = capsys.readouterr()
    records = {Path(each["input"]).stem: each for each in map(json.loads, printed.out.splitlines())}
    assert {name: record["tasks"] for name, record in records.items()} == EXPECTED
    assert "levels in flat parts" in records["noisy"]["why"]
    assert "rainy.png" in printed.err
    assert "derain: streaks of" in printed.err
    out = {name: np.asarray(PIL.Image.open(tmp_path / "in.restored" / f"{name}.png")) for name in EXPECTED}
    assert np.array_equal(out["clean"], photos()["clean"])
    assert out["rainy"].max() <= 153
    assert out["noisy"].std() < photos()["noisy"].std()


def test_one_image_says_which_task_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PIL.Image.fromarray(photos()["rainy"]).save(tmp_path / "a.png")
    assert run(tmp_path / "a.png", "--task", "auto") == 0
    assert "a.png: task: derain (streaks of" in capsys.readouterr().err


def test_in_python() -> None:
    notes: list[str] = []
    restorer = make_restorer(RestoreOptions(task="auto", backend="openvino"))
    assert isinstance(restorer, Auto)
    assert np.array_equal(restorer.infer(photos()["clean"], notify=notes.append).blend(), photos()["clean"])
    half = restorer.infer(photos()["rainy"], notify=notes.append).blend(strength=0.5)
    assert np.abs(half.astype(int) - photos()["rainy"]).max() > 10
    assert notes[0] == "task: nothing (neither clear noise nor rain)"
    with pytest.warns(UserWarning, match="task: denoise"):
        result = uformer.restore(photos()["noisy"], task="auto", backend="openvino")
    assert result.std() < photos()["noisy"].std()


def test_infer_reads_a_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PIL.Image.fromarray(photos()["noisy"]).save(tmp_path / "a.png")
    read: list[Path] = []
    monkeypatch.setattr(restoration, "read", lambda path: (read.append(path), image_read.read(path))[1])  # type: ignore[func-returns-value]
    restorer = make_restorer(RestoreOptions(task="auto", backend="openvino"))
    restorer.infer(tmp_path / "a.png", notify=ignore)
    assert read == [tmp_path / "a.png"]


def test_controls_and_masks_apply_to_what_was_chosen() -> None:
    rainy = photos()["rainy"]
    with pytest.warns(UserWarning, match="derain"):
        masked = uformer.restore(rainy, "auto", mask=np.zeros(rainy.shape[:2], bool), backend="openvino")
    assert np.array_equal(masked, rainy)
    with pytest.warns(UserWarning, match="derain"):
        assert np.array_equal(uformer.restore(rainy, "auto", strength=0, backend="openvino"), rainy)


def test_what_auto_cannot_do() -> None:
    with pytest.raises(OptionError, match="tasks: 'auto,denoise'"):
        RestoreOptions(tasks="auto,denoise")
    with pytest.raises(OptionError, match="tasks: 'auto' is not possible here"):
        uformer.Restorer.from_pretrained(task="auto")
