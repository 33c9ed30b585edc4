"""The configuration that defines a Uformer, and the table of published variants."""

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from uformer.errors import CheckpointError, OptionError
from uformer.values import hints, set_types

Skip = Literal["concat", "cross", "concat_cross"]
FeedForward = Literal["leff", "mlp"]
CrossBlocks = Literal["all", "first"]

TRAINING_ONLY = ("drop_path_rate", "gradient_checkpointing")
"""Fields that change how a network learns but not what it computes."""

MOST = 2**20
"""Largest number of channels, and of tokens at the side of a window."""

MOST_BLOCKS = 10_000


@dataclass(frozen=True, kw_only=True)
class UformerConfig:
    """All hyperparameters of a Uformer (Wang et al., CVPR 2022, section 3; arXiv 2106.03106v1 and v2).

    Raises OptionError if a value is out of range or two values contradict each other.
    """

    embed_dim: int = 32
    """Channels after the input projection, C in the paper; level k of the encoder has 2^k C."""
    depths: tuple[int, ...] = (2, 2, 2, 2, 2, 2, 2, 2, 2)
    """LeWin blocks in each stage: the encoder top-down, the bottleneck, the decoder bottom-up."""
    num_heads: tuple[int, ...] = (1, 2, 4, 8, 16, 16, 8, 4, 2)
    """Attention heads of each stage, in the order of depths; each must divide the stage's channels."""
    window_size: int = 8
    """Side M of the attention windows, in tokens."""
    mlp_ratio: float = 4.0
    """Hidden channels of the feed-forward, as a multiple of the stage's channels."""
    qkv_bias: bool = True
    """Whether the query, key and value projections have a bias."""
    drop_path_rate: float = 0.1
    """Stochastic depth at the deepest block, in [0, 1); used in training only."""
    feed_forward: FeedForward = "leff"
    """`leff` (locally-enhanced, with a 3 x 3 depth-wise convolution; section 3.2) or a plain `mlp`."""
    skip: Skip = "concat"
    """How an encoder feature enters the decoder (arXiv v1, section 3.3)."""
    cross_blocks: CrossBlocks = "all"
    """With skip `cross`, which decoder blocks of a stage attend to the encoder: all (the authors' code) or
    the first (the paper)."""
    interleaved_keys: bool = False
    """With skip `concat_cross`, assign bias and mask to the joint keys as the authors' code does (for their
    files only).

    The keys are [decoder; encoder], but the authors' code repeats each bias and mask entry twice in a row, so
    a key gets the entry of another position. False gives both halves their own entries.
    """
    modulator: bool = False
    """Whether each decoder block adds a learned bias to each window's tokens (CVPR 2022, section 3.3)."""
    cross_modulator: bool = False
    """Whether each decoder block first attends to a learned set of window_size^2 tokens."""
    shift: bool = True
    """Whether every second block of a stage shifts its windows by half their side."""
    bottleneck_shift: bool = True
    """Whether the bottleneck shifts too; the authors' code turns that off when trained at 128 x 128."""
    in_channels: int = 3
    out_channels: int = 3
    """The input is added to the output only if in_channels == out_channels."""
    gradient_checkpointing: bool = False
    """Recompute each block in the backward pass: less memory, more time; used in training only."""

    def __post_init__(self) -> None:
        set_types(self)
        for field in ("embed_dim", "window_size", "in_channels", "out_channels"):
            if not 1 <= getattr(self, field) <= MOST:
                raise OptionError(f"{field}: {getattr(self, field)} must be at least 1 and at most {MOST}")
        if len(self.depths) < 3 or len(self.depths) % 2 == 0 or min(self.depths) < 1:
            raise OptionError(f"depths: {self.depths} must be an odd number (at least 3) of positive values")
        if sum(self.depths) > MOST_BLOCKS:
            raise OptionError(f"depths: {sum(self.depths)} blocks are more than {MOST_BLOCKS}")
        if len(self.num_heads) != len(self.depths):
            raise OptionError(
                f"num_heads: {len(self.num_heads)} values for {len(self.depths)} stages, expected one each"
            )
        for stage, (dim, heads) in enumerate(zip(self.stage_dims, self.num_heads, strict=True)):
            if heads < 1 or dim % heads:
                raise OptionError(
                    f"num_heads: {heads} heads do not divide the {dim} channels of stage {stage}"
                )
        if not 0 <= self.drop_path_rate < 1:
            raise OptionError(f"drop_path_rate: {self.drop_path_rate} is not in [0, 1)")
        if not 1 <= self.embed_dim * self.mlp_ratio < math.inf:
            raise OptionError(
                f"mlp_ratio: {self.mlp_ratio} must be finite and give {self.embed_dim} channels "
                "at least 1 hidden channel"
            )
        if self.cross_blocks == "first" and self.skip != "cross":
            raise OptionError(f"cross_blocks: 'first' needs skip 'cross', not {self.skip!r}")
        if self.interleaved_keys and self.skip != "concat_cross":
            raise OptionError(f"interleaved_keys: True needs skip 'concat_cross', not {self.skip!r}")

    @property
    def levels(self) -> int:
        """Number of encoder stages (and of decoder stages); 4 in the paper."""
        return len(self.depths) // 2

    @property
    def stage_dims(self) -> tuple[int, ...]:
        """Channels of each stage, in the order of depths."""
        encoder = [self.embed_dim << level for level in range(self.levels)]
        decoder = [dim * (2 if self.skip == "concat" else 1) for dim in reversed(encoder)]
        return (*encoder, self.embed_dim << self.levels, *decoder)

    @property
    def stage_levels(self) -> tuple[int, ...]:
        """How many times each stage's map is half the size of the image, in the order of depths."""
        return (*range(self.levels), self.levels, *reversed(range(self.levels)))

    @property
    def stride(self) -> int:
        """Side in pixels of the square that a token of the bottleneck stands for."""
        return 1 << self.levels

    @property
    def multiple(self) -> int:
        """Height and width are padded to a multiple of this many pixels, so that windows tile every level."""
        return self.window_size << self.levels

    def stage_shift(self, stage: int) -> int:
        """Tokens by which every second block of a stage shifts its windows; 0 for no shift."""
        shifts = self.shift and (self.bottleneck_shift or stage != self.levels)
        return self.window_size // 2 if shifts else 0

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote. Raises CheckpointError for anything else."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"the config is not JSON: {error}") from None
        if not isinstance(values, dict):
            raise CheckpointError("the config is not a JSON object")
        return cls.from_values(values)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Build from plain values, each checked.

        Raises CheckpointError for an unknown field or a wrong type.
        """
        for field in values:
            if field not in hints(cls):
                raise CheckpointError(
                    f"the config has an unknown field {field!r}; is the file from a newer version?"
                )
        try:
            return cls(**values)
        except OptionError as error:
            raise CheckpointError(f"the config is not usable: {error}") from None


def differences(file: UformerConfig, model: UformerConfig) -> list[str]:
    """The fields in which two configurations describe different networks: "window_size: file 8, model 4"."""
    return [
        f"{field.name}: file {getattr(file, field.name)}, model {getattr(model, field.name)}"
        for field in dataclasses.fields(UformerConfig)
        if field.name not in TRAINING_ONLY and getattr(file, field.name) != getattr(model, field.name)
    ]


_2022 = UformerConfig(modulator=True)
_2021 = UformerConfig()
_NARROW = (1, 2, 4, 8, 16, 8, 4, 2, 1)  # heads if concatenation does not widen the decoder

VARIANTS: Mapping[str, UformerConfig] = types.MappingProxyType(
    {
        "uformer_t": dataclasses.replace(_2022, embed_dim=16),
        "uformer_s": _2022,
        "uformer_b": dataclasses.replace(_2022, depths=(1, 2, 8, 8, 2, 8, 8, 2, 1)),
        "uformer_16": dataclasses.replace(_2021, embed_dim=16),
        "uformer_16_cross": dataclasses.replace(_2021, embed_dim=16, skip="cross", num_heads=_NARROW),
        "uformer_16_concat_cross": dataclasses.replace(
            _2021, embed_dim=16, skip="concat_cross", num_heads=_NARROW
        ),
        "uformer_32": _2021,
        "uformer_32_cross": dataclasses.replace(_2021, skip="cross", num_heads=_NARROW),
        "uformer_32_concat_cross": dataclasses.replace(_2021, skip="concat_cross", num_heads=_NARROW),
    }
)
"""The published networks: t, s, b of CVPR 2022 (with modulators); 16, 32 of the 2021 preprint (without)."""


def variant(name: str) -> UformerConfig:
    """The configuration of a published variant. Raises OptionError for an unknown name."""
    if name not in VARIANTS:
        raise OptionError(f"unknown network {name!r}; known: {', '.join(VARIANTS)}")
    return VARIANTS[name]
