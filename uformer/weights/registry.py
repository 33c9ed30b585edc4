"""The weights that ship inside the package: what each is for, what it was trained on, what it scores."""

import hashlib
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from uformer.errors import CheckpointError, OptionError

FILES = Path(__file__).parent / "files"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One set of weights: `scores` in dB of PSNR on sRGB, as benchmarks/quality.py measures them; the model card says more."""

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
        """The file's path. Raises CheckpointError where it is missing or not the one that was published."""
        try:
            with open(self.path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise CheckpointError(f"{self.path}: {error.strerror}; reinstall the package") from None
        if found != self.sha256:
            raise CheckpointError(f"{self.path}: damaged (sha256 {found[:12]}..., expected {self.sha256[:12]}...); reinstall the package")
        return self.path


_ALL = (
    Weights(
        name="uformer_t.denoise",
        task="denoise",
        variant="uformer_t",
        sha256="1ad82af96ec0759f4f51de32a43f0597afefc7fda846e4691c454657682e52b4",
        licence="CC BY-SA 4.0",
        data="CID22 (CC BY-SA 4.0), CLIC 2025 (Unsplash License), 59 free photographs, GoPro frames (CC BY 4.0)",
        recipe="four runs on two CPU cores, 3 hours, about 38,000 patches; training/train_denoise.py",
        scores=types.MappingProxyType(
            {
                "CBSD68 sigma 15": 32.95,
                "CBSD68 sigma 25": 30.45,
                "CBSD68 sigma 50": 27.20,
                "sidd": 35.03,
                "nam": 41.42,
            }
        ),
    ),
)

WEIGHTS: Mapping[str, Weights] = types.MappingProxyType({weights.name: weights for weights in _ALL})
TASKS: tuple[str, ...] = tuple(dict.fromkeys(weights.task for weights in _ALL))


def find(name: str) -> Weights:
    """Weights by name. Raises OptionError, which lists the names, for an unknown one."""
    if name not in WEIGHTS:
        raise OptionError(f"unknown weights {name!r}; known: {', '.join(WEIGHTS)}")
    return WEIGHTS[name]


def for_task(task: str) -> Weights:
    """The weights that ship for a task. Raises OptionError, which lists the tasks, for an unknown one."""
    for weights in WEIGHTS.values():
        if weights.task == task:
            return weights
    raise OptionError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
