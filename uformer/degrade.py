"""`uformer degrade`: add noise, rain or blur to clean images, for tests or training."""

import inspect
import json
import re
import sys
import textwrap
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import numpy as np
from cyclopts import Parameter

from uformer.degradations.blur import defocus, levin, shake
from uformer.degradations.compose import DEGRADATIONS
from uformer.degradations.counts import CountNoise
from uformer.degradations.noise import camera_noise, gaussian_noise, hot_pixels, poisson_gaussian_noise
from uformer.degradations.rain import rain
from uformer.errors import OptionError, PictureError
from uformer.image.any_stack import is_stack, left_out, opened_stack, rewrite, writing
from uformer.image.formats import SUFFIXES
from uformer.image.image import Pixels
from uformer.image.read import read
from uformer.image.samples import Values
from uformer.image.stack import Plane
from uformer.image.value_range import FULL, ValueRange, check, choose_for, peak, sampled
from uformer.image.write import write
from uformer.output import check_output, check_output_folder
from uformer.restore.announcer import range_used
from uformer.restore.planes import Ranges, check_stack_output, reported
from uformer.restore.unread import is_unread_image, summary
from uformer.restore.walk import walk, written_name
from uformer.restore.worklist import FileJob, one_job
from uformer.values import option
from uformer.zarr_folder import is_meant

FUNCTIONS: dict[str, Callable[..., Pixels]] = {
    "gaussian_noise": gaussian_noise,
    "poisson_gaussian_noise": poisson_gaussian_noise,
    "camera_noise": camera_noise,
    "hot_pixels": hot_pixels,
    "rain": rain,
    "shake": shake,
    "levin": levin,
    "defocus": defocus,
}
"""The degradations that --function names, with parameters that --set sets."""
Apply = Callable[[Pixels, np.random.Generator], Pixels] | CountNoise
"""Degrades pixels in [0, 1]; noise in counts needs the units of the file."""

_TASKS = {"denoise": "noise", "derain": "rain", "deblur": "blur"}


def degrade(
    picture: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    *,
    task: Literal["denoise", "derain", "deblur"] | None = None,
    function: str | None = None,
    settings: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    noise: str | None = None,
    value_range: Annotated[str, Parameter(name="--range")] = "auto",
    seed: int = 0,
    overwrite: bool = False,
    list_functions: Annotated[bool, Parameter(name="--list", negative="")] = False,
) -> int:
    """Degrade clean images with noise, rain or blur, for tests or training.

    Parameters
    ----------
    picture
        A clean image, or a folder of clean images.
    output
        The file to write, whose suffix selects the format, or a folder. For a folder of images: a folder, in
        which files keep their names and subfolders.
    task
        Draw random degradations as training for this task does: noise, rain or blur.
    function
        Instead of --task: gaussian_noise, poisson_gaussian_noise, camera_noise, hot_pixels, rain, shake,
        levin or defocus, with parameters that you set.
    settings
        A parameter of the function as key=value (see --list): --function gaussian_noise --set sigma=25.
        Repeat it for further parameters.
    noise
        Instead of --task: the noise of linear data, poisson:gain=G,read=R,offset=O in the units of the file,
        as `uformer photon-transfer` prints it. Values count as linear, not as sRGB.
    value_range
        Range of values that counts as black to white: auto, full, or LOW:HIGH in the file's own units. auto
        scales 16-bit and float data that uses only a small part of its range.
    seed
        Random seed. The same seed gives the same images; each name in a folder has its own random draw.
    overwrite
        Replace outputs that exist.
    list_functions
        List the functions and their parameters, and exit.
    """
    if list_functions:
        print("--function NAME --set PARAMETER=VALUE; parameters shown as ... are required\n")
        print("\n\n".join(describe(function) for function in FUNCTIONS.values()))
        return 0
    if picture is None or output is None:
        raise OptionError(
            f"no {'image' if picture is None else 'output'} given; "
            "give an image and the file to write, or two folders"
        )
    if seed < 0:
        raise OptionError(f"--seed {seed}: must not be negative")
    apply, asked = _choose(task, function, noise, settings or []), check(value_range)
    if noise is not None and asked != "auto":
        raise OptionError(f"--range {asked}: leave it out with --noise, which is in the units of the file")
    if not picture.is_dir() or is_meant(picture):
        job = one_job(str(picture), str(output), overwrite=overwrite)
        _degrade(job, apply, asked, np.random.default_rng(seed))
        print(job.output)
        return 0
    check_output_folder(output)
    if output.resolve().is_relative_to(picture.resolve()):
        raise OptionError(f"{output}: the output lies in the folder of the clean images; give another")
    return _degrade_folder(picture, output, apply, asked, seed, overwrite=overwrite)


def _degrade_folder(
    folder: Path,
    output: Path,
    apply: Apply,
    asked: str,
    seed: int,
    *,
    overwrite: bool,
) -> int:
    """Degrade the images below a folder, report each failure in one line, and return the exit code."""
    found = walk(folder)
    for below, why in found.unreadable:
        print(f"uformer: error: {folder / below}: {why}", file=sys.stderr)
    if not found.pictures and not found.unreadable:
        there = " except outputs of earlier runs" if found.left_out else ""
        raise PictureError(f"{folder}: holds no image{there} ({', '.join(SUFFIXES)})")
    failures = kept = 0
    made: dict[Path, Path] = {}
    for name in found.pictures:
        place = output / name.with_name(written_name(name))
        if (other := made.setdefault(place, name)) != name:
            failures += 1
            why = f"its output {place} is already the output of {folder / other}"
            print(f"uformer: error: {folder / name}: {why}", file=sys.stderr)
            continue
        if not overwrite and place.exists():
            kept += 1
            continue
        rng = np.random.default_rng([seed, zlib.crc32(name.as_posix().encode("utf-8", "surrogateescape"))])
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            check_output(place, overwrite=overwrite, source=folder / name)
            _degrade(FileJob(folder / name, place), apply, asked, rng)
        except (PictureError, OptionError) as error:
            failures += 1
            print(f"uformer: error: {error}", file=sys.stderr)
    left_out = f", {len(found.left_out)} left out as outputs of earlier runs" if found.left_out else ""
    there = f", {kept} already existed (--overwrite replaces them)" if kept else ""
    print(
        f"{output}: {len(found.pictures) - failures - kept} of {len(found.pictures)} images{there}{left_out}"
    )
    if unread := [name for name in found.others if is_unread_image(folder / name)]:
        _notify(summary(unread))
    return 1 if failures or found.unreadable else 0


def describe(function: Callable[..., Pixels]) -> str:
    """A function's name, its summary, and its parameters with their defaults and descriptions.

    The description comes from the docstring: the list item that begins with the parameter's name, or else the
    first sentence below the summary that mentions it.
    """
    summary, _, rest = inspect.cleandoc(function.__doc__ or "").partition("\n\n")
    said: dict[str, list[str]] = {}
    for name, parameter in _settable(function).items():
        default = (
            "..."
            if parameter.default is parameter.empty
            else "none"
            if parameter.default is None
            else json.dumps(parameter.default).strip('"')
        )
        said.setdefault(_about(rest, name), []).append(f"{name}={default}")
    lines = _wrap(" ".join(summary.split()), 2)
    for text, names in said.items():
        lines += _wrap(", ".join(names) + (f": {text}" if text else ""), 4)
    return "\n".join([function.__name__, *lines]).replace("`", "")


def _about(docstring: str, parameter: str) -> str:
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\n|\n(?=- )", docstring)]
    for names, _, text in (part[2:].partition(": ") for part in paragraphs if part.startswith("- ")):
        if f"`{parameter}`" in names:
            return text
    sentences = (part for text in paragraphs for part in re.split(r"(?<=\.)\s+(?=[A-Z0-9`])", text))
    return next((part for part in sentences if f"`{parameter}`" in part), "")


def _wrap(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text, 100, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4 if indent > 2 else indent)
    )


def _settable(function: Callable[..., Pixels]) -> dict[str, inspect.Parameter]:
    """The parameters that --set can set."""
    return {
        name: each
        for name, each in inspect.signature(function).parameters.items()
        if each.kind == each.KEYWORD_ONLY
    }


def _choose(task: str | None, function: str | None, noise: str | None, settings: list[str]) -> Apply:
    if sum(each is not None for each in (task, function, noise)) != 1:
        raise OptionError(
            f"give one of --task {'|'.join(_TASKS)}, --function {'|'.join(FUNCTIONS)} and --noise"
        )
    if settings and noise is not None:
        raise OptionError("--set belongs to --function; --noise contains its parameters")
    if settings and task is not None:
        raise OptionError("--set belongs to --function; --task draws its parameters at random")
    if noise is not None:
        return CountNoise.parse(noise)
    if function is None:
        drawn = DEGRADATIONS[_TASKS[task or ""]]
        return lambda clean, rng: np.clip(drawn.apply(clean, rng)[0], 0, 1)
    if function not in FUNCTIONS:
        raise OptionError(f"--function {function}: must be one of {', '.join(FUNCTIONS)}")
    chosen, parameters = FUNCTIONS[function], _parameters(FUNCTIONS[function], settings)

    def apply(clean: Pixels, rng: np.random.Generator) -> Pixels:
        try:
            return np.clip(chosen(clean, rng, **parameters), 0, 1)
        except ValueError as error:
            raise OptionError(str(error)) from error

    # Find a value out of range before any image is read.
    apply(np.zeros((8, 8, 3), np.float32), np.random.default_rng(0))
    return apply


def _parameters(function: Callable[..., Pixels], settings: list[str]) -> dict[str, Any]:
    """The values of the `key=value` settings, each of the type that the function declares."""
    hints = get_type_hints(function)
    known = _settable(function)
    values = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        if key not in known:
            raise OptionError(f"--set {setting}: {function.__name__} has the parameters {', '.join(known)}")
        values[key] = option(f"--set {key}", text, hints[key], text=True)
    missing = [
        name
        for name, parameter in known.items()
        if parameter.default is parameter.empty and name not in values
    ]
    if missing:
        raise OptionError(
            f"{function.__name__} needs {' and '.join(f'--set {name}=...' for name in missing)}"
        )
    return values


def _degrade(job: FileJob, apply: Apply, asked: str, rng: np.random.Generator) -> None:
    """Degrade an image, and print the range of values that was scaled, if one was."""
    if is_stack(job.source):
        limits = _degrade_stack(job, apply, asked, rng)
    else:
        image = read(job.source, notify=_notify)
        used = _range(job, sampled(image.values), image.depth, apply, asked)
        degraded = image.with_values(degraded_values(image.values, image.depth, used, apply, rng))
        write(degraded, job.output, notify=_notify)
        limits = used.reported(image.depth)
    if limits is not None:
        _notify(f"{job.source}: {range_used(limits)}")


def _degrade_stack(job: FileJob, apply: Apply, asked: str, rng: np.random.Generator) -> Ranges:
    """Degrade all pages of a stack, and return what users are told about the ranges of its channels."""
    check_stack_output(job.source, job.output, "keep")
    with opened_stack(job.source) as stack:
        if lost := left_out(stack):
            _notify(f"{stack.name}: holds {', '.join(lost)}; left out")
        depth = stack.depth
        samples = (stack.sample(number, asked) for number in range(stack.channels))
        ranges = [_range(job, sample, depth, apply, asked) for sample in samples]

        def change(values: Values, plane: Plane) -> Values:
            return degraded_values(values, depth, ranges[plane.channel], apply, rng)

        with writing(stack, job.output) as write_page:
            rewrite(stack, write_page, change)
        return reported(ranges, depth)


def _range(job: FileJob, sample: Values, depth: int, apply: Apply, asked: str) -> ValueRange:
    """Return the range of values that is degraded, as restoring finds it. Raises PictureError."""
    if isinstance(apply, CountNoise):
        return FULL  # it does not depend on a range
    try:
        return choose_for(asked, sample, depth, notify=lambda note: _notify(f"{job.source}: {note}"))
    except PictureError as error:
        raise PictureError(f"{job.source}: {error}") from None


def _notify(message: str) -> None:
    print(f"uformer: {message}", file=sys.stderr)


def degraded_values(
    values: Values, depth: int, used: ValueRange, apply: Apply, rng: np.random.Generator
) -> Values:
    """The degraded values (H, W, C) of an image of some bit depth.

    `used`: the range of them that the degradation sees as black to white. A gray image stays gray; it is
    degraded as the green channel of a colour image would be.
    """
    if isinstance(apply, CountNoise):
        noisy: Values = apply.within(FULL, peak(depth)).apply(values, rng)[0]
        return noisy
    unit = used.to_unit(values)
    if values.shape[2] == 3:
        degraded = apply(unit, rng)
    else:
        degraded = apply(np.repeat(unit, 3, axis=2), rng)[..., 1:2].copy()
    return used.from_unit(degraded, values)
