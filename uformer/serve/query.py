"""The fields of RestoreOptions as query parameters, described by their docstrings."""

import ast
import inspect
import itertools
import textwrap
import typing
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Query, Request

from uformer.restore.options import Controls, RestoreOptions
from uformer.serve.problems import Problem
from uformer.weights.registry import TASKS

OPERATORS = ("backend", "device", "memory", "threads")
"""Options that only the operator sets, when the server starts."""

BOUNDS: dict[str, dict[str, Any]] = {
    "tile": {"ge": 1, "le": 2048},
    "overlap": {"ge": 0, "le": 1024},
    **{name: {"ge": 0, "le": 1} for name in ("strength", "luma", "chroma", "detail", "grain", "shadows")},
    "quality": {"ge": 1, "le": 100},
}
"""Ranges of numbers. RestoreOptions has no upper limit for tiles, which would let a client use any memory."""

Asked = dict[str, Any]


def option_names() -> list[str]:
    """Return the names of the options that a client may set."""
    return [name for name in typing.get_type_hints(RestoreOptions) if name not in OPERATORS]


def blend_names() -> list[str]:
    """Return the names of the options that apply to a held answer, without a new run."""
    return [*typing.get_type_hints(Controls), "quality"]


def asked_options(names: list[str], weights: tuple[str, ...] = ()) -> Callable[..., Asked]:
    """Return a dependency that reads options of a request's query, without those that are None.

    `names`: the options. `weights`: the names of weights that a client may use.
    """

    def dependency(**values: Any) -> Asked:
        return {name: value for name, value in values.items() if value is not None}

    hints, words = typing.get_type_hints(RestoreOptions), field_words(RestoreOptions)
    words["task"] += f" One of {', '.join(TASKS)}."
    words["weights"] = f"Weights to use instead of the task's own: {', '.join(weights)}."
    parameters = []
    for name in names:
        about = Query(description=words.get(name), **BOUNDS.get(name, {}))
        kind = Annotated[hints[name] | None, about]  # type: ignore[valid-type] # built at run time
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        )
    dependency.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # what FastAPI reads
    return dependency


def only(*names: str) -> Callable[[Request], None]:
    """Return a dependency that rejects unknown and repeated parameters, so that typos are errors."""

    def dependency(request: Request) -> None:
        for name, _ in request.query_params.multi_items():
            if name not in names and name in option_names():
                raise Problem(422, "options", f"{name}: needs a new run; send the image again as a new job")
            if name not in names:
                raise Problem(422, "options", f"unknown parameter {name[:64]!r}; known: {', '.join(names)}")
            if len(request.query_params.getlist(name)) > 1:
                raise Problem(422, "options", f"{name}: given more than once; give it once")

    return dependency


def field_words(kind: type) -> dict[str, str]:
    """Return the docstrings below the fields of a class and its base classes, by field name."""
    words = {
        name: text
        for base in kind.__bases__
        if base is not object
        for name, text in field_words(base).items()
    }
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    for field, below in itertools.pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
        ):
            words[field.target.id] = " ".join(str(ast.literal_eval(below.value)).split())
    return words
