"""One call of `uformer train`: start or resume a run, prepare and train it, and explain what goes wrong."""

import contextlib
import dataclasses
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch

from uformer.allocator import keep_freed_memory
from uformer.data.store import remove_cache
from uformer.errors import OptionError, TrainingError
from uformer.model.uformer import Uformer
from uformer.restore.backends.pytorch import is_out_of_memory
from uformer.system_memory import available_memory
from uformer.train import recipes
from uformer.train.devices import Precision, choose_device, choose_precision, with_parts
from uformer.train.folder import RunFolder, check_same, read_config
from uformer.train.learner import Learner
from uformer.train.loader import Share, by_workers, choose_workers, rate_of_loader
from uformer.train.loop import train
from uformer.train.outcome import logged_baselines
from uformer.train.processes import Processes, peer_is_gone, worker_is_gone
from uformer.train.recipe import MAY_CHANGE, Recipe, override
from uformer.train.report import Reporter, introduction
from uformer.train.setup import Folders, Prepared, prepare, starting_from, starts_by_default
from uformer.train.sharding import whole_network
from uformer.train.validate import baseline_scores
from uformer.version import __version__
from uformer.weights import checkpoint
from uformer.weights.create import weights_file

NO_START = "none"
"""A `--start` that begins with random weights, whatever the recipe."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """What the user asked for, checked as far as is possible without reading images."""

    recipe: Recipe
    """The recipe, with `accumulate` chosen to suit the device."""
    device: torch.device
    precision: Precision
    folders: Folders
    folder: RunFolder
    settings: tuple[str, ...] = ()
    """The `--set` settings of a new run. The images do not override them."""
    start: str | None = None
    """Weights that a new run starts from. None leaves it to the recipe; "none" is random weights."""
    state: Mapping[str, Any] | None = None
    """The state that a resumed run continues from; None for a new run."""
    processes: Processes

    @classmethod
    def new(
        cls,
        recipe: Recipe,
        folders: Folders,
        settings: Sequence[str],
        *,
        out: Path,
        start: str | None,
        device: str,
        processes: Processes,
    ) -> Self:
        """Return a new run. Raises OptionError if device or number of processes do not fit the recipe."""
        chosen = choose_device(device, processes)
        recipe = with_parts(recipe, chosen, processes=processes.count)
        Share(recipe, processes=processes.count)  # raises if the batch cannot be divided evenly
        return cls(
            recipe=recipe,
            device=chosen,
            precision=choose_precision(recipe, chosen),
            folders=folders,
            folder=RunFolder(out),
            settings=tuple(settings),
            start=start,
            processes=processes,
        )

    @classmethod
    def resume(
        cls,
        name: str | None,
        folders: Folders,
        settings: Sequence[str],
        *,
        out: Path,
        start: str | None,
        device: str,
        processes: Processes,
    ) -> Self:
        """Return the run of a folder, ready to resume. `start` may repeat the weights it started from.

        Raises OptionError if the folder holds no run, or if a setting may not change in a resumed run.
        """
        folder = RunFolder(out)
        if not folder.config.exists():
            raise OptionError(f"{out}: no run to resume; the folder has no config.yaml")
        config = read_config(folder.config)
        if start is not None and start != config.get("start"):
            raise OptionError(
                f"--start {start}: a resumed run continues with its own weights; leave --start out"
            )
        recipe: Recipe = config["recipe"]
        if name in recipes.RECIPES and name != recipe.name:
            raise OptionError(f"{out}: this run uses the recipe {recipe.name}, not {name}")
        changed = override(recipe, settings)
        check_same(recipe, changed, MAY_CHANGE)
        stored = Folders.from_values(config.get("data") or {})
        if (
            folders.validation
            and not stored.validation
            and (held := (config.get("pictures") or {}).get("held_out"))
        ):
            raise OptionError(
                f"--validation {folders.validation}: this run scores with its own held-out images ({held}); "
                "leave --validation out"
            )
        validation = folders.validation or stored.validation
        folders = dataclasses.replace(folders if folders.given else stored, validation=validation)
        if changed.accumulate and changed.batch % processes.count == 0:  # more processes may need fewer parts
            parts = math.gcd(changed.accumulate, changed.batch // processes.count)
            changed = dataclasses.replace(changed, accumulate=parts)
        session = cls.new(changed, folders, (), out=out, start=None, device=device, processes=processes)
        return dataclasses.replace(session, start=config.get("start"), state=folder.load_state())

    def run(self, *, quiet: bool = False) -> bool:
        """Train to the end and return True, or until an interrupt and return False, with everything saved.

        Errors are those of `train` and `prepare`, and a TrainingError if memory runs out or a process dies.
        """
        try:
            return self._run(quiet=quiet)
        except (MemoryError, RuntimeError, EOFError, ConnectionError) as error:
            explained = self._explain(error)
            if not explained:
                raise
        raise TrainingError(explained)  # outside the except block, which would keep the memory of the step

    def measure(self) -> str:
        """Measure the loader's throughput and return it as a line. Does not train or create a folder."""
        prepared, _ = self._prepare()
        workers = choose_workers(prepared.recipe, on_cpu=self.device.type == "cpu")
        rate = rate_of_loader(prepared.patches, Share(prepared.recipe), workers=workers)
        if not self.folder.config.exists():
            self.folder.discard()
        side = prepared.recipe.patch
        return f"loader: {rate:,.0f} patches/s of {side} x {side} pixels, cut {by_workers(workers)}"

    def _run(self, *, quiet: bool) -> bool:
        processes, folder = self.processes, self.folder
        if self.device.type == "cpu":
            keep_freed_memory()
        if self.state is None:
            processes.on_first(folder.check_free)
        with contextlib.ExitStack() as stack:
            processes.on_first(stack.enter_context, folder.alone())
            try:
                prepared, weights = self._prepare_together()
                learner = processes.together(self._make_learner, prepared, weights)
            except BaseException:
                if self.state is None and processes.first:
                    folder.discard()
                raise
            processes.on_first(self._open_folder, prepared, learner.step)
            recipe, silent = prepared.recipe, not processes.first
            logged = self._same_held_out(prepared)
            baselines = self._baselines(prepared, learner, started=weights is not None, logged=logged)
            with Reporter(
                folder, total=recipe.steps, minutes=recipe.minutes, quiet=quiet, silent=silent
            ) as reporter:
                if processes.first and not quiet:  # the introduction measures the loader and a part of a step
                    for line in introduction(prepared, learner, folder, processes, baselines):
                        reporter.say(line)
                processes.on_first(reporter.remember, learner.step, baselines, logged=logged)
                finished = train(prepared, learner, folder, reporter, processes)
            processes.wait_for_all()
            if finished and processes.first:
                remove_cache(folder.cache)
        return finished

    def _same_held_out(self, prepared: Prepared) -> bool:
        """Whether this resumes a run that scored with the same images, so that its log has their scores."""
        return self.state is not None and self.state.get("held_out") == prepared.identity()["held_out"]

    def _baselines(
        self, prepared: Prepared, learner: Learner, *, started: bool, logged: bool
    ) -> dict[str, float]:
        """Return the scores of the held-out images and, if the run `started` from weights, of these weights.

        `logged`: whether the log has them. All processes must call it together.
        """
        if logged:
            return logged_baselines(self.folder.read_log()) if self.processes.first else {}
        at_start = whole_network(learner.average.model) if started else None
        return baseline_scores(prepared.held_out, at_start, self.processes)

    def _explain(self, error: BaseException) -> str:
        """Return what an error of torch or the loader means and what to do; empty for a bug of ours."""
        lost = ""
        if worker_is_gone(error):
            lost = "a loader process was killed (if memory is short, use fewer: --set workers=N)"
        elif self.processes.count > 1 and peer_is_gone(error):
            lost = "another process of this run ended"
        if lost and self.folder.state.exists():
            return f"{lost}; the last saved state is kept; resume with: {self.folder.resume_command}"
        if lost:
            return f"{lost}; nothing had been saved yet"
        if is_out_of_memory(error):
            parts = f"--set accumulate={2 * self.recipe.accumulate} (or more)"
            how = f"{parts}, --set network.gradient_checkpointing=true, or a smaller batch or patch"
            return f"out of memory; to use less, try {how}"
        return ""

    def _prepare_together(self) -> tuple[Prepared, Uformer | None]:
        """Like `_prepare`, for several processes: the first decodes the images, the others use its cache."""
        processes = self.processes
        mine = processes.on_first(self._prepare)
        decoded = processes.share(mine is not None and mine[0].patches.pictures.store.path is not None)[0]
        found = processes.together(lambda: mine or self._prepare(decoded=decoded))
        processes.on_first(_check_same_images, processes.share(found[0].fingerprints()))
        return found

    def _prepare(self, *, decoded: bool = False) -> tuple[Prepared, Uformer | None]:
        """Return the prepared images and recipe, and the weights that a new run starts from."""
        weights = None
        if self.start not in (None, NO_START) and self.state is None:
            weights = checkpoint.load(weights_file(self.start))
        on_cpu, count = self.device.type == "cpu", self.processes.count
        workers = choose_workers(self.recipe, on_cpu=on_cpu, processes=count)
        kept = self.recipe.network if self.state is not None else None
        prepared = prepare(
            self.recipe,
            self.folders,
            self.settings,
            started=kept if weights is None else weights.config,
            memory=available_memory() // 2,
            cache=self.folder.cache,
            shared=workers > 0 or count > 1,
            decoded=decoded,
        )
        if self.start is None and self.state is None and starts_by_default(prepared, self.settings):
            weights = checkpoint.load(weights_file(prepared.recipe.start))
            prepared = starting_from(prepared, prepared.recipe.start, weights.config, self.settings)
        return prepared, weights

    def _make_learner(self, prepared: Prepared, weights: Uformer | None) -> Learner:
        """Return the network and its optimizers, new or restored from the state."""
        recipe = prepared.recipe
        torch.manual_seed(recipe.seed)
        model = Uformer(recipe.network)
        if weights is not None:
            model.load_state_dict(weights.state_dict())
        learner = Learner(recipe, model, self.device, precision=self.precision, processes=self.processes)
        if self.state is None:
            return learner
        check_same(Recipe.from_values(self.state["recipe"]), recipe, MAY_CHANGE)
        identity = prepared.identity()
        if self.state["pictures"] != identity["pictures"]:
            how = f"to start a new run from its weights, use --start {shlex.quote(str(self.folder.last))}"
            raise OptionError(f"{self.folder.path}: the images differ from those the run started with; {how}")
        learner.load_state(self.state, self.folder.state)
        if self.state.get("held_out") != identity["held_out"]:
            learner.best = -math.inf  # the saved score is of other images
        if learner.done >= 1:
            raise OptionError(
                f"{self.folder.path}: this run has finished ({learner.step} steps); "
                "to train longer, use --set steps=MORE"
            )
        return learner

    def _open_folder(self, prepared: Prepared, step: int) -> None:
        named = self.start or prepared.start
        start = {"start": named} if named else {}
        pictures = {
            "learned_from": len(prepared.patches.pictures),
            "held_out": len(prepared.held_out),
            "held_out_names": [*prepared.held_out.pictures.names],
        }
        config = {
            "uformer": __version__,
            **start,
            "data": self.folders.to_values(),
            "pictures": pictures,
            "recipe": prepared.recipe.to_values(),
        }
        if self.state is None:
            self.folder.create(config)
        else:
            self.folder.write_config(config)
            self.folder.rewind_log(step)


def _check_same_images(fingerprints: Sequence[tuple[str, str]]) -> None:
    if len(set(fingerprints)) > 1:
        how = "give every machine the same images under the same paths"
        raise OptionError(f"the processes see different images; {how}")
