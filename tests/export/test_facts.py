import dataclasses

import pytest

from tests.networks import TINY
from uformer.config import UformerConfig
from uformer.export.facts import contract, metadata
from uformer.weights import registry
from uformer.weights.provenance import Provenance


@pytest.mark.parametrize("name", registry.WEIGHTS)
def test_of_weights_that_ship(name: str) -> None:
    weights = registry.find(name)
    about = Provenance.of(weights.path)
    facts = metadata(about, "int8")
    assert (facts["name"], facts["sha256"], facts["licence"], facts["precision"]) == (
        name,
        weights.sha256,
        weights.licence,
        "int8",
    )
    assert facts["range"] == "auto"
    assert facts["made_by"].startswith("uformer ")
    assert UformerConfig.from_json(facts["config"]) == about.config


def test_the_contract_names_channels_and_range() -> None:
    assert "(batch, 3, height, width) in [0, 1], sRGB" in contract(TINY)
    gray = contract(dataclasses.replace(TINY, in_channels=1, out_channels=4))
    assert "sRGB" not in gray
    assert "(batch, 1, height, width)" in gray
    assert "(batch, 4, height, width), to be clipped" in gray
