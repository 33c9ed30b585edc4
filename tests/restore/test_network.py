"""A network is loaded once, keeps compiled graphs within the memory limit, and checks its results."""

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from tests.networks import TINY
from uformer.errors import OptionError, PictureError
from uformer.image.image import Pixels
from uformer.layout import parameter_shapes
from uformer.notices import Notify, ignore
from uformer.restore import memory
from uformer.restore import network as module
from uformer.restore.backends import choose, openvino
from uformer.restore.backends.base import Weights, window_grain
from uformer.restore.compiled import Compiled
from uformer.restore.memory import NetworkMemory, Size
from uformer.restore.network import Network
from uformer.restore.options import NetworkOptions, RestoreOptions
from uformer.restore.restorer import Restorer

SIDES = [(side, side + 32) for side in range(192, 192 + 16 * 12, 16)]
"""Sizes of 12 images; each needs its own compiled network."""
FIGURES = memory.openvino_memory(TINY, "fp32")


class Identity:
    """A runner that returns its tiles unchanged."""

    precision = "bf16"
    batch = 1

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = np.float32(scale)

    def __call__(self, tiles: Pixels) -> Pixels:
        return tiles * self.scale

    def in_fp32(self) -> "Identity":
        return Identity()


class Compiling:
    """A backend with a runner for each size and the memory of OpenVINO; `sizes`: the sizes that were made."""

    device = "cpu"
    precision = "bf16"
    grain = window_grain(TINY)

    def __init__(self, figures: NetworkMemory | None = FIGURES, runner: Identity | None = None) -> None:
        self.memory, self.runner = figures, runner or Identity()
        self.sizes: list[Size] = []

    def for_size(self, height: int, width: int) -> Identity:
        self.sizes.append((height, width))
        return self.runner


def network_of(backend: Compiling) -> Network:
    network = Network(Weights(TINY, {}), NetworkOptions(backend="openvino"))
    network.backend = backend
    return network


@pytest.fixture(autouse=True)
def nothing_of_other_tests() -> None:
    Compiled().make_room(0, set())


def tile(height: int = 32, width: int = 32) -> Pixels:
    return np.full((1, 3, height, width), 0.5, np.float32)


def test_what_is_compiled_stays_within_the_memory_limit() -> None:
    backend = Compiling()
    network = network_of(backend)
    restorer = Restorer(network, RestoreOptions(memory="800MB"))
    for height, width in SIDES:
        restorer.restore_pixels(np.zeros((height, width, 3), np.float32))
        size = restorer.tile_for(height, width)
        assert size in network.kept
        others = sum(FIGURES.kept(other) for other in network.kept - {size})
        assert memory.needed(FIGURES, height, width, size, restorer.memory_budget) + others <= 800_000_000
    assert len(set(backend.sizes)) == len(SIDES)
    assert 1 < len(network.kept) < len(SIDES)


@pytest.mark.parametrize("ensemble", [False, True])
def test_a_turned_network_counts_unless_the_ensemble_needs_it(*, ensemble: bool) -> None:
    network = network_of(Compiling(NetworkMemory(fixed=10**8, per_pixel=1, another=200_000_000)))
    for size in ((256, 288), (288, 256)):
        network.for_size(*size)
    restorer = Restorer(network, RestoreOptions(memory="400MB", ensemble=ensemble))
    restorer.restore_pixels(np.zeros((240, 272, 3), np.float32))
    assert network.kept == ({(256, 288), (288, 256)} if ensemble else {(256, 288)})


def test_a_backend_that_serves_all_sizes_drops_nothing_of_others() -> None:
    network = network_of(Compiling())
    network.run(tile(), ignore)
    for figures in (None, NetworkMemory(fixed=10**8, per_pixel=10)):
        network_of(Compiling(figures)).make_room(0, set())
    assert network.kept == {(32, 32)}
    network_of(Compiling()).make_room(0, set())
    assert not network.kept


def test_all_is_dropped_when_memory_runs_out() -> None:
    network = network_of(Compiling())
    network.run(tile(), ignore)
    network.clear()
    assert not network.kept


def test_a_copy_for_another_process_has_compiled_nothing() -> None:
    state = {key: np.zeros(shape, np.float32) for key, shape in parameter_shapes(TINY).items()}
    network = Network(Weights(TINY, state), NetworkOptions(backend="torch", device="cpu"))
    restored = network.run(tile(), ignore)
    again = pickle.loads(pickle.dumps(network))
    assert (network.kept, again.kept) == ({(32, 32)}, set())
    assert again.options == network.options
    assert np.array_equal(again.run(tile(), ignore), restored)


def test_a_result_that_is_not_finite_is_computed_again() -> None:
    notices: list[str] = []
    network = network_of(Compiling(runner=Identity(np.nan)))
    assert np.array_equal(network.run(tile(), notices.append), tile())
    assert notices == ["a tile has non-finite values in bf16; running it again in fp32"]
    with pytest.raises(PictureError, match="non-finite values; its weights may be damaged"):
        network.run(np.full_like(tile(), np.inf), ignore)


def test_only_the_tiles_that_are_not_finite_are_computed_again() -> None:
    notices: list[str] = []
    network = network_of(Compiling(runner=Identity(1.5)))
    tiles = np.concatenate([tile(), np.full_like(tile(), 3e38), tile()])
    restored = network.run(tiles, notices.append)
    assert restored[:, 0, 0, 0].tolist() == [0.75, np.float32(3e38), 0.75]
    assert len(notices) == 1


class Leaning(Identity):
    """A runner that changes colours, and left differently from right."""

    def __call__(self, tiles: Pixels) -> Pixels:
        tint = np.array([1, 0.9, 0.8], np.float32)[:, None, None]
        return tiles * tint * np.linspace(0.5, 1, tiles.shape[3], dtype=np.float32)


@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_tile_of_a_batch_is_restored_as_if_it_were_alone(channels: int, *, ensemble: bool) -> None:
    network = network_of(Compiling(runner=Leaning()))
    tiles = np.random.default_rng(0).random((3, channels, 32, 64), dtype=np.float32)
    tiles[1] = tiles[1, :1]  # without colour
    restored = network.restore(tiles, ignore, ensemble=ensemble)
    answer, spread = network.restore_with_spread(tiles, ignore, ensemble=ensemble)
    for number in range(3):
        alone = tiles[number : number + 1]
        assert np.array_equal(restored[number], network.restore(alone, ignore, ensemble=ensemble)[0])
        single_answer, single_spread = network.restore_with_spread(alone, ignore, ensemble=ensemble)
        assert np.array_equal(answer[number], single_answer[0])
        assert np.array_equal(spread[number], single_spread[0])
    assert np.array_equal(restored[1, 0], restored[1, -1])
    assert (channels == 1) == np.array_equal(restored[0, 0], restored[0, -1])


def test_a_precision_that_is_not_there_is_said_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(openvino._CAPABILITIES, "fp16", "none")
    network = Network(Weights(TINY, {}), NetworkOptions(backend="openvino", precision="fp16"))
    assert network.backend_name == "openvino"
    with pytest.raises(OptionError, match="precision"):
        _ = network.backend


def test_a_device_that_fails_its_check_is_replaced_by_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = "the device npu failed its check: it crashed (SIGSEGV); the CPU does the work"
    on_cpu = choose.Choice("openvino", "cpu", Compiling)
    monkeypatch.setattr(module, "trusted", lambda *_: (on_cpu, failed))
    network = Network(Weights(TINY, {}), NetworkOptions(device="npu"))
    notices: list[str] = []
    for _ in range(2):
        assert np.array_equal(network.run(tile(), notices.append), tile())
    assert notices == [failed], "said once, with the first tile"
    assert isinstance(network.backend, Compiling)


def test_weights_are_exported_for_onnxruntime_before_the_device_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_device = choose.Choice("onnx", "coreml", Compiling)
    checked: list[bytes | None] = []

    def with_exported(weights: Weights, precision: str, notify: Notify) -> Weights:
        notify(f"exporting in {precision}")
        return dataclasses.replace(weights, exported=b"a graph")

    def trusted(weights: Weights, *_: object) -> tuple[choose.Choice, None]:
        checked.append(weights.exported)
        return on_device, None

    monkeypatch.setattr(module, "with_exported", with_exported)
    monkeypatch.setattr(module, "trusted", trusted)
    notices: list[str] = []
    options = NetworkOptions(device="coreml", precision="fp16")
    network = Network(Weights(TINY, {}), options, notify=notices.append)
    assert (network.backend_name, notices) == ("onnx", [])
    for _ in range(2):
        assert np.array_equal(network.run(tile(), notices.append), tile())
    assert (checked, notices) == ([b"a graph"], ["exporting in fp16"])
    assert Network(Weights(TINY, {}), NetworkOptions(backend="openvino")).ready_weights().exported is None


def test_threads_hold_for_libvips_and_torch() -> None:
    import pyvips
    import torch

    before = torch.get_num_threads(), pyvips.vips_lib.vips_concurrency_get()
    state = {key: np.zeros(shape, np.float32) for key, shape in parameter_shapes(TINY).items()}
    try:
        network = Network(Weights(TINY, state), NetworkOptions(backend="torch", device="cpu", threads=1))
        assert network.backend.precision == "fp32"
        assert (torch.get_num_threads(), pyvips.vips_lib.vips_concurrency_get()) == (1, 1)
    finally:
        torch.set_num_threads(before[0])
        pyvips.vips_lib.vips_concurrency_set(before[1])


def test_openvino_gets_the_threads_asked_for_or_those_of_the_container(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def threads(options: NetworkOptions) -> Any:
        return vars(choose.choose(Weights(TINY, {}), options).make())["_threads"]

    for limit in (None, 3):
        monkeypatch.setattr(choose, "thread_limit", lambda: limit)  # noqa: B023
        assert threads(NetworkOptions(backend="openvino")) == limit
        assert threads(NetworkOptions(backend="openvino", threads=2)) == 2
