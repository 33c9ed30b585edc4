"""Several tasks in one run are the same as one run after the other, but without rounding in between."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import uformer
from tests.restore.stand_in import save_picture
from uformer.cli import main
from uformer.config import UformerConfig
from uformer.errors import OptionError
from uformer.image.image import Pixels
from uformer.image.read import read
from uformer.notices import Notify
from uformer.restore import once
from uformer.restore.backends.base import Weights
from uformer.restore.chain import Chain, make_restorer
from uformer.restore.large import restore_file
from uformer.restore.network import Network
from uformer.restore.options import NetworkOptions, RestoreOptions
from uformer.restore.restorer import Restorer

SMALL = UformerConfig(embed_dim=4, depths=(1,) * 9, num_heads=(1,) * 9, window_size=2)
FUNCTIONS: dict[str, Callable[[Pixels], Pixels]] = {
    "derain": lambda tile: tile / np.float32(100),
    "denoise": lambda tile: np.minimum(tile * np.float32(90), np.float32(1)),
}
"""A network that divides, and one that multiplies: rounding in between would leave few levels."""


class Arithmetic(Network):
    def run(self, tiles: Pixels, notify: Notify) -> Pixels:
        return FUNCTIONS[self.options.task](tiles)


def load(options: NetworkOptions, **_: object) -> Network:
    assert options.task in FUNCTIONS
    return Arithmetic(Weights(SMALL, {}), options)


@pytest.fixture(autouse=True)
def arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "load", load)
    once._network.cache_clear()


def options(**values: Any) -> RestoreOptions:
    return RestoreOptions(
        tasks="derain,denoise", backend="openvino", precision="fp32", tones="free", **values
    )


def test_no_level_is_lost_in_between(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    PIL.Image.fromarray(levels).save(tmp_path / "a.png")
    for value in (levels, tmp_path / "a.png"):
        restored = uformer.restore(
            value, tasks=("derain", "denoise"), backend="openvino", precision="fp32", tones="free"
        )
        if isinstance(restored, Path):
            restored = np.asarray(PIL.Image.open(restored))
        assert np.abs(restored - levels * 0.9).max() < 0.51


def test_the_order_counts() -> None:
    pixels = np.full((8, 8, 3), 0.5, np.float32)
    there = make_restorer(options()).restore_pixels(pixels)
    back = make_restorer(
        RestoreOptions(tasks="denoise,derain", backend="openvino", tones="free")
    ).restore_pixels(pixels)
    assert (round(float(there[0, 0, 0]), 4), round(float(back[0, 0, 0]), 4)) == (0.45, 0.01)


def test_strength_applies_to_each_task() -> None:
    pixels = np.full((8, 8, 3), 0.5, np.float32)
    restored = make_restorer(options(strength=0.5)).restore_pixels(pixels)
    between = 0.5 * (0.5 + 0.005)
    assert restored[4, 4, 0] == pytest.approx(0.5 * (between + 1))


def test_progress_counts_all_stages() -> None:
    told: list[tuple[int, int]] = []
    make_restorer(options(tile=64)).restore_pixels(
        np.full((100, 40, 3), 0.5, np.float32), progress=lambda done, total: told.append((done, total))
    )
    assert [done for done, _ in told] == list(range(1, told[-1][1] + 1))


def test_large_images_have_the_same_bytes(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", size=(90, 130))
    restorer = make_restorer(options(tile=64))
    restore_file(restorer, tmp_path / "a.png", tmp_path / "rows.png")
    uformer.restore(
        tmp_path / "a.png",
        output=tmp_path / "whole.png",
        tasks="derain,denoise",
        backend="openvino",
        precision="fp32",
        tones="free",
        tile=64,
    )
    assert (tmp_path / "rows.png").read_bytes() == (tmp_path / "whole.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "rows.png", "whole.png"]
    with pytest.raises(NotImplementedError):
        restorer.restore_rows(lambda first, last: np.zeros((3, last - first, 4), np.float32), (4, 4, 3))


def test_other_options_for_the_same_networks() -> None:
    chain = make_restorer(options())
    half = chain.with_options(options(strength=0.5))
    assert isinstance(half, Chain)
    assert [stage.network for stage in half.stages] == [stage.network for stage in chain.stages]
    assert [stage.options.strength for stage in half.stages] == [0.5, 0.5]
    assert (chain.backend, chain.precision) == ("openvino", "fp32")
    assert chain.tile_for(8, 8) == (64, 64)
    assert chain.memory_budget > 0


def test_one_task_is_a_plain_restorer() -> None:
    assert type(make_restorer(RestoreOptions())) is Restorer
    with pytest.raises(OptionError, match="^tasks: 'derain,denoise' is not possible here; set task"):
        Restorer.from_options(options())


def test_the_command_names_the_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/b.png"):
        save_picture(tmp_path / name)
    assert main(["restore", "in/a.png", "--tasks", "derain,denoise", "--tones", "free", "-o", "a.png"]) == 0
    assert capsys.readouterr() == ("a.png\n", "uformer: in/a.png: restored for derain, denoise\n")
    before, after = read("in/a.png").pixels, read("a.png").pixels
    np.testing.assert_allclose(after, 0.9 * before, atol=0.003)
    assert main(["in", "--tasks", "derain,denoise", "--tones", "free"]) == 0
    assert "[1/2] in/a.png derain, denoise (" in capsys.readouterr().err
    assert (
        main(["in", "--tasks", "derain,denoise", "--tones", "free", "--overwrite", "--json", "--quiet"]) == 0
    )
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["tasks"] for record in records] == [["derain", "denoise"]] * 2
    assert main(["in", "--tasks", "derain,derain"]) == 2
    assert "tasks: 'derain,derain' must be different tasks" in capsys.readouterr().err


def test_controls_and_masks_of_several_tasks() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    restorer = make_restorer(options())
    restoration = restorer.infer(levels)
    assert np.abs(restoration.blend().astype(int) - restorer(levels)).max() <= 1
    assert np.array_equal(restoration.blend(strength=0), levels)
    assert np.abs(restoration.blend(strength=0.5) - levels * 0.95).max() <= 1, "of the change by all tasks"
    left = np.zeros((16, 16), np.uint8)
    left[:, :8] = 255
    masked = restorer(levels, mask=left)
    assert np.array_equal(masked[:, 8:], levels[:, 8:])
    assert np.abs(masked[:, :8].astype(int) - restorer(levels)[:, :8]).max() <= 1
