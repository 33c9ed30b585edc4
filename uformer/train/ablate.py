"""`uformer ablate`: train several configurations for the same time on the same data, and compare them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from uformer.errors import OptionError, TrainingError
from uformer.files import require
from uformer.output import check_output_folder
from uformer.train import presets, recipes
from uformer.train.recipe import Recipe, override
from uformer.train.setup import Folders, check_sources

if TYPE_CHECKING:
    from uformer.train.comparison import ComparedRun

_SCORINGS = 10
"""How often each run is scored."""
_NEVER = 2**31 - 1  # steps


def ablate(
    preset: Literal["skips", "feed-forward", "windows", "modulators", "shift"],
    /,
    *,
    data: Path | None = None,
    degraded: Path | None = None,
    clean: Path | None = None,
    validation: Path | None = None,
    minutes: float = 5.0,
    steps: int | None = None,
    settings: Annotated[Sequence[str], Parameter(name="--set", negative="", show_default=False)] = (),
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    full: Annotated[bool, Parameter(negative="")] = False,
    device: Literal["auto", "cpu", "cuda", "mps", "xpu"] = "auto",
) -> int:
    """Train several networks for the same time on the same data, and compare them in a table and in curves.

    To continue an interrupted comparison, repeat the command. Finished networks are skipped.

    Parameters
    ----------
    preset
        What to compare: the three skips, LeFF against MLP (feed-forward), window sizes, modulators, or
        shifted windows.
    data
        Folder that contains degraded/ and clean/, or only clean images, to which noise is added.
    degraded
        Folder of degraded images, or a pattern. Use with --clean, instead of --data.
    clean
        Folder of clean images with the same names, or a pattern.
    validation
        Folder of images to score with, laid out like --data. By default, a few training images are held out.
    minutes
        Training time of each network.
    steps
        Train each network for this number of steps instead of a time.
    settings
        Change the recipe of all networks: KEY=VALUE, repeatable, as for uformer train.
    out
        Folder for the runs, table.md, table.json and curves.png. Default: runs/ablate-PRESET.
    full
        Compare networks of the published size (uformer_16). By default, they are small enough for a CPU.
    device
        Device to train on. auto uses a GPU if there is one.
    """
    for module in ("torch", "yaml", "matplotlib"):
        require(module, "train")
    if minutes <= 0:
        raise OptionError(f"--minutes {minutes:g}: must be more than 0")
    if steps is not None and steps < 1:
        raise OptionError(f"--steps {steps}: must be at least 1")
    folders = Folders(data=data, degraded=degraded, clean=clean, validation=validation)
    length = _length(minutes, steps)
    wanted = {
        name: (*chosen, *length, *settings) for name, chosen in presets.rows(preset, small=not full).items()
    }
    recipe = _recipe_for(folders)
    sources = folders.sources(recipe)
    for chosen in wanted.values():
        changed = check_sources(override(recipe, chosen), sources)
        if validation is None and not min(changed.held_out, len(sources) // 4):
            raise OptionError(
                "no images would be held out to score with; give --validation, or 4 images or more"
            )
    folder = out or Path("runs") / f"ablate-{preset}"
    check_output_folder(folder)
    return _compare(wanted, recipe, folders, folder, device=device)


def _length(minutes: float, steps: int | None) -> tuple[str, ...]:
    """Return the settings that give all runs the same length and several scores on the way."""
    if steps is not None:
        return f"steps={steps}", f"validate_every={max(steps // _SCORINGS, 1)}"
    every = minutes / _SCORINGS
    return f"steps={_NEVER}", f"minutes={minutes}", f"validate_minutes={every}", f"validate_every={_NEVER}"


def _recipe_for(folders: Folders) -> Recipe:
    """Return the recipe for pairs, or for clean images alone. Errors are those of `check_sources`."""
    pairs = recipes.find("pairs")
    sources = folders.sources(pairs)
    if not sources:
        check_sources(pairs, sources)
    return pairs if sources[0].degraded is not None else recipes.find("denoise")


def _compare(
    wanted: dict[str, tuple[str, ...]], recipe: Recipe, folders: Folders, folder: Path, *, device: str
) -> int:
    """Train what is not finished yet, and write the results after each run. Returns the exit code."""
    from uformer.train.comparison import markdown, read_results, write_results  # noqa: PLC0415 - matplotlib

    request: dict[str, Any] = {
        "recipe": recipe.name,
        "data": folders.to_values(),
        "settings": {name: list(settings) for name, settings in wanted.items()},
    }
    finished = {run.name: run for run in read_results(folder, request)}
    folder.mkdir(parents=True, exist_ok=True)
    write_results(folder, request, [*finished.values()])
    failed = False
    for place, (name, settings) in enumerate(wanted.items(), start=1):
        if name not in finished:
            print(f"{place}/{len(wanted)} {name}: training", file=sys.stderr, flush=True)
            try:
                run = _train(name, settings, recipe, folders, folder / name, device)
            except TrainingError as error:  # the other networks can still be compared
                print(f"uformer: error: {name}: {error}", file=sys.stderr)
                failed = True
                continue
            if run is None:
                print("uformer: interrupted; repeat the command to continue", file=sys.stderr)
                return 130
            finished[name] = run
            write_results(folder, request, [finished[each] for each in wanted if each in finished])
        score = finished[name]
        print(f"{place}/{len(wanted)} {name}: {score.score:.4g} after {score.steps:,} steps", file=sys.stderr)
    if finished:
        print(markdown([finished[name] for name in wanted if name in finished]), end="")
        print(f"results: {folder}/table.md, table.json and curves.png")
    return 1 if failed else 0


def _train(
    name: str, settings: Sequence[str], recipe: Recipe, folders: Folders, out: Path, device: str
) -> "ComparedRun | None":
    """Train one network to its end, from its saved state if it has one. None if it was interrupted."""
    from uformer.train.comparison import ComparedRun  # noqa: PLC0415 - imports matplotlib
    from uformer.train.folder import RunFolder, read_config  # noqa: PLC0415 - imports torch
    from uformer.train.optimizers import share_done  # noqa: PLC0415
    from uformer.train.processes import Processes  # noqa: PLC0415
    from uformer.train.session import Session  # noqa: PLC0415

    run = RunFolder(out)
    started = run.state.exists()
    over = False
    if started:
        state, saved = run.load_state(), read_config(run.config)["recipe"]
        over = share_done(saved, state["step"], minutes=state["seconds"] / 60) >= 1
    if not over:
        if started:
            session = Session.resume(
                None, folders, (), out=out, start=None, device=device, processes=Processes()
            )
        else:
            chosen = override(recipe, settings)
            session = Session.new(
                chosen, folders, settings, out=out, start=None, device=device, processes=Processes()
            )
        if not session.run(quiet=True):
            return None
    return ComparedRun.of(name, read_config(run.config)["recipe"], run.read_log())
