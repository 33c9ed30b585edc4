import hashlib
from pathlib import Path

import pytest

from tests.networks import TINY, build
from uformer.errors import CheckpointError
from uformer.weights import checkpoint, registry
from uformer.weights.provenance import NOT_STATED, Provenance, noted_range


@pytest.mark.parametrize("name", registry.WEIGHTS)
def test_weights_that_ship_are_known_by_their_content(name: str, tmp_path: Path) -> None:
    weights = registry.find(name)
    copy = tmp_path / "other.safetensors"
    copy.write_bytes(weights.path.read_bytes())
    about = Provenance.of(copy)
    assert (about.name, about.sha256, about.licence, about.shipped) == (
        name,
        weights.sha256,
        weights.licence,
        weights,
    )


def test_weights_of_your_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    checkpoint.save(path, build(TINY))
    about = Provenance.of(path)
    assert (about.name, about.licence, about.config, about.shipped) == ("mine", NOT_STATED, TINY, None)
    assert about.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    checkpoint.save(path, build(TINY), notes={"licence": "CC0 1.0"})
    assert Provenance.of(path).licence == "CC0 1.0"
    assert Provenance.of(path, licence="mine\nalone").licence == "mine alone"


def test_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        Provenance.of(tmp_path / "a.safetensors")


def test_the_range_that_training_scaled(tmp_path: Path) -> None:
    assert noted_range(tmp_path, {}) == "auto"
    assert noted_range(tmp_path, {"range": "100:400"}) == "100:400"
    with pytest.raises(CheckpointError, match=r"^a: its note on the range: 'wide' must be auto, full or LOW"):
        noted_range(Path("a"), {"range": "wide"})
