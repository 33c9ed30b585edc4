"""`uformer convert` from the command line: conversion both ways; each refusal is one line and no file."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.weights.originals import ONES, original_state
from uformer.cli import main
from uformer.config import VARIANTS, UformerConfig
from uformer.convert import _summary
from uformer.model.uformer import Uformer
from uformer.weights import checkpoint
from uformer.weights.create import create_model
from uformer.weights.official import from_original

DEEP: dict[str, Any] = {
    "depths": (*ONES[:4], 2, *ONES[5:]),
    "modulator": True,
}  # the bottleneck has two blocks, so its shift matters


def tensors(*, prefix: str = "", **options: Any) -> dict[str, torch.Tensor]:
    return {
        key: torch.from_numpy(value)
        for key, value in original_state(prefix=prefix, **(DEEP | options)).items()
    }


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "original.pth"
    torch.save({"epoch": 9, "state_dict": tensors(prefix="module."), "optimizer": {"lr": 1e-4}}, path)
    return path


@pytest.fixture
def ours(original: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = original.with_name("ours.safetensors")
    assert main(["convert", str(original), str(path), "--train-size", "128"]) == 0
    capsys.readouterr()
    return path


def test_weights_that_ship_go_by_their_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "uformer_t.denoise", str(tmp_path / "theirs.pth")]) == 0
    assert f"{tmp_path / 'theirs.pth'}: uformer_t, 5.29 M parameters" in capsys.readouterr().out
    assert (tmp_path / "theirs.pth").stat().st_size > 10_000_000


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The single line on stderr; no file has appeared or disappeared."""
    folder = Path(str(arguments[0])).parent
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()} if folder.is_dir() else {}
    assert main(["convert", *map(str, arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert before == ({path: path.stat().st_mtime_ns for path in folder.iterdir()} if folder.is_dir() else {})
    return printed.err


@pytest.mark.parametrize(("size", "shifts"), [(32, False), (128, True), (256, True)])
def test_there(original: Path, capsys: pytest.CaptureFixture[str], size: int, *, shifts: bool) -> None:
    out = original.with_name("out.safetensors")
    assert main(["convert", str(original), str(out), "--train-size", str(size)]) == 0
    printed = capsys.readouterr()
    assert "embed_dim 4, depths 1 1 1 1 2 1 1 1 1" in printed.out
    assert printed.out.splitlines()[-1] == f"next: uformer restore PHOTO --weights {out}"
    assert printed.err == ""
    model = checkpoint.load(out)
    assert model.config.modulator
    assert model.config.bottleneck_shift is shifts
    assert model(torch.rand(1, 3, 16, 16)).shape == (1, 3, 16, 16)


def test_back_bit_for_bit(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    back = ours.with_name("back.pth")
    assert main(["convert", str(ours), str(back)]) == 0
    assert "in the original code: Uformer(img_size=64, in_chans=3, embed_dim=4" in capsys.readouterr().out
    found = torch.load(back, weights_only=True)["state_dict"]
    assert found.keys() == tensors().keys()
    assert all(
        torch.equal(found[key], value) and found[key].dtype == value.dtype for key, value in tensors().items()
    )
    again = ours.with_name("again.safetensors")
    assert main(["convert", str(back), str(again), "--train-size", "128"]) == 0
    assert again.read_bytes() == ours.read_bytes()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_and_safetensors_with_their_keys(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {key: value.to(dtype) if value.is_floating_point() else value for key, value in tensors().items()}
    torch.save(state, tmp_path / "a.pth")
    save_file(state, tmp_path / "a.safetensors")
    for source in ("a.pth", "a.safetensors"):
        out = tmp_path / f"from.{source}.safetensors"
        assert main(["convert", str(tmp_path / source), str(out), "--train-size", "128"]) == 0
        assert checkpoint.describe(out)["dtype"] == ("F16" if dtype == torch.float16 else "F32")
        found = checkpoint.read(out)[1]["output_proj.conv.weight"]
        np.testing.assert_array_equal(
            found.astype(np.float64), state["output_proj.proj.0.weight"].double().numpy().astype(np.float32)
        )


def test_a_checkpoint_in_half_precision_goes_back_as_float32(tmp_path: Path, ours: Path) -> None:
    half = tmp_path / "half.safetensors"
    model = checkpoint.load(ours)
    checkpoint.save(half, model, half=True)
    assert main(["convert", str(half), str(tmp_path / "half.pth")]) == 0
    found = torch.load(tmp_path / "half.pth", weights_only=True)["state_dict"]
    assert {value.dtype for key, value in found.items() if not key.endswith("index")} == {torch.float32}
    torch.testing.assert_close(
        found["conv.blocks.0.norm1.weight"],
        model.state_dict()["bottleneck.blocks.0.norm_attn.weight"].half().float(),
    )


def test_no_shift_needs_no_size(original: Path) -> None:
    out = original.with_name("out.safetensors")
    assert main(["convert", str(original), str(out), "--no-shift"]) == 0
    assert not checkpoint.load(out).config.shift


def test_the_training_size_is_asked_for(original: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = original.with_name("out.safetensors")
    message = refused(capsys, original, out)
    assert "--train-size is needed" in message
    assert "128" in message
    assert "256" in message
    assert "--train-size 31: must be at least 32" in refused(capsys, original, out, "--train-size", 31)
    assert "--train-size" in refused(capsys, original, out, "--train-size", "large")


def test_overwrite(original: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = original.with_name("out.safetensors")
    out.write_text("precious")
    assert "exists; add --overwrite" in refused(capsys, original, out, "--train-size", 128)
    assert main(["convert", str(original), str(out), "--train-size", "128", "--overwrite"]) == 0
    assert checkpoint.is_checkpoint(out)


def test_an_error_leaves_the_old_output(original: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = original.with_name("out.safetensors")
    out.write_text("precious")
    original.write_bytes(original.read_bytes()[:1000])
    refused(capsys, original, out, "--train-size", 128, "--overwrite")
    assert out.read_text() == "precious"


def test_outputs_that_cannot_be(original: Path, ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = original.parent
    assert "the output must end in .safetensors" in message_of(
        capsys, original, folder / "out.pth", "--train-size", 128
    )
    assert "the output must end in .pth" in message_of(capsys, ours, folder / "out.safetensors")
    assert "the output would replace the input" in message_of(
        capsys, original, original, "--overwrite", suffix=".safetensors"
    )
    (folder / "link.pth").symlink_to(ours)
    assert "the output would replace the input" in message_of(
        capsys, ours, folder / "link.pth", "--overwrite"
    )
    assert "there is no folder" in message_of(capsys, ours, folder / "no" / "out.pth")
    (folder / "folder.pth").mkdir()
    assert "not a regular file" in message_of(capsys, ours, folder / "folder.pth", "--overwrite")
    assert "leave out --train-size" in message_of(capsys, ours, folder / "out.pth", "--train-size", 128)
    assert "leave out --train-size and --no-shift" in message_of(
        capsys, ours, folder / "out.pth", "--no-shift"
    )


def message_of(capsys: pytest.CaptureFixture[str], source: Path, *arguments: object, suffix: str = "") -> str:
    """Like `refused`; with `suffix`, one file with this suffix is both input and output."""
    if suffix:
        source = source.rename(source.with_suffix(suffix))
        arguments = (source, *arguments[1:])
    return refused(capsys, source, *arguments)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def test_files_that_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, ran = tmp_path / "good.pth", tmp_path / "ran"
    torch.save(tensors(), good)
    resnet = {"conv1.weight": torch.zeros(64, 3, 7, 7), "fc.weight": torch.zeros(10, 512)}
    nan = tensors()
    nan["output_proj.proj.0.bias"][0] = float("nan")
    bad = tmp_path / "bad.pth"
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: torch.save(Evil(ran), bad), "refused: it asks for posix.system"),
        (
            lambda: torch.save({"state_dict": tensors(), "x": Evil(ran)}, bad),
            "refused: it asks for posix.system",
        ),
        (lambda: bad.write_bytes(pickle.dumps(Evil(ran))), "not a torch file"),
        (lambda: bad.write_bytes(good.read_bytes()[:-500]), "truncated"),
        (lambda: bad.write_bytes(b""), "empty"),
        (lambda: bad.write_text("text"), "not a torch file"),
        (
            lambda: torch.save(resnet, bad),
            "bad.pth: not an original Uformer checkpoint: no usable tensor 'input_proj.proj.0.weight'",
        ),
        (lambda: torch.save([1], bad), "holds a list"),
        (lambda: torch.save(nan, bad), "'output_proj.proj.0.bias' holds NaN or infinity"),
        (
            lambda: torch.save(Uformer(UformerConfig(embed_dim=4, num_heads=(1,) * 9)).state_dict(), bad),
            "not an original",
        ),
        (bad.unlink, "there is no such file"),
    ]
    for make, text in cases:
        make()
        assert text in refused(capsys, bad, tmp_path / "out.safetensors", "--train-size", 128)
    assert not ran.exists()


def test_one_channel_says_what_the_2022_code_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(tensors(channels=(1, 1)), tmp_path / "a.pth")
    assert (
        main(["convert", str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors"), "--train-size", "128"])
        == 0
    )
    printed = capsys.readouterr().out
    assert "note: this network adds its input of 1 channel to the output" in printed
    assert "next:" not in printed


def test_names_of_published_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, config in VARIANTS.items():
        assert _summary(config).startswith(f"{name}, ")
    checkpoint.write(tmp_path / "a b.safetensors", *_tiny())
    assert main(["convert", str(tmp_path / "a b.safetensors"), str(tmp_path / "a.pth")]) == 0
    assert "a Uformer, " in capsys.readouterr().out


def _tiny() -> tuple[Any, Any]:
    return from_original(original_state(), train_size=128)


def test_without_torch_the_line_that_installs_it(original: Path) -> None:
    script = (
        "import sys; sys.modules['torch'] = None; from uformer.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [
        sys.executable,
        "-c",
        script,
        "convert",
        str(original),
        str(original.with_name("out.safetensors")),
        "--train-size",
        "128",
    ]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1]
    )
    assert result.returncode == 2
    assert result.stderr == 'uformer: error: torch is not installed; run: pip install "uformer[torch]"\n'
    assert not original.with_name("out.safetensors").exists()


@pytest.mark.parametrize(
    ("wrap", "prefix"),
    [
        (lambda state: {"params": state}, ""),
        (lambda state: {"params": {"x": torch.zeros(1)}, "params_ema": state}, ""),
        (lambda state: {"model": state, "optimizer": {}}, "module."),
        (lambda state: {"model_state_dict": state}, "module._orig_mod."),
        (lambda state: {"state_dict": state, "hyper_parameters": {}}, "model."),
    ],
    ids=["params", "params_ema", "model", "model_state_dict", "lightning"],
)
def test_wrapped_state_dicts(
    original: Path, ours: Path, wrap: Callable[[dict[str, torch.Tensor]], dict[str, Any]], prefix: str
) -> None:
    wrapped, out = original.with_name("wrapped.pth"), original.with_name("out.safetensors")
    torch.save(wrap(tensors(prefix=prefix)), wrapped)
    assert main(["convert", str(wrapped), str(out), "--train-size", "128"]) == 0
    assert out.read_bytes() == ours.read_bytes()


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@torch.inference_mode()
def test_spandrel_computes_the_same_from_our_weights(tmp_path: Path) -> None:
    """CI has no spandrel, which needs torchvision; this test runs where it is installed."""
    spandrel = pytest.importorskip("spandrel")
    torch.manual_seed(0)
    model = Uformer(VARIANTS["uformer_t"]).eval()
    checkpoint.save(tmp_path / "ours.safetensors", model)
    assert main(["convert", str(tmp_path / "ours.safetensors"), str(tmp_path / "theirs.pth")]) == 0
    theirs = spandrel.ModelLoader().load_from_file(tmp_path / "theirs.pth")
    image = torch.rand(1, 3, 256, 256)
    assert (theirs(image) - model(image).clip(0, 1)).abs().max() < 1e-5
    assert main(["convert", "uformer_t.denoise", str(tmp_path / "shipped.pth")]) == 0
    theirs = spandrel.ModelLoader().load_from_file(tmp_path / "shipped.pth")
    shipped = create_model("uformer_t.denoise")
    assert (theirs(image) - shipped(image).clip(0, 1)).abs().max() < 0.01  # its bottleneck always shifts
