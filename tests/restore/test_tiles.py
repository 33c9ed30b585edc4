"""Tiles cover every pixel, their weights sum to one, and what is cut and blended unchanged comes back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uformer.errors import OptionError
from uformer.restore.tiles import blend, cut, plan, plan_axis


@st.composite
def geometries(draw: st.DrawFn, longest: int = 90) -> dict[str, int]:
    multiple = draw(st.sampled_from([1, 4, 16]))
    tile = draw(st.integers(1, 64))
    align = draw(st.sampled_from([side for side in (1, 2, 4, 16) if multiple % side == 0]))
    rounded = -(-tile // multiple) * multiple
    overlap = draw(st.integers(0, rounded - align))
    return {"length": draw(st.integers(1, longest)), "tile": tile, "overlap": overlap, "multiple": multiple, "align": align}


@given(geometries(longest=700))
def test_axis_covers_every_pixel_with_overlap(geometry: dict[str, int]) -> None:
    axis = plan_axis(**geometry)
    assert axis.starts[0] == 0
    assert axis.length <= axis.padded < axis.length + geometry["multiple"]
    assert axis.tile % geometry["multiple"] == 0
    assert all(start % geometry["align"] == 0 for start in axis.starts)
    for start, following in zip(axis.starts, axis.starts[1:], strict=False):
        assert start < following <= start + axis.tile - geometry["overlap"]


@given(geometries(longest=700))
def test_weights_sum_to_one_and_are_not_negative(geometry: dict[str, int]) -> None:
    axis = plan_axis(**geometry)
    total = np.zeros(axis.padded)
    for start, weights in zip(axis.starts, axis.weights(), strict=True):
        assert weights.min() >= 0
        total[start : start + axis.tile] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(geometries(), st.integers(1, 50), st.integers(1, 4))
def test_cut_and_blend_give_the_picture_back(geometry: dict[str, int], width: int, channels: int) -> None:
    height = geometry.pop("length")
    picture = np.random.default_rng(height * width).random((channels, height, width), dtype=np.float32)
    tiles = plan(height, width, **geometry)
    pieces = list(cut(picture, tiles))
    assert len(pieces) == tiles.count
    assert {piece.shape for piece in pieces} == {(channels, tiles.rows.tile, tiles.columns.tile)}
    np.testing.assert_allclose(blend(iter(pieces), tiles), picture, atol=1e-6)


def test_small_picture_is_one_tile_no_larger_than_needed() -> None:
    tiles = plan(100, 250, tile=512, overlap=64, multiple=128)
    assert (tiles.rows.tile, tiles.columns.tile, tiles.count) == (128, 256, 1)


def test_cut_extends_by_reflection() -> None:
    picture = np.arange(3, dtype=np.float32).reshape(1, 1, 3)
    (tile,) = cut(picture, plan(1, 3, tile=8, overlap=0, multiple=8))
    assert tile[0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert (tile == tile[:, :1]).all()


def test_blend_passes_smoothly_from_one_tile_to_the_next() -> None:
    tiles = plan(8, 24, tile=16, overlap=8, multiple=8)
    left, right = np.zeros((1, 8, 16), np.float32), np.ones((1, 8, 16), np.float32)
    row = blend(iter([left, right]), tiles)[0, 0]
    assert row[:8].tolist() == [0] * 8
    assert row[16:].tolist() == [1] * 8
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() < 0.25


@pytest.mark.parametrize(("tile", "overlap"), [(0, 0), (128, -1), (128, 128), (256, 240)])
def test_impossible_tiles_are_refused(tile: int, overlap: int) -> None:
    with pytest.raises(OptionError):
        plan_axis(1000, tile=tile, overlap=overlap, multiple=128, align=32)
