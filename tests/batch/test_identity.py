"""The identity of a job: which differences count, and how they are described."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from uformer.batch.identity import difference, identity
from uformer.errors import CheckpointError
from uformer.restore.options import RestoreOptions


def of(folder: Path, data: bytes = b"weights", **options: Any) -> dict[str, object]:
    path = folder / "w.safetensors"
    path.write_bytes(data)
    return identity(RestoreOptions(weights=str(path), **options), "keep", redo=False)


def test_it_names_the_weights(tmp_path: Path) -> None:
    found = of(tmp_path)
    assert (found["weights"], found["sha256"]) == ("w.safetensors", hashlib.sha256(b"weights").hexdigest())


def test_what_makes_no_other_outputs_is_not_compared(tmp_path: Path) -> None:
    assert difference(of(tmp_path), {**of(tmp_path, memory="2GB"), "uformer": "9", "redo": True}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"strength": 0.5},
        {"range": "0:9"},
        {"luma": 0.5},
        {"grain": 0.5},
        {"tile": 64},
        {"overlap": 8},
        {"ensemble": True},
        {"precision": "fp32"},
    ],
)
def test_what_does_is_said(tmp_path: Path, change: dict[str, Any]) -> None:
    ((name, value),) = change.items()
    said = difference(of(tmp_path), of(tmp_path, **change))
    assert said is not None
    assert said.startswith(f"{name} ")
    assert said.endswith(f"now {value}")


def test_other_weights_of_the_same_name(tmp_path: Path) -> None:
    said = difference(of(tmp_path), of(tmp_path, b"others"))
    assert said is not None
    assert said.startswith("weights w.safetensors (")


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="none.safetensors"):
        identity(RestoreOptions(weights=str(tmp_path / "none.safetensors")), "keep", redo=False)


def test_several_tasks_have_all_their_weights() -> None:
    both = identity(RestoreOptions(tasks="derain,denoise"), "keep", redo=False)
    first, second = (
        identity(RestoreOptions(task=task), "keep", redo=False) for task in ("derain", "denoise")
    )
    assert both["weights"] == f"{first['weights']}+{second['weights']}"
    assert both["sha256"] == f"{first['sha256']}+{second['sha256']}"
    other = identity(RestoreOptions(tasks="denoise,derain"), "keep", redo=False)
    assert "tasks derain,denoise, now denoise,derain" in (difference(both, other) or "")
    good = identity(RestoreOptions(quality=50), "keep", redo=False)
    assert difference(second, good) == "quality None, now 50"
