"""Kept answers: the same image only, undamaged only."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.restore.test_restoration import restorer
from tests.restore.test_restorer import picture
from uformer.errors import OptionError, PictureError
from uformer.image.image import Header
from uformer.restore import residual_file as module
from uformer.restore.residual_file import check_room_to_keep
from uformer.restore.restoration import Restoration


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"weights")
    monkeypatch.setattr(module, "weights_path", lambda _: tmp_path / "weights")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_loaded_answer_blends_as_the_kept_one(tmp_path: Path, channels: int) -> None:
    photo = picture(channels=channels)
    answer = restorer(tones="lock").infer(photo)
    answer.save(tmp_path / "a.npz")
    loaded = Restoration.load(tmp_path / "a.npz", photo)
    choices: tuple[dict[str, Any], ...] = (
        {},
        {"luma": 0.5, "tones": "free"},
        {"crop": (8, 4, 20, 30), "detail": 1},
    )
    for controls in choices:
        assert np.array_equal(loaded.blend(**controls), answer.blend(**controls))
    loaded.save(tmp_path / "b.npz")
    assert loaded.kept().networks == answer.kept().networks
    assert answer.kept().networks[0]["task"] == "denoise"


def test_it_belongs_to_one_image_and_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    restorer().infer(picture()).save(path)
    changed = picture()
    changed[0, 0, 0] ^= 1
    for other in (changed, picture(41), picture(channels=1)):
        with pytest.raises(PictureError, match=r"a\.npz: belongs to another image"):
            Restoration.load(path, other)
    with pytest.raises(OptionError, match=r"a\.npz exists; pass overwrite=True"):
        restorer().infer(picture()).save(path)


def test_damaged_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    restorer().infer(picture()).save(path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    for damaged in (b"", b"text", whole[:middle], whole[:middle] + b"\0" * 9 + whole[middle + 9 :]):
        path.write_bytes(damaged)
        with pytest.raises(PictureError, match=r"a\.npz: is damaged"):
            Restoration.load(path, picture())
    with np.load(_written(path, whole)) as content:
        arrays = dict(content)
    for change in ({"residual": arrays["residual"][:2]}, {"shifts": arrays["shifts"] * np.nan}):
        np.savez(path, **(arrays | change))
        with pytest.raises(PictureError, match=r"a\.npz: is damaged"):
            Restoration.load(path, picture())
    with pytest.raises(PictureError, match=r"none\.npz: No such file"):
        Restoration.load(tmp_path / "none.npz", picture())


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_an_image_must_fit_in_memory() -> None:
    head = Header(width=6000, height=4000, channels=3, alpha=False, depth=8, suffix=".jpg")
    check_room_to_keep(head, 4 * 10**9)
    with pytest.raises(PictureError, match="6000 x 4000 pixels are too many .* set --memory to 3GB"):
        check_room_to_keep(head, 10**9)
