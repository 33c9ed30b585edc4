"""The package for darktable, run as darktable 5.6 runs it: in its tiles, with its overlap and its values."""

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import PIL.Image
import pytest
import torch
from numpy.typing import NDArray

from tests.export.conftest import exported
from tests.networks import KINDS, build
from uformer.cli import main
from uformer.export import darktable
from uformer.metrics import psnr
from uformer.model.uformer import Uformer
from uformer.restore.restorer import Restorer
from uformer.weights import checkpoint, registry
from uformer.weights.provenance import Provenance

ROOT = Path(__file__).parents[2]
Image = NDArray[np.float32]


@pytest.fixture(scope="module")
def package(folder: Path) -> tuple[Path, str]:
    return exported(folder, "denoise-tiny.dtmodel", "--format", "darktable", "--shape", "160x160")


def encoded(linear: Image) -> Image:
    """The sRGB curve, for values that darktable has clipped to [0, 1]."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).astype(
        np.float32
    )


def decoded(values: Image) -> Image:
    values = np.maximum(values, 0)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


def installed(package: Path, folder: Path) -> tuple[dict[str, Any], Any]:
    """Unpack a package into the folder of models; return its description and an onnxruntime session.

    darktable takes the name of the model from the first entry, and reads config.json and model.onnx in the
    folder of that name.
    """
    with zipfile.ZipFile(package) as archive:
        name = archive.namelist()[0].partition("/")[0]
        archive.extractall(folder)
    said = json.loads((folder / name / "config.json").read_text(encoding="utf-8"))
    assert said["id"] == name == package.stem
    return said, onnxruntime.InferenceSession(
        folder / name / "model.onnx", providers=["CPUExecutionProvider"]
    )


def by_darktable(session: Any, linear: Image, side: int) -> Image:
    """Denoise (H, W, 3) linear values: mirrored tiles, of which the middle is kept."""
    height, width = linear.shape[:2]
    margin = darktable.OVERLAP
    step = side - 2 * margin
    out = np.empty_like(linear)
    for top in range(0, height, step):
        for left in range(0, width, step):
            rows, columns = (
                mirrored(np.arange(start - margin, start - margin + side), length)
                for start, length in ((top, height), (left, width))
            )
            tile = encoded(np.clip(linear[rows][:, columns], 0, 1)).transpose(2, 0, 1)[None]
            (restored,) = session.run(["output"], {"input": np.ascontiguousarray(tile)})
            middle = decoded(restored[0].transpose(1, 2, 0))[margin : margin + step, margin : margin + step]
            out[top : top + step, left : left + step] = middle[: height - top, : width - left]
    return out


def mirrored(places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    places = np.abs(places)
    return np.clip(np.where(places >= length, 2 * length - 2 - places, places), 0, length - 1)


def noisy(height: int, width: int) -> Image:
    """A smooth image with noise, as values of an image file."""
    y, x = np.mgrid[:height, :width] / 100
    clean = np.stack([0.5 + 0.35 * np.sin(3 * x * channel + 4 * y) for channel in (1, 2, 3)], axis=-1)
    noise = np.random.default_rng(0).normal(0, 0.08, clean.shape)
    return np.clip(clean + noise, 0, 1).astype(np.float32)


@torch.inference_mode()
@pytest.mark.slow
def test_darktable_computes_what_the_network_does(
    package: tuple[Path, str], network: Uformer, tmp_path: Path
) -> None:
    said, session = installed(package[0], tmp_path)
    (side,) = said["attributes"]["input_sizes"]
    image = noisy(180, 210)
    found = encoded(np.clip(by_darktable(session, decoded(image), side), 0, 1))
    whole = network(torch.from_numpy(image.transpose(2, 0, 1)[None]))[0].numpy().transpose(1, 2, 0).clip(0, 1)
    inner = np.s_[64:-64, 64:-64]  # elsewhere, the border of the image makes a difference
    assert np.abs(found[inner] - whole[inner]).max() < 1e-3
    assert np.abs(found[inner] - image[inner]).max() > 0.1


def test_the_model_is_as_darktable_s_own(package: tuple[Path, str]) -> None:
    model = onnx.load_model_from_string(darktable.model_in(package[0]))
    for value, name in ((model.graph.input, "input"), (model.graph.output, "output")):
        assert [each.name for each in value] == [name]
        assert [dim.dim_value for dim in value[0].type.tensor_type.shape.dim] == [1, 3, 160, 160]
        assert value[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 20)]
    said = {each.key: each.value for each in model.metadata_props}
    assert said["licence"] == "CC0 1.0"
    assert said["input"].startswith("'input': float32 (1, 3, 160, 160) in [0, 1], sRGB as in image files")


def test_it_states_its_origin(package: tuple[Path, str], tmp_path: Path) -> None:
    path, printed = package
    assert printed.splitlines()[0].startswith("against the network at 160 x 160: ")
    assert (
        printed.splitlines()[-1]
        == f"next: in darktable, preferences > AI > import from file, and choose {path}"
    )
    said, _ = installed(path, tmp_path)
    assert {key: said[key] for key in ("name", "task", "backend", "tiling")} == {
        "name": "denoise tiny",
        "task": "denoise",
        "backend": "onnx",
        "tiling": True,
    }
    assert said["model_card"]["license"] == "CC0 1.0"
    assert said["model_card"]["paper"] == darktable.PAPER
    assert all(isinstance(value, str) and value for value in said["model_card"].values())
    readme = (tmp_path / "denoise-tiny" / "README.md").read_text(encoding="utf-8")
    assert "| Model license | CC0 1.0 |" in readme


def test_weights_that_ship_state_their_data(tmp_path: Path) -> None:
    about = Provenance.of(registry.find("uformer_t.denoise").verify())
    assert darktable.default_name(about) == "denoise-uformer-t.dtmodel"
    darktable.write(tmp_path / "a.dtmodel", onnx.ModelProto(), about, name="a", side=768)
    with zipfile.ZipFile(tmp_path / "a.dtmodel") as archive:
        assert archive.namelist() == ["a/README.md", "a/config.json", "a/model.onnx"]
        card = json.loads(archive.read("a/config.json"))["model_card"]
        readme = archive.read("a/README.md").decode()
    assert about.shipped is not None
    assert card["training_data"] == about.shipped.data
    assert card["license"] == about.shipped.licence
    for stated in (
        about.sha256,
        about.shipped.data,
        about.shipped.licence,
        about.shipped.recipe,
        "training/",
    ):
        assert stated in readme


@pytest.mark.parametrize(
    ("out", "shape", "said"),
    [
        ("Denoise.dtmodel", "256x256", "darktable identifies a model by the name of its file"),
        ("a.onnx", "256x256", "must end in .dtmodel"),
        ("a.dtmodel", "256x192", "--shape 256x192: darktable needs a square larger than 128x128"),
        ("a.dtmodel", "128x128", "--shape 128x128: darktable needs a square larger than 128x128"),
        ("a.dtmodel", "256", "--shape '256': must be HEIGHTxWIDTH in pixels"),
    ],
)
def test_what_darktable_would_not_accept(
    folder: Path, tmp_path: Path, out: str, shape: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", str(folder / "tiny.safetensors"), "--format", "darktable", "--shape", shape]
    assert main([*arguments, "--out", str(tmp_path / out)]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_gray_weights_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gray = build(dataclasses.replace(KINDS["2022"], in_channels=1, out_channels=1))
    checkpoint.save(tmp_path / "gray.safetensors", gray)
    assert main(["export", str(tmp_path / "gray.safetensors"), "--format", "darktable"]) == 2
    assert "1 channels in and 1 out; darktable needs 3 and 3" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute of computing, and more on a busy machine
def test_the_shipped_weights_at_full_size_agree_with_our_own_output(tmp_path: Path) -> None:
    """On a photograph taken at night, extended by reflection to the width of two tiles."""
    package = tmp_path / "denoise-uformer-t.dtmodel"
    assert main(["export", "uformer_t.denoise", "--format", "darktable", "--out", str(package)]) == 0
    said, session = installed(package, tmp_path)
    assert said["attributes"]["input_sizes"] == [768]
    photo = np.asarray(PIL.Image.open(ROOT / "examples" / "night.png").convert("RGB"))
    image = np.pad(photo, ((0, 0), (0, 188), (0, 0)), mode="reflect").astype(np.float32) / np.float32(255)
    found = encoded(np.clip(by_darktable(session, decoded(image), 768), 0, 1))
    ours = Restorer.from_pretrained("uformer_t.denoise", precision="fp32")(image)
    assert psnr(found, ours, rounded=False) > 42
    assert psnr(found, image, rounded=False) < 30
