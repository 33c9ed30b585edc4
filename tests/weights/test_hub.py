"""The Hugging Face Hub without a network: huggingface_hub's own cache, and a fake of its API."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import yaml
from huggingface_hub.errors import HfHubHTTPError

from tests.networks import TINY, build
from uformer.config import UformerConfig
from uformer.errors import CheckpointError, OptionError
from uformer.restore.restorer import Restorer
from uformer.weights import checkpoint, hub, registry
from uformer.weights.create import create_model, weights_file
from uformer.weights.provenance import Provenance


def front_matter(text: str) -> Any:
    return yaml.safe_load(text.split("---\n")[1])


def test_a_local_folder(mine: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    hub.save_pretrained(mine, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == mine.read_bytes()
    assert UformerConfig.from_values(json.loads((folder / "config.json").read_text())) == TINY
    assert weights_file(folder) == folder / "model.safetensors"
    assert Restorer.from_pretrained(folder).config == create_model(folder).config == TINY


def test_a_card_that_is_there_stays(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    hub.save_pretrained(str(mine), str(tmp_path))
    assert (tmp_path / "README.md").read_text() == "mine"


@pytest.mark.parametrize("name", registry.WEIGHTS)
def test_the_card_of_weights_that_ship(name: str) -> None:
    shipped = registry.find(name)
    text = hub.card(Provenance.of(shipped.path), "org/name")
    head = front_matter(text)
    assert (head["library_name"], head["pipeline_tag"], head["license"]) == (
        "uformer",
        "image-to-image",
        "cc-by-sa-4.0",
    )
    assert shipped.task in head["tags"]
    assert shipped.sha256 in text
    assert shipped.data in text
    assert "uformer restore photo.jpg --weights org/name" in text
    assert all(f"{score:.2f}" in text for score in shipped.scores.values())


def test_a_card_without_a_licence_claims_none(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "a.safetensors", build(TINY))
    text = hub.card(Provenance.of(tmp_path / "a.safetensors"), "org/name")
    assert "license" not in front_matter(text)
    assert "| licence | not stated |" in text


def test_what_is_here_comes_first(tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hub.save_pretrained(mine, Path("org/name"))
    assert weights_file("org/name") == Path("org/name/model.safetensors")
    (tmp_path / "org" / "file").write_bytes(mine.read_bytes())
    assert weights_file("org/file") == Path("org/file")


class Api:
    """A fake API that keeps repositories in a folder."""

    root: Path

    def __init__(self, *, token: str | None, library_name: str) -> None:
        self.token = token
        assert library_name == "uformer"

    def create_repo(self, repository: str, *, private: bool, exist_ok: bool) -> None:
        if self.token == "wrong":
            raise OSError("401\nnot you")
        if self.token == "offline":
            raise HfHubHTTPError.__bases__[0]("refused")  # an error of the HTTP library
        (self.root / repository).mkdir(parents=True, exist_ok=exist_ok)
        (self.root / repository / ".private").write_text(str(private))

    def file_exists(self, repository: str, name: str) -> bool:
        return (self.root / repository / name).exists()

    def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> str:
        assert commit_message == "mine by uformer"
        shutil.copytree(folder_path, self.root / repo_id, dirs_exist_ok=True)
        return f"https://huggingface.co/{repo_id}"


def test_push_and_load_again(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(Api, "root", tmp_path / "hub", raising=False)
    assert hub.push_to_hub(mine, "org/name", private=True) == "https://huggingface.co/org/name"
    there = tmp_path / "hub" / "org" / "name"
    assert (there / ".private").read_text() == "True"
    assert front_matter((there / "README.md").read_text())["license"] == "cc-by-sa-4.0"
    assert checkpoint.read(weights_file(there))[0] == TINY
    (there / "README.md").write_text("mine")
    hub.push_to_hub(mine, "org/name", licence="MIT")
    assert (there / "README.md").read_text() == "mine"
    with pytest.raises(CheckpointError, match=r"^org/name: the Hugging Face Hub refused \(401 not you\)$"):
        hub.push_to_hub(mine, "org/name", token="wrong")
    with pytest.raises(CheckpointError, match=r"^org/name: the Hugging Face Hub refused \(.*refused.*\)$"):
        hub.push_to_hub(mine, "org/name", token="offline")
    with pytest.raises(OptionError, match="'name' is not a repository name such as org/name"):
        hub.push_to_hub(mine, "name")
    with pytest.raises(OptionError, match="unknown network or weights 'none'"):
        hub.push_to_hub("none", "org/name")


def test_without_the_extra_the_line_that_installs_it(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    line = r'huggingface_hub is not installed; run: pip install "uformer\[hub\]"'
    with pytest.raises(
        OptionError,
        match=f"^org/name: no such file or folder; to look on the Hugging Face Hub: {line}$",
    ):
        weights_file("org/name")
    with pytest.raises(OptionError, match=f"^{line}$"):
        hub.push_to_hub(mine, "org/name")
