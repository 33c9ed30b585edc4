"""Entry points for torch.hub: `torch.hub.load(FOLDER, "uformer_t", source="local", pretrained=True)`.

FOLDER is a clone of this repository. `create_model` takes every name that `uformer.create_model` takes:
`torch.hub.load(FOLDER, "create_model", "uformer_t.deblur", source="local")`.
"""

from typing import Any

from uformer import Uformer, create_model, list_models

__all__ = ["create_model", "list_models", "uformer_b", "uformer_s", "uformer_t"]

dependencies = ["numpy", "safetensors", "torch"]  # torch.hub refuses to load where one is missing


def uformer_t(*, pretrained: bool = False, **fields: Any) -> Uformer:
    """Uformer-T; `pretrained` loads its denoising weights. `fields` replace those of its configuration."""
    return create_model("uformer_t", pretrained=pretrained, **fields)


def uformer_s(**fields: Any) -> Uformer:
    """Uformer-S with random weights; no weights ship for it."""
    return create_model("uformer_s", **fields)


def uformer_b(**fields: Any) -> Uformer:
    """Uformer-B with random weights; no weights ship for it."""
    return create_model("uformer_b", **fields)
