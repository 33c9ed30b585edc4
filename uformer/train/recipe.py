"""`Recipe`, a checked, frozen value that defines a training run, and the settings that change its fields."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from uformer.config import UformerConfig, variant
from uformer.degradations.counts import CountNoise
from uformer.errors import CheckpointError, OptionError
from uformer.image import value_range
from uformer.train.duration import Clock
from uformer.values import hints, option, plain, set_types, unknown

MAY_CHANGE = (
    *("steps", "minutes", "decay", "log_every", "save_every", "save_minutes", "validate_every", "workers"),
    *("validate_minutes", "accumulate", "sharding", "network.gradient_checkpointing"),
)
"""Fields that a resumed run may change: its length, intervals, and what affects weights only by rounding."""

Supervision = Literal["clean", "noise2noise", "noise2void", "neighbor2neighbor"]

_LARGEST_BATCH = 2**20  # patches

# Network fields that belong to the recipe, whatever the variant.
_OF_TRAINING = ("bottleneck_shift", "drop_path_rate", "gradient_checkpointing")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that defines a training run but its images. Raises OptionError for a value out of range."""

    name: str
    network: UformerConfig
    steps: int
    """Number of weight updates. The learning rate follows them."""
    minutes: float = 0.0
    """Time limit in minutes; 0 for none. With a limit, the learning rate also follows the time."""
    clock: Clock = "wall"
    """What `minutes` counts: elapsed time, or processor time (`cpu`), which other programs do not change.

    `cpu` adds up all threads of the training process: two busy cores count 2 minutes in a minute.
    """
    degradation: Literal["none", "noise", "rain", "blur"] = "none"
    """Degradation of clean images. `none` needs pairs."""
    noise: str = ""
    """Noise of linear data instead of that of photographs, for the degradation `noise`.

    It is poisson:gain=G,read=R,offset=O in the units of the files, as `uformer photon-transfer` prints it.
    """
    range: str = "auto"
    """Range of values that becomes [0, 1]: auto, full or LOW:HIGH, as in `uformer restore --range`.

    The weights carry it, and restoring with them uses it.
    """
    supervision: Supervision = "clean"
    """What the network learns from: clean images, or noisy images alone (`uformer.data.targets`)."""
    start: str = ""
    """Weights that a run on RGB images starts from without `--start` and settings of the network."""
    drawn: float = 0.0
    """Share of patches that are smooth drawings, half left clean. 1 needs no images. Needs a degradation."""
    structured: float = 0.0
    """Share of the other patches that get bars, fences, cables or hatching drawn over them, half left clean.

    Needs a degradation.
    """
    dry: float = 0.0
    """Share of the remaining patches that are left clean, besides those that the degradation leaves clean.

    Needs a degradation.
    """
    gray: float = 0.0
    """Share of patches that are gray, with all channels equal. Needs a degradation."""
    mirrored: float = 0.0
    """Share of patches that end at an image border and continue mirrored, as `uformer restore` pads."""
    augment: bool = True
    """Whether patches are flipped and turned by quarter turns at random."""
    patch: int = 128
    """Side of a patch, in pixels."""
    batch: int = 32
    """Patches per step, over all processes."""
    accumulate: int = 0
    """Parts in which a batch is computed; a divisor of `batch`.

    0 chooses: one part on a GPU; on a CPU, parts of two 128 x 128 patches, or that area, to fit its caches.
    """
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon` uses Muon for the matrices of the blocks, and AdamW for the rest."""
    lr: float = 2e-4
    """Largest learning rate."""
    lr_min: float = 1e-6
    """Learning rate at the end of the cosine."""
    decay: float = 1.0
    """Share of the run, at its end, in which the learning rate falls along a cosine. 0 keeps it at `lr`."""
    warmup: int = 0
    """Steps in which the learning rate rises linearly from 0; at most a tenth of the run."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's betas."""
    weight_decay: float = 0.02
    loss: Literal["charbonnier", "squares", "decibels"] = "charbonnier"
    """`squares` is the mean squared difference, whose best prediction from noisy targets is their mean.

    `decibels` is the negative PSNR of each patch, so patches with weak noise or rain count as much as others.
    """
    regularizer: float = 2.0
    """gamma of neighbor2neighbor: the weight of its regularisation term at the end of the run."""
    charbonnier_eps: float = 1e-3
    """eps of the Charbonnier loss, sqrt((restored - clean)^2 + eps^2), and of `decibels`, in which patches
    above a PSNR of -20 log10(eps) count less."""
    ema: float = 0.0
    """Decay of the moving average of the weights, which is scored and saved. 0: the weights themselves."""
    clip: float = 0.0
    """Largest gradient norm; larger gradients are scaled down. 0 turns clipping off."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """`auto` is bf16 on a CUDA GPU that supports it, and fp32 elsewhere."""
    compile: Literal["auto", "always", "never"] = "auto"
    """Whether to use torch.compile. `auto` uses it on a CUDA GPU."""
    sharding: Literal["none", "full"] = "none"
    """`full`: each process keeps a part of the weights and optimizer state (FSDP). `none`: all (DDP)."""
    seed: int = 0
    log_every: int = 50
    """Steps between log lines. The loss is checked to be finite at the same interval."""
    save_every: int = 1000
    """Steps between saves of the state."""
    save_minutes: float = 5.0
    """Minutes between saves of the state. The run saves at whichever interval ends first."""
    validate_every: int = 1000
    """Steps between scores on the held-out images. Samples and curves are drawn at the same time."""
    validate_minutes: float = 0.0
    """Minutes between scores, besides those after `validate_every` steps; 0 is a tenth of `minutes`."""
    held_out: int = 8
    """Images held out of training to score with, at most a quarter of all. Ignored with `--validation`."""
    validation_side: int = 512
    """Side of the centre crop of each held-out image that is scored, in pixels."""
    workers: int = -1
    """Processes that cut patches. -1 chooses: none on a CPU; on a GPU, cores minus one, at most 16."""

    def __post_init__(self) -> None:
        set_types(self, text=True)  # YAML 1.1 reads 2e-4 as text
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
            "validate_minutes",
            "warmup",
            "seed",
            "held_out",
            "accumulate",
            "regularizer",
        ):
            self._check(name, getattr(self, name) >= 0, "at least 0")
        for name in ("lr", "charbonnier_eps"):
            self._check(name, getattr(self, name) > 0, "more than 0")
        for name in ("drawn", "structured", "dry", "gray", "mirrored", "decay"):
            self._check(name, 0 <= getattr(self, name) <= 1, "a share between 0 and 1")
        self._check("drawn", self.drawn + self.gray <= 1, "at most 1 together with gray")
        value_range.check(self.range)
        if self.noise:
            CountNoise.parse(self.noise)
            self._check("noise", self.degradation == "noise", "empty unless degradation is noise")
        if self.supervision != "clean":
            needed = f"none: {self.supervision} learns from noisy images as they are"
            self._check("degradation", self.degradation == "none", needed)
            for name in ("drawn", "structured", "dry", "gray"):
                self._check(name, getattr(self, name) == 0, f"0: {self.supervision} makes no images noisy")
        if self.supervision == "noise2void":
            self._check(
                "loss", self.loss == "squares", "squares, which leaves out the pixels without a target"
            )
        if self.supervision == "neighbor2neighbor":
            self._check("mirrored", self.mirrored == 0, "0, because a mirrored pixel would be its own target")
        self._check("ema", 0 <= self.ema < 1, "in [0, 1)")
        self._check("clock", self.clock == "wall" or self.workers < 1, "wall if workers cut the patches")
        self._check("betas", all(0 <= beta < 1 for beta in self.betas), "two values in [0, 1)")
        self._check("lr_min", self.lr_min <= self.lr, f"at most lr ({self.lr:g})")
        self._check(
            "accumulate", self.batch % max(self.accumulate, 1) == 0, f"a divisor of batch ({self.batch})"
        )
        self._check("workers", self.workers >= -1, "at least 0, or -1 to choose automatically")
        self._check("batch", self.batch <= _LARGEST_BATCH, f"at most {_LARGEST_BATCH:,}")
        self._check("seed", self.seed < 2**63, "below 2^63")

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise OptionError(f"{name}: {getattr(self, name)} must be {expected}")

    def to_values(self) -> dict[str, Any]:
        """Return the fields as plain values by name, ready for YAML."""
        return {name: plain(value) for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Build a recipe from the result of `to_values`.

        Raises OptionError for an unknown or missing name or an invalid value.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise unknown(str(name), known)
        network = values.get("network")
        if not isinstance(network, Mapping):
            raise OptionError("the recipe has no field network, or it is not a mapping")
        try:
            config = UformerConfig.from_values(network)
            return cls(**{**values, "network": config})
        except CheckpointError as error:
            raise OptionError(f"network: {error}") from None
        except TypeError:
            needed = [field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING]
            missing = ", ".join(name for name in needed if name not in values)
            raise OptionError(f"the recipe is incomplete; it lacks {missing}") from None


def override(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """Return a recipe with settings applied: "batch=16", "network=uformer_b", "network.window_size=4".

    `network=NAME` applies before the other settings, wherever it stands. It keeps the recipe's network fields
    that concern training (drop path, checkpointing, bottleneck shift). Raises OptionError for an unknown key,
    naming the closest one, and for an invalid value.
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
    """Return the network fields that settings change. A whole variant (network=NAME) counts as "all"."""
    keys = [key for key, _ in map(_split, settings)]
    return {key.partition(".")[2] or "all" for key in keys if key.partition(".")[0] == "network"}


def differences(old: Recipe, new: Recipe) -> list[str]:
    """Return the differences between two recipes, each as "batch: 32, now 16"."""
    before, after = (_flat(recipe.to_values()) for recipe in (old, new))
    return [f"{key}: {before[key]}, now {after[key]}" for key in before if before[key] != after[key]]


def _split(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not equals or not key.strip():
        raise OptionError(f"--set {setting}: expected KEY=VALUE, such as batch=16")
    return key.strip().replace("-", "_"), value.strip()


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    network = {f"network.{key}": value for key, value in values["network"].items()}
    return {key: value for key, value in values.items() if key != "network"} | network
