import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.data.pictures import photo, save
from tests.image.suspects import save_suspects
from uformer.data import store
from uformer.data.store import decode, remove_cache, wait_for
from uformer.errors import PictureError
from uformer.image import page_reader
from uformer.image.read import read_samples


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    wide = (photo(seed=1).astype(np.uint16) * 257)[..., 0]
    names = {"a.png": photo(), "b.tif": wide, "c.tif": np.arange(4 * 6 * 5, dtype=np.uint16).reshape(4, 6, 5)}
    found = [save(tmp_path / "set" / name, pixels) for name, pixels in names.items()]
    (tmp_path / "set" / "d.png").write_bytes(b"no picture")
    return [*found, tmp_path / "set" / "d.png"]


def check(found: store.Store) -> None:
    assert found[0].dtype == np.uint8
    assert np.array_equal(found[0], photo())
    assert found[1].shape == (40, 48, 1)
    assert found[1].dtype == np.uint16
    assert np.array_equal(found[2], np.arange(120).reshape(4, 6, 5))
    assert len(found) == 4
    assert list(found.failures) == [3]
    assert "d.png: not a PNG" in found.failures[3]


def test_in_memory_each_picture_is_as_its_file(files: list[Path]) -> None:
    found = decode(files, memory=10**9)
    check(found)
    check(pickle.loads(pickle.dumps(found)))
    assert found.path is None


@pytest.mark.parametrize("memory", [0, 6000])
def test_what_does_not_fit_goes_to_a_file(files: list[Path], tmp_path: Path, memory: int) -> None:
    found = decode(files, memory=memory, cache=tmp_path / "cache")
    assert found.path == tmp_path / "cache"
    check(found)
    assert isinstance(found[0].base, np.memmap)
    pickled = pickle.dumps(found)
    assert len(pickled) < 1000, "a worker shares the file, and is not sent the pictures"
    check(pickle.loads(pickled))


def test_without_a_cache_all_goes_to_memory(files: list[Path]) -> None:
    check(decode(files, memory=0))


def test_a_cache_is_used_again_until_a_file_changes(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    decode(files, memory=0, cache=cache)
    read: list[Path] = []

    def noticed(path: Path) -> np.ndarray:
        read.append(path)
        return read_samples(path)

    monkeypatch.setattr(page_reader, "read_samples", noticed)
    check(decode(files, memory=0, cache=cache))
    assert read == []
    os.utime(files[0], ns=(0, 0))
    check(decode(files, memory=0, cache=cache))
    assert sorted(read) == sorted(files)


def test_a_damaged_cache_is_made_anew(files: list[Path], tmp_path: Path) -> None:
    decode(files, memory=0, cache=tmp_path / "cache")
    (tmp_path / "cache" / store.INDEX).write_text("{")
    check(decode(files, memory=0, cache=tmp_path / "cache"))


def test_a_cache_is_removed_with_its_folder(files: list[Path], tmp_path: Path) -> None:
    decode(files, memory=0, cache=tmp_path / "cache")
    remove_cache(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    remove_cache(tmp_path / "cache")


def test_a_file_that_disappeared_is_a_failure(files: list[Path]) -> None:
    files[1].unlink()
    assert "b.tif: No such file" in decode(files, memory=10**9).failures[1]


def test_what_another_process_decoded_is_waited_for(files: list[Path], tmp_path: Path) -> None:
    """Only the number of images is compared, because another machine may report other file times."""
    cache = tmp_path / "cache"
    with pytest.raises(PictureError, match="put the run folder on a disk that all machines share"):
        wait_for(cache, len(files), seconds=0.1)
    made = decode(files, memory=0, cache=cache)
    found = wait_for(cache, len(files), seconds=0.1)
    assert all(
        (found[index] == made[index]).all() for index in range(len(files)) if index not in made.failures
    )
    with pytest.raises(PictureError):
        wait_for(cache, len(files) + 1, seconds=0.1)


def test_a_verdict_depends_on_the_file_alone(tmp_path: Path) -> None:
    whole = save_suspects(tmp_path / "set")
    found = decode(list(whole), memory=10**9)
    assert set(found.failures) == {index for index, good in enumerate(whole.values()) if not good}
    for index, said in found.failures.items():
        with pytest.raises(PictureError) as alone:
            read_samples(list(whole)[index])
        assert said == str(alone.value)
