from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.networks import TINY, build
from uformer.weights import checkpoint


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A checkpoint with a licence in its notes."""
    path = tmp_path / "mine.safetensors"
    checkpoint.save(path, build(TINY), notes={"licence": "CC BY-SA 4.0"})
    return path
