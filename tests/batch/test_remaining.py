"""The remaining work: pure, stable, and never one output for two inputs."""

import os
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from uformer.batch.records import Item
from uformer.batch.remaining import MOST_IN_A_SHARD, find_remaining, shards

PAIRS = [("s3://b/a.png", "a.png"), ("s3://b/x/a.png", "x/a.png"), ("s3://b/z.jpg", "z.jpg")]


def test_what_is_recorded_and_there_is_done() -> None:
    recorded = {"s3://b/a.png": "s3://out/a.png", "s3://b/z.jpg": "s3://out/z.jpg"}
    plan = find_remaining(PAIRS, "s3://out", there={"a.png", "x/a.png"}, recorded=recorded)
    assert plan.done == 1
    assert plan.items == [
        Item(input="s3://b/x/a.png", output="s3://out/x/a.png", there=True),
        Item(input="s3://b/z.jpg", output="s3://out/z.jpg"),
    ]
    assert plan.count == 3


def test_an_output_without_a_row_is_made_again_where_all_is() -> None:
    plan = find_remaining(PAIRS, "s3://out", there={"a.png"}, recorded={}, redo=True)
    assert [item.there for item in plan.items] == [False, False, False]


def test_two_inputs_of_one_output() -> None:
    pairs = [("s3://b/1/a.png", "a.png"), ("s3://b/2/a.png", "a.png"), ("s3://b/1/a.png", "a.png")]
    plan = find_remaining(pairs, "s3://out", there=(), recorded={})
    assert [item.input for item in plan.items] == ["s3://b/1/a.png"]
    assert [(each.input, each.error) for each in plan.failures] == [
        ("s3://b/2/a.png", "its output s3://out/a.png is already the output of s3://b/1/a.png")
    ]


@pytest.mark.parametrize(("fold", "failures"), [(False, 0), (True, 1)])
def test_names_that_differ_in_case(fold: bool, failures: int) -> None:
    plan = find_remaining(
        [("s3://b/A.png", "A.png"), ("s3://b/a.png", "a.png")], "s3://out", there=(), recorded={}, fold=fold
    )
    assert len(plan.failures) == failures


def test_no_output_takes_the_place_of_an_input() -> None:
    plan = find_remaining(
        [("s3://b/a.png", "b.png"), ("s3://b/b.png", "c.png")],
        "s3://b",
        there={"a.png", "b.png"},
        recorded={},
    )
    assert [each.input for each in plan.failures] == ["s3://b/a.png"]
    assert "would replace an input" in (plan.failures[0].error or "")


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_nor_through_a_link(tmp_path: object) -> None:
    os.mkdir(f"{tmp_path}/real")  # noqa: PTH102
    os.symlink(f"{tmp_path}/real", f"{tmp_path}/link")  # noqa: PTH211
    plan = find_remaining(
        [(f"{tmp_path}/real/a.png", "a.png")], f"{tmp_path}/link", there={"a.png"}, recorded={}
    )
    assert len(plan.failures) == 1


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_nor_where_an_output_is_a_link_to_an_input(tmp_path: Path) -> None:
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).touch()
        (tmp_path / "out" / name).symlink_to(tmp_path / "in/a.png")
    pairs = [(f"{tmp_path}/in/{name}", name) for name in ("a.png", "b.png")]
    plan = find_remaining(pairs, f"{tmp_path}/out", there={"a.png", "b.png"}, recorded={}, redo=True)
    assert plan.items == []
    assert all("would replace an input" in (each.error or "") for each in plan.failures)


@hypothesis.given(st.integers(0, 2000), st.integers(1, 50))
def test_shards_hold_every_item_once_in_order(count: int, workers: int) -> None:
    items = [Item(input=str(number), output="") for number in range(count)]
    parts = shards(items, workers)
    assert [item for part in parts for item in part] == items
    assert all(0 < len(part) <= MOST_IN_A_SHARD for part in parts)
    assert len(parts) >= min(count, 4 * workers)
