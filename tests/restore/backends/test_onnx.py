"""The ONNX backend on files made by hand; tests/export runs it on exported networks."""

import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.networks import TINY
from tests.restore.backends.graphs import FACTS, darker
from uformer.cli import main
from uformer.errors import CheckpointError, OptionError
from uformer.restore.backends.onnx import OnnxBackend, is_onnx, read_config
from uformer.restore.memory import onnx_memory
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def save(model: Any = None, name: str = "darker.onnx") -> Path:
        path = tmp_path / name
        path.write_bytes((darker() if model is None else model).SerializeToString())
        return path

    return save


def test_tiles_of_any_size(save: Save) -> None:
    backend = OnnxBackend(save(), threads=1)
    assert (backend.precision, backend.config) == ("fp32", TINY)
    assert backend.in_fp32() is backend
    for shape in [(1, 3, 8, 8), (2, 3, 5, 9), (0, 3, 8, 8)]:
        tiles = np.random.default_rng(0).random(shape, dtype=np.float32)
        restored = backend(tiles)
        assert restored.dtype == np.float32
        assert np.array_equal(restored, tiles / 2)
    strided = np.random.default_rng(0).random((1, 8, 8, 3), dtype=np.float32).transpose(0, 3, 1, 2)
    assert np.array_equal(backend(strided), strided / 2)


def test_the_content_of_a_file_instead_of_its_path(save: Save) -> None:
    path = save()
    backend = OnnxBackend(path.read_bytes(), threads=1)
    assert backend.memory == OnnxBackend(path, threads=1).memory
    assert backend(np.ones((1, 3, 8, 8), np.float32)).max() == 0.5
    with pytest.raises(CheckpointError, match="^the exported weights: not an ONNX file, or damaged$"):
        OnnxBackend(b"garbage" * 100)


def test_the_twin_in_fp32_is_made_once(save: Save) -> None:
    half = save(darker(FACTS | {"precision": "fp16"}), "half.onnx")
    twins = [OnnxBackend(save(), threads=1)]
    backend = OnnxBackend(half, threads=1, in_fp32=twins.pop)
    assert backend.in_fp32() is backend.in_fp32()
    assert (backend.precision, backend.in_fp32().precision) == ("fp16", "fp32")
    alone = OnnxBackend(half, threads=1)
    assert alone.in_fp32() is alone, "the precision of a file is fixed"


def test_chosen_by_the_suffix(save: Save) -> None:
    assert is_onnx("a/b.ONNX")
    assert not is_onnx("a.onnx/b.safetensors")
    restorer = Restorer.from_pretrained(save())
    assert (restorer.backend, restorer.precision) == ("onnx", "fp32")
    picture = np.random.default_rng(0).integers(0, 256, (30, 21, 3), dtype=np.uint8)
    restored = restorer(picture)
    assert np.abs(restored.astype(int) - picture / 2).max() <= 1
    assert np.array_equal(pickle.loads(pickle.dumps(restorer))(picture), restored)
    assert all(side % TINY.multiple == 0 for side in restorer.tile_for(100, 30))


def test_a_changed_file_is_read_again(save: Save) -> None:
    import uformer

    picture = np.full((8, 8, 3), 200, np.uint8)
    path = save()
    assert uformer.restore(picture, weights=str(path)).max() == 100
    save(darker(op="Add"))
    assert uformer.restore(picture, weights=str(path)).max() == 255


def test_options_it_cannot_meet(save: Save) -> None:
    path = str(save())
    with pytest.raises(
        OptionError,
        match=r"^backend: 'torch' cannot run .*darker\.onnx; \.onnx files run in onnxruntime$",
    ):
        Restorer.from_pretrained(path, backend="torch")
    with pytest.raises(OptionError, match=r"^device: 'tensorrt' needs onnxruntime with Tensorrt.*CPUExecu"):
        OnnxBackend(path, device="tensorrt")
    with pytest.raises(
        OptionError, match="was exported in fp32, not in 'fp16'; export it again with --precision"
    ):
        _ = Restorer.from_options(RestoreOptions(weights=path, precision="fp16")).precision
    with pytest.raises(OptionError, match="memory: 1MB is too little"):
        Restorer.from_pretrained(path, memory="1MB").tile_for(100, 100)


def test_a_provider_gets_the_number_of_the_device_and_must_start(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime as ort

    given: list[Any] = []

    class Session(ort.InferenceSession):  # type: ignore[misc]
        """Takes any provider, and uses the CPU, as onnxruntime does when a library of CUDA is missing."""

        def __init__(self, data: bytes, options: Any, providers: list[Any]) -> None:
            given.extend(providers)
            super().__init__(data, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", Session)
    with pytest.raises(
        OptionError, match="^device: 'cuda:1' is not available: onnxruntime could not start CUDA"
    ):
        OnnxBackend(save(), device="cuda:1")
    assert given == [("CUDAExecutionProvider", {"device_id": "1"}), ("CPUExecutionProvider", {})]
    monkeypatch.setattr(Session, "get_providers", lambda _: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    backend = OnnxBackend(save(), device="cuda")
    assert backend.memory is None, "the device has its own memory"
    assert backend(np.ones((1, 3, 8, 8), np.float32)).max() == 0.5


def external(model: Any) -> Any:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return model


def hidden(model: Any) -> Any:
    """A model with an external tensor in the graph of a branch."""
    tensor = helper.make_tensor("secret", TensorProto.FLOAT, [1], [0.5])
    external_tensor = external(darker()).graph.initializer[0]
    external_tensor.name = tensor.name
    branch = helper.make_graph(
        [], "branch", [], [helper.make_tensor_value_info("secret", TensorProto.FLOAT, [1])], [external_tensor]
    )
    model.graph.node.append(helper.make_node("If", ["half"], ["out"], then_branch=branch, else_branch=branch))
    return model


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (darker({}), "has no Uformer configuration; use a file from `uformer export`"),
        (
            darker(FACTS | {"format": "uformer-export-9"}),
            "format 'uformer-export-9'; this version reads 'uformer-export-1'",
        ),
        (darker(FACTS | {"config": "{"}), "the config is not JSON"),
        (darker(FACTS | {"config": '{"embed_dim": "a"}'}), "embed_dim: 'a' is not a whole number"),
        (external(darker()), "stores weights in external files, which are not supported"),
        (hidden(darker()), "stores weights in external files, which are not supported"),
        (darker(op="NoSuchOperator"), "onnxruntime cannot load it"),
        (darker(output="other"), "inputs and outputs differ from those of `uformer export`"),
    ],
)
def test_files_that_are_refused(save: Save, model: Any, said: str) -> None:
    path = save(model)
    with pytest.raises(CheckpointError) as refused:
        OnnxBackend(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    with pytest.raises(CheckpointError, match="there is no such file"):
        read_config(path)
    for content, said in [
        (b"", "is empty"),
        (b"garbage" * 100, "not an ONNX file, or damaged"),
    ]:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=said):
            read_config(path)


def test_truncated_files(save: Save) -> None:
    path = save()
    whole = path.read_bytes()
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            OnnxBackend(path)


def test_a_file_that_fails_at_work(save: Save) -> None:
    shape = helper.make_tensor("half", TensorProto.INT64, [4], [1, 3, 4, 4])
    model = darker(op="Reshape")
    model.graph.initializer[0].CopyFrom(shape)
    backend = OnnxBackend(save(model))
    assert backend(np.zeros((1, 3, 4, 4), np.float32)).shape == (1, 3, 4, 4)
    with pytest.raises(CheckpointError, match=r"onnxruntime cannot run it \(.*Reshape"):
        backend(np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(
        CheckpointError, match=r"returns shape \(1, 3, 4, 4\) for a tile of shape \(3, 2, 8\)"
    ):
        backend(np.zeros((1, 3, 2, 8), np.float32))


def test_one_line_on_the_command_line(save: Save, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "a.png"
    import PIL.Image

    PIL.Image.new("RGB", (20, 10), (100, 150, 200)).save(picture)
    assert main(["restore", str(picture), "--weights", str(tmp_path / "none.onnx")]) == 2
    assert capfd.readouterr().err.splitlines() == [
        f"uformer: error: {tmp_path / 'none.onnx'}: there is no such file"
    ]
    assert main(["restore", str(picture), "--weights", str(save(darker({})))]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 1
    assert main(["restore", str(picture), "--weights", str(save())]) == 0
    restored = np.asarray(PIL.Image.open(tmp_path / "a.restored.png")).astype(int)
    assert np.abs(restored - np.array([50, 75, 100])).max() <= 1


@pytest.mark.parametrize("module", ["onnx", "onnxruntime"])
def test_without_the_extra_the_line_that_installs_it(
    save: Save, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    path = save()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(OptionError, match=rf'{module} is not installed; run: pip install "uformer\[onnx\]"'):
        OnnxBackend(path)


def test_neither_torch_nor_openvino_is_loaded(save: Save) -> None:
    script = f"""
import sys, numpy as np
from uformer import Restorer
Restorer.from_pretrained({str(save())!r})(np.zeros((20, 20, 3), np.uint8))
print([name for name in ("torch", "openvino") if name in sys.modules])
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert run.stdout.strip() == "[]"


def test_it_says_what_it_needs(save: Save) -> None:
    path = save()
    backend = OnnxBackend(path)
    assert backend.memory == onnx_memory(TINY, path.stat().st_size)
    assert backend.grain == TINY.multiple
    assert backend.for_size(64, 32) is backend, "a file takes tiles of any size"


ENDLESS = """
import sys, threading
import numpy as np
from uformer.restore.backends.onnx import OnnxBackend
from uformer.signals import second_ctrl_c_ends

second_ctrl_c_ends()
backend = OnnxBackend(sys.argv[1], threads=1)
threading.Timer(0.3, print, ["runs"], {"flush": True}).start()  # after the call below has started
backend(np.zeros((1, 3, 8, 8), np.float32))
"""


def endless() -> Any:
    """A model with a loop that does not end."""
    model = darker()
    (image,), (restored,) = model.graph.input, model.graph.output
    body = helper.make_graph(
        [helper.make_node("Identity", ["again"], ["still"]), helper.make_node("Abs", ["before"], ["after"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, None),
        ],
    )
    turns, true = (
        helper.make_tensor("turns", TensorProto.INT64, [], [2**62]),
        helper.make_tensor("true", TensorProto.BOOL, [], [True]),
    )
    loop = helper.make_node("Loop", ["turns", "true", "image"], ["restored"], body=body)
    graph = helper.make_graph([loop], "endless", [image], [restored], [turns, true])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, FACTS)
    return model


def test_the_second_ctrl_c_ends_an_endless_loop(save: Save) -> None:
    words = [sys.executable, "-c", ENDLESS, str(save(endless()))]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3], start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "runs\n"
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.communicate()
