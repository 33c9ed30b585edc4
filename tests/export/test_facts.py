import dataclasses
import hashlib
from pathlib import Path

import pytest

from tests.networks import TINY, build
from uformer.config import UformerConfig
from uformer.errors import CheckpointError
from uformer.export.facts import NOT_STATED, Facts, contract
from uformer.weights import checkpoint, registry


@pytest.mark.parametrize("name", registry.WEIGHTS)
def test_of_weights_that_ship(name: str) -> None:
    weights = registry.find(name)
    facts = Facts.of(weights.path, precision="fp32")
    assert (facts.name, facts.sha256, facts.licence) == (name, weights.sha256, weights.licence)
    assert facts.metadata()["made_by"].startswith("uformer ")


def test_of_weights_of_your_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    checkpoint.save(path, build(TINY))
    facts = Facts.of(path, precision="int8")
    assert (facts.name, facts.licence, facts.precision) == ("mine", NOT_STATED, "int8")
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert Facts.of(path, precision="int8", licence="mine\nalone").licence == "mine alone"
    assert UformerConfig.from_json(facts.metadata()["config"]) == TINY


def test_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        Facts.of(tmp_path / "a.safetensors", precision="fp32")


def test_the_contract_names_channels_and_range() -> None:
    assert "(batch, 3, height, width) in [0, 1], sRGB" in contract(TINY)
    gray = contract(dataclasses.replace(TINY, in_channels=1, out_channels=4))
    assert "sRGB" not in gray
    assert "(batch, 1, height, width)" in gray
    assert "(batch, 4, height, width), to be clipped" in gray
