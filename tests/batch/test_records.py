"""A record is a row of the manifest, field for field."""

import dataclasses

import pytest

from uformer.batch.manifest import SCHEMA
from uformer.batch.records import Item, Record


def test_a_record_is_a_row() -> None:
    assert [field.name for field in dataclasses.fields(Record)] == SCHEMA.names


def test_records_are_values() -> None:
    assert Item(input="a", output="b") == Item(input="a", output="b", there=False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Record(input="a", output=None).error = "x"  # type: ignore[misc]
