from pathlib import Path

import numpy as np
import pytest
import torch

from uformer.config import UformerConfig
from uformer.export.openvino_model import SECTION, load, write
from uformer.model.uformer import Uformer
from uformer.restore.backends.quiet import ov


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 1, 9), (1, 30, 17)])
def test_any_batch_height_and_width(
    openvino_file: tuple[Path, str], network: Uformer, size: tuple[int, int, int]
) -> None:
    count, height, width = size
    image = torch.rand(count, 3, height, width)
    with torch.inference_mode():
        wanted = network(image).numpy()
    assert np.allclose(load(openvino_file[0])(image.numpy()), wanted, atol=1e-5)


def test_metadata(openvino_file: tuple[Path, str], network: Uformer) -> None:
    model = ov.Core().read_model(openvino_file[0])
    facts = {
        key: str(model.get_rt_info([SECTION, key]).value)
        for key in ("name", "sha256", "licence", "input", "config")
    }
    assert (facts["name"], facts["licence"]) == ("tiny", "CC0 1.0")
    assert len(facts["sha256"]) == 64
    assert "sRGB" in facts["input"]
    assert UformerConfig.from_json(facts["config"]) == network.config
    assert [str(dimension) for dimension in model.input("image").partial_shape] == ["?", "3", "?", "?"]


def test_both_files_and_no_other(openvino_file: tuple[Path, str]) -> None:
    path, printed = openvino_file
    assert path.with_suffix(".bin").stat().st_size > 10_000
    assert not [other for other in path.parent.iterdir() if other.name.startswith(".")]
    assert str(Path(__file__).parents[2]) not in path.read_text(encoding="utf-8")
    assert "OpenVINO IR made from ONNX opset 18, fp32" in printed


def test_a_full_disk_is_an_os_error(openvino_file: tuple[Path, str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    model = ov.Core().read_model(openvino_file[0])
    with pytest.raises(OSError, match="OpenVINO: .*; is the disk full"):
        write(Path("/dev/full"), model, {}, half=False)
