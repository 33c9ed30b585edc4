"""`uformer train`."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.table import Table

from uformer.console import console_for
from uformer.errors import OptionError
from uformer.files import require
from uformer.processors import CPUINFO, bf16_is_faster
from uformer.train import recipes
from uformer.train.duration import spoken
from uformer.train.outcome import outcome
from uformer.train.recipe import Recipe, override
from uformer.train.requirements import CPU, GPU, RESULTS, RESULTS_BY, UNPUBLISHED, needs_line
from uformer.train.setup import Folders, check_sources, needs

if TYPE_CHECKING:
    from uformer.train.folder import RunFolder
    from uformer.train.processes import Processes
    from uformer.train.session import Session


def train(
    recipe: str | None = None,
    /,
    *,
    data: Path | None = None,
    degraded: Path | None = None,
    clean: Path | None = None,
    validation: Path | None = None,
    settings: Annotated[Sequence[str], Parameter(name="--set", negative="", show_default=False)] = (),
    value_range: Annotated[str | None, Parameter(name="--range")] = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    start: str | None = None,
    resume: bool = False,
    device: Literal["auto", "cpu", "cuda", "mps", "xpu"] = "auto",
    list_recipes: Annotated[bool, Parameter(name="--list", negative="")] = False,
    measure_loader: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train a network on your own pairs, on clean images, or on noisy images alone.

    Parameters
    ----------
    recipe
        A recipe that --list shows (pairs, denoise, derain, deblur, noise2void, ...), or the config.yaml of
        another run.
    data
        Folder that contains degraded/ and clean/, or only clean images, or only noisy images for noise2void
        and neighbor2neighbor.
    degraded
        Folder of degraded images, or a pattern ("GoPro/train/*/blur"). Use with --clean, instead of --data.
    clean
        Folder of clean images with the same names, or a pattern ("GoPro/train/*/sharp").
    validation
        Folder of images to score with, laid out like --data. By default, a few training images are held out.
        noise2noise, noise2void and neighbor2neighbor take pairs of noisy and clean images here.
    settings
        Change the recipe: KEY=VALUE, repeatable. Examples: batch=16, steps=20000, network=uformer_b,
        network.window_size=4.
    value_range
        Range of values that the network sees as black to white: auto, full, or LOW:HIGH in the units of the
        files (see `uformer restore --help`). Short for --set range=... The weights carry it, and restoring
        with them uses it.
    out
        Run folder. Default: runs/RECIPE. An existing run is never overwritten.
    start
        Weights to start from: the name of weights that ship (uformer_t.denoise), or a .safetensors file.
        noise2noise, noise2void and neighbor2neighbor start from uformer_t.denoise if the images are RGB;
        none turns that off.
    resume
        Resume the run in --out exactly where it was saved. With a recipe, start the run if there is none yet.
    device
        Device to train on. auto uses a GPU if there is one.
    list_recipes
        List the recipes and exit.
    measure_loader
        Measure how many patches per second the loader delivers, and exit.
    quiet
        Print errors only.
    """
    if list_recipes:
        console_for().print(table())
        console_for().print(legend(), style="dim")
        return 0
    for module in ("torch", "yaml", "matplotlib"):
        require(module, "train")
    from uformer.train.processes import Processes  # noqa: PLC0415 - torch takes seconds to import
    from uformer.train.session import Session  # noqa: PLC0415

    processes = Processes.join(device)
    if value_range is not None:
        settings = [*settings, f"range={value_range}"]

    def make() -> "Session":
        folders = Folders(data=data, degraded=degraded, clean=clean, validation=validation)
        if resume and (recipe is None or (_folder(recipe, out) / "state" / "state.pt").exists()):
            return Session.resume(
                recipe,
                folders,
                settings,
                out=_folder(recipe, out),
                start=start,
                device=device,
                processes=processes,
            )
        chosen, note = _for_device(find(recipe), recipe, settings, device, processes)
        chosen = override(chosen, settings)
        check_sources(chosen, folders.sources(chosen))
        if note and processes.first and not quiet:
            print(f"uformer: {note}", file=sys.stderr)
        return Session.new(
            chosen,
            folders,
            settings,
            out=_folder(recipe, out),
            start=start,
            device=device,
            processes=processes,
        )

    session = processes.together(make)
    if measure_loader:
        print(session.measure())
        return 0
    return _finish(session, finished=session.run(quiet=quiet), quiet=quiet)


def find(name: str | None) -> Recipe:
    """Return the recipe of that name, or the one in a config.yaml.

    Raises OptionError if the name is missing or unknown.
    """
    if name is None:
        names = ", ".join(recipes.RECIPES)
        raise OptionError(f"no recipe given; choose one of {names} (uformer train --list describes them)")
    if name not in recipes.RECIPES and Path(name).suffix in (".yaml", ".yml"):
        from uformer.train.folder import read_config  # noqa: PLC0415 - imports torch

        found: Recipe = read_config(Path(name))["recipe"]
        return found
    return recipes.find(name)


def table() -> Table:
    """Return the table that --list prints: what each recipe needs, how long it takes, and what it does."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("recipe", "images", "steps", "on a CPU", "on a GPU", "what it does", "results"):
        shown.add_column(title, no_wrap=title not in ("what it does", "results"))
    for name, make in recipes.RECIPES.items():
        recipe = make()
        on_cpu = recipes.evening(recipe, bf16=False) if name in recipes.EVENING else recipe
        summary = (make.__doc__ or "").partition("\n")[0]
        shown.add_row(
            name,
            needs(recipe),
            f"{recipe.steps:,}",
            spoken(CPU.seconds(on_cpu)),
            spoken(GPU.seconds(recipe)),
            summary,
            RESULTS.get(name, "not measured"),
        )
    return shown


def legend() -> str:
    """Return what stands below the table: where its figures come from, and what the paper's recipes need."""
    lines = [
        "",
        f"CPU: {CPU.name}; uformer_t was measured at {CPU.patches_per_s:.1f} patches/s ({CPU.source})",
        f"GPU: {GPU.name}; uformer_t was measured at {GPU.patches_per_s:.0f} patches/s ({GPU.source})",
        "durations are computed from multiply-adds and these speeds",
        RESULTS_BY,
        f"on a CPU, {', '.join(recipes.EVENING)} train for three hours; --set steps=N sets the steps instead",
        *(f"{name} {needs_line(recipes.find(name))}" for name in UNPUBLISHED),
    ]
    return "\n".join(lines)


def _for_device(
    recipe: Recipe, name: str | None, settings: Sequence[str], device: str, processes: "Processes"
) -> tuple[Recipe, str]:
    """Return the recipe, shortened on a CPU, and a note about it; the note is empty if nothing changed.

    Settings of steps or network leave the recipe as it is.
    """
    from uformer.train import devices  # noqa: PLC0415 - imports torch

    keys = {setting.partition("=")[0].strip() for setting in settings}
    asked = "steps" in keys or any(key.partition(".")[0] == "network" for key in keys)
    if name not in recipes.EVENING or asked or devices.choose_device(device, processes).type != "cpu":
        return recipe, ""
    bf16 = CPUINFO.exists() and bf16_is_faster()
    short = (
        "small batches" if "minutes" in keys else "three hours, small batches; --set minutes=N changes that"
    )
    return recipes.evening(recipe, bf16=bf16), (
        f"on a CPU, {recipe.name} fine-tunes ({short}); --set steps={recipe.steps} trains the whole recipe"
    )


def _folder(recipe: str | None, out: Path | None) -> Path:
    if out is not None:
        return out
    if recipe is None or recipe not in recipes.RECIPES:
        raise OptionError(
            "--resume needs the run folder; give it with --out"
            if recipe is None
            else f"{recipe} has no default run folder; give one with --out"
        )
    return Path("runs") / recipe


def _finish(session: "Session", *, finished: bool, quiet: bool) -> int:
    """Print what to do next, and return the exit code."""
    if not finished:
        if session.processes.first:
            print(
                f"uformer: interrupted; the run is saved; resume with: {session.folder.resume_command}",
                file=sys.stderr,
            )
        return 130
    if session.processes.first and not quiet:
        _tell(session.folder)
        print(_next(session.folder.best))
    return 0


def _tell(folder: "RunFolder") -> None:
    """Print what the run achieved, and warn if the weights are worse than what they started from."""
    achieved = outcome(folder.read_log())
    if achieved is None:
        print("result: not scored, because no images were held out; uformer eval compares the weights")
    else:
        print(achieved.line())
        for warning in achieved.warnings():
            print(f"uformer: warning: {warning}", file=sys.stderr)
    if achieved is None or achieved.kind != "psnr":
        from uformer.train.advice import advice_after  # noqa: PLC0415 - imports yaml, which --list does not need

        for line in advice_after(folder):
            print(line)


def _next(weights: Path) -> str:
    from uformer.weights import checkpoint  # noqa: PLC0415 - imports safetensors, which --list does not need

    config = checkpoint.read_config(weights)
    if config.in_channels == config.out_channels and config.in_channels in (1, 3):
        return f"next: uformer restore PHOTO --weights {shlex.quote(str(weights))}"
    channels = f"from {config.in_channels} to {config.out_channels} channels"
    return (
        f"next, in Python: uformer.weights.checkpoint.load({str(weights)!r}) returns the torch network "
        f"({channels}; uformer restore takes only gray and RGB)"
    )
