"""One call: `uformer.restore(image)`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uformer
from tests.networks import TINY
from uformer.errors import OptionError, PictureError
from uformer.image.image import Image
from uformer.image.write import write
from uformer.layout import parameter_shapes
from uformer.restore.network import Network
from uformer.restore.options import NetworkOptions
from uformer.weights import checkpoint

GRAY = np.full((8, 8), 128, np.uint8)


def save(path: Path, bias: float = 0.0) -> Path:
    """Weights that add `bias` to every sample."""
    state = {key: np.zeros(shape, np.float32) for key, shape in parameter_shapes(TINY).items()}
    state["output_proj.conv.bias"] += np.float32(bias)
    checkpoint.write(path, TINY, state)
    return path


def test_times_have_two_choices() -> None:
    with pytest.raises(OptionError, match="times: 'kept' must be one of now, keep"):
        uformer.restore(GRAY, times="kept")  # type: ignore[arg-type]


def test_a_weights_file_that_has_changed_is_loaded_again(tmp_path: Path) -> None:
    levels = []
    for bias in (0.0, 0.25):
        path = save(tmp_path / "w.safetensors", bias)
        levels.append(int(uformer.restore(GRAY, weights=path, backend="torch", device="cpu")[0, 0]))
    assert levels == [128, 192]


def test_a_network_is_loaded_once_whatever_the_other_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, loads = Network.load, []

    def count(options: NetworkOptions) -> Network:
        loads.append(options)
        return load(options)

    monkeypatch.setattr(Network, "load", count)
    path = save(tmp_path / "w.safetensors", 0.25)
    options: dict[str, Any] = {"weights": path, "backend": "torch", "device": "cpu"}
    levels = [int(uformer.restore(GRAY, **options, strength=strength)[0, 0]) for strength in (1.0, 0.5, 0.0)]
    assert levels == [192, 160, 128]
    assert len(loads) == 1


def test_a_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    weights, photo, output = save(tmp_path / "w.safetensors"), tmp_path / "a.png", tmp_path / "out.png"
    write(Image(pixels=np.full((8, 8, 1), 0.5, np.float32)), photo)
    options: dict[str, Any] = {"weights": weights, "backend": "torch", "device": "cpu"}
    assert uformer.restore(photo, **options) == tmp_path / "a.restored.png"
    assert uformer.restore(str(photo), output=output, **options) == str(output)
    for named in (None, output):
        with pytest.raises(OptionError, match=r"png exists; pass overwrite=True"):
            uformer.restore(photo, output=named, **options)
        uformer.restore(photo, output=named, overwrite=True, **options)
    with pytest.raises(OptionError, match=r"^b\.HEIC: HEIC cannot be written; use \.png, [^\n]*$"):
        uformer.restore(photo, output="b.HEIC", **options)
    with pytest.raises(OptionError, match="^b.nef: camera raw cannot be written"):
        uformer.restore(photo, output=Path("b.nef"), **options)
    with pytest.raises(PictureError, match="^only a camera raw image can be written as DNG; use .tif"):
        uformer.restore(photo, output=tmp_path / "b.dng", **options)
    with pytest.raises(OptionError, match="replace the input"):
        uformer.restore(photo, output=photo, overwrite=True, **options)
    with pytest.raises(OptionError, match="output: needs the path of an image file"):
        uformer.restore(GRAY, output=output, **options)
