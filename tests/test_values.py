"""Options, recipes and configurations read text and plain data alike."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uformer import values
from uformer.config import UformerConfig
from uformer.errors import OptionError
from uformer.values import memory_in_bytes

Choice = Literal["add", "screen"]
KINDS = [
    str,
    bool,
    int,
    float,
    Choice,
    tuple[int, ...],
    tuple[float, float],
    int | None,
    str | None,
    UformerConfig,
]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("16", int, 16),
        (" 16 ", int, 16),
        ("1e5", int, 100_000),
        ("16.0", int, 16),
        ("9007199254740993", int, 2**53 + 1),  # no float can represent it
        ("3e-4", float, 3e-4),
        ("3", float, 3.0),
        ("9007199254740993", float, 2.0**53),
        ("true", bool, True),
        ("No", bool, False),
        ("add", Choice, "add"),
        ("0.8, 0.95", tuple[float, float], (0.8, 0.95)),
        ("[1,2,3]", tuple[int, ...], (1, 2, 3)),
        (["1", 2], tuple[int, ...], (1, 2)),
        ("none", int | None, None),
        ("null", int | None, None),
        ("7", int | None, 7),
    ],
)
def test_text(value: object, kind: Any, expected: object) -> None:
    found = values.typed(value, kind, text=True)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (3, float, 3.0),
        (np.int64(3), int, 3),
        (np.float32(0.5), float, 0.5),
        (True, bool, True),
        ([1, 2], tuple[int, ...], (1, 2)),
        (None, int | None, None),
        ("none", str | None, "none"),
        (Path("a") / "b", str | None, str(Path("a/b"))),
        (UformerConfig(), UformerConfig, UformerConfig()),
    ],
)
def test_values(value: object, kind: Any, expected: object) -> None:
    found = values.typed(value, kind, text=False)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        ("many", int, "'many' is not a whole number"),
        ("1.5", int, "'1.5' is not a whole number"),
        ("1e999", int, "'1e999' is not a whole number"),
        ("nan", float, "'nan' is not a number"),
        (True, float, "True is not a number"),
        (True, int, "True is not a whole number"),
        ("maybe", bool, "'maybe' is not true or false"),
        (1, bool, "1 is not true or false"),
        ("burn", Choice, "'burn' is not one of add, screen"),
        (["add"], Choice, "['add'] is not one of add, screen"),
        ("0.9", tuple[float, float], "'0.9' is not a list of 2 numbers separated by commas"),
        ((1, "x"), tuple[int, ...], "[1, 'x'] is not a list of whole numbers separated by commas"),
        ("x", int | None, "'x' is not a whole number or none"),
        (None, int, "None is not a whole number"),
        (3, str, "3 is not text"),
        ("uformer_t", UformerConfig, "'uformer_t' is not a UformerConfig"),
    ],
)
def test_refusals(value: object, kind: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r"^.*$") as caught:
        values.typed(value, kind, text=True)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("3", int),
        ("3", float),
        (3.0, int),
        ("true", bool),
        ("1,2", tuple[int, ...]),
        ([1, "2"], tuple[int, ...]),
        ("none", int | None),
    ],
)
def test_text_is_no_value_where_it_is_not_expected(value: object, kind: Any) -> None:
    with pytest.raises(OptionError, match="^width: .* is not "):
        values.option("width", value, kind, text=False)


NUMBERS: dict[Any, Callable[[Any], str]] = {int: str, float: repr}


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_a_number_survives_being_written(value: float, text: bool) -> None:
    kind = type(value)
    assert values.typed(NUMBERS[kind](value) if text else value, kind, text=text) == value


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists),
    st.sampled_from(KINDS),
    st.booleans(),
)
def test_anything_is_a_value_or_refused_in_one_line(value: object, kind: Any, text: bool) -> None:
    try:
        found = values.typed(value, kind, text=text)
    except ValueError as error:
        found, said = None, str(error)
    else:
        said = ""
        assert not isinstance(found, float) or math.isfinite(found)
        assert values.typed(found, kind, text=False) == found
    assert "\n" not in said


def test_a_record_has_the_types_that_it_declares() -> None:
    @dataclass(frozen=True)
    class Record:
        count: int
        share: float = 1

        def __post_init__(self) -> None:
            values.set_types(self)

    assert type(Record(3).share) is float
    with pytest.raises(OptionError, match="^count: 'x' is not a whole number$"):
        Record("x")  # type: ignore[arg-type]


def test_unknown_names_have_a_nearest_or_all() -> None:
    assert (
        str(values.unknown("bacth", ["batch", "steps"])) == "unknown setting 'bacth'; did you mean 'batch'?"
    )
    assert (
        str(values.unknown("window", ["network.window_size"]))
        == "unknown setting 'window'; known: network.window_size"
    )


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("2GB", 2 * 10**9),
        ("500MB", 5 * 10**8),
        ("1.5GiB", 3 * 2**29),
        (" 3 gb ", 3 * 10**9),
        ("4g", 4 * 10**9),
        ("512KiB", 2**19),
        ("123456", 123456),
        ("50%", 500),
        ("100%", 1000),
    ],
)
def test_amounts_of_memory(amount: str, expected: int) -> None:
    assert memory_in_bytes(amount, free=1000) == expected


@pytest.mark.parametrize("amount", ["", "0", "0GB", "-1", "2 PB", "two", "101%", "1e9"])
def test_what_is_no_amount_of_memory(amount: str) -> None:
    with pytest.raises(OptionError, match="memory: .* is not an amount such as 500MB, 2GB, 1.5GiB or 50%"):
        memory_in_bytes(amount, free=1000)


@pytest.mark.parametrize("amount", ["50%", "x"])
def test_a_percentage_needs_something_to_be_a_part_of(amount: str) -> None:
    with pytest.raises(OptionError, match="max-bytes: .* is not an amount such as 500MB, 2GB or 1.5GiB$"):
        memory_in_bytes(amount, free=None, name="max-bytes")
