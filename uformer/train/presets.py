"""The comparisons that `uformer ablate` makes: the paper's section 4.6, as settings of a recipe."""

import types
from collections.abc import Mapping

from uformer.errors import OptionError

Rows = Mapping[str, tuple[str, ...]]
"""Settings (`--set`) of each configuration, by its name. The first is the baseline."""

_BASE = "network=uformer_16"  # concat, LeFF, windows of 8 x 8, no modulators, shifted windows

PRESETS: Mapping[str, Rows] = types.MappingProxyType(
    {
        "skips": {
            "concat": (_BASE,),
            "cross": ("network=uformer_16_cross",),
            "concat_cross": ("network=uformer_16_concat_cross",),
        },
        "feed-forward": {"leff": (_BASE,), "mlp": (_BASE, "network.feed_forward=mlp")},
        "windows": {
            "window-8": (_BASE,),
            "window-4": (_BASE, "network.window_size=4"),
            "window-16": (_BASE, "network.window_size=16"),
        },
        "modulators": {"no-modulators": (_BASE,), "modulators": (_BASE, "network.modulator=true")},
        "shift": {"shift": (_BASE,), "no-shift": (_BASE, "network.shift=false")},
    }
)
"""The comparisons by name."""

SMALL = (
    *("network.embed_dim=8", "network.depths=1,1,1,1,1", "network.num_heads=1,2,4,4,2"),
    *("patch=64", "batch=8", "validation_side=256", "lr=8e-3", "ema=0.9", "mirrored=0"),
)
"""Settings that make networks narrow and shallow, so that they learn something within minutes on a CPU.

They have two levels, because a third would pad patches of 64 pixels to 128.
"""

_DEEPER = ("network.depths=2,2,2,2,2",)  # only the second block of a stage shifts its windows


def rows(preset: str, *, small: bool) -> dict[str, tuple[str, ...]]:
    """Return the settings of each configuration of a preset. Raises OptionError for an unknown preset."""
    if preset not in PRESETS:
        raise OptionError(f"unknown comparison {preset!r}; choose one of {', '.join(PRESETS)}")
    first = (*SMALL, *(_DEEPER if preset == "shift" else ())) if small else ()
    return {name: (*first, *settings) for name, settings in PRESETS[preset].items()}
