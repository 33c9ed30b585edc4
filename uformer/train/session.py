"""One call of `uformer train`, from the recipe to the last save."""

import contextlib
import dataclasses
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from accelerate import Accelerator

from uformer.allocator import keep_freed_memory
from uformer.data.store import remove_cache
from uformer.errors import OptionError, TrainingError
from uformer.layout import parameter_count
from uformer.model.uformer import Uformer
from uformer.restore.backends.pytorch import is_out_of_memory
from uformer.system_memory import available_memory
from uformer.train import recipes
from uformer.train.devices import make_accelerator, with_parts
from uformer.train.folder import RunFolder, check_same, read_config
from uformer.train.loader import Share, choose_workers, rate_of_loader, rate_of_one
from uformer.train.loop import Trainer
from uformer.train.processes import Processes, peer_is_gone, worker_is_gone
from uformer.train.recipe import MAY_CHANGE, Recipe, override
from uformer.train.report import Reporter
from uformer.train.setup import Folders, Prepared, prepare
from uformer.train.validate import HeldOut, input_score
from uformer.version import __version__
from uformer.weights import checkpoint
from uformer.weights.create import weights_file


class Session:
    """A run to be made or gone on with: its recipe, its pictures and its folder."""

    def __init__(
        self,
        recipe: Recipe,
        folders: Folders,
        settings: Sequence[str],
        out: Path,
        *,
        start: str | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.processes = processes or Processes()
        self.recipe, self.folders, self.settings, self.start = recipe, folders, settings, start
        self.folder = RunFolder(out)
        self.state: dict[str, Any] | None = None

    @classmethod
    def resume(
        cls,
        name: str | None,
        folders: Folders,
        settings: Sequence[str],
        *,
        out: Path,
        start: str | None,
        processes: Processes | None = None,
    ) -> Self:
        """The run of a folder. `start` may be what it began with.

        Raises OptionError where there is none, or where it would go on with another recipe.
        """
        folder = RunFolder(out)
        if not folder.config.exists():
            raise OptionError(f"{out}: no run to go on with (there is no config.yaml)")
        config = read_config(folder.config)
        if start is not None and start != config.get("start"):
            raise OptionError("--start is for a new run; one that is resumed has its weights")
        recipe: Recipe = config["recipe"]
        if name in recipes.RECIPES and name != recipe.name:
            raise OptionError(f"{out}: a run of {recipe.name}, not of {name}")
        changed = override(recipe, settings)
        check_same(recipe, changed, MAY_CHANGE)
        stored = Folders.from_values(config.get("data") or {})
        if folders.validation and not stored.validation and (held := (config.get("pictures") or {}).get("held_out")):
            raise OptionError(
                f"--validation: this run holds out {held} of its own pictures; only one that holds out none can be given others"
            )
        folders = dataclasses.replace(folders if folders.given else stored, validation=folders.validation or stored.validation)
        session = cls(changed, folders, (), out, processes=processes)
        session.state = folder.load_state()
        return session

    def run(self, device: str, *, quiet: bool = False) -> bool:
        """Train to the end; False where it was interrupted, after all was saved.

        Errors as of `Trainer.run` and `prepare`; TrainingError too where memory runs out, and where another process is gone.
        """
        try:
            with contextlib.ExitStack() as stack:
                return self._run(device, stack, quiet=quiet)
        except (MemoryError, RuntimeError, EOFError, ConnectionError) as error:
            lost = "another process of this run ended" if self.processes.count > 1 and peer_is_gone(error) else ""
            if worker_is_gone(error):
                lost = "a process that cuts patches was killed (is memory short? --set workers=FEWER)"
            if not lost and not is_out_of_memory(error):
                raise
        if lost:
            kept = f"the state saved last is kept: {self.folder.resume_command}" if self.folder.state.exists() else "nothing was saved yet"
            raise TrainingError(f"{lost}; {kept}")
        parts = f"--set accumulate={2 * max(self.recipe.accumulate, 1)} (or more)"
        how = f"{parts}, --set network.gradient_checkpointing=true, or a smaller batch or patch"
        raise TrainingError(f"out of memory; less is needed with {how}")

    def _run(self, device: str, stack: contextlib.ExitStack, *, quiet: bool) -> bool:
        processes = self.processes
        accelerator = processes.together(lambda: self._accelerator(device))
        if accelerator.device.type == "cpu":
            keep_freed_memory()
        begins = processes.first and self.state is None
        processes.together(lambda: self.folder.check_free() if begins else None)
        processes.together(lambda: stack.enter_context(self.folder.alone()) if processes.first else None)
        try:
            prepared, weights = self._prepare_together(accelerator)
            trainer = processes.together(lambda: self._trainer(prepared, weights, accelerator))
        except BaseException:
            if begins:
                self.folder.discard()
            raise
        about = {
            "recipe": prepared.recipe.to_values(),
            "pictures": prepared.patches.pictures.fingerprint(),
            "held_out": prepared.held_out.fingerprint(),
        }
        processes.together(lambda: self._open_folder(prepared, trainer.step) if processes.first else None)
        with Reporter(self.folder, total=prepared.recipe.steps, quiet=quiet, silent=not processes.first) as reporter:
            for line in self._introduction(prepared, trainer) if processes.first else ():
                reporter.say(line)
            finished = trainer.run(reporter, about)
        processes.together(lambda: None)
        if finished and processes.first:
            remove_cache(self.folder.cache)
        return finished

    def measure(self, device: str) -> str:
        """How many patches a second the loader delivers, in a line; nothing is trained, and no run's folder is made."""
        accelerator = self._accelerator(device)
        prepared, _ = self._prepare(accelerator)
        workers = choose_workers(prepared.recipe, on_cpu=accelerator.device.type == "cpu")
        rate = rate_of_loader(prepared.patches, Share(prepared.recipe), workers=workers)
        if not self.folder.config.exists():
            self.folder.discard()
        return f"loader: {rate:,.0f} patches of {prepared.recipe.patch} x {prepared.recipe.patch} a second, {_by(workers)}"

    def _accelerator(self, device: str) -> Accelerator:
        """Where it runs; the recipe takes on what depends on that."""
        accelerator = make_accelerator(self.recipe, device)
        self.recipe = with_parts(self.recipe, accelerator.device, processes=accelerator.num_processes)
        if self.state is not None and self.recipe.batch % accelerator.num_processes == 0:  # it may have begun with fewer processes
            parts = math.gcd(self.recipe.accumulate, self.recipe.batch // accelerator.num_processes)
            self.recipe = dataclasses.replace(self.recipe, accumulate=parts)
        Share(self.recipe, processes=accelerator.num_processes)  # raises where the batch cannot be shared out
        return accelerator

    def _open_folder(self, prepared: Prepared, step: int) -> None:
        if self.state is None:
            self.folder.create(self._config(prepared))
        else:
            self.folder.write_config(self._config(prepared))
            self.folder.rewind_log(step)

    def _prepare_together(self, accelerator: Accelerator) -> tuple[Prepared, Uformer | None]:
        """As `_prepare`; the first process decodes the pictures, the others take what it wrote."""
        processes = self.processes
        first = processes.together(lambda: self._prepare(accelerator) if processes.first else None)
        decoded = processes.share(first is not None and first[0].patches.pictures.store.path is not None)[0]
        found = processes.together(lambda: first or self._prepare(accelerator, decoded=decoded))
        seen = processes.share((found[0].patches.pictures.fingerprint(), found[0].held_out.fingerprint()))
        processes.together(lambda: self._check_seen(seen))
        return found

    def _check_seen(self, seen: Sequence[tuple[str, str]]) -> None:
        if len(set(seen)) > 1:
            raise OptionError("the processes see different pictures: every machine needs the same ones under the same paths")

    def _prepare(self, accelerator: Accelerator, *, decoded: bool = False) -> tuple[Prepared, Uformer | None]:
        """The pictures and the recipe that fits them, and the weights to start from."""
        weights = checkpoint.load(weights_file(self.start)) if self.start is not None else None
        workers = choose_workers(self.recipe, on_cpu=accelerator.device.type == "cpu", processes=accelerator.num_processes)
        prepared = prepare(
            self.recipe,
            self.folders,
            self.settings,
            started=weights.config if weights is not None else self.recipe.network if self.state is not None else None,
            memory=available_memory() // 2,
            cache=self.folder.cache,
            shared=workers > 0 or accelerator.num_processes > 1,
            decoded=decoded,
        )
        return prepared, weights

    def _trainer(self, prepared: Prepared, weights: Uformer | None, accelerator: Accelerator) -> Trainer:
        recipe = prepared.recipe
        torch.manual_seed(recipe.seed)
        model = Uformer(recipe.network)
        if weights is not None:
            model.load_state_dict(weights.state_dict())
        held = HeldOut(prepared.held_out, prepared.degradation, recipe)
        pictures = prepared.patches.pictures
        shown = held if len(held) else HeldOut(pictures.take(range(min(2, len(pictures)))), prepared.degradation, recipe)
        trainer = Trainer(recipe, model, prepared.patches, held, self.folder, accelerator, shown=shown, processes=self.processes)
        if self.state is not None:
            check_same(Recipe.from_values(self.state["recipe"]), recipe, MAY_CHANGE)
            if self.state["pictures"] != pictures.fingerprint():
                how = f"--start {shlex.quote(str(self.folder.last))} begins another run from its weights"
                raise OptionError(f"{self.folder.path}: the pictures are not those that the run began with; {how}")
            trainer.load_state(self.state)
            if self.state.get("held_out") != prepared.held_out.fingerprint():
                trainer.best = -math.inf  # a score of other pictures
            if trainer.done >= 1:
                raise OptionError(f"{self.folder.path}: this run is over ({trainer.step} steps); --set steps=MORE goes on")
        return trainer

    def _config(self, prepared: Prepared) -> dict[str, Any]:
        pictures = {"learned_from": len(prepared.patches.pictures), "held_out": len(prepared.held_out)}
        start = {"start": self.start} if self.start is not None else {}
        stored = read_config(self.folder.config).get("start") if self.state is not None else None
        start = {"start": stored} if stored else start
        values = prepared.recipe.to_values()
        return {"uformer": __version__, **start, "data": self.folders.to_values(), "pictures": pictures, "recipe": values}

    def _introduction(self, prepared: Prepared, trainer: Trainer) -> list[str]:
        """What a run says before it begins: pictures, network, device, how fast patches can be loaded."""
        recipe, accelerator, found = prepared.recipe, trainer.accelerator, prepared.patches.pictures
        lines = [f"uformer: {note}" for note in prepared.notes]
        kind = "pairs" if found.degraded is not None else "clean pictures"
        pixels = sum(height * width for height, width in found.sizes) / 1e6
        score = f", held out {len(prepared.held_out)}"
        if len(prepared.held_out):
            held = range(len(prepared.held_out))
            score += f" (as they are: PSNR {input_score(trainer.held, held) / len(held):.2f} dB)"
        lines.append(f"pictures: {len(found)} {kind}, {pixels:,.1f} Mpixels{score}")
        parameters = parameter_count(recipe.network) / 1e6
        how = f"{accelerator.num_processes} x {accelerator.device.type}, {_precision(accelerator)}"
        how += ", sharded" if trainer.sharded else ""
        lines.append(f"{recipe.name}: {parameters:.2f} M parameters, {recipe.steps:,} steps of {recipe.batch}, {how}; {self.folder.path}")
        workers = choose_workers(recipe, on_cpu=accelerator.device.type == "cpu", processes=accelerator.num_processes)
        rate = rate_of_one(prepared.patches) * max(workers, 1) * accelerator.num_processes
        lines.append(f"loader alone: about {rate:,.0f} patches/s, {_by(workers)}")
        if self.state is not None:
            lines.append(f"going on after step {trainer.step}")
        return lines


def _by(workers: int) -> str:
    return f"by {workers} workers" if workers else "by the training process itself"


def _precision(accelerator: Accelerator) -> str:
    return {"no": "fp32"}.get(accelerator.mixed_precision, accelerator.mixed_precision)
