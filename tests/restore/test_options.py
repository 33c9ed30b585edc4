"""Options out of range are refused in terms of the command line."""

import re
from pathlib import Path
from typing import Any

import pytest

from uformer.errors import OptionError
from uformer.restore.options import NetworkOptions, RestoreOptions, make_options


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backend", "tensorflow"),
        ("precision", "int8"),
        ("tile", 0),
        ("overlap", -1),
        ("strength", 1.01),
        ("tile", "128"),
        ("overlap", 2.5),
        ("device", 3),
        ("strength", float("nan")),
        ("memory", 2),
        ("memory", "a lot"),
        ("memory", "2XB"),
        ("memory", "0GB"),
        ("memory", "-1GB"),
        ("memory", "101%"),
        ("memory", ""),
        ("ensemble", 1),
        ("threads", 0),
        ("threads", "two"),
        ("quality", 0),
        ("quality", 101),
        ("tasks", ""),
        ("tasks", "denoise,"),
        ("tasks", "denoise,denoise"),
        ("tasks", 2),
    ],
)
def test_a_bad_value_is_named(field: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"^{field}: .*{re.escape(str(value))}"):
        RestoreOptions(**{field: value})


def test_weights_may_be_a_path() -> None:
    assert RestoreOptions(weights=Path("a.safetensors")).weights == "a.safetensors"  # type: ignore[arg-type]


def test_the_edges_are_allowed() -> None:
    options = RestoreOptions(tile=1, overlap=0, strength=0.0, backend="torch", precision="bf16")
    assert (options.tile, options.overlap, options.strength) == (1, 0, 0.0)


def test_the_part_that_chooses_a_network() -> None:
    options = RestoreOptions(
        task="derain",
        weights="a.onnx",
        backend="torch",
        device="cpu",
        precision="fp32",
        tile=64,
        strength=0.5,
    )
    assert options.network == NetworkOptions(
        task="derain", weights="a.onnx", backend="torch", device="cpu", precision="fp32"
    )
    assert options.network == RestoreOptions(**{**vars(options), "tile": None, "ensemble": True}).network
    assert {options.network: 1}


def test_an_unknown_name_is_said_with_those_that_are_known() -> None:
    assert make_options({"tile": 64}) == RestoreOptions(tile=64)
    with pytest.raises(OptionError, match=r"^unknown option 'tiles'; known: task, weights, .*, quality$"):
        make_options({"tiles": 3})


def test_tasks_are_a_chain_of_options() -> None:
    options = RestoreOptions(tasks="derain, denoise", strength=0.5)
    assert options.task_names == ("derain", "denoise")
    assert [(each.task, each.tasks, each.strength) for each in options.chain] == [
        ("derain", None, 0.5),
        ("denoise", None, 0.5),
    ]
    assert make_options({"tasks": ["derain", "denoise"]}).tasks == "derain,denoise"
    assert RestoreOptions(task="derain").chain == (RestoreOptions(task="derain"),)
    assert RestoreOptions(task="derain").task_names == ("derain",)
    assert RestoreOptions(weights="w.safetensors").task_names == ()
    with pytest.raises(OptionError, match="^tasks: cannot be combined with weights"):
        RestoreOptions(tasks="derain", weights="w.safetensors")
