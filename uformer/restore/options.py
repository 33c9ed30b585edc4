"""The options of a restoration, declared once for the library, the command line and the HTTP API."""

import dataclasses
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from uformer.errors import OptionError
from uformer.image import value_range
from uformer.values import memory_in_bytes, set_types

BackendName = Literal["auto", "openvino", "torch", "onnx"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Tones = Literal["auto", "lock", "free"]

AUTO = "auto"
CHOICES = ("denoise", "derain")
"""The tasks between which `auto` chooses for each image."""


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The options that select the network and where it runs. Raises OptionError for a value out of range."""

    task: str = "denoise"
    """What is wrong with the photo: denoise, derain or deblur (experimental: slight blur only).
    Selects the weights that ship for it. auto looks at each image and selects denoise or derain, or leaves it
    as it is."""
    weights: str | None = None
    """Weights to use instead of the task's own: a name, a .safetensors or .onnx file, the folder of a
    training run, or org/name on the Hugging Face Hub."""
    backend: BackendName = "auto"
    """Inference backend: openvino (without PyTorch), torch, or onnx (onnxruntime; it runs .onnx files, and
    exports other weights on first use). auto selects the one for the device; without a device, torch if it is
    installed and sees a GPU, otherwise openvino."""
    device: str = "auto"
    """Device: cpu, gpu or npu (OpenVINO), cuda, mps or xpu (PyTorch), cuda, tensorrt, coreml, directml,
    migraphx or qnn (onnxruntime), cuda:1 for the second one. auto selects a GPU of PyTorch or the CPU;
    `uformer devices` lists yours."""
    precision: Precision = "auto"
    """Numeric precision. auto selects the fastest within one 8-bit level of fp32."""
    threads: int | None = None
    """Number of threads on the CPU. Default: all processors that this process may use, within a container's
    limit."""

    def __post_init__(self) -> None:
        set_types(self)
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"threads: {self.threads} must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Controls:
    """How much of the network's change reaches the image, and of which kind; see docs/controls.md.

    They are applied after the network, so a Restoration applies others without a new run. Raises OptionError
    for a value out of range.
    """

    strength: float = 1.0
    """How much of the change to apply: 0 returns the image unchanged, 1 restores it fully."""
    luma: float = 1.0
    """How much of the change in brightness to apply, from 0 to 1. 0 leaves the luma as it is."""
    chroma: float = 1.0
    """How much of the change in colour to apply, from 0 to 1. 0 leaves the colours as they are."""
    detail: float = 0.0
    """How much of the removed fine texture to return, from 0 to 1. Most returns where the restored image has
    structure."""
    grain: float = 0.0
    """How much neutral grain to add, from 0 to 1. The same image gets the same grain."""
    shadows: float = 0.0
    """How much to spare bright parts, from 0 to 1. 1 restores the shadows only."""

    tones: Tones = "auto"
    """lock keeps the mean brightness of each region of about 32 pixels, except where the input is clipped;
    free leaves it to the network. auto locks it for the denoising weights that ship."""

    def __post_init__(self) -> None:
        set_types(self)
        for name in ("strength", "luma", "chroma", "detail", "grain", "shadows"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name}: {getattr(self, name)} must be between 0 and 1")

    @property
    def plain(self) -> bool:
        """Whether the output is what the network returns."""
        return self == Controls(tones="free")

    @property
    def idle(self) -> bool:
        """Whether the output is the input."""
        return self.grain == 0 and self.strength * max(self.luma, self.chroma) == 0

    def for_channels(self, channels: int) -> "Controls":
        """Return the controls for an image with this number of channels: a gray image has no colours."""
        return dataclasses.replace(self, chroma=self.luma) if channels == 1 else self


@dataclass(frozen=True, kw_only=True)
class RestoreOptions(Controls, NetworkOptions):
    """All options of a restoration. Raises OptionError for a value out of range."""

    tile: int | None = None
    """Tile side in pixels, rounded up to what the network needs. Default: chosen to fit the memory limit,
    at most 832."""
    overlap: int | None = None
    """Minimum overlap of neighbouring tiles, in pixels. Default: 32."""
    memory: str | None = None
    """Memory limit for the whole process: 2GB, 500MB, 1.5GiB, or 50% of free memory. Default: 50% of free
    memory."""
    ensemble: bool = False
    """Restore each tile in all eight flips and rotations and average the results: slightly better, eight
    times slower."""
    range: str | None = None
    """Range of values that the network sees as black to white: auto, full (all that the bit depth can hold;
    0 to 1 for float), or LOW:HIGH in the file's own units. auto scales 16-bit and float data that uses only a
    small part of its range. Default: as the weights were trained (`uformer train --range`), which is auto for
    those that ship."""
    tasks: str | None = None
    """Tasks to restore for in one run, one after the other, such as derain,denoise; replaces task. The pixels
    are not rounded in between, and the controls apply to each task."""
    quality: int | None = None
    """Quality of JPEG, WebP and AVIF outputs, from 1 to 100. Default: that of a JPEG input, at least 90;
    otherwise 95 for JPEG, 98 for WebP (lossless if the input is) and 90 for AVIF."""

    def __post_init__(self) -> None:
        if isinstance(self.tasks, list | tuple):
            object.__setattr__(self, "tasks", ",".join(map(str, self.tasks)))
        NetworkOptions.__post_init__(self)
        Controls.__post_init__(self)
        self._check_tasks()
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise OptionError(f"quality: {self.quality} must be between 1 and 100")
        if self.tile is not None and self.tile < 1:
            raise OptionError(f"tile: {self.tile} must be at least 1")
        if self.overlap is not None and self.overlap < 0:
            raise OptionError(f"overlap: {self.overlap} must not be negative")
        if self.memory is not None:
            memory_in_bytes(self.memory, free=0)
        if self.range is not None:
            value_range.check(self.range)

    def _check_tasks(self) -> None:
        """Raise OptionError for tasks that are empty, repeated or combined with `weights`."""
        if self.tasks is None:
            return
        names = self.task_names
        if not all(names) or len(set(names)) < len(names) or AUTO in names:
            raise OptionError(f"tasks: {self.tasks!r} must be different tasks, such as derain,denoise")
        if self.weights is not None:
            raise OptionError("tasks: cannot be combined with weights, which are for one task")

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks, in order; empty if `weights` replaces them."""
        if self.tasks is not None:
            return tuple(name.strip() for name in self.tasks.split(","))
        return (self.task,) if self.weights is None else ()

    @property
    def automatic(self) -> bool:
        """Whether the task is chosen for each image."""
        return self.task_names == (AUTO,)

    @property
    def chain(self) -> tuple["RestoreOptions", ...]:
        """The options for each of several tasks, in order; otherwise only these options.

        For `auto`, those for each task between which it chooses.
        """
        if self.tasks is None and not self.automatic:
            return (self,)
        names = CHOICES if self.automatic else self.task_names
        return tuple(replace(self, task=name, tasks=None) for name in names)

    @property
    def network(self) -> NetworkOptions:
        """The options that select the network. The other options can change from call to call."""
        return NetworkOptions(**{field.name: getattr(self, field.name) for field in fields(NetworkOptions)})

    @property
    def controls(self) -> Controls:
        """The options that are applied after the network."""
        return Controls(**{field.name: getattr(self, field.name) for field in fields(Controls)})

    def with_controls(self, controls: Controls) -> "RestoreOptions":
        """Return these options with other controls."""
        return replace(self, **asdict(controls))


def make_options(values: dict[str, Any]) -> RestoreOptions:
    """Return the options for keyword arguments.

    Raises OptionError for an unknown name or a value out of range.
    """
    known = [field.name for field in fields(RestoreOptions)]
    for name in values:
        if name not in known:
            raise OptionError(f"unknown option {name!r}; known: {', '.join(known)}")
    return RestoreOptions(**values)
