import errno
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch

from tests.networks import TINY, build
from tests.train.runs import tiny
from uformer.errors import CheckpointError, OptionError, TrainingError
from uformer.train.folder import FORMAT, RunFolder, check_same, read_config
from uformer.train.recipe import override
from uformer.weights import checkpoint

STATE = {"step": 3, "model": {"x": torch.arange(5.0)}}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "runs" / "a")
    folder.create({"recipe": tiny().to_values()})
    return folder


def test_a_run_that_ended_before_its_first_save_is_in_nobodys_way(folder: RunFolder) -> None:
    folder.last.write_bytes(b"weights of step 0")
    (folder.state.parent / ".state.pt.1234").write_bytes(b"half of a state")
    folder.board.mkdir()
    folder.append_log({"step": 0, "input_psnr": 20.0})
    folder.create({"recipe": tiny().to_values()})
    assert folder.read_log() == []
    (folder.path / "mine.txt").write_text("mine")
    with pytest.raises(OptionError, match="a exists; give another folder with --out"):
        folder.check_free()


def test_a_run_whose_state_was_removed_is_not_overwritten(folder: RunFolder) -> None:
    folder.append_log({"step": 50, "loss": 0.1})
    with pytest.raises(OptionError, match="a exists; give another folder with --out"):
        folder.check_free()


def test_nothing_is_overwritten(folder: RunFolder, tmp_path: Path) -> None:
    folder.save_state(STATE)
    with pytest.raises(OptionError, match="exists; .* --resume, or give another folder with --out"):
        folder.create({})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(OptionError, match="other exists; give another folder with --out"):
        RunFolder(tmp_path / "other").create({})
    with pytest.raises(OptionError, match="mine.txt: is a file; give a folder"):
        RunFolder(tmp_path / "other" / "mine.txt").create({})
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "config.yaml").write_text("model: theirs")
    with pytest.raises(OptionError, match="theirs exists; give another folder with --out"):
        RunFolder(tmp_path / "theirs").create({})
    RunFolder(tmp_path / "empty").check_free()


def test_pictures_decoded_for_nothing_do_not_count_and_can_be_discarded(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "b")
    folder.cache.mkdir(parents=True)
    folder.check_free()
    folder.discard()
    assert not folder.path.exists()


def test_the_configuration_comes_back(folder: RunFolder) -> None:
    assert read_config(folder.config)["recipe"] == tiny()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("a: 1", "not the config.yaml of a run"),
        ("recipe: {batch: 3}", "no field network"),
    ],
)
def test_a_damaged_configuration_is_refused(folder: RunFolder, text: str, said: str) -> None:
    folder.config.write_text(text)
    with pytest.raises(OptionError, match=f"config.yaml: .*{said}"):
        read_config(folder.config)


def test_the_log_is_rewound_to_a_step(folder: RunFolder) -> None:
    assert folder.read_log() == []
    for step in (1, 2, 3):
        folder.append_log({"step": step})
    with open(folder.log, "ab") as file:
        file.write(b'3\n["step"]\n{"loss": 1}\n\xff\xfe\n{"step": 4, "lo')  # damaged, and truncated by a kill
    folder.rewind_log(2)
    folder.append_log({"step": 3})
    assert folder.read_log() == [{"step": 1}, {"step": 2}, {"step": 3}]


def test_the_state_comes_back(folder: RunFolder) -> None:
    folder.save_state(STATE)
    found = folder.load_state()
    assert found["step"] == 3
    assert torch.equal(found["model"]["x"], torch.arange(5.0))


def test_no_state_and_a_damaged_one(folder: RunFolder) -> None:
    with pytest.raises(OptionError, match="cannot resume"):
        folder.load_state()
    folder.state.write_bytes(b"nothing")
    with pytest.raises(
        CheckpointError,
        match="state.pt: damaged .*; .* --start .*last.safetensors",
    ):
        folder.load_state()
    torch.save({"step": 3}, folder.state)
    with pytest.raises(CheckpointError, match="not a saved state"):
        folder.load_state()


def test_a_state_runs_no_code(folder: RunFolder) -> None:
    torch.save({"format": FORMAT, "x": Path("x")}, folder.state)
    with pytest.raises(CheckpointError, match="damaged"):
        folder.load_state()


def test_a_file_that_cannot_be_written_leaves_the_old_state(
    folder: RunFolder, small_files: Callable[[int], AbstractContextManager[None]]
) -> None:
    folder.save_state(STATE)
    said = "File too large; the last saved state is kept: .* uformer train --resume --out"
    with pytest.raises(TrainingError, match=said) as caught, small_files(10_000):
        folder.save_state({"step": 4, "model": {"x": torch.zeros(10_000)}})
    assert "\n" not in str(caught.value)
    assert folder.load_state()["step"] == 3
    assert [path.name for path in folder.state.parent.iterdir()] == ["state.pt"]


def test_a_full_disk_in_any_file_is_one_line(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "x.safetensors")

    monkeypatch.setattr(checkpoint, "write", full)
    with pytest.raises(TrainingError, match="last.safetensors: No space left on device$"):
        folder.save_weights(folder.last, build(TINY), {})


def test_a_folder_that_disappears_is_said(folder: RunFolder) -> None:
    shutil.rmtree(folder.path)
    with pytest.raises(TrainingError, match="log.jsonl: No such file or directory"):
        folder.append_log({"step": 1})


def test_weights_are_a_checkpoint_with_notes(folder: RunFolder) -> None:
    folder.save_weights(folder.best, build(TINY), {"steps": "3"})
    said = checkpoint.describe(folder.best)
    assert said["config"] == TINY
    assert said["notes"] == {"steps": "3"}


def test_the_command_that_goes_on_can_be_pasted(tmp_path: Path) -> None:
    assert RunFolder(Path("runs/my run")).resume_command == "uformer train --resume --out 'runs/my run'"


def test_a_recipe_that_changed_is_refused_by_its_fields() -> None:
    check_same(tiny(), tiny("steps=100"), ("steps",))
    with pytest.raises(OptionError, match="lr: 0.003, now 0.1; a resumed run may change only steps"):
        check_same(tiny(), override(tiny(), ["steps=100", "lr=0.1"]), ("steps",))


def test_one_trains_in_a_folder_at_a_time(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a")
    with folder.alone():
        folder.check_free()  # the other process has written nothing yet
        with (
            pytest.raises(
                OptionError, match="a: another process trains in this folder; wait for it, or .* --out"
            ),
            folder.alone(),
        ):
            raise AssertionError
    assert not folder.path.exists()
    (tmp_path / "file").touch()
    with (
        pytest.raises(OptionError, match="file/a: cannot be written: Not a directory"),
        RunFolder(tmp_path / "file" / "a").alone(),
    ):
        raise AssertionError
