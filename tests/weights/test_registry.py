"""Recompute the registry's facts about its weights from their files."""

import dataclasses
import hashlib
from pathlib import Path

import pytest

from uformer.config import VARIANTS, differences
from uformer.errors import CheckpointError, OptionError
from uformer.weights import checkpoint, registry

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("weights", registry.WEIGHTS.values(), ids=registry.WEIGHTS.keys())
def test_facts_are_the_files(weights: registry.ShippedWeights) -> None:
    assert hashlib.sha256(weights.path.read_bytes()).hexdigest() == weights.sha256
    about = checkpoint.describe(weights.path)
    assert weights.name == f"{weights.variant}.{weights.task}"
    fields = differences(about["config"], VARIANTS[weights.variant])  # type: ignore[arg-type]
    assert [field.partition(":")[0] for field in fields] in ([], ["bottleneck_shift"])
    assert weights.path.stat().st_size < 20e6


@pytest.mark.parametrize("weights", registry.WEIGHTS.values(), ids=registry.WEIGHTS.keys())
def test_model_card_tells_the_same(weights: registry.ShippedWeights) -> None:
    card = (ROOT / "docs" / "models" / f"{weights.name}.md").read_text(encoding="utf-8")
    assert weights.sha256 in card
    assert weights.licence in card
    assert weights.scores
    for score in weights.scores.values():
        assert f"{score:.2f}" in card


def test_find_and_for_task() -> None:
    assert registry.find("uformer_t.denoise") is registry.for_task("denoise")
    with pytest.raises(OptionError, match=r"unknown weights 'x'; known: uformer_t\.denoise"):
        registry.find("x")
    with pytest.raises(OptionError, match="unknown task 'x'; known: denoise"):
        registry.for_task("x")


def test_damaged_and_missing_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = registry.for_task("denoise")
    monkeypatch.setattr(registry, "FILES", tmp_path)
    with pytest.raises(CheckpointError, match="No such file or directory; reinstall the package"):
        weights.verify()
    weights.path.write_bytes(b"x" * 100)
    with pytest.raises(CheckpointError, match="damaged"):
        weights.verify()
    digest = hashlib.sha256(b"x" * 100).hexdigest()
    assert dataclasses.replace(weights, sha256=digest).verify() == weights.path
