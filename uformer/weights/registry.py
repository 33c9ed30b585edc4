"""The weights that ship inside the package: their tasks, training data and scores."""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from uformer.errors import CheckpointError, OptionError
from uformer.files import sha256_of

FILES = Path(__file__).parent / "files"


@dataclass(frozen=True, kw_only=True)
class ShippedWeights:
    """One set of weights.

    `scores` are PSNR in dB as benchmarks/quality.py measures it (rain on Y, all else on sRGB). The model card
    has more details.
    """

    name: str
    task: str
    variant: str
    sha256: str
    licence: str
    data: str
    recipe: str
    scores: Mapping[str, float]

    @property
    def path(self) -> Path:
        return FILES / f"{self.name}.safetensors"

    def verify(self) -> Path:
        """The file's path. Raises CheckpointError if the file is missing or not the published one."""
        try:
            found = sha256_of(self.path)
        except OSError as error:
            raise CheckpointError(f"{self.path}: {error.strerror}; reinstall the package") from None
        if found != self.sha256:
            raise CheckpointError(
                f"{self.path}: is damaged (SHA-256 {found[:12]}..., expected {self.sha256[:12]}...); "
                "reinstall the package"
            )
        return self.path


_DATA = "CID22 (CC BY-SA 4.0), CLIC 2025 (Unsplash License), 59 free photographs, GoPro frames (CC BY 4.0)"

_ALL = (
    ShippedWeights(
        name="uformer_t.denoise",
        task="denoise",
        variant="uformer_t",
        sha256="3d5e93d2f3d4bba85e32218df6aae8644790d2a2025052fdf3591b28913bcf27",
        licence="CC BY-SA 4.0",
        data=_DATA,
        recipe="mean of runs on two CPU cores, about 26 hours, and 2.3 minutes on one H200; "
        "251,000 patches of 128 x 128",
        scores=types.MappingProxyType(
            {
                "CBSD68 sigma 15": 33.44,
                "CBSD68 sigma 25": 30.85,
                "CBSD68 sigma 50": 27.58,
                "CBSD68* gray, not clipped, sigma 25": 28.72,
                "sidd": 35.18,
                "nam": 42.08,
            }
        ),
    ),
    ShippedWeights(
        name="uformer_t.derain",
        task="derain",
        variant="uformer_t",
        sha256="355007beb9f7b86d17cf5abe232286b0df0c6907d599254a376895b356758011",
        licence="CC BY-SA 4.0",
        data=_DATA,
        recipe="from uformer_t.denoise, 612 minutes on two CPU cores, 72,000 patches of 128 x 128",
        scores=types.MappingProxyType({"rain100l": 34.79}),
    ),
    ShippedWeights(
        name="uformer_t.deblur",
        task="deblur",
        variant="uformer_t",
        sha256="aa994bcef2127f9ae834e6e9b365caf2b1c163c477e992a97058453a0311f2f4",
        licence="CC BY-SA 4.0",
        data=_DATA,
        recipe="from uformer_t.denoise, 80 minutes on two CPU cores and 66 seconds on one H200, "
        "42,000 patches of 128 x 128",
        scores=types.MappingProxyType({"gopro": 32.98}),
    ),
)

WEIGHTS: Mapping[str, ShippedWeights] = types.MappingProxyType({weights.name: weights for weights in _ALL})
TASKS: tuple[str, ...] = tuple(dict.fromkeys(weights.task for weights in _ALL))


def find(name: str) -> ShippedWeights:
    """Shipped weights by name. Raises OptionError, which lists the names, for an unknown one."""
    if name not in WEIGHTS:
        raise OptionError(f"unknown weights {name!r}; known: {', '.join(WEIGHTS)}")
    return WEIGHTS[name]


def for_task(task: str) -> ShippedWeights:
    """The weights that ship for a task. Raises OptionError, which lists the tasks, for an unknown one."""
    for weights in WEIGHTS.values():
        if weights.task == task:
            return weights
    raise OptionError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
