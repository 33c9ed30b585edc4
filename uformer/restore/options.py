"""What a caller can choose: one declaration for the library, the command line and the HTTP API."""

import re
from dataclasses import dataclass, fields
from typing import Any, Literal

from uformer.errors import OptionError
from uformer.values import set_types

BackendName = Literal["auto", "openvino", "torch"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Which network restores, and what it runs on. Raises OptionError for a value out of range."""

    task: str = "denoise"
    """denoise, derain or deblur (experimental: sharpens slight blur only); picks the weights that ship for it."""
    weights: str | None = None
    """Weights by name, a .safetensors or .onnx file, the folder of a run, or org/name on the Hub, instead of the task's own."""
    backend: BackendName = "auto"
    """Who computes: OpenVINO on a CPU, torch on a GPU; auto takes torch where it is installed and sees a GPU."""
    device: str = "auto"
    """Where: auto, cpu, cuda, cuda:1, mps; all but cpu need torch."""
    precision: Precision = "auto"
    """In what numbers; auto takes the fastest that stays within one 8-bit level of fp32."""

    def __post_init__(self) -> None:
        set_types(self)


@dataclass(frozen=True, kw_only=True)
class RestoreOptions(NetworkOptions):
    """How an image is restored: by which network, and how with it. Raises OptionError for a value out of range."""

    tile: int | None = None
    """Side of a tile in pixels; by default chosen from the memory at hand. Rounded up to what the network needs."""
    overlap: int | None = None
    """Pixels that neighbouring tiles share at least; by default 32."""
    memory: str | None = None
    """Most memory that the whole process may take, such as 2GB, 500MB, 1.5GiB or 50% of what is free; by default half of that."""
    ensemble: bool = False
    """Restore each tile in all eight flips and rotations and average them: slightly better, eight times slower."""
    strength: float = 1.0
    """How much of the change is applied: 0 gives the picture back, 1 restores in full."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tile is not None and self.tile < 1:
            raise OptionError(f"tile: {self.tile} must be at least 1")
        if self.overlap is not None and self.overlap < 0:
            raise OptionError(f"overlap: {self.overlap} must not be negative")
        if self.memory is not None:
            memory_in_bytes(self.memory, free=0)
        if not 0 <= self.strength <= 1:
            raise OptionError(f"strength: {self.strength} is not between 0 and 1")

    @property
    def network(self) -> NetworkOptions:
        """The part that a network is loaded for; the rest can differ from call to call."""
        return NetworkOptions(**{field.name: getattr(self, field.name) for field in fields(NetworkOptions)})


def make_options(values: dict[str, Any]) -> RestoreOptions:
    """Options from keyword arguments. Raises OptionError for an unknown name, or a value out of range."""
    known = [field.name for field in fields(RestoreOptions)]
    for name in values:
        if name not in known:
            raise OptionError(f"unknown option {name!r}; known: {', '.join(known)}")
    return RestoreOptions(**values)


_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(?:(?P<percent>%)|(?P<unit>[kmgt]?)(?P<binary>i?)b?)", re.IGNORECASE)


def memory_in_bytes(amount: str, *, free: int) -> int:
    """Bytes of an amount of memory: 500MB (10^6), 1.5GiB (2^30), 2g, 100000, or 50%, which is of `free`. Raises OptionError for another."""
    found = _AMOUNT.fullmatch(amount.strip())
    if found is None or not float(found[1]) or (found["percent"] and float(found[1]) > 100):
        raise OptionError(f"memory: {amount!r} is not an amount such as 500MB, 2GB, 1.5GiB or 50%")
    if found["percent"]:
        return int(float(found[1]) / 100 * free)
    return int(float(found[1]) * (1024 if found["binary"] else 1000) ** _UNITS[found["unit"].lower()])
