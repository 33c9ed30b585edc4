"""torch.hub loads the networks from a clone of the repository."""

from pathlib import Path

import pytest
import torch

from uformer.config import VARIANTS
from uformer.weights.create import create_model

ROOT = str(Path(__file__).parents[1])


def test_weights_load() -> None:
    wanted = create_model("uformer_t.denoise").state_dict()
    for arguments, options in (
        (("uformer_t",), {"pretrained": True}),
        (("create_model", "uformer_t.denoise"), {}),
    ):
        model = torch.hub.load(ROOT, *arguments, source="local", **options)
        assert all(torch.equal(value, wanted[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["uformer_t", "uformer_s", "uformer_b"])
def test_variants_take_fields(name: str) -> None:
    with torch.device("meta"):
        model = torch.hub.load(ROOT, name, source="local", in_channels=1, depths=(1,) * 9)
    assert model.config.depths == (1,) * 9
    assert model.config.embed_dim == VARIANTS[name].embed_dim
