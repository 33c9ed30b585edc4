"""An image restored by regions has the same bytes as one restored in memory."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

from uformer.config import UformerConfig
from uformer.errors import PictureError
from uformer.image import regions as regions_of
from uformer.image import value_range
from uformer.image.image import Header, Pixels
from uformer.image.read import header, read
from uformer.image.regions import Regions, regions
from uformer.image.value_range import FULL
from uformer.image.write import write
from uformer.layout import parameter_shapes
from uformer.notices import Notify, ignore
from uformer.restore import large, memory
from uformer.restore.backends.base import Weights
from uformer.restore.large import restore_file, should_stream
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer

# Tiles are multiples of 32.
SMALL = UformerConfig(embed_dim=4, depths=(1,) * 9, num_heads=(1,) * 9, window_size=2)
RNG = np.random.default_rng(0)


class Arithmetic(Network):
    """A function that depends on the position of a pixel in its tile."""

    def run(self, tiles: Pixels, notify: Notify) -> Pixels:
        height, width = tiles.shape[2:]
        ramp = (
            np.linspace(0.8, 1.2, width, dtype=np.float32)
            * np.linspace(1.1, 0.9, height, dtype=np.float32)[:, None]
        )
        return np.sqrt(tiles) * ramp


def restorer(**options: Any) -> Restorer:
    chosen = RestoreOptions(backend="openvino", precision="fp32", **{"tones": "free", **options})
    return Restorer(Arithmetic(Weights(SMALL, {}), chosen.network), chosen)


def real_restorer(**options: Any) -> Restorer:
    rng = np.random.default_rng(1)
    state = {
        key: rng.normal(0, 0.05, shape).astype(np.float32) for key, shape in parameter_shapes(SMALL).items()
    }
    chosen = RestoreOptions(backend="openvino", precision="fp32", **options)
    return Restorer(Network(Weights(SMALL, state), chosen.network), chosen)


def save(
    path: Path,
    *,
    channels: int = 3,
    kind: str = "uint8",
    orientation: int = 1,
    height: int = 150,
    width: int = 100,
    **options: Any,
) -> None:
    samples = (RNG.random((height, width, channels), np.float32) * np.iinfo(kind).max).astype(kind)
    spaces = {"uint8": ("b-w", "srgb"), "uint16": ("grey16", "rgb16")}
    image = pyvips.Image.new_from_array(samples, interpretation=spaces[kind][channels > 2]).copy()
    if orientation != 1:
        image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    image.write_to_file(str(path), **options)


@pytest.mark.parametrize(
    ("source", "how", "output"),
    [
        ("a.tif", {"compression": "deflate", "tile": True, "bigtiff": True}, "b.tif"),
        ("a.tif", {"kind": "uint16", "channels": 4}, "b.png"),
        ("a.png", {"channels": 1}, "b.jpg"),
        ("a.jpg", {"orientation": 6}, "b.tif"),
        ("a.png", {"channels": 2}, "b.webp"),
    ],
)
@pytest.mark.parametrize(
    "options",
    [
        {"tile": 64},
        {"memory": "400MB"},
        {"tile": 32, "ensemble": True},
        {"tile": 64, "strength": 0.3},
        {"strength": 0.0},
        {"tile": 32, "tones": "lock"},
        {"tile": 64, "luma": 0.5, "detail": 0.7, "grain": 0.3, "shadows": 0.4},
    ],
)
def test_the_same_bytes(
    tmp_path: Path, source: str, how: dict[str, Any], output: str, options: dict[str, Any]
) -> None:
    save(tmp_path / source, **how)
    network = restorer(**options)
    write(network.restore_image(read(tmp_path / source)), tmp_path / f"whole.{output}")
    progress: list[tuple[int, int]] = []
    restore_file(
        network,
        tmp_path / source,
        tmp_path / output,
        progress=lambda done, total: progress.append((done, total)),
    )
    assert (tmp_path / output).read_bytes() == (tmp_path / f"whole.{output}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 3
    assert not progress or progress[-1][0] == progress[-1][1]


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_one_range_for_all_regions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, orientation: int
) -> None:
    monkeypatch.setattr(value_range, "_SAMPLED", 2000)  # not every row and column
    counts = RNG.normal(np.linspace(100, 400, 150)[:, None, None], 20, (150, 100, 1)).astype(kind)
    image = pyvips.Image.new_from_array(counts, interpretation="grey16" if kind == "uint16" else "b-w").copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    image.write_to_file(str(tmp_path / "a.tif"))
    network = restorer(tile=64)
    write(network.restore_image(read(tmp_path / "a.tif")), tmp_path / "whole.tif")
    used = restore_file(network, tmp_path / "a.tif", tmp_path / "b.tif")
    low, high = used.samples(16 if kind == "uint16" else 32)
    assert 30 < low < 100
    assert 400 < high < 480
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


@pytest.mark.parametrize("asked", ["full", "100:40000"])
def test_values_are_not_read_for_a_range_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setattr(Regions, "sampled", lambda _: pytest.fail("the values were read"))
    save(tmp_path / "a.tif", kind="uint16")
    network = restorer(tile=64, range=asked)
    write(network.restore_image(read(tmp_path / "a.tif")), tmp_path / "whole.tif")
    restore_file(network, tmp_path / "a.tif", tmp_path / "b.tif")
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_the_same_bytes_with_a_network(tmp_path: Path) -> None:
    save(tmp_path / "a.tif")
    network = real_restorer(tile=64)
    write(network.restore_image(read(tmp_path / "a.tif")), tmp_path / "whole.tif")
    restore_file(network, str(tmp_path / "a.tif"), str(tmp_path / "b.tif"))
    assert (
        (tmp_path / "b.tif").read_bytes()
        == (tmp_path / "whole.tif").read_bytes()
        != (tmp_path / "a.tif").read_bytes()
    )


def test_out_of_memory_in_the_middle_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.png", height=300)
    network, expected = restorer(), restorer(tile=64)
    write(expected.restore_image(read(tmp_path / "a.png")), tmp_path / "expected.png")
    once, calls = Arithmetic.run, []
    monkeypatch.setattr(memory, "LARGEST_TILE", 128)

    def hungry(self: Arithmetic, tiles: Any, notify: Notify) -> Any:
        calls.append(tiles.shape)
        if tiles.shape[2] == 128 and len(calls) > 2:
            raise MemoryError
        return once(self, tiles, notify)

    monkeypatch.setattr(Arithmetic, "run", hungry)
    with pytest.warns(UserWarning, match="out of memory with tiles of 128 pixels; retrying with 64"):
        restore_file(network, tmp_path / "a.png", tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "expected.png").read_bytes()


def test_formats_that_cannot_be_read_by_regions_are_restored_in_memory(tmp_path: Path) -> None:
    save(tmp_path / "a.webp")
    restore_file(restorer(strength=0.0), tmp_path / "a.webp", tmp_path / "b.tif")
    assert np.array_equal(read(tmp_path / "b.tif").pixels, read(tmp_path / "a.webp").pixels)


def test_a_damaged_file_leaves_nothing(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(PictureError, match=r"a\.png: cannot be read as PNG"):
        restore_file(restorer(), tmp_path / "a.png", tmp_path / "b.png")
    with pytest.raises(PictureError, match="there is no folder"):
        restore_file(restorer(), tmp_path / "a.png", tmp_path / "none" / "b.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_alpha_into_jpeg_is_refused_before_any_work(tmp_path: Path) -> None:
    save(tmp_path / "a.png", channels=4)

    def never(*_: int) -> None:
        pytest.fail("a tile was restored")

    with pytest.raises(PictureError, match=r"b\.jpg: JPEG cannot hold alpha"):
        restore_file(restorer(), tmp_path / "a.png", tmp_path / "b.jpg", progress=never)


def test_should_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    head = Header(width=1000, height=1000, channels=3, alpha=False, depth=8, suffix=".jpg")
    huge = dataclasses.replace(head, width=20000, height=20000)
    assert not should_stream(head, 10**9)
    assert should_stream(head, 10**8)
    assert should_stream(huge, 10**12)
    assert should_stream(huge)
    assert not should_stream(dataclasses.replace(huge, suffix=".webp"), 10**8)
    monkeypatch.setattr(large, "available_memory", lambda: 2 * 10**8)
    assert should_stream(head)


def test_a_whole_picture_fits_into_few_rows_of_memory(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", height=3000, width=500)
    network, asked = restorer(tile=64), []
    head = header(tmp_path / "a.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with regions(tmp_path / "a.tif", folder=tmp_path) as picture:
            part = picture.part
            picture.part = lambda first, last: (asked.append(last - first), part(first, last))[1]  # type: ignore[method-assign,func-returns-value]
            network.network.run = lambda tiles, notify: tiles  # type: ignore[method-assign]
            for _ in large._restored(network, picture, [], FULL, None, ignore, None):
                assert len(picture._held) <= 64 + regions_of._BACK
    assert max(asked) <= 64
    assert head.height == 3000
