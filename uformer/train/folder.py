"""The folder of a run: what lies where, each file whole or not at all, so that a run can be killed at any moment.

config.yaml        the recipe, the pictures' folders, the weights it started from
log.jsonl          a line of figures every few steps
last.safetensors   the weights (their moving average) of the last save
best.safetensors   those that restored the held-out pictures best
state/state.pt     everything that going on needs
samples/           degraded | restored | clean, while it learns
curves.png         loss, PSNR and learning rate so far
cache/             decoded pictures, where they do not fit into memory; removed when the run is over
.lock              while somebody trains here
"""

import contextlib
import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from uformer.alone import alone
from uformer.data.store import remove_cache
from uformer.errors import CheckpointError, OptionError, PictureError, TrainingError
from uformer.files import atomic_file, one_line
from uformer.image.image import Image
from uformer.image.write import write
from uformer.model.uformer import Uformer
from uformer.output import check_output_folder
from uformer.staging import PREFIX
from uformer.train.recipe import Recipe, differences
from uformer.weights import checkpoint

FORMAT = "uformer-run-1"


class RunFolder:
    """The files of one run. Where one cannot be written, a TrainingError says so, and that the saved state is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.log = path / "log.jsonl"
        self.last = path / "last.safetensors"
        self.best = path / "best.safetensors"
        self.state = path / "state" / "state.pt"
        self.samples = path / "samples"
        self.curves = path / "curves.png"
        self.cache = path / "cache"
        self.lock = path / ".lock"

    @property
    def resume_command(self) -> str:
        """What goes on with this run."""
        return f"uformer train --resume --out {shlex.quote(str(self.path))}"

    def check_free(self) -> None:
        """Raise OptionError where the folder has something in it, but for what a run left that ended before its first save."""
        check_output_folder(self.path)
        if self.path.exists() and not self._never_began():
            hint = "go on with it by --resume, or " if self.state.exists() else ""
            raise OptionError(f"{self.path} exists; {hint}give another with --out")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Inside the block no other process trains in the folder. Raises OptionError while one does, or where nothing can be written."""
        check_output_folder(self.path)
        with contextlib.ExitStack() as stack:
            with self.writing():
                stack.enter_context(
                    alone(
                        self.lock,
                        f"{self.path}: another process trains here; wait for it, or give another with --out",
                    )
                )
            yield

    def create(self, config: Mapping[str, Any]) -> None:
        """Begin a run in a folder that is free."""
        self.check_free()
        with self.writing():
            self.state.parent.mkdir(parents=True, exist_ok=True)
            self.samples.mkdir(exist_ok=True)
        self.write_config(config)

    def _never_began(self) -> bool:
        """Whether there is nothing but what a run writes before its first state is saved."""
        there = {path for path in self.path.iterdir() if not path.name.startswith(PREFIX)}
        if self.config in there:
            with contextlib.suppress(OptionError):
                read_config(self.config)
                there -= {self.config, self.last, self.state.parent, self.samples}
        nested = [
            path
            for folder in (self.state.parent, self.samples)
            if folder.is_dir()
            for path in folder.iterdir()
        ]
        return not there - {self.cache, self.lock} and all(path.name.startswith(".") for path in nested)

    def discard(self) -> None:
        """Leave nothing of a run that did not begin."""
        remove_cache(self.cache)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write config.yaml."""
        self._write(self.config, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=100))

    def read_log(self) -> list[dict[str, Any]]:
        """The lines of log.jsonl; what was cut off or is no line of a step is left out."""
        if not self.log.exists():
            return []
        found = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [line for line in found if isinstance(line, dict) and isinstance(line.get("step"), int)]

    def append_log(self, line: Mapping[str, Any]) -> None:
        """Add a line to log.jsonl."""
        with self.writing(self.log), open(self.log, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def rewind_log(self, step: int) -> None:
        """Take out what was logged after a step, as a run that goes on from there will log it again."""
        kept = [line for line in self.read_log() if line["step"] <= step]
        self._write(self.log, "".join(json.dumps(line) + "\n" for line in kept))

    def save_weights(self, path: Path, model: Uformer, notes: Mapping[str, str]) -> None:
        """Write a checkpoint. Raises TrainingError where it cannot be written."""
        with self.writing(path):
            checkpoint.save(path, model, notes=notes)

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Replace state/state.pt, at once: whatever happens meanwhile, the old one or the new one is there, whole."""
        with self.writing(self.state), atomic_file(self.state) as file:
            try:
                torch.save({"format": FORMAT, **state}, file)
            except RuntimeError as error:
                if isinstance(
                    error.__context__, OSError
                ):  # torch's own message does not say that the disk is full
                    raise error.__context__ from None
                raise

    def load_state(self) -> dict[str, Any]:
        """What `save_state` wrote, on the CPU. Raises OptionError where there is none, CheckpointError for a damaged one."""
        if not self.state.exists():
            raise OptionError(f"{self.path}: no state to go on from; the run ended before it was first saved")
        try:
            state = torch.load(self.state, map_location="cpu", weights_only=True)
        except Exception as error:  # noqa: BLE001 - torch raises whatever the damage leads to
            how = f"; --start {shlex.quote(str(self.last))} begins another run from its weights"
            raise CheckpointError(f"{self.state}: damaged ({one_line(error, 80)}){how}") from None
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise CheckpointError(f"{self.state}: not the state of a run, or of another version")
        return state

    def save_sample(self, name: str, image: Image) -> None:
        """Write a picture into samples/."""
        with self.writing():
            self.samples.mkdir(exist_ok=True)
            write(image, self.samples / name)

    @contextlib.contextmanager
    def writing(self, path: Path | None = None) -> Iterator[None]:
        """Turn what goes wrong in writing (a path) into one line that says how to go on."""
        try:
            yield
        except (OSError, CheckpointError, PictureError) as error:
            said = (
                f"{path or self.path}: {error.strerror or error}"
                if isinstance(error, OSError)
                else str(error)
            )
            how = (
                f"; the saved state is whole: make room, then {self.resume_command}"
                if self.state.exists()
                else ""
            )
            raise TrainingError(f"{said}{how}") from None

    def _write(self, path: Path, text: str) -> None:
        with self.writing(path), atomic_file(path) as file:
            file.write(text.encode())


def read_config(path: Path) -> dict[str, Any]:
    """What `write_config` wrote, with a Recipe under "recipe". Raises OptionError, which names the file, for anything else."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise OptionError(f"{path}: cannot be read ({one_line(said)})") from None
    if not isinstance(found, dict) or not isinstance(found.get("recipe"), dict):
        raise OptionError(f"{path}: not the configuration of a run")
    try:
        return {**found, "recipe": Recipe.from_values(found["recipe"])}
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from None


def check_same(old: Recipe, new: Recipe, may_change: tuple[str, ...]) -> None:
    """Raise OptionError, which names the field, where a run would go on with another recipe than it began with."""
    changed = [text for text in differences(old, new) if text.partition(":")[0] not in may_change]
    if changed:
        raise OptionError(
            f"this run began otherwise: {'; '.join(changed)}; only {', '.join(may_change)} may change"
        )
