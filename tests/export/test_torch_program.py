import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from uformer.config import UformerConfig
from uformer.export.torch_program import EXTRA_FILE, load, write
from uformer.model.uformer import Uformer


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 1, 9), (1, 30, 17)])
def test_any_batch_height_and_width_in_half_precision(
    torch_file: tuple[Path, str], network: Uformer, size: tuple[int, int, int]
) -> None:
    count, height, width = size
    image = torch.rand(count, 3, height, width)
    with torch.inference_mode():
        wanted = network(image).numpy()
    restored = load(torch_file[0])(image.numpy())
    assert restored.dtype == np.float32
    assert np.allclose(restored, wanted, atol=0.02)
    assert not np.allclose(restored, wanted, atol=1e-6)


def test_metadata(torch_file: tuple[Path, str], network: Uformer) -> None:
    path, printed = torch_file
    extra = {EXTRA_FILE: ""}
    torch.export.load(path, extra_files=extra)
    facts = json.loads(extra[EXTRA_FILE])
    assert (facts["name"], facts["licence"], facts["precision"]) == ("tiny", "MIT", "fp16")
    assert UformerConfig.from_json(facts["config"]) == network.config
    assert "torch.export program, fp16" in printed
    assert "next: python -c" in printed


def test_no_path_of_the_machine_that_made_it(torch_file: tuple[Path, str]) -> None:
    root = str(Path(__file__).parents[2]).encode()
    with zipfile.ZipFile(torch_file[0]) as archive:
        assert all(root not in archive.read(name) for name in archive.namelist())


def test_a_full_disk_is_an_os_error(torch_file: tuple[Path, str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="No space left on device"):
        write(Path("/dev/full"), torch.export.load(torch_file[0]), {})
