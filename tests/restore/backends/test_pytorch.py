"""The torch backend computes the same as the network."""

import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from uformer.config import UformerConfig
from uformer.errors import OptionError, PictureError
from uformer.model.uformer import Uformer
from uformer.restore.backends import pytorch
from uformer.restore.backends.base import Weights, window_grain
from uformer.restore.backends.pytorch import TorchBackend, TorchRunner, choose_device, free_memory
from uformer.restore.memory import torch_memory
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer

SMALL = UformerConfig(embed_dim=4, depths=(1,) * 9, num_heads=(1,) * 9, window_size=2)


def test_it_is_the_network() -> None:
    torch.manual_seed(0)
    model = Uformer(SMALL).eval()
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    tiles = np.random.default_rng(0).random((2, 3, 32, 64), dtype=np.float32)
    backend = TorchBackend(SMALL, state, device="cpu")
    assert backend.precision == "fp32"
    with torch.no_grad():
        expected = model(torch.from_numpy(tiles)).numpy()
    runner = backend.for_size(32, 64)
    assert runner.batch == 1, "the CPU takes single tiles"
    assert vars(backend.for_size(64, 64))["_model"] is vars(runner)["_model"], "one for all sizes"
    np.testing.assert_allclose(runner(tiles), expected, atol=1e-6)

    half = TorchBackend(SMALL, state, device="cpu", precision="bf16").for_size(32, 64)
    assert half.precision == "bf16"
    assert 0 < abs(half(tiles) - expected).max() < 0.02
    assert half.in_fp32().precision == "fp32"
    np.testing.assert_allclose(half.in_fp32()(tiles), expected, atol=1e-6)
    assert half.precision == "bf16"


@pytest.mark.parametrize(
    "words",
    [
        "CUDA out of memory. Tried to allocate 20 GiB",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 20 bytes",
    ],
)
def test_libraries_say_in_many_words_that_memory_is_short(words: str) -> None:
    assert pytorch.is_out_of_memory(RuntimeError(words))
    assert not pytorch.is_out_of_memory(RuntimeError("CUDA error: an illegal memory access"))


def test_a_device_out_of_memory_is_a_memory_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB\nmore")

    state = {key: value.numpy() for key, value in Uformer(SMALL).state_dict().items()}
    runner = TorchBackend(SMALL, state, device="cpu").for_size(32, 32)
    monkeypatch.setattr(Uformer, "forward", full)
    with pytest.raises(MemoryError, match="Tried to allocate 20 GiB$"):
        runner(np.zeros((1, 3, 32, 32), np.float32))


class Card:
    """A stand-in for the memory of a device: `Uformer.forward` fails for more than `room` tiles."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.batches: list[int] = []
        self._images: list[weakref.ref[torch.Tensor]] = []
        forward = Uformer.forward

        def limited(model: Uformer, image: torch.Tensor, *, multiple: int) -> torch.Tensor:
            assert not any(earlier() is not None for earlier in self._images), "earlier tiles are freed"
            self.batches.append(len(image))
            self._images.append(weakref.ref(image))
            if len(image) > room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
            return forward(model, image, multiple=multiple)

        monkeypatch.setattr(Uformer, "forward", limited)


def test_batches_are_halved_until_they_fit_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    state = {key: value.numpy() for key, value in Uformer(SMALL).state_dict().items()}
    tiles = np.random.default_rng(0).random((8, 3, 32, 32), dtype=np.float32)
    singly = TorchBackend(SMALL, state, device="cpu").for_size(32, 32)
    expected = np.concatenate([singly(tile[None]) for tile in tiles])

    card = Card(monkeypatch, room=3)
    monkeypatch.setattr(pytorch, "free_memory", lambda _: 10**9)
    runner = TorchBackend(SMALL, state, device="cpu").for_size(32, 32)
    assert runner.batch == 8
    np.testing.assert_allclose(runner(tiles), expected, atol=1e-6)
    assert (card.batches, runner.batch) == ([8, 4, 2, 2, 2, 2], 2)
    np.testing.assert_allclose(runner(tiles[:3]), expected[:3], atol=1e-6)
    assert card.batches[6:] == [2, 1], "the smaller batch stays"

    card = Card(monkeypatch, room=0)
    with pytest.raises(MemoryError, match="Tried to allocate 20 GiB"):
        runner(tiles[:2])
    assert card.batches == [2, 1]


def test_an_image_in_batches_is_the_same_as_tile_by_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    state = {key: value.numpy() for key, value in Uformer(SMALL).state_dict().items()}
    options = RestoreOptions(backend="torch", device="cpu", tile=32, overlap=8)
    pixels = np.random.default_rng(0).random((70, 100, 3), dtype=np.float32)
    expected = Restorer(Network(Weights(SMALL, state), options.network), options).restore_pixels(pixels)

    monkeypatch.setattr(pytorch, "free_memory", lambda _: 10**9)
    restorer = Restorer(Network(Weights(SMALL, state), options.network), options)
    card = Card(monkeypatch, room=5)
    np.testing.assert_allclose(restorer.restore_pixels(pixels), expected, atol=1e-6)
    assert card.batches[:3] == [8, 4, 4]
    Card(monkeypatch, room=0)
    with pytest.raises(PictureError, match="^out of memory with tiles of 32 pixels; try a smaller --tile"):
        restorer.restore_pixels(pixels)


def test_batches_are_for_devices_that_tell_their_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def library(**more: object) -> SimpleNamespace:
        return SimpleNamespace(memory_reserved=lambda _: 30, memory_allocated=lambda _: 10, **more)

    def silent(_: str) -> None:
        raise RuntimeError("doesn't support querying the available free memory")

    torches = SimpleNamespace(
        cuda=library(mem_get_info=lambda device: (100 if device == "cuda:1" else 0, 1000)),
        xpu=library(mem_get_info=silent),
        mps=SimpleNamespace(recommended_max_memory=lambda: 100, current_allocated_memory=lambda: 10),
    )
    monkeypatch.setattr(pytorch, "require", lambda *_: torches)
    devices = ("cpu", "cuda:1", "cuda", "xpu", "mps")
    assert [free_memory(device) for device in devices] == [None, 120, 20, None, 90]


def test_devices_are_checked() -> None:
    assert choose_device("cpu") == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="device: 'cuda:7' is not available"):
            choose_device("cuda:7")
    if not torch.backends.mps.is_available():  # torch then lists all its kinds of devices
        with pytest.raises(OptionError, match="`uformer devices` lists those that are$") as raised:
            choose_device("mps")
        assert len(str(raised.value)) < 280
    with pytest.raises(OptionError, match="device: 'toaster' is not one of auto, cpu,"):
        choose_device("toaster")
    with pytest.raises(OptionError, match="device: 'npu' is not one of auto, cpu, cuda, mps, xpu"):
        choose_device("npu")


def test_what_it_needs_is_known_before_it_is_loaded() -> None:
    backend = TorchBackend(SMALL, {}, device="cpu")
    assert backend.memory == torch_memory(SMALL)
    assert backend.grain == window_grain(SMALL)


def test_a_gpu_has_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytorch, "choose_device", lambda device: device)
    backend = TorchBackend(SMALL, {}, device="cuda:1")
    assert (backend.memory, backend.precision) == (None, "fp16")


def test_the_best_device_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    there: set[str] = set()
    for kind, library in (("cuda", torch.cuda), ("mps", torch.backends.mps), ("xpu", torch.xpu)):
        monkeypatch.setattr(library, "is_available", lambda kind=kind: kind in there)
    chosen = [choose_device("auto")]
    for kind in ("xpu", "mps", "cuda"):
        there.add(kind)
        chosen.append(choose_device("auto"))
    assert chosen == ["cpu", "xpu", "mps", "cuda"]


def test_a_driver_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access")

    runner = TorchRunner(Uformer(SMALL), device="cpu", precision="fp32")
    monkeypatch.setattr(Uformer, "forward", broken)
    with pytest.raises(RuntimeError):
        runner(np.zeros((1, 3, 32, 32), np.float32))
    monkeypatch.setattr(runner, "_device", "cpu:0")
    with pytest.raises(
        PictureError, match="^the device cpu:0 failed .CUDA error: an illegal memory access.; try"
    ):
        runner(np.zeros((1, 3, 32, 32), np.float32))
