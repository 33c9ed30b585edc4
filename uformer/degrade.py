"""`uformer degrade`: noise, rain or blur on clean pictures, to test restoring with or to train on."""

import errno
import inspect
import json
import os
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
from uformer.degradations.noise import camera_noise, gaussian_noise, hot_pixels, poisson_gaussian_noise
from uformer.degradations.rain import rain
from uformer.errors import OptionError, PictureError
from uformer.image.formats import SUFFIXES, supports
from uformer.image.image import Image, Pixels
from uformer.image.read import read
from uformer.image.write import write
from uformer.output import check_output, check_output_folder
from uformer.restore.walk import walk
from uformer.values import option

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
"""The degradations whose parameters can be given one by one."""
_TASKS = {"denoise": "noise", "derain": "rain", "deblur": "blur"}


def degrade(
    picture: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    *,
    task: Literal["denoise", "derain", "deblur"] | None = None,
    function: str | None = None,
    settings: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    seed: int = 0,
    overwrite: bool = False,
    list_functions: Annotated[bool, Parameter(name="--list", negative="")] = False,
) -> int:
    """Degrade clean pictures: what restoring is tested with.

    Parameters
    ----------
    picture
        A clean picture's file, or a folder of them.
    output
        The file to write, its format by its suffix, or a folder; for a folder, a folder, in which files keep their names and places.
    task
        Draw at random what training for the task draws: noise, rain or blur.
    function
        Instead: gaussian_noise, poisson_gaussian_noise, camera_noise, hot_pixels, rain, shake, levin or defocus,
        with parameters of your own.
    settings
        key=value, a parameter of the function (see --list), as often as needed: --function gaussian_noise --set sigma=25.
    seed
        The same seed gives the same pictures; within a folder each name has a draw of its own.
    overwrite
        Replace outputs that exist.
    list_functions
        Show the functions and their parameters, and nothing else.
    """
    if list_functions:
        print("--function NAME --set PARAMETER=VALUE; what is ... here must be given\n")
        print("\n\n".join(describe(function) for function in FUNCTIONS.values()))
        return 0
    if picture is None or output is None:
        raise OptionError(
            f"which {'picture' if picture is None else 'output'}? give a picture and the file to write, or two folders"
        )
    if seed < 0:
        raise OptionError(f"--seed: {seed} must not be negative")
    apply = _choose(task, function, settings or [])
    if not os.path.lexists(picture):
        raise PictureError(f"{picture}: {os.strerror(errno.ENOENT)}")
    if not picture.is_dir():
        output = output / picture.name if output.is_dir() else output
        _degrade(picture, output, apply, np.random.default_rng(seed), overwrite=overwrite)
        print(output)
        return 0
    check_output_folder(output)
    if output.resolve().is_relative_to(picture.resolve()):
        raise OptionError(f"{output}: the output lies in the folder of the clean pictures; give another")
    return _degrade_folder(picture, output, apply, seed, overwrite=overwrite)


def _degrade_folder(
    folder: Path,
    output: Path,
    apply: Callable[[Pixels, np.random.Generator], Pixels],
    seed: int,
    *,
    overwrite: bool,
) -> int:
    """Degrade the pictures below a folder, each failure a line, and return the exit code."""
    found = walk(folder)
    for below, why in found.unreadable:
        print(f"uformer: error: {folder / below}: {why}", file=sys.stderr)
    if not found.pictures and not found.unreadable:
        there = " but outputs of earlier runs" if found.left_out else ""
        raise PictureError(f"{folder}: no picture in it{there} ({', '.join(SUFFIXES)})")
    failures = kept = 0
    for name in found.pictures:
        if not overwrite and (output / name).exists():
            kept += 1
            continue
        rng = np.random.default_rng([seed, zlib.crc32(name.as_posix().encode("utf-8", "surrogateescape"))])
        try:
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            _degrade(folder / name, output / name, apply, rng, overwrite=overwrite)
        except (PictureError, OptionError) as error:
            failures += 1
            print(f"uformer: error: {error}", file=sys.stderr)
    left_out = f", {len(found.left_out)} left out as outputs of earlier runs" if found.left_out else ""
    there = f", {kept} were there already (--overwrite replaces them)" if kept else ""
    print(
        f"{output}: {len(found.pictures) - failures - kept} of {len(found.pictures)} pictures{there}{left_out}"
    )
    return 1 if failures or found.unreadable else 0


def describe(function: Callable[..., Pixels]) -> str:
    """A function's name, what it does, its parameters with their defaults, and what its docstring says of each.

    That is the item of a list that begins with the parameter's name, else the first sentence below the summary that mentions it.
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
    """The parameters that --set sets."""
    return {
        name: each
        for name, each in inspect.signature(function).parameters.items()
        if each.kind == each.KEYWORD_ONLY
    }


def _choose(
    task: str | None, function: str | None, settings: list[str]
) -> Callable[[Pixels, np.random.Generator], Pixels]:
    if (task is None) == (function is None):
        raise OptionError(f"give either --task {'|'.join(_TASKS)} or --function {'|'.join(FUNCTIONS)}")
    if function is None:
        if settings:
            raise OptionError("--set belongs to --function; --task draws its parameters at random")
        drawn = DEGRADATIONS[_TASKS[task or ""]]
        return lambda clean, rng: np.clip(drawn.apply(clean, rng)[0], 0, 1)
    if function not in FUNCTIONS:
        raise OptionError(f"--function: {function} must be one of {', '.join(FUNCTIONS)}")
    chosen, parameters = FUNCTIONS[function], _parameters(FUNCTIONS[function], settings)

    def apply(clean: Pixels, rng: np.random.Generator) -> Pixels:
        try:
            return np.clip(chosen(clean, rng, **parameters), 0, 1)
        except ValueError as error:
            raise OptionError(str(error)) from error

    apply(
        np.zeros((8, 8, 3), np.float32), np.random.default_rng(0)
    )  # a value out of range is known before any picture is read
    return apply


def _parameters(function: Callable[..., Pixels], settings: list[str]) -> dict[str, Any]:
    """The values of `key=value`, each of the type that the function declares."""
    hints = get_type_hints(function)
    known = _settable(function)
    values = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        if key not in known:
            raise OptionError(f"--set {setting}: {function.__name__} has {', '.join(known)}")
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


def _degrade(
    path: Path,
    output: Path,
    apply: Callable[[Pixels, np.random.Generator], Pixels],
    rng: np.random.Generator,
    *,
    overwrite: bool,
) -> None:
    if not output.suffix:
        raise OptionError(
            f"{output}: expected a file name with an ending, as {output}.png, or a folder that exists"
        )
    if not supports(output.suffix):
        raise OptionError(f"{output}: unknown format {output.suffix!r}; use .png, .jpg, .webp, .tif or .avif")
    check_output(output, overwrite=overwrite, source=path)
    write(degrade_image(read(path, notify=_notify), apply, rng), output, notify=_notify)


def _notify(message: str) -> None:
    print(f"uformer: {message}", file=sys.stderr)


def degrade_image(
    image: Image, apply: Callable[[Pixels, np.random.Generator], Pixels], rng: np.random.Generator
) -> Image:
    """The picture degraded; a gray one stays gray, its noise that of one colour."""
    if image.channels == 3:
        return image.with_pixels(apply(image.pixels, rng))
    return image.with_pixels(apply(np.repeat(image.pixels, 3, axis=2), rng)[..., 1:2].copy())
