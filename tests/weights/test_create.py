import dataclasses
from pathlib import Path

import pytest
import torch

from tests.networks import TINY, build
from uformer.config import VARIANTS
from uformer.errors import CheckpointError, OptionError
from uformer.model.uformer import Uformer
from uformer.weights import checkpoint, registry
from uformer.weights.create import create_model, weights_file


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    checkpoint.save(path, build(TINY))
    return path


def same(one: Uformer, other: Uformer) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return one.config == other.config and all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", ["uformer_t", "uformer_16_cross"])
def test_variant_is_fresh_and_in_training_mode(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name)
    assert model.config == VARIANTS[name]
    assert model.training
    torch.manual_seed(0)
    assert same(model, create_model(name))
    assert not same(model, create_model(name))


@pytest.mark.parametrize("kind", [str, Path])
def test_file_is_loaded_in_evaluation_mode(tiny_file: Path, kind: type) -> None:
    model = create_model(kind(tiny_file))
    assert same(model, build(TINY))
    assert not model.training


def test_file_of_another_name(tiny_file: Path) -> None:
    renamed = tiny_file.rename(tiny_file.with_suffix(".bin"))
    assert same(create_model(renamed), build(TINY))


def test_weights_that_ship_are_verified(tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "FILES", tiny_file.parent)
    shipped = dataclasses.replace(next(iter(registry.WEIGHTS.values())), name="tiny", sha256="0" * 64)
    monkeypatch.setattr(registry, "WEIGHTS", {"tiny": shipped})
    with pytest.raises(CheckpointError, match="damaged"):
        create_model("tiny")
    monkeypatch.setattr(registry.ShippedWeights, "verify", lambda weights: weights.path)
    assert same(create_model("tiny"), build(TINY))
    assert weights_file("tiny") == tiny_file


def test_the_folder_of_a_run_is_its_best_weights(tiny_file: Path, tmp_path: Path) -> None:
    for name in ("last", "best"):  # a run writes `last` first
        (tmp_path / f"{name}.safetensors").write_bytes(tiny_file.read_bytes())
        assert weights_file(tmp_path) == tmp_path / f"{name}.safetensors"
    assert same(create_model(tmp_path), build(TINY))


@pytest.mark.parametrize("name", ["uformer_x", "", "uformer_t.dehaze", "a/b/c", "/uformer_t"])
def test_unknown_lists_what_is_known(name: str) -> None:
    with pytest.raises(OptionError) as caught:
        create_model(name)
    said = str(caught.value)
    assert said.startswith(f"unknown network or weights {name!r}; give weights (uformer_t.denoise, ")
    assert all(known in said for known in [*VARIANTS, *registry.WEIGHTS])
    assert "\n" not in said


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such file"):
        create_model(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(CheckpointError, match="text.safetensors"):
        create_model(tmp_path / "text.safetensors")
