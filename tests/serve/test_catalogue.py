"""The names that clients may use, and restorers that are loaded once."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.networks import TINY, build
from uformer.errors import CheckpointError, OptionError
from uformer.layout import parameter_count
from uformer.restore.backends.base import Weights
from uformer.restore.backends.onnx import FORMAT
from uformer.restore.backends.openvino import OpenVINOBackend
from uformer.restore.network import Network
from uformer.restore.options import NetworkOptions, RestoreOptions
from uformer.restore.restorer import Restorer
from uformer.serve.catalogue import Catalogue, Restorers
from uformer.weights import checkpoint


@pytest.fixture
def own(tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "mine.safetensors", build(TINY))
    return tmp_path / "mine.safetensors"


def test_a_clients_words_go_over_the_defaults() -> None:
    catalogue = Catalogue(RestoreOptions(tile=64, weights="uformer_t.derain"))
    assert catalogue.options({}) == catalogue.defaults
    asked = catalogue.options({"task": "deblur", "strength": 0.5})
    assert (asked.task, asked.weights, asked.tile, asked.strength) == ("deblur", None, 64, 0.5)
    assert catalogue.name(asked) == "uformer_t.deblur"


def test_a_file_named_from_here_is_the_default(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own.parent)
    catalogue = Catalogue(RestoreOptions(weights=own.name))
    assert catalogue.name(catalogue.options({})) == "mine"
    assert [model["name"] for model in catalogue.describe() if model["default"]] == ["mine"]


def test_an_exported_file_will_do(tmp_path: Path) -> None:
    helper = pytest.importorskip("onnx.helper")
    model = helper.make_model(helper.make_graph([], "none", [], []))
    helper.set_model_props(model, {"format": FORMAT, "config": TINY.to_json()})
    (tmp_path / "mine.onnx").write_bytes(model.SerializeToString())
    first, *_ = Catalogue(RestoreOptions(weights=str(tmp_path / "mine.onnx"))).describe()
    assert (first["name"], first["default"], first["parameters"]) == ("mine", True, parameter_count(TINY))


def test_weights_go_by_names_never_by_paths(own: Path) -> None:
    catalogue = Catalogue(RestoreOptions(weights=str(own)))
    assert catalogue.options({"weights": "mine"}).weights == str(own)
    assert catalogue.name(catalogue.options({})) == "mine"
    first, *_ = catalogue.describe()
    assert (first["name"], first["default"]) == ("mine", True)
    for name in (str(own), "other", ""):
        with pytest.raises(OptionError, match="unknown name .*; known: mine, uformer_t.denoise"):
            catalogue.options({"weights": name})


@pytest.mark.parametrize("weights", ["no.safetensors", "uformer_t"])
def test_weights_that_are_not_there_are_said_at_once(weights: str) -> None:
    with pytest.raises((OptionError, CheckpointError)):
        Catalogue(RestoreOptions(weights=weights))


def test_a_wrong_task_is_said_at_once() -> None:
    with pytest.raises(OptionError, match="known: denoise"):
        Catalogue(RestoreOptions(task="x"))


def test_a_restorer_is_loaded_once_for_all_that_its_network_does_not_depend_on(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, built = [], 0
    for_size = OpenVINOBackend.for_size

    def count(*args: Any) -> Any:
        nonlocal built
        built += 1
        return for_size(*args)

    monkeypatch.setattr(OpenVINOBackend, "for_size", count)

    def load(options: RestoreOptions) -> Restorer:
        loads.append(options)
        return Restorer.from_options(options)

    restorers = Restorers(load)
    base = RestoreOptions(weights=str(own), backend="openvino")
    for strength, tile in ((1.0, None), (0.5, 64), (0.5, None), (0.0, None), (1.0, 64)):
        options = RestoreOptions(weights=str(own), backend="openvino", strength=strength, tile=tile)
        assert restorers.get(options).options == options
        restorers.get(options).restore_pixels(np.full((48, 48, 3), 0.5, np.float32))
    first, second = (restorers.get(dataclasses.replace(base, strength=strength)) for strength in (1.0, 0.5))
    assert (first.options.strength, second.options.strength) == (1.0, 0.5), (
        "a later request changes no earlier one"
    )
    assert first.network is second.network
    assert len(loads) == 1
    assert built == 1, "compiled again for each image"
    restorers.get(RestoreOptions(weights=str(own), backend="openvino", precision="fp32"))
    assert len(loads) == 2
    assert restorers.get(base).options == base


def test_restorers_are_bounded() -> None:
    loads = []

    def load(options: RestoreOptions) -> Restorer:
        loads.append(options.device)
        return Restorer(Network(Weights(TINY, {}), NetworkOptions(backend="torch")), options)

    restorers = Restorers(load)
    for device in [*"abcdefg", "a"]:
        restorers.get(RestoreOptions(device=device))
    assert loads == [*"abcdefg", "a"]


def test_several_tasks() -> None:
    catalogue = Catalogue(RestoreOptions())
    options = catalogue.options({"tasks": "derain,denoise", "strength": 0.5})
    assert catalogue.name(options) == "uformer_t.derain+uformer_t.denoise"
    with pytest.raises(OptionError, match="known: denoise"):
        catalogue.options({"tasks": "denoise,paint"})
    restorers = Restorers()
    chain = restorers.get(options)
    assert [stage.options.task for stage in chain.stages] == ["derain", "denoise"]
    assert restorers.get(RestoreOptions(task="denoise")).network is chain.stages[1].network
    served = Catalogue(RestoreOptions(tasks="derain,denoise"))
    assert served.options({}).task_names == ("derain", "denoise")
    assert served.options({"task": "deblur"}).task_names == ("deblur",)
    assert served.options({"weights": "uformer_t.deblur"}).task_names == ()
