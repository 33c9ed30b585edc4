import dataclasses
import math
import pkgutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.errors import OptionError, PictureError
from uformer.layout import parameter_shapes
from uformer.restore.backends import cache, openvino, openvino_graph
from uformer.restore.backends.base import window_grain
from uformer.restore.backends.openvino import OpenVINOBackend, OpenVINORunner, choose_precision
from uformer.restore.backends.quiet import ov
from uformer.restore.memory import openvino_memory
from uformer.weights import checkpoint, registry

ROOT = Path(__file__).parents[3]
CONFIG = UformerConfig(embed_dim=4, depths=(1, 2, 1), num_heads=(1, 2, 4), window_size=4, modulator=True)

Make = Callable[..., OpenVINORunner]


def random_state(config: UformerConfig = CONFIG, *, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return {
        key: rng.standard_normal(shape, dtype=np.float32) * np.float32(0.2)
        for key, shape in parameter_shapes(config).items()
    }


def tiles(count: int = 1, height: int = 16, width: int = 24) -> NDArray[np.float32]:
    return np.random.default_rng(7).random((count, 3, height, width), dtype=np.float32)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(**options: Any) -> OpenVINORunner:
        defaults: dict[str, Any] = {
            "state": random_state(),
            "height": 16,
            "width": 24,
            "precision": "fp32",
            "cache_dir": tmp_path,
        }
        return OpenVINORunner(CONFIG, **(defaults | options))

    return make


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each graph that is built."""
    made: list[int] = []
    build = openvino_graph.build

    def counted(*args: Any, **options: Any) -> Any:
        made.append(1)
        return build(*args, **options)

    monkeypatch.setattr(openvino_graph, "build", counted)
    return made


def test_a_batch_is_its_tiles(make: Make) -> None:
    backend, batch = make(), tiles(3)
    restored = backend(batch)
    assert restored.shape == batch.shape
    assert restored.dtype == np.float32
    for tile, alone in zip(batch, restored, strict=True):
        assert np.array_equal(backend(tile[None])[0], alone)
    assert backend(batch[:0]).shape == (0, 3, 16, 24)


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_the_same_bytes_each_time(make: Make, precision: str) -> None:
    first, second = make(precision=precision), make(precision=precision, cache_dir=None)
    assert first(tiles()).tobytes() == first(tiles()).tobytes() == second(tiles()).tobytes()


def test_results_do_not_share_memory(make: Make) -> None:
    backend = make()
    first = backend(tiles())
    kept = first.copy()
    backend(np.zeros_like(tiles()))
    assert np.array_equal(first, kept)


def test_arrays_of_any_stride(make: Make) -> None:
    batch = tiles()
    assert np.array_equal(make()(batch.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)), make()(batch))


def test_calls_from_several_threads(make: Make) -> None:
    backend, batch = make(), tiles(4)
    expected = backend(batch)
    found: dict[int, NDArray[np.float32]] = {}

    def run(index: int) -> None:
        for _ in range(5):
            found[index] = backend(batch[index : index + 1])[0]

    threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[index], expected[index]) for index in range(4))


def test_threads_can_be_chosen(make: Make) -> None:
    assert np.allclose(make(threads=1)(tiles()), make()(tiles()), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 3, 24, 16), (1, 1, 16, 24), (1, 3, 16, 16), (3, 16, 24)])
def test_refuses_other_shapes(make: Make, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(B, 3, 16, 24\)"):
        make()(np.zeros(shape, np.float32))


def test_refuses_sizes_that_cannot_be_halved(make: Make) -> None:
    with pytest.raises(ValueError, match="tile of 13 x 24: both sides must be multiples of 2"):
        make(height=13)


def test_out_of_memory_is_a_memory_error(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def import_model(self, *_: object) -> None:
            raise RuntimeError("std::bad_alloc")

        compile_model = import_model

        def get_property(self, *_: object) -> list[str]:
            return ["FP32"]

    backend = make(cache_dir=None)
    monkeypatch.setattr(openvino, "_core", Full)
    with pytest.raises(MemoryError, match="bad_alloc"):
        backend(tiles())


def test_precision_is_what_was_chosen(make: Make) -> None:
    assert make(precision="auto").precision in ("fp32", "bf16")
    assert make(precision="fp32").precision == "fp32"


@pytest.mark.parametrize(
    ("native", "faster", "chosen"),
    [("bf16", True, "bf16"), ("bf16", False, "fp32"), ("f32", True, "fp32"), ("f16", True, "fp32")],
)
def test_auto_is_bf16_only_where_the_cpu_is_faster_in_it(
    monkeypatch: pytest.MonkeyPatch, native: str, faster: bool, chosen: str
) -> None:
    class Core:
        def get_property(self, _: str, name: str) -> Any:
            return (
                getattr(ov.Type, native) if name == "INFERENCE_PRECISION_HINT" else ["FP32", "BF16", "FP16"]
            )

    monkeypatch.setattr(openvino, "_core", Core)
    monkeypatch.setattr(openvino, "bf16_is_faster", lambda: faster)
    assert choose_precision("auto") == chosen
    assert choose_precision("fp16") == "fp16"


def test_refuses_a_precision_that_the_cpu_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Core:
        def get_property(self, *_: str) -> list[str]:
            return ["FP32"]

    monkeypatch.setattr(openvino, "_core", Core)
    with pytest.raises(OptionError, match="this CPU does not support bf16; use auto or fp32"):
        choose_precision("bf16")
    with pytest.raises(OptionError, match="'int8' is not one of auto, fp32, bf16, fp16"):
        choose_precision("int8")  # type: ignore[arg-type]


def test_in_fp32(make: Make) -> None:
    backend = make(precision="auto")
    twin = backend.in_fp32()
    assert twin.precision == "fp32"
    assert backend.in_fp32() is twin is twin.in_fp32()
    assert np.array_equal(twin(tiles()), make()(tiles()))


def test_compiled_graphs_are_kept(make: Make, compilations: list[int]) -> None:
    first = make()(tiles())
    assert len(compilations) == 1
    assert np.array_equal(make()(tiles()), first)
    assert len(compilations) == 1


def test_nothing_is_kept_without_a_folder(make: Make, compilations: list[int], tmp_path: Path) -> None:
    for _ in range(2):
        make(cache_dir=None)(tiles())
    assert len(compilations) == 2
    assert not list(tmp_path.iterdir())


def test_the_default_folder(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UFORMER_CACHE", str(tmp_path / "chosen"))
    make(cache_dir="default")(tiles())
    assert len(list((tmp_path / "chosen" / "openvino").iterdir())) == 1


def test_whatever_changes_the_result_has_an_entry_of_its_own(
    make: Make, compilations: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = random_state()
    key = "output_proj.conv.bias"
    make()(tiles())
    changed = make(state=state | {key: state[key] + 1})(tiles())
    assert np.allclose(changed, make()(tiles()) + 1, atol=1e-5)
    make(state={name: value.astype(np.float16) for name, value in state.items()})(tiles())
    make(threads=1)(tiles())
    make(height=24, width=16)(tiles(height=24, width=16))
    OpenVINORunner(
        dataclasses.replace(CONFIG, shift=False),
        state,
        height=16,
        width=24,
        precision="fp32",
        cache_dir=make()._cache_dir,
    )(tiles())
    assert len(compilations) == 6
    monkeypatch.setattr(pkgutil, "get_data", lambda *_: b"a newer graph")
    make()(tiles())
    assert len(compilations) == 7


@pytest.mark.parametrize(
    ("machine", "capabilities", "for_avx2"),
    [
        ("x86_64", ["FP32", "INT8"], True),
        ("AMD64", ["FP32", "INT8"], True),
        ("x86_64", ["FP32", "INT8", "BF16"], False),
        ("aarch64", ["FP32", "FP16"], False),
    ],
)
def test_the_graph_for_avx2(
    make: Make, monkeypatch: pytest.MonkeyPatch, machine: str, capabilities: list[str], for_avx2: bool
) -> None:
    """It was measured on x86 without AVX-512 only. OpenVINO offers BF16 where there is AVX-512."""
    built: list[bool] = []
    build = openvino_graph.build

    def recorded(*args: Any, for_avx2: bool, **options: Any) -> Any:
        built.append(for_avx2)
        return build(*args, for_avx2=for_avx2, **options)

    monkeypatch.setattr(openvino_graph, "build", recorded)
    monkeypatch.setattr(openvino, "_capabilities", lambda _: capabilities)
    monkeypatch.setattr("platform.machine", lambda: machine)
    make()(tiles())
    assert built == [for_avx2]


def garbage(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def foreign(path: Path) -> None:
    """A complete entry whose content is not from OpenVINO."""
    cache.store(path.parent, path.stem, b"garbage" * 1000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [garbage, truncated, foreign, empty])
def test_a_bad_entry_is_made_anew(
    make: Make, compilations: list[int], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    expected = make()(tiles())
    (entry,) = (tmp_path / "openvino").iterdir()
    damage(entry)
    assert np.array_equal(make()(tiles()), expected)
    assert len(compilations) == 2
    assert np.array_equal(make()(tiles()), expected)
    assert len(compilations) == 2, "the entry is whole again"
    assert list((tmp_path / "openvino").iterdir()) == [entry]


@pytest.mark.parametrize("folder", ["/proc/uformer", "/dev/null", "file"])
def test_an_unusable_folder_changes_nothing(make: Make, tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    assert np.array_equal(make(cache_dir=tmp_path / folder)(tiles()), make(cache_dir=None)(tiles()))


def test_two_processes_at_once(make: Make, tmp_path: Path) -> None:
    script = f"""
import numpy as np
from pathlib import Path
from tests.restore.backends.test_openvino import CONFIG, OpenVINORunner, random_state, tiles
folder = Path({str(tmp_path)!r})
backend = OpenVINORunner(CONFIG, random_state(), height=16, width=24, precision="fp32", cache_dir=folder)
np.save({str(tmp_path)!r} + "/" + __import__("sys").argv[1], backend(tiles()))
"""
    running = [
        subprocess.Popen([sys.executable, "-c", script, name], cwd=ROOT) for name in ("a.npy", "b.npy")
    ]
    assert [process.wait(120) for process in running] == [0, 0]
    expected = make(cache_dir=None)(tiles())
    assert np.array_equal(np.load(tmp_path / "a.npy"), expected)
    assert np.array_equal(np.load(tmp_path / "b.npy"), expected)
    assert len(list((tmp_path / "openvino").iterdir())) == 1


def picture(side: int) -> NDArray[np.float32]:
    """A scene with flat areas, ramps, edges and fine lines, under noise: (3, side, side) in [0, 1]."""
    y, x = np.mgrid[:side, :side] / side
    planes = [
        0.2 + 0.6 * x,
        0.5 + 0.3 * np.sin(40 * x * y),
        np.where((x - 0.5) ** 2 + (y - 0.4) ** 2 < 0.08, 0.9, 0.15 + 0.2 * y),
    ]
    scene = np.stack(planes) + 0.1 * (np.sin(150 * x) > 0.8)
    noisy = scene + np.random.default_rng(1).normal(0, 25 / 255, scene.shape)
    return np.round(np.clip(noisy, 0, 1) * 255).astype(np.float32) / np.float32(255)


def test_auto_is_within_one_level_of_fp32() -> None:
    path = registry.WEIGHTS["uformer_t.denoise"].path
    config, state = checkpoint.read(path)
    auto = OpenVINORunner(config, state, height=128, width=128, cache_dir=None)
    image = picture(128)[None]
    error = np.abs(auto(image) - auto.in_fp32()(image))
    assert error.max() < 1 / 255
    assert -10 * math.log10(max(float(np.square(error).mean()), 1e-12)) > 60


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="counts memory as Linux does")
@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_memory_per_pixel_is_what_is_taken(precision: Any) -> None:
    config = UformerConfig(embed_dim=16, depths=(1, 1, 1), num_heads=(1, 2, 2), window_size=8)
    script = f"""
import numpy as np
from tests.restore.backends.test_openvino import OpenVINORunner, UformerConfig, random_state, tiles
config = UformerConfig.from_json({config.to_json()!r})
def peak():
    return 1024 * int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
peaks = []
for side in (192, 384):
    size = dict(height=side, width=side)
    backend = OpenVINORunner(config, random_state(config), **size, precision={precision!r}, cache_dir=None)
    backend(tiles(1, side, side))
    peaks.append(peak())
    del backend
print((peaks[1] - peaks[0]) / (384**2 - 192**2))
"""
    taken = float(
        subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=200, check=True
        ).stdout
    )
    assert 0.5 * taken < OpenVINOBackend(config, {}, precision=precision).memory.per_pixel < 2 * taken


def test_the_backend_makes_a_runner_for_each_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UFORMER_CACHE", str(tmp_path))
    state = random_state()
    backend = OpenVINOBackend(CONFIG, state, precision="fp32", threads=1)
    assert (backend.grain, backend.memory) == (window_grain(CONFIG), openvino_memory(CONFIG, "fp32"))
    runner = backend.for_size(16, 24)
    assert runner.precision == backend.precision == "fp32"
    expected = OpenVINORunner(CONFIG, state, height=16, width=24, precision="fp32", cache_dir=None)
    np.testing.assert_array_equal(runner(tiles()), expected(tiles()))


def test_the_backend_refuses_a_precision_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(openvino._CAPABILITIES, "fp16", "none")
    with pytest.raises(OptionError, match="this CPU does not support fp16"):
        OpenVINOBackend(CONFIG, {}, precision="fp16")


class Core:
    """OpenVINO with a GPU and an NPU that are really its CPU; `used`: device and options of each graph."""

    def __init__(self, core: Any) -> None:
        self.core = core
        self.used: list[tuple[str, dict[str, Any]]] = []

    available_devices = ("CPU", "GPU.0", "GPU.1", "NPU")

    def get_property(self, device: str, name: str) -> Any:
        offered = {
            "GPU.1": ["FP32", "FP16"],
            "GPU": ["FP32"],
            "NPU": ["FP16"],
            "NPU.1": ["FP16"],
            "CPU": ["FP32", "BF16"],  # has the same graph as other devices
        }
        return offered[device] if name == "OPTIMIZATION_CAPABILITIES" else device

    def compile_model(self, model: Any, device: str, options: dict[str, Any]) -> Any:
        self.used.append((device, options))
        return self.core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def test_other_devices_of_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    core = Core(openvino._core())
    monkeypatch.setattr(openvino, "_core", lambda: core)
    state = random_state()
    for device, name, in_fp32 in (("gpu:1", "GPU.1", "GPU.1"), ("npu", "NPU", "CPU")):
        assert OpenVINOBackend(CONFIG, {}, device=device).precision == "fp16"
        runner = OpenVINORunner(CONFIG, state, height=16, width=24, device=device, threads=1, cache_dir=None)
        restored, exact = runner(tiles()), runner.in_fp32()(tiles())
        np.testing.assert_array_equal(restored, exact)
        (used, options), (used_in_fp32, _) = core.used[-2:]
        assert (used, used_in_fp32) == (name, in_fp32)
        assert options == {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f16"}
    with pytest.raises(OptionError, match="the device npu does not support fp32; use auto or fp16"):
        OpenVINOBackend(CONFIG, {}, device="npu", precision="fp32")
    assert OpenVINOBackend(CONFIG, {}, device="gpu").precision == "fp32", "gpu is gpu:0"
    with pytest.raises(OptionError, match="device: OpenVINO finds no npu:1 on this machine"):
        OpenVINOBackend(CONFIG, {}, device="npu:1")


def test_a_driver_that_fails_is_one_line_and_a_full_one_a_memory_error() -> None:
    def fail(device: str, text: str) -> None:
        with openvino._device_errors(device):
            raise RuntimeError(text)

    with pytest.raises(MemoryError, match="^clEnqueue failed: CL_OUT_OF_RESOURCES$"):
        fail("gpu", "clEnqueue failed: CL_OUT_OF_RESOURCES\nmore")
    with pytest.raises(PictureError, match=r"^the device gpu failed \(no kernel\); try --device cpu$"):
        fail("gpu", "Exception from core.cpp:268:\nno kernel\n")
    with pytest.raises(RuntimeError, match="^ze error"):
        fail("cpu", "ze error")
