"""The networks in timm's registry: `timm.create_model("uformer_t.denoise", pretrained=True)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from uformer.config import VARIANTS
from uformer.errors import OptionError
from uformer.files import require
from uformer.weights import registry
from uformer.weights.create import create_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from uformer.model.uformer import Uformer

default_cfgs: dict[str, Any] = {}
"""The descriptions of the weights by variant. timm reads them from the module of a registered function."""


def register_with_timm() -> None:
    """Register every variant, and the weights that ship, with timm.

    Afterwards, timm's `create_model` and `list_models` know them. `create_model` takes timm's `in_chans` or
    any field of `UformerConfig`. A second call changes nothing. Raises OptionError if timm is not installed.
    """
    models = require("timm.models", "timm")
    new = [name for name in VARIANTS if not models.is_model(name)]
    described = {weights.name: _description(weights) for weights in registry.WEIGHTS.values()}
    default_cfgs.update(models.generate_default_cfgs(described))
    for name in new:
        models.register_model(_entry_point(name, models))


def _description(weights: registry.ShippedWeights) -> dict[str, object]:
    """The fields of timm's PretrainedCfg: images in [0, 1], of any size."""
    return {
        "file": str(weights.path),
        "input_size": (3, 256, 256),
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "num_classes": 0,
        "first_conv": "input_proj.conv",
        "license": weights.licence,
        "paper_ids": "arXiv:2106.03106",
    }


def _entry_point(variant: str, models: Any) -> Callable[..., Uformer]:
    """The function that timm calls to create a variant; timm registers it by its name."""

    def create(
        pretrained: bool = False,
        pretrained_cfg: object = None,
        pretrained_cfg_overlay: object = None,
        cache_dir: object = None,  # noqa: ARG001 - timm always passes it; nothing is downloaded here
        in_chans: int | None = None,
        **fields: Any,
    ) -> Uformer:
        if pretrained_cfg_overlay or not isinstance(pretrained_cfg, str | None):
            raise OptionError(
                f"timm.create_model: {variant} takes weights by name only, such as {variant}.denoise"
            )
        if in_chans is not None:
            fields["in_channels"] = in_chans
        name = f"{variant}.{pretrained_cfg}" if pretrained_cfg else variant
        model: Any = create_model(name if pretrained else variant, pretrained=pretrained, **fields)
        described = models.get_pretrained_cfg(name)
        model.pretrained_cfg = described.to_dict() if described else {}  # timm's own tools read it
        return cast("Uformer", model)

    create.__name__ = create.__qualname__ = variant
    create.__doc__ = f"{variant} with random weights, or with the weights of its tag."
    return create
