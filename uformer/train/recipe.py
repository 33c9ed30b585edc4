"""What defines a training run: one frozen value, checked, with typed settings from a command line or a file."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from uformer.config import UformerConfig, variant
from uformer.errors import CheckpointError, OptionError
from uformer.values import hints, option, plain, set_types, unknown

MAY_CHANGE = (
    *("steps", "minutes", "decay", "log_every", "save_every", "save_minutes", "validate_every", "workers"),
    *("accumulate", "sharding", "network.gradient_checkpointing"),
)
"""Fields that a run that is resumed may change: how long it lasts, and what touches its weights by rounding at most."""

_MOST = 2**20  # patches in a batch
_OF_TRAINING = (
    "bottleneck_shift",
    "drop_path_rate",
    "gradient_checkpointing",
)  # a recipe's own, whatever the variant


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that defines a training run but its pictures. Raises OptionError for a value out of range."""

    name: str
    network: UformerConfig
    steps: int
    """Updates of the weights; the learning rate falls along them."""
    minutes: float = 0.0
    """Where not 0: end after so many minutes at the latest; the learning rate then follows the time."""
    degradation: Literal["none", "noise", "rain", "blur"] = "none"
    """What makes degraded pictures of clean ones; `none` needs pairs."""
    drawn: float = 0.0
    """Share of patches that are smooth drawings, half of them left clean; 1 needs no pictures. With a degradation only."""
    structured: float = 0.0
    """Share of patches with bars, fences, cables or hatching drawn over them, half left clean. With a degradation only."""
    dry: float = 0.0
    """Share of the other patches that are left clean, beside those that the degradation leaves alone. With a degradation only."""
    gray: float = 0.0
    """Share of patches that are gray, in all channels alike. With a degradation only."""
    mirrored: float = 0.0
    """Share of patches with the border of a picture, beyond which it goes on mirrored, as `uformer restore` extends it."""
    augment: bool = True
    """Flips and quarter turns."""
    patch: int = 128
    """Side of a patch, pixels."""
    batch: int = 32
    """Patches in a step, over all devices."""
    accumulate: int = 0
    """Parts that a batch is taken in; divides batch. 0: one on a GPU; on a CPU parts of two patches of 128 x 128, which fit its caches."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon`: Muon for the matrices of the blocks, AdamW for the rest."""
    lr: float = 2e-4
    """Largest learning rate."""
    lr_min: float = 1e-6
    """Where the cosine ends."""
    decay: float = 1.0
    """Share of the run, at its end, in which the learning rate falls along the cosine. 1: all of it; 0: the rate stays at lr."""
    warmup: int = 0
    """Steps in which the learning rate rises, in a straight line from 0; at most a tenth of all."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's."""
    weight_decay: float = 0.02
    charbonnier_eps: float = 1e-3
    """Of the loss sqrt((restored - clean)^2 + eps^2)."""
    ema: float = 0.0
    """Decay of the moving average of the weights, which is what is scored and saved; 0 is the weights themselves."""
    clip: float = 0.0
    """Largest norm of the gradient; 0 does not clip."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """`auto`: bf16 on a GPU that has it, else fp32."""
    compile: Literal["auto", "always", "never"] = "auto"
    """torch.compile; `auto`: on a GPU."""
    sharding: Literal["none", "full"] = "none"
    """`full`: FSDP, each of several processes keeps a part of weights and optimizers; `none`: DDP, each keeps all."""
    seed: int = 0
    log_every: int = 50
    """Steps; also how often the loss is checked to be finite."""
    save_every: int = 1000
    """Steps between saves of the state."""
    save_minutes: float = 5.0
    """Minutes between saves of the state, whichever comes first."""
    validate_every: int = 1000
    """Steps between scores of the pictures held out; samples and curves are drawn too."""
    held_out: int = 8
    """Pictures kept from training to score with, where no others are given; at most a quarter of all."""
    validation_side: int = 512
    """Of each, the middle of this side is scored, pixels."""
    workers: int = -1
    """Processes that cut patches; -1: one a core on a GPU, none on a CPU."""

    def __post_init__(self) -> None:
        set_types(self, text=True)  # YAML 1.1 takes 2e-4 for text
        for name in (
            "steps",
            "patch",
            "batch",
            "log_every",
            "save_every",
            "validate_every",
            "validation_side",
        ):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        for name in (
            "minutes",
            "lr_min",
            "weight_decay",
            "clip",
            "save_minutes",
            "warmup",
            "seed",
            "held_out",
            "accumulate",
        ):
            self._check(name, getattr(self, name) >= 0, "at least 0")
        for name in ("lr", "charbonnier_eps"):
            self._check(name, getattr(self, name) > 0, "more than 0")
        for name in ("drawn", "structured", "dry", "gray", "mirrored", "decay"):
            self._check(name, 0 <= getattr(self, name) <= 1, "a share between 0 and 1")
        self._check("drawn", self.drawn + self.gray <= 1, "at most 1 together with gray")
        self._check("ema", 0 <= self.ema < 1, "in [0, 1)")
        self._check("betas", all(0 <= beta < 1 for beta in self.betas), "two values in [0, 1)")
        self._check("lr_min", self.lr_min <= self.lr, f"at most lr ({self.lr:g})")
        self._check(
            "accumulate", self.batch % max(self.accumulate, 1) == 0, f"a divisor of batch ({self.batch})"
        )
        self._check("workers", self.workers >= -1, "at least 0, or -1 for as many as fit")
        self._check("batch", self.batch <= _MOST, f"at most {_MOST:,}")
        self._check("seed", self.seed < 2**63, "below 2^63")

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise OptionError(f"{name}: {getattr(self, name)} must be {expected}")

    def to_values(self) -> dict[str, Any]:
        """Plain values by name, as a file holds them."""
        return {name: plain(value) for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Build from what `to_values` gave. Raises OptionError for an unknown name or a value that does not fit."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise unknown(str(name), known)
        network = values.get("network")
        if not isinstance(network, Mapping):
            raise OptionError("a recipe needs a network")
        try:
            config = UformerConfig.from_values(network)
            return cls(**{**values, "network": config})
        except CheckpointError as error:
            raise OptionError(f"network: {error}") from None
        except TypeError:
            needed = [field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING]
            raise OptionError(
                f"a recipe needs {', '.join(name for name in needed if name not in values)}"
            ) from None


def override(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """A recipe with settings "key=value" put in, as "batch=16", "network=uformer_b" or "network.window_size=4".

    `network=NAME` comes first, wherever it stands; what belongs to training rather than to the variant stays the recipe's.
    Raises OptionError for an unknown key, which names the nearest, and for a value that does not fit.
    """
    fields, network_fields = hints(Recipe), hints(UformerConfig)
    changes: dict[str, Any] = {}
    network: dict[str, Any] = {}
    base = recipe.network
    for key, text in map(_split, settings):
        prefix, dot, name = key.partition(".")
        if key == "network":
            base = dataclasses.replace(
                variant(text), **{field: getattr(recipe.network, field) for field in _OF_TRAINING}
            )
        elif prefix == "network" and dot:
            if name not in network_fields:
                raise unknown(key, [f"network.{field}" for field in network_fields])
            network[name] = option(key, text, network_fields[name], text=True)
        elif key not in fields or key == "name":
            raise unknown(
                key,
                [
                    *(name for name in fields if name != "name"),
                    *(f"network.{field}" for field in network_fields),
                ],
            )
        else:
            changes[key] = option(key, text, fields[key], text=True)
    return dataclasses.replace(recipe, network=dataclasses.replace(base, **network), **changes)


def changed_network_fields(settings: Sequence[str]) -> set[str]:
    """The fields of the network that settings name; {"all"} is in it where they name a variant."""
    keys = [key for key, _ in map(_split, settings)]
    return {key.partition(".")[2] or "all" for key in keys if key.partition(".")[0] == "network"}


def differences(old: Recipe, new: Recipe) -> list[str]:
    """The fields in which two recipes differ, each as "batch: 32, now 16"."""
    before, after = (_flat(recipe.to_values()) for recipe in (old, new))
    return [f"{key}: {before[key]}, now {after[key]}" for key in before if before[key] != after[key]]


def _split(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not equals or not key.strip():
        raise OptionError(f"--set {setting!r} is not KEY=VALUE")
    return key.strip().replace("-", "_"), value.strip()


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    network = {f"network.{key}": value for key, value in values["network"].items()}
    return {key: value for key, value in values.items() if key != "network"} | network
