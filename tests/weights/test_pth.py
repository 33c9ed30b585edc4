"""The authors' files are read without running their code, and other files are refused in one line."""

import argparse
import io
import os
import pickle
import random
import resource
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from uformer.errors import CheckpointError, OptionError, UformerError
from uformer.weights import pth


def state_dict(dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    values = torch.rand(2, 3, generator=torch.manual_seed(0)).to(dtype)
    return {
        "a.weight": values,
        "a.bias": torch.arange(3).to(dtype),
        "a.relative_position_index": torch.arange(4).view(2, 2),
    }


class Calls:
    """A pickle that calls a function when it is read."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def saved(value: object, *, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def zipped(name: str, content: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_wrapped_or_not_in_both_formats(tmp_path: Path, *, older: bool, wrapped: bool) -> None:
    state: Any = OrderedDict(state_dict())
    content = (
        {
            "epoch": 3,
            "state_dict": state,
            "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "lr": 1e-4},
        }
        if wrapped
        else state
    )
    (tmp_path / "a.pth").write_bytes(saved(content, zipped=not older))
    found = pth.read(tmp_path / "a.pth")
    assert list(found) == list(state)
    assert all(np.array_equal(found[key], value.numpy()) for key, value in state.items())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_precisions(tmp_path: Path, dtype: torch.dtype, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state_dict(dtype), path)
    found = pth.read(path)
    assert found["a.weight"].dtype == (np.float16 if dtype == torch.float16 else np.float32)
    assert found["a.relative_position_index"].dtype == np.int64
    np.testing.assert_array_equal(found["a.weight"], state_dict(dtype)["a.weight"].float().numpy())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_indices_that_were_cast_with_the_weights(tmp_path: Path, dtype: torch.dtype) -> None:
    state = state_dict(dtype)
    torch.save({key: value.to(dtype) for key, value in state.items()}, tmp_path / "a.pth")
    found = pth.read(tmp_path / "a.pth")["a.relative_position_index"]
    np.testing.assert_array_equal(found, state["a.relative_position_index"].numpy())


def test_parameters_and_strided_tensors(tmp_path: Path) -> None:
    value = torch.rand(3, 4)
    torch.save({"a": torch.nn.Parameter(value), "b": value.T}, tmp_path / "a.pth")
    found = pth.read(tmp_path / "a.pth")
    np.testing.assert_array_equal(found["b"], found["a"].T)


def test_a_mixture_becomes_float32(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1, dtype=torch.float16), "b": torch.ones(1)}, tmp_path / "a.pth")
    assert {value.dtype for value in pth.read(tmp_path / "a.pth").values()} == {np.dtype(np.float32)}


def test_what_is_written(tmp_path: Path) -> None:
    state: dict[str, NDArray[Any]] = {"a": np.ones((2, 2), np.float16), "b": np.arange(3)}
    pth.write(tmp_path / "a.pth", state)
    pth.write(tmp_path / "other.pth", state)
    found = torch.load(tmp_path / "a.pth", weights_only=True)
    assert list(found) == ["state_dict"]
    assert isinstance(found["state_dict"], OrderedDict)
    assert {key: value.dtype for key, value in found["state_dict"].items()} == {
        "a": torch.float32,
        "b": torch.int64,
    }
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "other.pth").read_bytes()


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        pth.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert "weights_only" not in message  # torch's own text recommends turning it off
    return message


@pytest.mark.parametrize("function", [os.system, os.mkdir, eval, exec, open, __import__, Path.touch])
@pytest.mark.parametrize("form", ["zip", "older", "pickle", "wrapped", "beside", "inside"])
def test_a_pickle_that_calls_something(tmp_path: Path, function: Callable[..., object], form: str) -> None:
    ran, path = tmp_path / "ran", tmp_path / "evil.pth"
    argument = {
        os.system: f"touch {ran}",
        os.mkdir: str(ran),
        Path.touch: ran,
        __import__: "this",
        open: str(ran),
    }.get(function, f"open({str(ran)!r}, 'w')")
    evil = Calls(function, argument, "w") if function is open else Calls(function, argument)
    values: dict[str, object] = {
        "wrapped": {"state_dict": evil},
        "beside": {"state_dict": state_dict(), "x": evil},
        "inside": {"a": evil},
    }
    value = values.get(form, evil)
    path.write_bytes(pickle.dumps(evil) if form == "pickle" else saved(value, zipped=form != "older"))
    message = refusal(path)
    if form != "pickle":
        assert "refused: it asks for " in message
    assert not ran.exists()


def nested(depth: int) -> bytes:
    """A pickle of {((((...)))): 1}; hashing its key would overflow the C stack."""
    return b"\x80\x02})" + b"\x85" * depth + b"K\x01s."


HEADS = (
    pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
)  # torch's older format

SCRIPT = torch.nn.Sequential(torch.nn.Linear(2, 2))

REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "empty": (lambda: b"", "is empty"),
    "text": (lambda: b"These are not weights.", "neither a zip archive nor a pickle"),
    "one byte": (lambda: b"\x80", "not a torch file"),
    "pickle": (lambda: pickle.dumps({"a": 1}), "not a torch file"),
    "another zip": (lambda: zipped("word/document.xml", b"<x/>"), "a zip archive, but not a torch file"),
    "zip bomb": (lambda: zipped("a/data.pkl", bytes(10**6), zipfile.ZIP_DEFLATED), "compressed zip archive"),
    "zip of nonsense": (lambda: zipped("a/data.pkl", b"nonsense"), "not a torch file"),
    "truncated": (lambda: saved(state_dict())[:-200], "truncated"),
    "truncated, older": (lambda: saved(state_dict(), zipped=False)[:-10], "truncated"),
    "deep": (lambda: zipped("a/data.pkl", nested(300_000)), "refused: it builds more than 40000 tuples"),
    "deep, older": (lambda: HEADS + nested(300_000), "refused: it builds more than 40000 tuples"),
    "huge claim, older": (
        lambda: saved({"a": torch.ones(5000)}, zipped=False).replace(b"M\x88\x13", b"J\xff\xff\xff\x7f"),
        "not a torch file",
    ),
    "list": (lambda: [1, 2], "holds a list, not a state dict"),
    "tensor": (lambda: torch.ones(2), "holds a Tensor, not a state dict"),
    "number": (lambda: 3, "holds an int, not a state dict"),
    "wrapped list": (lambda: {"state_dict": [1]}, "holds a list, not a state dict"),
    "empty dict": (dict, "holds an empty state dict"),
    "keys": (lambda: {1: torch.ones(2)}, "holds an int as a key"),
    "nested dict": (lambda: {"a": {"b": torch.ones(2)}}, "'a' is a dict, not a tensor"),
    "not a tensor": (lambda: state_dict() | {"epo\nch": 3}, "'epo ch' is an int, not a tensor"),
    "long name": (lambda: {"x" * 10_000: 3}, r"xxx\.\.\.' is an int, not a tensor"),
    "sparse": (lambda: {"a": torch.eye(3).to_sparse()}, "'a' is sparse or nested, not a tensor"),
    "nested tensor": (
        lambda: {"a": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])},
        "'a' is sparse or nested",
    ),
    "meta": (lambda: {"a": torch.ones(2, device="meta")}, "'a' is on the device meta"),
    "complex": (lambda: {"a": torch.ones(2, dtype=torch.complex64)}, "'a' is of complex64"),
    "integers": (lambda: {"a": torch.ones(2, dtype=torch.int64)}, "'a' is of int64"),
    "expanded": (
        lambda: {"a": torch.ones(1).expand(10**6, 10**6)},
        "claim far more numbers than the file holds",
    ),
    "NaN": (lambda: {"a": torch.tensor([1, float("nan")])}, "'a' holds NaN or infinity"),
    "too large": (lambda: {"a": torch.tensor([1e300], dtype=torch.float64)}, "'a' holds NaN or infinity"),
    "module": (lambda: SCRIPT, "refused: it asks for torch.nn.modules.container.Sequential"),
    "namespace": (
        lambda: {"state_dict": state_dict(), "args": argparse.Namespace(a=1)},
        "refused: it asks for argparse.Namespace",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_files_that_hold_something_else(tmp_path: Path, case: str) -> None:
    make, text = REFUSED[case]
    content = make()
    (tmp_path / "bad.pth").write_bytes(content if isinstance(content, bytes) else saved(content))
    with pytest.raises(CheckpointError, match=text):
        pth.read(tmp_path / "bad.pth")
    refusal(tmp_path / "bad.pth")


@pytest.mark.filterwarnings("ignore")
def test_quantized(tmp_path: Path) -> None:
    torch.save({"a": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}, tmp_path / "a.pth")
    assert refusal(tmp_path / "a.pth").endswith("'a' is quantized, not a tensor of floating-point numbers")


@pytest.mark.filterwarnings("ignore")
def test_torchscript(tmp_path: Path) -> None:
    torch.jit.script(SCRIPT).save(str(tmp_path / "a.pth"))
    assert "a TorchScript archive, which holds code" in refusal(tmp_path / "a.pth")


@pytest.mark.parametrize("older", [False, True])
def test_flipped_bytes_never_end_in_another_error(tmp_path: Path, *, older: bool) -> None:
    good, path = saved({"state_dict": state_dict()}, zipped=not older), tmp_path / "a.pth"
    rng = random.Random(0)  # noqa: S311
    for _ in range(150):
        content = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(bytes(content[: rng.randint(1, len(good))] if rng.random() < 0.2 else content))
        try:
            pth.read(path)
        except UformerError as error:
            assert str(error).isprintable()  # noqa: PT017 - no error is fine too


def test_damaged_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file(state_dict(), path)
    path.write_bytes(path.read_bytes()[:-1])
    assert "damaged or not a safetensors file" in refusal(path)
    path.write_bytes(b"text")
    assert "damaged or not a safetensors file" in refusal(path)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "a.pth")
    assert "not a file but a folder" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("version", "old"), [("2.9.1", True), ("1.13.0+cu117", True), ("2.10.0+cpu", False), ("3.0", False)]
)
def test_an_old_torch_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, *, old: bool
) -> None:
    torch.save(state_dict(), tmp_path / "a.pth")
    monkeypatch.setattr(torch, "__version__", version)
    if old:
        with pytest.raises(
            OptionError, match=r"torch .* cannot read .pth files safely; run: pip install .torch>=2.10."
        ):
            pth.read(tmp_path / "a.pth")
    else:
        pth.read(tmp_path / "a.pth")


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="cannot be written"):
            pth.write(tmp_path / "a.pth", {"a": np.zeros(100_000, np.float32)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
