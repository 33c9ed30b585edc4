"""The run folder. Its files are always complete, so a run can be killed at any moment.

config.yaml        the recipe, the image folders, the weights that the run started from
log.jsonl          a line of figures every few steps
last.safetensors   the weights (their moving average) at the last save
best.safetensors   the weights that restored the held-out images best
state/state.pt     everything needed to resume
samples/           degraded, restored and clean images, drawn during training
curves.png         loss, PSNR and learning rate so far
tensorboard/       logs for TensorBoard, if it is installed
cache/             decoded images, if they do not fit into memory; removed when the run ends
.lock              locked while a process trains in this folder
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
    """The files of one run.

    A file that cannot be written raises a TrainingError, which says how to resume if a state is saved.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.log = path / "log.jsonl"
        self.last = path / "last.safetensors"
        self.best = path / "best.safetensors"
        self.state = path / "state" / "state.pt"
        self.samples = path / "samples"
        self.curves = path / "curves.png"
        self.board = path / "tensorboard"
        self.cache = path / "cache"
        self.lock = path / ".lock"

    @property
    def resume_command(self) -> str:
        """The command that resumes this run."""
        return f"uformer train --resume --out {shlex.quote(str(self.path))}"

    def check_free(self) -> None:
        """Raise OptionError unless the folder is missing, empty, or holds only a run that was never saved."""
        check_output_folder(self.path)
        if self.path.exists() and not self._never_saved():
            hint = "resume the run with --resume, or " if self.state.exists() else ""
            raise OptionError(f"{self.path} exists; {hint}give another folder with --out")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Lock the folder against other training processes.

        Raises OptionError if another process trains in it, or if the folder cannot be written.
        """
        check_output_folder(self.path)
        with contextlib.ExitStack() as stack:
            with self.writing():
                stack.enter_context(
                    alone(
                        self.lock,
                        f"{self.path}: another process trains in this folder; "
                        "wait for it, or give another folder with --out",
                    )
                )
            yield

    def create(self, config: Mapping[str, Any]) -> None:
        """Create the folder of a new run. Raises OptionError if the folder is in use (`check_free`)."""
        self.check_free()
        with self.writing():
            self.state.parent.mkdir(parents=True, exist_ok=True)
            self.samples.mkdir(exist_ok=True)
            self.log.unlink(missing_ok=True)  # the scores at the start of a run that was never saved
        self.write_config(config)

    def _never_saved(self) -> bool:
        """Whether the folder holds only what a run writes before it first saves its state."""
        there = {path for path in self.path.iterdir() if not path.name.startswith(PREFIX)}
        if self.config in there:
            with contextlib.suppress(OptionError):
                read_config(self.config)
                there -= {self.config, self.last, self.state.parent, self.samples, self.board}
                if all(line["step"] == 0 for line in self.read_log()):
                    there -= {self.log}
        nested = [
            path
            for folder in (self.state.parent, self.samples)
            if folder.is_dir()
            for path in folder.iterdir()
        ]
        return not there - {self.cache, self.lock} and all(path.name.startswith(".") for path in nested)

    def discard(self) -> None:
        """Remove what a run left that failed before it began."""
        remove_cache(self.cache)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write config.yaml."""
        self._write(self.config, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=100))

    def read_log(self) -> list[dict[str, Any]]:
        """Return the lines of log.jsonl, without truncated lines and lines that have no step."""
        if not self.log.exists():
            return []
        found = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [line for line in found if isinstance(line, dict) and isinstance(line.get("step"), int)]

    def append_log(self, line: Mapping[str, Any]) -> None:
        """Append a line to log.jsonl."""
        with self.writing(self.log), open(self.log, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def rewind_log(self, step: int) -> None:
        """Remove the lines after a step, because a run that resumes there logs them again."""
        kept = [line for line in self.read_log() if line["step"] <= step]
        self._write(self.log, "".join(json.dumps(line) + "\n" for line in kept))

    def save_weights(self, path: Path, model: Uformer, notes: Mapping[str, str]) -> None:
        """Write a checkpoint. Raises TrainingError if it cannot be written."""
        with self.writing(path):
            checkpoint.save(path, model, notes=notes)

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Replace state/state.pt atomically: at any moment, the old or the new state is there, complete."""
        with self.writing(self.state), atomic_file(self.state) as file:
            try:
                torch.save({"format": FORMAT, **state}, file)
            except RuntimeError as error:
                # torch's own message does not say that the disk is full.
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise

    def load_state(self) -> dict[str, Any]:
        """Return what `save_state` wrote, on the CPU.

        Raises OptionError if there is no state, and CheckpointError if it is damaged.
        """
        if not self.state.exists():
            raise OptionError(
                f"{self.path}: cannot resume; the run ended before it saved a state, so start it again"
            )
        try:
            state = torch.load(self.state, map_location="cpu", weights_only=True)
        except Exception as error:  # noqa: BLE001 - a damaged file can raise anything
            how = f"; to start a new run from its weights, use --start {shlex.quote(str(self.last))}"
            raise CheckpointError(f"{self.state}: damaged ({one_line(error, 80)}){how}") from None
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise CheckpointError(f"{self.state}: not a saved state, or one of another version of uformer")
        return state

    def save_sample(self, name: str, image: Image) -> None:
        """Write an image into samples/."""
        with self.writing():
            self.samples.mkdir(exist_ok=True)
            write(image, self.samples / name)

    @contextlib.contextmanager
    def writing(self, path: Path | None = None) -> Iterator[None]:
        """Turn an error while writing (to `path`) into a one-line TrainingError that says how to resume."""
        try:
            yield
        except (OSError, CheckpointError, PictureError) as error:
            what = (
                f"{path or self.path}: {error.strerror or error}"
                if isinstance(error, OSError)
                else str(error)
            )
            how = (
                f"; the last saved state is kept: free some space, then run {self.resume_command}"
                if self.state.exists()
                else ""
            )
            raise TrainingError(f"{what}{how}") from None

    def _write(self, path: Path, text: str) -> None:
        with self.writing(path), atomic_file(path) as file:
            file.write(text.encode())


def read_config(path: Path) -> dict[str, Any]:
    """Return the content of a config.yaml, with a Recipe under "recipe".

    Raises OptionError, naming the file, if it cannot be read or is not the configuration of a run.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise OptionError(f"{path}: cannot be read ({one_line(why)})") from None
    if not isinstance(found, dict) or not isinstance(found.get("recipe"), dict):
        raise OptionError(f"{path}: not the config.yaml of a run")
    try:
        return {**found, "recipe": Recipe.from_values(found["recipe"])}
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from None


def check_same(old: Recipe, new: Recipe, may_change: tuple[str, ...]) -> None:
    """Raise OptionError, naming the fields, if recipes differ in fields that a resumed run may not change."""
    changed = [text for text in differences(old, new) if text.partition(":")[0] not in may_change]
    if changed:
        raise OptionError(
            f"the recipe differs from that of the run: {'; '.join(changed)}; "
            f"a resumed run may change only {', '.join(may_change)}"
        )
