"""Checkpoints: round trips, the same bytes each time, and refusal of bad files in one line."""

import dataclasses
import json
import os
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.errors import CheckpointError
from uformer.layout import parameter_count, parameter_shapes
from uformer.model.uformer import Uformer
from uformer.weights import checkpoint

TINY = UformerConfig(
    embed_dim=4, depths=(1,) * 9, num_heads=(1,) * 9, window_size=2, mlp_ratio=2, modulator=True
)


def random_state(
    config: UformerConfig = TINY, *, dtype: type = np.float32, seed: int = 0
) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    return {key: rng.standard_normal(shape).astype(dtype) for key, shape in parameter_shapes(config).items()}


def raw(header: object, data: bytes = b"") -> bytes:
    """A safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def altered(
    path: Path,
    *,
    config: object = None,
    metadata: dict[str, Any] | None = None,
    drop: str = "",
    extra: str = "",
) -> bytes:
    """A good checkpoint with a changed configuration or list of tensors."""
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    if config is not None:
        fields = (
            {**json.loads(header["__metadata__"]["config"]), **config} if isinstance(config, dict) else config
        )
        header["__metadata__"]["config"] = fields if isinstance(fields, str) else json.dumps(fields)
    header["__metadata__"] |= metadata or {}
    data = content[8 + size :]
    if drop or extra:
        old = drop or next(key for key in header if key != "__metadata__")
        header[extra or "else"] = (
            header[old] if drop else {"dtype": "F32", "shape": [0], "data_offsets": [len(data), len(data)]}
        )
        if drop:
            del header[old]
    return raw(header, data)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.safetensors"
    checkpoint.write(path, TINY, random_state(), notes={"task": "denoise"})
    return path


def test_write_half_rounds_to_float16_and_keeps_the_notes(good: Path, tmp_path: Path) -> None:
    checkpoint.write_half({good: 1.0}, tmp_path / "half.safetensors", {"recipe": "ten minutes"})
    config, state = checkpoint.read(tmp_path / "half.safetensors")
    assert config == TINY
    assert all(np.array_equal(state[key], value.astype(np.float16)) for key, value in random_state().items())
    assert {value.dtype for value in state.values()} == {np.dtype(np.float16)}
    assert "ten minutes" in str(checkpoint.describe(tmp_path / "half.safetensors")["notes"])


def test_write_half_takes_a_weighted_mean(good: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "other.safetensors", tmp_path / "mean.safetensors"
    checkpoint.write(other, TINY, random_state(seed=1))
    checkpoint.write_half({good: 0.25, other: 0.75}, out, {})
    _, state = checkpoint.read(out)
    first, second = random_state(), random_state(seed=1)
    for key, value in state.items():
        expected = 0.25 * first[key] + 0.75 * second[key]
        assert np.abs(value.astype(np.float32) - expected).max() < 2e-3


def test_write_half_refuses_a_mean_of_different_networks(good: Path, tmp_path: Path) -> None:
    wider = dataclasses.replace(TINY, embed_dim=8)
    checkpoint.write(tmp_path / "wider.safetensors", wider, random_state(wider))
    with pytest.raises(CheckpointError, match="wider.safetensors: its configuration differs"):
        checkpoint.write_half(
            {good: 0.5, tmp_path / "wider.safetensors": 0.5}, tmp_path / "mean.safetensors", {}
        )
    assert not (tmp_path / "mean.safetensors").exists()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_is_written_comes_back(tmp_path: Path, dtype: type) -> None:
    path, state = tmp_path / "a.safetensors", random_state(dtype=dtype)
    checkpoint.write(path, TINY, state)
    config, found = checkpoint.read(path)
    assert config == TINY
    assert list(found) == list(parameter_shapes(TINY))
    for key, value in state.items():
        assert found[key].dtype == dtype
        np.testing.assert_array_equal(found[key], value)


def test_other_readers_of_safetensors_read_it(good: Path) -> None:
    from safetensors.torch import load_file

    state = random_state()
    assert all(torch.equal(value, torch.from_numpy(state[key])) for key, value in load_file(good).items())


def test_the_same_bytes_in_another_process(good: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    script = (
        "import sys; from pathlib import Path; from uformer.weights import checkpoint\n"
        "config, state = checkpoint.read(sys.argv[1])\n"
        "checkpoint.write(sys.argv[2], config, dict(reversed(state.items())), notes={'task': 'denoise'})"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(good), str(again)], check=True, cwd=Path(__file__).parents[2]
    )
    assert again.read_bytes() == good.read_bytes()


def test_mixed_precision_is_aligned_and_comes_back(tmp_path: Path) -> None:
    state = random_state()
    state["output_proj.conv.bias"] = state["output_proj.conv.bias"].astype(
        np.float16
    )  # three values, six bytes
    checkpoint.write(tmp_path / "a.safetensors", TINY, state)
    content = (tmp_path / "a.safetensors").read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    assert size % 8 == 0
    assert all(
        entry["data_offsets"][0] % (int(entry["dtype"][1:]) // 8) == 0
        for key, entry in header.items()
        if key != "__metadata__"
    )
    _, found = checkpoint.read(tmp_path / "a.safetensors")
    assert all(np.array_equal(found[key], value) for key, value in state.items())


def test_describe(good: Path) -> None:
    assert checkpoint.describe(good) == {
        "config": TINY,
        "parameters": parameter_count(TINY),
        "dtype": "F32",
        "notes": {"task": "denoise"},
    }


@pytest.mark.parametrize("half", [False, True])
def test_a_network_comes_back(tmp_path: Path, *, half: bool) -> None:
    torch.manual_seed(0)
    model = Uformer(TINY).eval()
    checkpoint.save(tmp_path / "a.safetensors", model, half=half)
    again = checkpoint.load(tmp_path / "a.safetensors", config=TINY)
    assert not again.training
    assert {value.dtype for value in again.parameters()} == {torch.float32}
    picture = torch.rand(1, 3, 20, 33)
    with torch.no_grad():
        torch.testing.assert_close(again(picture), model(picture), rtol=0, atol=5e-3 if half else 0)


def test_a_mismatch_names_the_field(good: Path) -> None:
    with pytest.raises(CheckpointError, match=r"window_size: file 2, model 4$"):
        checkpoint.load(good, config=dataclasses.replace(TINY, window_size=4))
    with pytest.raises(
        CheckpointError, match=r"modulator: file True, model False; shift: file True, model False$"
    ):
        checkpoint.load(good, config=dataclasses.replace(TINY, modulator=False, shift=False))
    checkpoint.load(good, config=dataclasses.replace(TINY, drop_path_rate=0.3))  # the results are the same


def test_is_checkpoint(good: Path, tmp_path: Path) -> None:
    (tmp_path / "other.safetensors").write_bytes(raw({}))
    assert checkpoint.is_checkpoint(good)
    assert not checkpoint.is_checkpoint(tmp_path / "other.safetensors")


def test_a_symbolic_link_is_read_and_written_through(good: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.safetensors"
    link.symlink_to(good)
    assert checkpoint.read(link)[0] == TINY
    checkpoint.write(link, TINY, random_state(seed=1))
    assert link.is_symlink()
    np.testing.assert_array_equal(
        checkpoint.read(good)[1]["input_proj.conv.bias"], random_state(seed=1)["input_proj.conv.bias"]
    )


def refused(path: Path, text: str) -> None:
    """Assert that every reader refuses the file quickly, in one short line that names it."""
    start = time.process_time()
    for reader in (checkpoint.read, checkpoint.describe, checkpoint.load):
        with pytest.raises(CheckpointError, match=text) as caught:
            reader(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert message.isprintable()
        assert len(message) < len(str(path)) + 300
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "empty"),
        (b"\x00", "not a safetensors file"),
        (b"This is a text file, not weights.", "not a safetensors file"),
        (struct.pack("<Q", 1 << 62) + b"{}", "not a safetensors file"),
        (struct.pack("<Q", 90_000_000) + b"{}", "not a safetensors file"),
        (raw(b"{" * 100_000), "not a safetensors file"),
        (raw(b'{"a":'), "not a safetensors file"),
        (raw(b"[]"), "not a safetensors file"),
        (raw(b"\xff\xfe{}"), "not a safetensors file"),
        (
            raw({"a": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}, b"1234"),
            "not a safetensors file",
        ),
        (raw({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}), "not a safetensors file"),
        (raw({"a": {"dtype": "X", "shape": [1], "data_offsets": [0, 4]}}, b"1234"), "not a safetensors file"),
        (
            raw(
                b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
                b"1234",
            ),
            "not a",
        ),
        (raw({}), "no Uformer configuration"),
        (raw({"__metadata__": {"format": "pt"}}), "no Uformer configuration"),
        (
            raw({"__metadata__": {"format": "uformer-9\nx", "config": "{}"}}),
            "format is 'uformer-9 x', but this version reads 'uformer-1'",
        ),
        (
            raw({"__metadata__": {"format": "uformer-1", "config": "{}"}}),
            "0 tensors, too few for a configuration of 18 blocks",
        ),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "bad.safetensors").write_bytes(content)
    refused(tmp_path / "bad.safetensors", text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.onnx",
            (
                "an exported file, not a checkpoint; give the .safetensors file that it was made from "
                ".restore, serve and batch accept .onnx"
            ),
        ),
        ("a.PT2", "an exported file, not a checkpoint"),
        ("a.xml", "an exported file, not a checkpoint"),
        ("a.pth", "with `uformer convert` first"),
    ],
)
def test_files_of_another_kind(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(b"another kind")
    refused(tmp_path / name, text)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ("not JSON\n", "not JSON"),
        ("[1]", "not a JSON object"),
        ("[" * 2000, "not JSON"),
        ("{" + '"a' * 5000, "characters; the limit is 4096"),
        ({"depths": [10**9] * 9}, "blocks"),
        ({"depths": [1] * 1501, "num_heads": [1] * 1501}, "characters|blocks"),
        ({"depths": [-(10**9)] * 9}, "depths: .* must"),
        ({"depths": 9}, "depths"),
        ({"embed_dim": 10**9, "num_heads": [1] * 9}, "tensor"),
        ({"embed_dim": 10**3000}, "configuration|tensor"),
        ({"num_heads": [10**400] * 9}, "num_heads"),
        ({"window_size": 10**6}, "window_size 1000000: must be at most 32"),
        ({"window_size": "8"}, "window_size"),
        ({"window_size": True}, "window_size"),
        ({"mlp_ratio": 1e300}, "tensor|configuration"),
        ({"mlp_ratio": float("nan")}, "configuration|mlp_ratio"),
        ({"mlp_ratio": float("inf")}, "configuration|mlp_ratio"),
        ({"mlp_ratio": 1e-9}, "mlp_ratio"),
        ({"in_channels": 10**12}, "tensor"),
        ({"skip": "none"}, "skip"),
        ({"colour\n": 1}, "unknown field"),
        ({"colour" * 500: 1}, "unknown field"),
    ],
)
def test_absurd_configurations(good: Path, config: object, text: str) -> None:
    good.write_bytes(altered(good, config=config))
    refused(good, text)


def test_tensors_missing_extra_and_misshapen(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(altered(good, drop="input_proj.conv.bias", extra="b\nb"))
    refused(path, "tensor 'input_proj.conv.bias' is missing")
    path.write_bytes(altered(good, extra="an\nextra" + "x" * 5000))
    refused(path, "tensor 'an extrax+.* is not part of its configuration")
    path.write_bytes(altered(good, config={"window_size": 4}))
    refused(path, r"is F32 \[9, 1\], expected F16 or F32 \[49, 1\]")
    path.write_bytes(good.read_bytes()[:-100])
    refused(path, "damaged or not a safetensors file")


def test_a_wrong_type_of_number(good: Path) -> None:
    content = good.read_bytes().replace(b'"dtype":"F32"', b'"dtype":"I32"', 1)
    good.write_bytes(content)
    refused(good, r"is I32 .*, expected F16 or F32")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(good: Path, tmp_path: Path, value: float) -> None:
    state = random_state()
    with pytest.raises(CheckpointError, match=r"'output_proj.conv.bias' holds NaN or infinity"):
        checkpoint.write(
            tmp_path / "a.safetensors",
            TINY,
            state | {"output_proj.conv.bias": np.array([0, value, 0], np.float32)},
        )
    assert not (tmp_path / "a.safetensors").exists()
    last = state["output_proj.conv.bias"].tobytes()
    good.write_bytes(good.read_bytes().replace(last, np.array([0, value, 0], np.float32).tobytes()))
    for reader in (checkpoint.read, checkpoint.load):
        with pytest.raises(
            CheckpointError, match=r"good.safetensors: tensor 'output_proj.conv.bias' holds NaN or infinity"
        ):
            reader(good)


def test_half_precision_that_overflows_is_refused(tmp_path: Path) -> None:
    model = Uformer(TINY)
    with torch.no_grad():
        model.state_dict()["output_proj.conv.bias"].fill_(1e6)
    with pytest.raises(CheckpointError, match="infinity"):
        checkpoint.save(tmp_path / "a.safetensors", model, half=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "float64"])
def test_only_the_configuration_s_tensors_are_written(tmp_path: Path, change: str) -> None:
    state = random_state()
    if change == "missing":
        del state["output_proj.conv.bias"]
    changes: dict[str, dict[str, NDArray[Any]]] = {
        "missing": {},
        "extra": {"more": np.zeros(1, np.float32)},
        "shape": {"output_proj.conv.bias": np.zeros(4, np.float32)},
        "float64": {"output_proj.conv.bias": np.zeros(3)},
    }
    state |= changes[change]
    with pytest.raises(CheckpointError, match="tensor"):
        checkpoint.write(tmp_path / "a.safetensors", TINY, state)
    assert list(tmp_path.iterdir()) == []


def test_no_file_a_folder_and_a_pipe(tmp_path: Path) -> None:
    refused(tmp_path / "missing.safetensors", "there is no such file")
    refused(tmp_path, "not a file but a folder")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "not a file but a device or pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refused(tmp_path / "loop", "there is no such file")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(good: Path) -> None:
    before = good.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="cannot be written"):
            checkpoint.write(good, TINY, random_state(seed=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert good.read_bytes() == before
    assert list(good.parent.iterdir()) == [good]


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be written"):
        checkpoint.write(tmp_path / "no" / "a.safetensors", TINY, random_state())


def test_the_configuration_alone(good: Path) -> None:
    assert checkpoint.read_config(good) == checkpoint.describe(good)["config"]
