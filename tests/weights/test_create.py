import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

import uformer
from tests.networks import TINY, build
from uformer.config import VARIANTS
from uformer.errors import CheckpointError, OptionError
from uformer.model.uformer import Uformer
from uformer.weights import checkpoint, registry
from uformer.weights.create import create_model, list_models, weights_file


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


def test_fields_replace_those_of_a_variant() -> None:
    model = create_model("uformer_t", in_channels=1, window_size=4, drop_path_rate=0.0)
    assert model.config == dataclasses.replace(
        VARIANTS["uformer_t"], in_channels=1, out_channels=1, window_size=4, drop_path_rate=0.0
    )
    assert model.training
    assert create_model("uformer_t", in_channels=4, out_channels=3).config.out_channels == 3


def test_a_variant_with_its_first_weights() -> None:
    model = create_model("uformer_t", pretrained=True)
    assert same(model, create_model("uformer_t.denoise"))
    assert not model.training


def test_weights_for_other_channels_and_windows() -> None:
    model = create_model("uformer_t", in_channels=1, window_size=4, pretrained=True).eval()
    assert (model.config.in_channels, model.config.out_channels, model.config.window_size) == (1, 1, 4)
    rng = torch.Generator().manual_seed(0)
    clean = torch.linspace(0.2, 0.8, 64).expand(1, 1, 64, 64)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=rng)
    with torch.inference_mode():
        error = (model(noisy) - clean).square().mean()
    assert error < 0.1 * (noisy - clean).square().mean()


def test_weights_without_their_values(tiny_file: Path) -> None:
    torch.manual_seed(0)
    model = create_model(tiny_file, pretrained=False, drop_path_rate=0.2)
    assert model.training
    assert model.config == dataclasses.replace(TINY, drop_path_rate=0.2)
    assert not torch.equal(
        model.state_dict()["input_proj.conv.weight"], build(TINY).state_dict()["input_proj.conv.weight"]
    )


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("uformer_t", {"windowsize": 4}, "unknown setting 'windowsize'; did you mean 'window_size'?"),
        ("uformer_t", {"window_size": "x"}, "window_size: 'x' is not a whole number"),
        ("uformer_t", {"pretrained": True, "embed_dim": 32}, "embed_dim: uformer_t.denoise has 16, not 32"),
        ("uformer_b", {"pretrained": True}, "pretrained: no weights ship for uformer_b; weights that ship: "),
    ],
)
def test_fields_that_do_not_fit(name: str, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        create_model(name, **fields)
    assert str(caught.value).startswith(said)


def test_names() -> None:
    assert list_models() == [*VARIANTS, *registry.WEIGHTS]
    assert list_models(pretrained=True) == list(registry.WEIGHTS)
    assert list_models("*.derain") == ["uformer_t.derain"]
    assert list_models("uformer_t*", pretrained=True) == list(registry.WEIGHTS)
    assert list_models("none") == []
    assert uformer.list_models is list_models
