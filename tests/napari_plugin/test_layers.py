"""The planes of a layer, with a restorer that halves what it sees. Nothing here needs napari."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.napari_plugin.stand_in import Halving
from uformer.errors import PictureError
from uformer.image.value_range import FULL
from uformer.napari_plugin.layers import (
    Monitor,
    Planes,
    Stopped,
    find_range,
    label_of,
    layer_options,
    plane_at,
    restore_planes,
)
from uformer.notices import ignore


def layer(data: Any, *, rgb: bool = False, multiscale: bool = False, **changes: Any) -> SimpleNamespace:
    """What the plugin reads of a napari layer."""
    axes = (data[0] if multiscale else data).ndim - rgb
    values = {
        "data": data,
        "rgb": rgb,
        "multiscale": multiscale,
        "name": "cells",
        "blending": "additive",
        "scale": np.arange(1.0, axes + 1),
        "translate": np.arange(10.0, axes + 10),
        "units": ("pixel",) * axes,
        "axis_labels": tuple("tzyx")[-axes:],
        "rotate": np.eye(axes),
        "shear": np.zeros(axes),
        "affine": np.eye(axes + 1),
        "colormap": "magma",
        "contrast_limits": [0, 9],
        "gamma": 0.5,
    }
    return SimpleNamespace(**(values | changes))


def restored(planes: Planes, restorer: Halving | None = None, monitor: Monitor | None = None) -> Any:
    return restore_planes(restorer or Halving(), planes, planes.indices, monitor or Monitor(), ignore)


def test_planes_of_a_stack_and_of_colour_images() -> None:
    stack = Planes(np.zeros((2, 3, 8, 9), np.uint16), rgb=False)
    assert (stack.leading, stack.size, len(stack.indices)) == ((2, 3), (8, 9), 6)
    colour = Planes(np.zeros((8, 9, 4), np.uint8), rgb=True)
    assert (colour.leading, colour.size, colour.indices) == ((), (8, 9, 4), [()])
    assert colour.values(()).shape == (8, 9, 3)  # without alpha


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "int16", "int32", "int64", "float32", "float64"])
def test_every_type_is_restored_to_itself(dtype: str) -> None:
    values = np.random.default_rng(0).integers(0, 250, (2, 8, 9)).astype(dtype)
    result = restored(Planes(values, rgb=False))
    assert result.dtype == np.dtype(dtype).newbyteorder("=")
    assert result.shape == (2, 8, 9)
    # The range starts near 0, so halving in the range halves the values.
    assert np.abs(result - values.astype(float) / 2).max() < 2.5


def test_alpha_stays() -> None:
    values = np.random.default_rng(0).integers(0, 256, (8, 9, 4), dtype=np.uint8)
    result = restored(Planes(values, rgb=True))[0]
    assert np.array_equal(result[..., 3], values[..., 3])
    assert np.abs(result[..., :3] - values[..., :3] / 2).max() <= 0.5


def test_planes_share_one_range() -> None:
    """A range for each plane would make a stack flicker."""
    rng = np.random.default_rng(0)
    bright = np.stack([rng.integers(0, 100 * level, (16, 16), dtype=np.uint16) for level in (1, 2, 9)])
    restorer = Halving()
    restored(Planes(bright, rgb=False), restorer)
    assert len(set(restorer.ranges)) == 1
    assert restorer.ranges[0].high == pytest.approx(bright.max() / 65_535)
    alone = find_range(Planes(bright[0], rgb=False), "auto", ignore)
    assert alone.high < restorer.ranges[0].high


def test_range_as_the_user_sets_it() -> None:
    planes = Planes(np.full((8, 8), 300, np.uint16), rgb=False)
    assert find_range(planes, "full", ignore) == FULL
    assert find_range(planes, "100:400", ignore).samples(16) == (100, 400)


@pytest.mark.parametrize(
    ("dtype", "reads"),
    [(np.uint16, 10), (np.uint8, 5)],  # once for the range, which 8 bits do not need, and once to restore
)
def test_large_array_is_read_plane_by_plane(dtype: type, reads: int) -> None:
    class Lazy:
        shape, reads = (5, 8, 8), 0

        def __init__(self) -> None:
            self.dtype = np.dtype(dtype)

        def __getitem__(self, index: tuple[int, ...]) -> np.ndarray:
            assert len(index) == 1
            self.reads += 1
            return np.full((8, 8), 10 * index[0], dtype)

    data = Lazy()
    assert restored(Planes(data, rgb=False))[:, 0, 0].tolist() == [0, 5, 10, 15, 20]
    assert data.reads == reads


def test_bool_is_refused() -> None:
    with pytest.raises(
        PictureError, match="^the layer 'cells' holds bool values; expected integers or floats$"
    ):
        Planes.of(layer(np.zeros((8, 8), bool)))


def test_multiscale_layer_is_restored_at_full_size() -> None:
    assert Planes.of(layer([np.zeros((8, 8)), np.zeros((4, 4))], multiscale=True)).size == (8, 8)


def test_error_names_the_plane() -> None:
    values = np.zeros((2, 3, 8, 8), np.float32)
    values[1, 2, 0, 0] = np.nan
    with pytest.raises(PictureError, match="^plane 1, 2: the image has non-finite pixels"):
        restored(Planes(values, rgb=False))
    with pytest.raises(PictureError, match="^the image has non-finite pixels"):
        restored(Planes(values[1, 2], rgb=False))


def test_result_that_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "empty", no_memory)
    with pytest.raises(PictureError, match=r"^the restored layer takes 1.28e-07 GB, more than is free$"):
        restored(Planes(np.zeros((2, 8, 8), np.uint8), rgb=False))


def test_monitor_sees_tiles_and_stops_between_them() -> None:
    monitor, seen = Monitor(), []
    monitor.should_stop = lambda: bool(seen.append((monitor.share, monitor.text)))  # type: ignore[func-returns-value]
    restored(Planes(np.zeros((2, 8, 8), np.uint8), rgb=False), monitor=monitor)
    assert [share for share, _ in seen] == [0, 0.25, 0.5, 0.75, 1]
    assert seen[-1][1] == "plane 2 of 2"
    monitor.should_stop = lambda: monitor.share >= 0.5
    with pytest.raises(Stopped):
        restored(Planes(np.zeros((2, 8, 8), np.uint8), rgb=False), monitor=monitor)
    assert monitor.share == 0.5


@pytest.mark.parametrize(
    ("weights", "label"),
    [
        (None, "denoise"),
        ("a/my.safetensors", "my"),
        ("runs/cells/best.safetensors", "cells"),
        ("runs/cells", "cells"),
        ("cells-noise2void/run/best.safetensors", "cells-noise2void"),
    ],
)
def test_label(weights: str | None, label: str) -> None:
    assert label_of("denoise", weights) == label


def test_result_lies_where_the_layer_lies() -> None:
    options = layer_options(layer(np.zeros((4, 8, 8))), "denoise")
    assert options["name"] == "cells restored (denoise)"
    assert options["scale"].tolist() == [1, 2, 3]
    assert options["translate"].tolist() == [10, 11, 12]
    assert (options["colormap"], options["contrast_limits"], options["rgb"]) == ("magma", [0, 9], False)
    assert {"rotate", "shear", "affine", "units", "axis_labels"} <= set(options)


def test_colour_layer_has_no_colormap() -> None:
    options = layer_options(layer(np.zeros((8, 8, 3)), rgb=True), "derain")
    assert options["rgb"] is True
    assert not {"colormap", "contrast_limits", "gamma"} & set(options)


def test_one_plane_becomes_a_flat_layer() -> None:
    options = layer_options(layer(np.zeros((4, 5, 8, 8))), "denoise", (3, 0))
    assert options["name"] == "cells restored (denoise), plane 3, 0"
    assert options["scale"].tolist() == [3, 4]
    assert options["axis_labels"] == ("y", "x")
    assert "affine" not in options


def test_plane_at_the_sliders() -> None:
    planes = Planes(np.zeros((4, 5, 8, 8)), rgb=False)
    assert plane_at(planes, (1.6, 2.2, 3.0, 4.0)) == (2, 2)
    assert plane_at(planes, (-3.0, 99.0, 0.0, 0.0)) == (0, 4)
    assert plane_at(Planes(np.zeros((8, 8)), rgb=False), (1.0, 2.0)) == ()
