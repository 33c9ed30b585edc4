"""A run scores all images that it can, names the others, and its means match those computed by hand."""

import math
from pathlib import Path

import numpy as np
import pytest

from tests.evaluate.conftest import save_pairs, save_picture
from tests.networks import TINY, build
from uformer.errors import PictureError
from uformer.evaluate.cases import Case, find_cases
from uformer.evaluate.evaluation import Evaluation, Measured, evaluate, mean
from uformer.evaluate.protocols import PROTOCOLS, Scoring
from uformer.evaluate.score import Score
from uformer.image.image import Image, Pixels
from uformer.image.samples import Samples
from uformer.image.value_range import FULL, ValueRange
from uformer.metrics import psnr
from uformer.restore.backends.base import Weights
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer


def tiny_restorer(**options: object) -> Restorer:
    """Return a restorer with a one-level network and random weights, in torch."""
    state = {key: value.numpy() for key, value in build(TINY).state_dict().items()}
    chosen = RestoreOptions(backend="torch", precision="fp32", **options)  # type: ignore[arg-type]
    return Restorer(Network(Weights(TINY, state), chosen.network), chosen)


@pytest.mark.usefixtures("identity")
def test_means_are_means_of_decibels(tmp_path: Path) -> None:
    save_pairs(tmp_path, {"a": (100, 101), "b": (100, 110)})
    found = evaluate(tiny_restorer(), find_cases(PROTOCOLS["pairs"], tmp_path), Scoring())
    assert [each.name for each in found.measured] == ["a", "b"]
    by_hand = (20 * math.log10(255) + 20 * math.log10(25.5)) / 2
    assert mean([each.degraded for each in found.measured]).psnr == pytest.approx(by_hand, abs=1e-4)
    assert mean([each.restored for each in found.measured]) == mean(
        [each.degraded for each in found.measured]
    )
    assert (found.tiles, found.failures, found.subsets) == (1, (), [""])


def test_the_restored_image_is_the_restorers_output(tmp_path: Path) -> None:
    save_picture(tmp_path / "degraded/a.png", seed=1)
    save_picture(tmp_path / "clean/a.png", seed=2)
    restorer = tiny_restorer(tile=16, overlap=4)
    samples = find_cases(PROTOCOLS["pairs"], tmp_path)
    kept: list[Image | Samples] = []
    (numbers,) = evaluate(
        restorer, samples, Scoring(), keep=lambda _, restored: kept.append(restored)
    ).measured
    pair = samples[0].load()
    degraded, clean = pair.degraded, pair.clean
    assert numbers.degraded.psnr == psnr(degraded, clean)
    assert numbers.restored.psnr == psnr(restorer.restore_pixels(degraded), clean) != numbers.degraded.psnr
    assert numbers.tiles == 12
    assert isinstance(kept[0], Image)
    assert np.array_equal(kept[0].pixels, restorer.restore_pixels(degraded))


def test_noise_that_is_not_clipped_reaches_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Pixels, ValueRange]] = []

    def restore(_self: Restorer, pixels: Pixels, *, used: ValueRange, **_: object) -> Pixels:
        seen.append((pixels, used))
        return pixels

    monkeypatch.setattr(Restorer, "restore_pixels", restore)
    save_picture(tmp_path / "a.png")
    for protocol in ("gaussian", "gaussian-float"):
        chosen = PROTOCOLS[protocol]
        found = evaluate(tiny_restorer(), find_cases(chosen, tmp_path)[:1], chosen.scoring)
        assert [each.data_range for each in found.measured] == [255]
    (clipped, whole), (noisy, used) = seen
    assert (clipped.min(), clipped.max(), whole) == (0, 1, FULL)
    assert used.low == noisy.min() < 0
    assert used.high == noisy.max() > 1


@pytest.mark.usefixtures("identity")
def test_bad_images_are_named_and_do_not_stop_the_others(tmp_path: Path) -> None:
    save_pairs(tmp_path, {"a": (1, 2), "b": (1, 2), "c": (1, 2), "d": (1, 2)})
    (tmp_path / "degraded/b.png").write_bytes(b"no image")
    (tmp_path / "clean/c.png").unlink()
    steps: list[int] = []
    found = evaluate(
        tiny_restorer(), find_cases(PROTOCOLS["pairs"], tmp_path), Scoring(), advance=lambda: steps.append(1)
    )
    assert [each.name for each in found.measured] == ["a", "d"]
    assert [each.name for each in found.failures] == ["b", "c"]
    assert "not a PNG" in found.failures[0].reason
    assert len(steps) == 4


@pytest.mark.usefixtures("identity")
def test_an_image_that_cannot_be_saved_has_no_scores(tmp_path: Path) -> None:
    save_pairs(tmp_path, {"a": (1, 2)})

    def keep(_sample: Case, _restored: object) -> None:
        raise PictureError("disk full")

    found = evaluate(tiny_restorer(), find_cases(PROTOCOLS["pairs"], tmp_path), Scoring(), keep=keep)
    assert (found.measured, [each.reason for each in found.failures]) == ((), ["disk full"])


def test_subsets_and_means() -> None:
    measured = [
        Measured(subset, "a", Score(1, 0.1), Score(psnr, 0.5), tiles)
        for subset, psnr, tiles in (("x", 30, 1), ("y", 40, 3))
    ]
    found = Evaluation(tuple(measured), ())
    assert found.subsets == ["x", "y"]
    assert found.of("y") == [measured[1]]
    assert found.tiles == 3
    assert Evaluation((), ()).tiles == 0
    assert mean([each.restored for each in measured]) == Score(35, 0.5)
    assert mean([Score(math.inf, 1), Score(30, 0)]) == Score(math.inf, 0.5)
