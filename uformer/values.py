"""Typed values: convert what a command line, a file or a caller gives to its declared type.

Options of commands, `--set KEY=VALUE`, recipes, the configurations of weights and the options of the library
all pass through here. So the same text means the same everywhere, and an error names the value. The types are
str, bool, int, float, Literal of strings, tuple[X, ...], tuple[X, X] and any of them with None. For any other
class, the value must be an instance. A Path is accepted as text.
"""

import difflib
import math
import numbers
import re
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from uformer.errors import OptionError

_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
_NONE = ("none", "None", "null")
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(?:(?P<percent>%)|(?P<unit>[kmgt]?)(?P<binary>i?)b?)", re.IGNORECASE)
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def typed(value: object, kind: Any, *, text: bool) -> Any:
    """The value as a `kind`; with `text`, a str may spell it.

    Raises ValueError: "'many' is not a whole number".
    """
    try:
        return _typed(value, kind, text)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{plain(value)!r} is not {_describe(kind, text)}") from None


def option(name: str, value: object, kind: Any, *, text: bool) -> Any:
    """Like `typed`, but raises OptionError with a text that begins with `name`."""
    try:
        return typed(value, kind, text=text)
    except ValueError as error:
        raise OptionError(f"{name}: {error}") from None


def set_types(record: Any, *, text: bool = False) -> None:
    """Convert each field of a frozen dataclass to its declared type.

    Raises OptionError, which names the field.
    """
    for name, kind in hints(type(record)).items():
        object.__setattr__(record, name, option(name, getattr(record, name), kind, text=text))


def hints(kind: type) -> dict[str, Any]:
    """The types of a dataclass's fields, by name."""
    return typing.get_type_hints(kind)


def parse_size(text: str, name: str) -> tuple[int, int]:
    """(height, width) of "HEIGHTxWIDTH". Raises OptionError, which begins with `name`, for anything else."""
    found = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text.strip(), re.ASCII)
    if not found:
        raise OptionError(f"{name} {text!r}: must be HEIGHTxWIDTH in pixels, such as 256x256")
    return int(found[1]), int(found[2])


def memory_in_bytes(amount: str, *, free: int | None, name: str = "memory") -> int:
    """Return an amount of memory in bytes: 500MB (10^6), 1.5GiB (2^30), 2g, 100000, or 50% of `free` bytes.

    Raises OptionError for anything else, and for a percentage if `free` is None; it begins with `name`.
    """
    found = _AMOUNT.fullmatch(amount.strip())
    most = 0 if free is None else 100
    if found is None or not float(found[1]) or (found["percent"] and float(found[1]) > most):
        examples = "500MB, 2GB or 1.5GiB" if free is None else "500MB, 2GB, 1.5GiB or 50%"
        raise OptionError(f"{name}: {amount!r} is not an amount such as {examples}")
    if found["percent"]:
        return int(float(found[1]) / 100 * (free or 0))
    return int(float(found[1]) * (1024 if found["binary"] else 1000) ** _UNITS[found["unit"].lower()])


def plain(value: object) -> object:
    """A value as a file stores it: tuples become lists, also inside mappings."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return list(value) if isinstance(value, tuple) else value


def unknown(name: str, known: Sequence[str]) -> OptionError:
    """The error for an unknown setting; it names the nearest known one, or all of them."""
    near = difflib.get_close_matches(name, known, n=1) or difflib.get_close_matches(
        name.rpartition(".")[2], known, n=1
    )
    return OptionError(
        f"unknown setting {name!r}"
        + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}")
    )


def _typed(value: object, kind: Any, text: bool) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        (kind,) = (each for each in arguments if each is not types.NoneType)
        return None if value is None or (text and value in _NONE) else _typed(value, kind, text)
    if origin is Literal:
        return arguments[arguments.index(value)]
    if origin is tuple:
        return _tuple(value, arguments, text)
    if text and kind is bool and isinstance(value, str):
        return _TRUTH[value.lower()] if value.lower() in _TRUTH else _refuse(value)
    if kind in (int, float):
        return _number(_read(value) if text and isinstance(value, str) else value, kind, text)
    if kind is str and isinstance(value, Path):
        return str(value)
    return value if isinstance(value, kind) else _refuse(value)


def _number(value: Any, kind: type, text: bool) -> float:
    """An int or a float; 1e5 counts as a whole number only with `text`."""
    fitting: Any = numbers.Real if kind is float or text else numbers.Integral
    if isinstance(value, bool) or not isinstance(value, fitting):
        _refuse(value)
    if kind is float:
        return float(value) if math.isfinite(value) else _refuse(value)
    return int(value) if int(value) == value else _refuse(value)


def _read(text: str) -> float:
    try:
        return int(text)  # exact, however large
    except ValueError:
        return float(text)


def _tuple(value: object, kinds: tuple[Any, ...], text: bool) -> tuple[Any, ...]:
    parts = (
        [part.strip() for part in value.strip("()[] ").split(",")]
        if text and isinstance(value, str)
        else value
    )
    if not isinstance(parts, list | tuple) or (kinds[-1] is not Ellipsis and len(parts) != len(kinds)):
        _refuse(value)
    return tuple(_typed(part, kinds[0], text) for part in parts)


def _refuse(value: object) -> typing.Never:
    raise ValueError(value)


def _describe(kind: Any, text: bool) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("none" if each is types.NoneType else _describe(each, text) for each in arguments)
    if origin is Literal:
        return "one of " + ", ".join(arguments)
    if origin is tuple:
        how_many = "" if arguments[-1] is Ellipsis else f"{len(arguments)} "
        return (
            f"a list of {how_many}{'whole ' * (arguments[0] is int)}numbers" + " separated by commas" * text
        )
    return _WORDS.get(kind, f"a {getattr(kind, '__name__', kind)}")
