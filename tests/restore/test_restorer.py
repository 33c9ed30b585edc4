"""The restorer, with plain arithmetic in place of a network."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from numpy.typing import NDArray

import uformer
from uformer.config import UformerConfig
from uformer.errors import CheckpointError, OptionError, PictureError
from uformer.layout import parameter_shapes
from uformer.restore import memory
from uformer.restore import network as module
from uformer.restore.backends.base import Weights, window_grain
from uformer.restore.memory import NetworkMemory
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer
from uformer.values import memory_in_bytes

# Tiles are multiples of 16.
SMALL = UformerConfig(embed_dim=4, depths=(1,) * 9, num_heads=(1,) * 9, window_size=2)
Tiles = NDArray[np.float32]


class Arithmetic:
    """A backend that applies a function to its tiles and records their shapes."""

    device = "cpu"
    precision = "fp16"
    batch = 1
    memory: NetworkMemory | None = None

    def __init__(self, function: Callable[[Tiles], Tiles], config: UformerConfig = SMALL) -> None:
        self.function = function
        self.grain = window_grain(config)
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, tiles: Tiles) -> Tiles:
        self.shapes.append(tiles.shape)
        return self.function(tiles)

    def for_size(self, _height: int, _width: int) -> "Arithmetic":
        return self

    def in_fp32(self) -> "Arithmetic":
        return Arithmetic(lambda tiles: tiles * 0 + np.float32(0.5))


def make(
    function: Callable[[Tiles], Tiles], config: UformerConfig = SMALL, **options: Any
) -> tuple[Restorer, Arithmetic]:
    backend = Arithmetic(function, config)
    network = Network(Weights(config, {}))
    network.backend = backend
    return Restorer(network, RestoreOptions(**{"tones": "free", **options})), backend


def darker(tiles: Tiles) -> Tiles:
    return tiles - np.float32(0.25)


def picture(height: int = 40, width: int = 70, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(64, 256, (height, width, channels), dtype=np.uint8)


def encoded(suffix: str = "png") -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(picture()).save(file, suffix)
    return file.getvalue()


def test_tiles_have_the_sides_that_the_network_needs() -> None:
    restorer, backend = make(darker, tile=33, overlap=8)
    out = restorer(picture(100, 70))
    assert set(backend.shapes) == {(1, 3, 48, 48)}
    assert np.array_equal(out, picture(100, 70) - 64)


def test_a_small_picture_is_whole() -> None:
    restorer, backend = make(darker)
    restorer(picture(33, 1))
    assert backend.shapes == [(1, 3, 64, 64)]


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_strength_mixes(strength: float) -> None:
    restorer, _ = make(darker, strength=strength)
    assert np.array_equal(restorer(picture()), picture() - round(64 * strength))


def test_gray_stays_gray() -> None:
    restorer, backend = make(lambda tiles: tiles + np.array([0.1, 0.0, -0.1], np.float32)[:, None, None])
    gray = np.full((5, 7), 0.5, np.float32)
    np.testing.assert_allclose(restorer(gray), gray, atol=1e-6)
    assert backend.shapes == [(1, 3, 64, 64)]


def test_what_has_no_colour_gets_none() -> None:
    tinted, _ = make(lambda tiles: tiles + np.array([0.2, 0, -0.1], np.float32)[:, None, None])
    gray = np.repeat(picture(channels=1), 3, axis=2)
    restored = tinted(gray).astype(int)
    np.testing.assert_array_equal(restored[..., 0], restored[..., 1])
    np.testing.assert_array_equal(restored[..., 0], restored[..., 2])
    assert np.ptp(tinted(picture()).astype(int) - picture(), axis=2).max() > 50


def test_a_gray_network_restores_each_colour() -> None:
    config = UformerConfig(
        embed_dim=4, depths=(1,) * 9, num_heads=(1,) * 9, window_size=2, in_channels=1, out_channels=1
    )
    restorer, backend = make(darker, config)
    assert np.array_equal(restorer(picture()), picture() - 64)
    assert len(backend.shapes) == 3


def test_a_tile_that_is_not_finite_runs_again_in_fp32() -> None:
    restorer, _ = make(lambda tiles: tiles * np.float32(np.nan))
    with pytest.warns(UserWarning, match="non-finite values in fp16; running it again in fp32"):
        out = restorer(picture())
    assert (out == 128).all()


def test_what_is_not_finite_in_fp32_either_never_reaches_the_picture() -> None:
    restorer, backend = make(lambda tiles: tiles * np.float32(np.nan))
    backend.precision = "fp32"
    with pytest.raises(PictureError, match="non-finite values; its weights may be damaged"):
        restorer(picture())


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_a_folder_is_refused(path: str) -> None:
    with pytest.raises(PictureError, match="is a folder, not an image"):
        make(darker)[0](path)


def test_out_of_memory_halves_a_tile_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LARGEST_TILE", 256)

    def hungry(tiles: Tiles) -> Tiles:
        if tiles.shape[-1] > 64 or len(backend.shapes) == 40:  # the second one after some rows are finished
            raise MemoryError
        return darker(tiles)

    restorer, backend = make(hungry)
    with pytest.warns(UserWarning, match="out of memory") as warned:
        out = restorer(picture(300, 300))
    assert [str(warning.message) for warning in warned] == [
        "out of memory with tiles of 256 pixels; retrying with 128",
        "out of memory with tiles of 128 pixels; retrying with 64",
        "out of memory with tiles of 64 pixels; retrying with 32",
    ]
    assert np.array_equal(out, picture(300, 300) - 64)
    assert backend.shapes[-1] == (1, 3, 32, 32)


def test_an_explicit_tile_is_never_changed() -> None:
    def full(tiles: Tiles) -> Tiles:
        raise MemoryError

    with pytest.raises(PictureError, match="out of memory with tiles of 256 pixels; try a smaller --tile"):
        make(full, tile=256)[0](picture(300, 300))


def needing(network: NetworkMemory | None, **options: Any) -> Restorer:
    restorer, backend = make(darker, **options)
    backend.memory = network
    return restorer


NEEDS = NetworkMemory(fixed=200 * 2**20, per_pixel=2048)


@pytest.mark.parametrize(("free", "side"), [(64, 832), (1, 352), (0.1, 32)])
def test_the_tile_fits_into_half_of_the_free_memory(
    monkeypatch: pytest.MonkeyPatch, free: float, side: int
) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: int(free * 2**30))
    restorer = needing(NEEDS)
    assert max(restorer.tile_for(side - 16, side - 16)) == side
    assert max(restorer.tile_for(2000, 3000)) <= side
    assert restorer.tile_for(10, 10) == (min(64, side),) * 2
    assert needing(NEEDS, tile=100).tile_for(2000, 3000) == (112, 112)


def test_a_device_with_memory_of_its_own_takes_large_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: 2**20)
    assert needing(None).tile_for(816, 816) == (memory.LARGEST_TILE,) * 2


def test_tiles_go_in_batches_to_a_backend_that_wants_them() -> None:
    singly, _ = make(lambda tiles: tiles * tiles, tile=32, overlap=8)
    expected = singly(picture(100, 70))
    restorer, backend = make(lambda tiles: tiles * tiles, tile=32, overlap=8)
    backend.batch = 4
    seen: list[tuple[int, int]] = []
    out = restorer(picture(100, 70), progress=lambda *counts: seen.append(counts))
    assert np.array_equal(out, expected)
    total = seen[-1][1]
    assert seen == [(done, total) for done in range(1, total + 1)]
    assert [shape[0] for shape in backend.shapes] == [4] * (total // 4) + [total % 4] * (total % 4 > 0)


def test_memory_bounds_the_tile() -> None:
    for amount in ("500MB", "700MB", "1GB", "1.4GB"):
        restorer = needing(NEEDS, memory=amount)
        assert restorer.memory_budget == memory_in_bytes(amount, free=0)
        height, width = restorer.tile_for(5000, 5000)
        assert (
            memory.needed(NEEDS, 5000, 5000, (height, width), restorer.memory_budget)
            <= restorer.memory_budget
        )
    with pytest.raises(
        OptionError, match=r"^memory: 200MB is too little; this image needs at least \d+MB$"
    ) as refusal:
        needing(NEEDS, memory="200MB").tile_for(100, 100)
    named = str(refusal.value).split()[-1]
    assert needing(NEEDS, memory=named).tile_for(100, 100)  # the amount that the error names is enough


@pytest.mark.parametrize("amount", range(400, 1500, 100))  # the smallest tile needs 312 MB
def test_memory_never_asks_for_a_tile_without_room_for_the_overlap(amount: int) -> None:
    """An ONNX file pads to whole windows, so its tiles begin at multiples of 32 here, and overlap by 16."""
    restorer, backend = make(darker, memory=f"{amount}MB")
    backend.memory, backend.grain = NEEDS, SMALL.multiple
    tile = restorer.tile_for(5000, 5000)
    assert min(tile) >= 2 * SMALL.multiple
    assert memory.needed(NEEDS, 5000, 5000, tile, restorer.memory_budget) <= restorer.memory_budget


def test_a_small_tile_is_rounded_up_so_that_it_overlaps() -> None:
    """No error is about an overlap that was not requested."""
    restorer, backend = make(darker, tile=7)
    assert np.array_equal(restorer(picture(40, 30)), picture(40, 30) - 64)
    assert len(backend.shapes) > 1
    with pytest.raises(OptionError, match="overlap: 16 is too large for a tile of 16 pixels; use at most 0"):
        make(darker, tile=7, overlap=16)[0](picture(40, 30))


def test_half_of_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: 1000)
    restorer, _ = make(darker)
    assert restorer.memory_budget == 500
    assert make(darker, memory="10%")[0].memory_budget == 100
    assert Restorer(restorer.network, share=0.25).memory_budget == 125, "a share of the default"
    assert Restorer(restorer.network, RestoreOptions(memory="10%"), share=0.25).memory_budget == 100


def test_other_options_for_the_same_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: 1000)
    restorer, backend = make(darker)
    half = restorer.with_options(RestoreOptions(strength=0.5, tile=32, tones="free"))
    assert restorer.memory_budget == 500
    monkeypatch.setattr(module, "available_memory", lambda: 10)
    assert half.memory_budget == 500, "the same plan, although the network has taken its memory since"
    assert np.array_equal(half(picture()), picture() - 32)
    assert set(backend.shapes) == {(1, 3, 32, 32)}
    assert (restorer.options, half.options.strength) == (RestoreOptions(tones="free"), 0.5)
    with pytest.raises(ValueError, match=r"precision='fp32'.* is not the network of this restorer"):
        restorer.with_options(RestoreOptions(precision="fp32"))


def test_flat_corners_lie_outside_of_what_is_seen_of_the_network() -> None:
    """A network whose 8 outermost pixels are wrong, as with zero padding."""

    def spoilt(tiles: Tiles) -> Tiles:
        out = np.zeros_like(tiles)
        out[:, :, 8:-8, 8:-8] = tiles[:, :, 8:-8, 8:-8]
        return out

    for height, width in ((32, 64), (1, 1), (16, 17), (31, 5)):
        assert np.array_equal(make(spoilt)[0](picture(height, width)), picture(height, width))


def test_ensemble_is_the_mean_over_the_symmetries_of_the_square() -> None:
    ramp = np.linspace(0, 0.25, 64, dtype=np.float32)

    # Not symmetric: its change differs left and right, top and bottom, and cancels in the mean.
    def leaning(tiles: Tiles) -> Tiles:
        height, width = tiles.shape[2:]
        return (
            tiles + ramp[:width] - ramp[:width].mean() + 2 * (ramp[:height] - ramp[:height].mean())[:, None]
        )

    restorer, backend = make(leaning, ensemble=True, tile=64)
    grey = np.full((40, 20, 3), 0.5, np.float32)
    np.testing.assert_allclose(restorer(grey), grey, atol=1e-6)
    assert sorted(backend.shapes) == [(1, 3, 48, 64)] * 4 + [(1, 3, 64, 48)] * 4
    assert abs(make(leaning)[0](grey) - grey).max() > 0.1
    pixels = np.random.default_rng(0).random((40, 20, 3), dtype=np.float32) / 2 + np.float32(0.25)
    np.testing.assert_allclose(make(lambda tiles: tiles, ensemble=True)[0](pixels), pixels, atol=1e-6)
    assert np.array_equal(restorer(pixels), restorer(pixels))


def test_pickled_and_back() -> None:
    state = {key: np.zeros(shape, np.float32) for key, shape in parameter_shapes(SMALL).items()}
    state["output_proj.conv.bias"] += np.float32(0.25)
    options = RestoreOptions(backend="torch", device="cpu", strength=0.5)
    restorer = Restorer(Network(Weights(SMALL, state), options.network), options)
    out = restorer(picture())
    assert np.array_equal(pickle.loads(pickle.dumps(restorer))(picture()), out)


def test_forms_come_back_as_they_came(tmp_path: Path) -> None:
    restorer, _ = make(darker)
    expected = picture() - 64
    assert np.array_equal(restorer(picture()), expected)
    planar, planar_expected = (
        torch.from_numpy(array.transpose(2, 0, 1).copy()) for array in (picture(), expected)
    )
    assert torch.equal(restorer(planar), planar_expected)
    assert np.array_equal(np.asarray(restorer(PIL.Image.fromarray(picture()))), expected)
    assert np.array_equal(np.asarray(PIL.Image.open(io.BytesIO(restorer(encoded())))), expected)
    path = tmp_path / "a b.png"
    path.write_bytes(encoded())
    out = restorer(path)
    assert out == tmp_path / "a b.restored.png"
    assert np.array_equal(np.asarray(PIL.Image.open(out)), expected)
    assert restorer(str(path), overwrite=True) == str(out)
    assert path.read_bytes() == encoded()


def test_progress_counts_tiles() -> None:
    restorer, _ = make(darker, tile=32, overlap=8)
    seen: list[tuple[int, int]] = []
    restorer(picture(64, 40), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, seen[-1][1]) for done in range(1, seen[-1][1] + 1)]
    assert len(seen) > 1


@pytest.mark.parametrize("what", [None, 3, {"a": 1}, [1, 2]])
def test_no_picture_is_refused(what: Any) -> None:
    with pytest.raises(PictureError, match="cannot restore a"):
        make(darker)[0](what)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(OptionError, match="unknown task 'dehaze'; known: denoise"):
        uformer.restore(picture(), task="dehaze")
    with pytest.raises(
        OptionError,
        match=r"unknown network or weights 'uformer_x\.denoise'; give weights \(uformer_t\.denoise, .*"
        r"networks without weights: uformer_t, ",
    ):
        Restorer.from_pretrained("uformer_x.denoise")
    with pytest.raises(
        OptionError, match=r"'uformer_b' is a network without weights; weights that ship: uformer_t\.denoise"
    ):
        Restorer.from_pretrained("uformer_b")
    with pytest.raises(OptionError, match=r"^unknown option 'tiles'; known: task, weights, .*, quality$"):
        uformer.restore(picture(), tiles=3)
    with pytest.raises(OptionError, match="device"):
        Restorer.from_pretrained("uformer_t.denoise", backend="openvino", device="cuda")


def test_a_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.safetensors"):
        Restorer.from_pretrained(tmp_path / "none.safetensors")


def test_weights_of_unequal_channels_are_refused() -> None:
    with pytest.raises(OptionError, match="6 input and 3 output channels"):
        Restorer(Network(Weights(UformerConfig(in_channels=6), {})))
