"""Tiles cover every pixel, their weights add up to 1, and blending unchanged tiles returns the image."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uformer.errors import OptionError
from uformer.restore.tiles import (
    Rows,
    TilePlan,
    blend,
    cut,
    plan_axis,
    plan_freely,
    plan_squares,
    plan_tiles,
)

Pixels = NDArray[np.float32]


def reader(picture: Pixels) -> Rows:
    return lambda first, last: picture[:, first:last]


def blended(pieces: list[Pixels], tiles: TilePlan) -> Pixels:
    return np.concatenate([rows.copy() for _, rows in blend(iter(pieces), tiles)], axis=1)


def blended_whole(pieces: list[Pixels], tiles: TilePlan) -> Pixels:
    """The same as `blend`, with the whole padded image in memory."""
    out = np.zeros((pieces[0].shape[0], tiles.rows.padded, tiles.columns.padded), np.float32)
    for index, (top, row_weights) in enumerate(zip(tiles.rows.starts, tiles.rows.weights(), strict=True)):
        for number, (left, column_weights) in enumerate(
            zip(tiles.columns.starts, tiles.columns.weights(), strict=True)
        ):
            piece = pieces[index * len(tiles.columns.starts) + number]
            out[:, top : top + piece.shape[1], left : left + piece.shape[2]] += piece * (
                row_weights[:, None] * column_weights
            )
    rows, columns = tiles.rows, tiles.columns
    return out[:, rows.margin : rows.margin + rows.length, columns.margin : columns.margin + columns.length]


@st.composite
def geometries(draw: st.DrawFn, longest: int = 90) -> dict[str, int]:
    multiple = draw(st.sampled_from([1, 4, 16]))
    tile = draw(st.integers(1, 64))
    align = draw(st.sampled_from([side for side in (1, 2, 4, 16) if multiple % side == 0]))
    rounded = -(-tile // multiple) * multiple
    overlap = draw(st.integers(0, rounded - align))
    length, margin = draw(st.integers(1, longest)), draw(st.sampled_from([0, 1, 8]))
    return {
        "length": length,
        "tile": tile,
        "overlap": overlap,
        "multiple": multiple,
        "align": align,
        "margin": margin,
    }


@given(geometries(longest=700))
def test_axis_covers_every_pixel_with_overlap(geometry: dict[str, int]) -> None:
    axis = plan_axis(**geometry)
    extended = axis.length + 2 * geometry["margin"]
    assert axis.starts[0] == 0
    assert extended <= axis.padded < extended + geometry["multiple"]
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
    tiles = plan_tiles(height, width, **geometry)
    pieces = list(cut(reader(picture), tiles))
    assert len(pieces) == tiles.count
    assert {piece.shape for piece in pieces} == {(channels, *tiles.tile)}
    np.testing.assert_allclose(blended(pieces, tiles), picture, atol=1e-5)


@given(geometries(), st.integers(1, 50), st.randoms(use_true_random=False))
def test_bands_are_the_whole_blend(geometry: dict[str, int], width: int, random: Any) -> None:
    height = geometry.pop("length")
    tiles = plan_tiles(height, width, **geometry)
    rng = np.random.default_rng(random.randrange(2**32))
    pieces = [rng.random((2, *tiles.tile), dtype=np.float32) for _ in range(tiles.count)]
    following = 0
    for first, rows in blend(iter(pieces), tiles):
        assert first == following
        assert 0 < rows.shape[1] <= tiles.rows.tile
        following += rows.shape[1]
    assert following == height
    np.testing.assert_allclose(blended(pieces, tiles), blended_whole(pieces, tiles), atol=1e-6)


@given(geometries(longest=300))
def test_rows_are_asked_for_a_row_of_tiles_at_a_time(geometry: dict[str, int]) -> None:
    height = geometry.pop("length")
    asked: list[tuple[int, int]] = []

    def read(first: int, last: int) -> Pixels:
        asked.append((first, last))
        return np.zeros((1, last - first, 5), np.float32)

    tiles = plan_tiles(height, 5, **geometry)
    for _ in cut(read, tiles):
        pass
    assert len(asked) == len(tiles.rows.starts)
    assert all(0 <= first < last <= min(first + tiles.rows.tile, height) for first, last in asked)


@given(st.integers(1, 5000), st.sampled_from([128, 256, 512, 640]))
def test_a_free_plan_computes_no_more_than_one_of_the_largest_tiles(length: int, largest: int) -> None:
    shared = {"overlap": 32, "multiple": 128, "align": 32, "margin": 8}
    free = plan_freely(length, 1, largest=largest, **shared).rows
    fixed = plan_axis(length, tile=largest, **shared)
    assert free.tile <= largest
    assert len(free.starts) * free.tile <= len(fixed.starts) * fixed.tile
    assert len(free.starts) == 1 or free.tile > largest // 2


def test_a_free_plan_picks_each_side_for_itself() -> None:
    tiles = plan_freely(1080, 1920, largest=640, overlap=32, multiple=128, align=32, margin=8)
    assert (tiles.tile, tiles.count) == ((640, 512), 8)


def test_a_large_image_gets_the_sides_with_the_fewest_pixels() -> None:
    shared = {"largest": 832, "overlap": 32, "multiple": 32, "align": 32, "margin": 8}
    tiles = plan_freely(2160, 3840, **shared)
    assert (tiles.tile, tiles.count) == ((768, 800), 15)
    small = {plan_freely(1000 + more, 1500, **shared).tile for more in range(0, 500, 10)}
    assert len(small) <= 4, "images of different sizes share graphs"


def test_small_picture_is_one_tile_no_larger_than_needed() -> None:
    tiles = plan_tiles(100, 250, tile=512, overlap=64, multiple=128)
    assert (tiles.rows.tile, tiles.columns.tile, tiles.count) == (128, 256, 1)
    tiles = plan_tiles(100, 250, tile=512, overlap=64, multiple=128, margin=8)
    assert (tiles.rows.tile, tiles.columns.tile, tiles.count) == (128, 384, 1)


def test_cut_extends_by_reflection() -> None:
    picture = np.arange(3, dtype=np.float32).reshape(1, 1, 3)
    (tile,) = cut(reader(picture), plan_tiles(1, 3, tile=8, overlap=0, multiple=8))
    assert tile[0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert (tile == tile[:, :1]).all()
    (tile,) = cut(reader(picture), plan_tiles(1, 3, tile=8, overlap=0, multiple=8, margin=2))
    assert tile[0, 0].tolist() == [2, 1, 0, 1, 2, 1, 0, 1]


def test_blend_passes_smoothly_from_one_tile_to_the_next() -> None:
    tiles = plan_tiles(8, 24, tile=16, overlap=8, multiple=8)
    left, right = np.zeros((1, 8, 16), np.float32), np.ones((1, 8, 16), np.float32)
    row = blended([left, right], tiles)[0, 0]
    assert row[:8].tolist() == [0] * 8
    assert row[16:].tolist() == [1] * 8
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() < 0.25


@pytest.mark.parametrize(("tile", "overlap"), [(0, 0), (128, -1), (128, 128), (256, 240)])
def test_impossible_tiles_are_refused(tile: int, overlap: int) -> None:
    with pytest.raises(OptionError):
        plan_axis(1000, tile=tile, overlap=overlap, multiple=128, align=32)


@pytest.mark.parametrize("multiple", [32, 128])
def test_small_images_share_few_tile_sizes(multiple: int) -> None:
    shared = {"overlap": 16, "multiple": multiple, "align": multiple, "margin": 8}
    plans = [
        plan_freely(height, width, largest=832, **shared)
        for height in range(1, 177, 5)
        for width in range(1, 177, 5)
    ]
    assert {plan.count for plan in plans} == {1}
    assert len({plan.tile for plan in plans}) <= 3
    assert all(min(each.padded - each.length for each in (plan.rows, plan.columns)) >= 16 for plan in plans)
    assert plan_freely(32, 48, largest=832, **shared).tile[0] <= max(64, multiple)
    assert max(plan_freely(100, 100, largest=multiple, **shared | {"overlap": 0}).tile) <= multiple


SQUARES = {"overlap": 32, "multiple": 32, "align": 32, "margin": 8}


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_squares_have_few_sizes_and_cover_the_image(height: int, width: int) -> None:
    plan = plan_squares(height, width, largest=832, **SQUARES)
    assert plan.rows.tile == plan.columns.tile
    assert plan.rows.tile in (64, 128, 192, 288, 544)
    assert plan.rows.padded >= height + 16
    assert plan.columns.padded >= width + 16


@pytest.mark.parametrize(
    ("sides", "tile", "count"),
    [
        ((30, 20), 64, 1),
        ((256, 200), 288, 1),
        ((512, 512), 544, 1),
        ((512, 768), 288, 6),  # 498 thousand pixels; two of 544 have 592 thousand
        ((3000, 4000), 544, 48),
    ],
)
def test_squares_hold_the_image_or_leave_few_pixels(sides: tuple[int, int], tile: int, count: int) -> None:
    plan = plan_squares(*sides, largest=832, **SQUARES)
    assert (plan.tile, plan.count) == ((tile, tile), count)


def test_squares_stay_below_the_largest_and_above_the_overlap() -> None:
    assert plan_squares(3000, 4000, largest=272, **SQUARES).tile == (192, 192)
    assert plan_squares(3000, 4000, largest=40, **SQUARES | {"overlap": 16}).tile == (64, 64)
    assert plan_squares(100, 100, largest=832, **SQUARES | {"overlap": 200}).tile == (288, 288)
    with pytest.raises(OptionError, match="overlap: 900 is too large"):
        plan_squares(3000, 4000, largest=832, **SQUARES | {"overlap": 900})
