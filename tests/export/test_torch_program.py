import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.export.torch_program import EXTRA_FILE, load, write
from uformer.model.uformer import Uformer

Array = NDArray[np.float32]


@pytest.fixture(scope="module")
def restore(torch_file: tuple[Path, str]) -> Callable[[Array], Array]:
    return load(torch_file[0])


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 1, 9), (1, 30, 17)])
def test_any_batch_height_and_width_in_half_precision(
    restore: Callable[[Array], Array], network: Uformer, size: tuple[int, int, int]
) -> None:
    count, height, width = size
    image = torch.rand(count, 3, height, width)
    with torch.inference_mode():
        wanted = network(image).numpy()
    restored = restore(image.numpy())
    assert restored.dtype == np.float32
    assert np.allclose(restored, wanted, atol=0.02)
    assert not np.allclose(restored, wanted, atol=1e-6)


def test_metadata(torch_file: tuple[Path, str], network: Uformer) -> None:
    path, printed = torch_file
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(f"extra/{EXTRA_FILE}"))
        facts = json.loads(archive.read(name))
    assert (facts["name"], facts["licence"], facts["precision"]) == ("tiny", "MIT", "fp16")
    assert UformerConfig.from_json(facts["config"]) == network.config
    assert "torch.export program, fp16" in printed
    assert "next: python -c" in printed


def test_no_path_of_the_machine_that_made_it(torch_file: tuple[Path, str]) -> None:
    root = str(Path(__file__).parents[2]).encode()
    with zipfile.ZipFile(torch_file[0]) as archive:
        assert all(root not in archive.read(name) for name in archive.namelist())


def test_a_full_disk_is_an_os_error() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    program = torch.export.export(torch.nn.Identity(), (torch.zeros(1),))
    with pytest.raises(OSError, match="No space left on device"):
        write(Path("/dev/full"), program, {})
