"""Repositories of the Hugging Face Hub without a network: huggingface_hub's own cache."""

import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.networks import TINY
from uformer.errors import CheckpointError, OptionError
from uformer.restore.restorer import Restorer
from uformer.weights import repository
from uformer.weights.create import create_model, weights_file


def cached(home: Path, mine: Path, revision: str = "main") -> Path:
    """Put a file where huggingface_hub caches that of org/name."""
    commit = "0123456789" * 4
    place = home / "models--org--name"
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / revision).write_text(commit)
    (place / "snapshots" / commit).mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(mine, place / "snapshots" / commit / repository.FILE))


def test_a_repository_of_the_cache(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        CheckpointError,
        match=r"^org/name: no such file or folder, and not available from the Hugging Face Hub \(.+\)$",
    ):
        weights_file("org/name")
    file = cached(tmp_path / "cache", mine)
    assert weights_file("org/name") == file
    assert Restorer.from_pretrained("org/name").config == TINY
    with pytest.raises(CheckpointError, match="^org/name@v2: no such file"):
        weights_file("org/name@v2")
    cached(tmp_path / "cache", mine, "v2")
    assert weights_file("org/name@v2") == file
    file.write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        create_model("org/name")


@pytest.mark.parametrize("name", ["", "name", "a/b/c", "/a", "a/", "../a", "a/..", "a b/c", "a/b@", "./a"])
def test_what_is_no_name_of_a_repository(name: str) -> None:
    assert not repository.is_repository(name)
    with pytest.raises(OptionError, match="is not a repository name such as org/name"):
        repository.download(name)
