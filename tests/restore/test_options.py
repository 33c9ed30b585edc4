"""Options out of range are refused in the user's words."""

import re
from typing import Any

import pytest

from uformer.errors import OptionError
from uformer.restore.options import RestoreOptions


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
    ],
)
def test_a_bad_value_is_named(field: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"^{field}: .*{re.escape(str(value))}"):
        RestoreOptions(**{field: value})


def test_the_edges_are_allowed() -> None:
    options = RestoreOptions(tile=1, overlap=0, strength=0.0, backend="torch", precision="bf16")
    assert (options.tile, options.overlap, options.strength) == (1, 0, 0.0)
