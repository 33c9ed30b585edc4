"""`uformer restore` on folders, patterns and several images."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.restore.stand_in import StandIn, is_restored, save_picture, tree
from uformer.cli import main
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]


def save_tree(root: Path) -> list[str]:
    names = ["a.png", "a.jpg", "a.tif", "sub dir/ü [1].png", "sub dir/deep/写真.webp"]
    for seed, name in enumerate(names):
        save_picture(root / name, seed=seed)
    return sorted(names)


def test_a_folder(run: Run, tmp_path: Path) -> None:
    names = save_tree(tmp_path / "in")
    before = {path: path.read_bytes() for path in (tmp_path / "in").rglob("*") if path.is_file()}
    code, out, err = run("in")
    assert (code, out) == (0, "")
    assert err.splitlines()[-1] == "uformer: 5 of 5 images restored into in.restored"
    assert tree(tmp_path / "in.restored") == names
    assert all(
        is_restored(tmp_path / "in.restored" / name, tmp_path / "in" / name)
        for name in names
        if name.endswith((".png", ".tif"))
    )
    assert {path: path.read_bytes() for path in before} == before


def test_done_pictures_are_skipped_and_the_network_is_not_even_made(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = save_tree(tmp_path / "in")
    (tmp_path / "in.restored").mkdir()
    (tmp_path / "in.restored" / "a.png").write_text("mine")
    assert run("in")[0] == 0
    assert (tmp_path / "in.restored" / "a.png").read_text() == "mine"
    with monkeypatch.context() as patch:
        patch.delattr(Restorer, "from_options")
        code, _, err = run("in")
    assert (code, err) == (
        0,
        (
            "uformer: 0 of 5 images restored into in.restored,"
            " 5 skipped as finished (--overwrite restores them again)\n"
        ),
    )
    assert run("in", "--overwrite")[0] == 0
    assert is_restored(tmp_path / "in.restored" / "a.png", tmp_path / "in" / "a.png")
    assert tree(tmp_path / "in.restored") == names


def test_bad_files_are_listed_at_the_end(run: Run, tmp_path: Path) -> None:
    save_tree(tmp_path / "in")
    (tmp_path / "in" / "b.png").write_text("text")
    (tmp_path / "in" / "c.jpg").symlink_to("nowhere")
    os.mkfifo(tmp_path / "in" / "d.png")
    code, out, err = run("in", "-o", "out")
    assert (code, out) == (1, "")
    assert "5 of 8 images restored into out, 3 failed" in err
    assert [line.split(": ")[2] for line in err.splitlines()[-3:]] == ["in/b.png", "in/c.jpg", "in/d.png"]
    assert len(tree(tmp_path / "out")) == 5
    code, _, err = run("in", "-o", "out", "--quiet")
    assert (code, err.count("\n")) == (1, 3)


def test_records(run: Run, tmp_path: Path) -> None:
    save_tree(tmp_path / "in")
    (tmp_path / "in" / "b.png").touch()
    code, out, _ = run("in", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [record["status"] for record in records].count("restored") == 5
    assert {record["error"] for record in records} == {None, "in/b.png: is empty"}
    first = next(record for record in records if record["input"] == "in/a.png")
    assert (first["width"], first["height"], first["tile"], first["backend"], first["precision"]) == (
        30,
        20,
        [8, 8],
        "stand-in",
        "fp32",
    )
    assert first["output"] == "in.restored/a.png"
    assert first["bytes"] == (tmp_path / "in.restored" / "a.png").stat().st_size
    assert first["seconds"] > 0
    assert [json.loads(line)["status"] for line in run("in", "--json")[1].splitlines()].count("skipped") == 5


def test_a_record_of_one_picture(run: Run, tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    code, out, err = run("a.png", "--json")
    assert (code, err, json.loads(out)["output"]) == (0, "", "a.restored.png")
    (tmp_path / "b.png").touch()
    code, out, err = run("b.png", "--json")
    assert (code, err, json.loads(out)["status"]) == (1, "uformer: error: b.png: is empty\n", "failed")


def test_several_pictures_and_patterns(run: Run, tmp_path: Path) -> None:
    save_tree(tmp_path)
    assert run("a.png", "sub dir", "a.t*", "-o", "out")[0] == 0
    assert tree(tmp_path / "out") == ["a.png", "a.tif", "sub dir/deep/写真.webp", "sub dir/ü [1].png"]
    assert run("**/*.png", "-o", "all")[0] == 0
    assert tree(tmp_path / "all") == ["a.png", "out/a.png", "out/sub dir/ü [1].png", "sub dir/ü [1].png"]
    assert run("sub dir/*.png")[0] == 0
    assert (tmp_path / "sub dir" / "ü [1].restored.png").exists()
    assert run("no*.png")[0] == 1


def test_names_that_are_no_unicode_and_names_of_255_bytes(run: Run, tmp_path: Path) -> None:
    names = [os.fsdecode(b"caf\xe9.png"), "x" * 251 + ".png", "ä" * 125 + ".jpeg"]
    source = save_picture(tmp_path / "a.png")
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / name).write_bytes(source.read_bytes())
    code, out, _ = run("in", "--json")
    assert code == 0
    assert {json.loads(line)["output"] for line in out.splitlines()} == {
        f"in.restored/{name}" for name in names
    }
    assert tree(tmp_path / "in.restored") == sorted(names)
    code, out, err = run("in/" + names[1])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "File name too long; give another name" in err


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_any_name_can_be_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    name = os.fsdecode(b"\xc3\xbc\xe9.png")
    save_picture(tmp_path / "a.png").rename(tmp_path / name)
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding))
    assert main(["restore", name]) == 0
    sys.stdout.flush()
    assert out.getvalue() == (
        b"\xc3\xbc\xe9.restored.png\n" if encoding == "utf-8" else b"\\xfc\\udce9.restored.png\n"
    )


def test_outputs_inside_the_inputs(run: Run, tmp_path: Path) -> None:
    names = save_tree(tmp_path / "in")
    for _ in range(3):
        assert run("in", "-o", "in/out", "--overwrite")[0] == 0
        assert tree(tmp_path / "in/out") == names


def test_a_folder_that_cannot_be_made_fails_each_and_says_so(run: Run, tmp_path: Path) -> None:
    save_tree(tmp_path / "in")
    (tmp_path / "file").touch()
    code, _, err = run("in", "-o", "file/out")
    assert code == 1
    assert err.count("Not a directory") == 5


def test_options_that_cannot_be_met_end_it_at_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    save_tree(tmp_path / "in")
    for arguments in (
        ["--task", "dehaze"],
        ["--weights", "none.safetensors"],
        ["--backend", "openvino", "--device", "cuda"],
    ):
        code, out, err = run("in", *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "in.restored").exists()


SLOW = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.restore.stand_in import StandIn
from uformer.cli import main
from uformer.restore.restorer import Restorer

def note(_):
    Path("begun").touch()

Restorer.from_options = lambda options, **_: StandIn(seconds={seconds}, before=note)
sys.exit(main(sys.argv[1:]))
"""


def start(folder: Path, *arguments: str, seconds: float) -> subprocess.Popen[str]:
    script = SLOW.format(root=str(ROOT), seconds=seconds)
    return subprocess.Popen(
        [sys.executable, "-c", script, "restore", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_whole_files_and_the_same_command_goes_on(
    tmp_path: Path, run: Run, number: signal.Signals
) -> None:
    for n in range(60):
        save_picture(tmp_path / "in" / f"{n:02}.png", seed=n, size=(200, 100))
    process = start(tmp_path, "in", seconds=0.1)
    wait_for((tmp_path / "in.restored" / "02.png").exists)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    done = tree(tmp_path / "in.restored")
    assert 3 <= len(done) < 60
    assert all(is_restored(tmp_path / "in.restored" / name, tmp_path / "in" / name) for name in done)
    assert (
        f"uformer: interrupted; {len(done)} of 60 images finished, all outputs complete;"
        " run the same command to resume" in err
    )
    assert "Traceback" not in err
    code, _, err = run("in")
    assert code == 0
    assert f"{60 - len(done)} of 60 images restored into in.restored, {len(done)} skipped as finished" in err
    assert all(
        is_restored(tmp_path / "in.restored" / f"{n:02}.png", tmp_path / "in" / f"{n:02}.png")
        for n in range(60)
    )


def test_one_picture_that_is_stopped(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    process = start(tmp_path, "a.png", seconds=1)
    wait_for((tmp_path / "begun").exists)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "uformer: interrupted\n")
    assert tree(tmp_path) == ["a.png", "begun"]


def test_killed_at_once_nothing_is_half_written(tmp_path: Path, run: Run) -> None:
    for n in range(20):
        save_picture(tmp_path / "in" / f"{n:02}.png", seed=n, size=(300, 200))
    process = start(tmp_path, "in", seconds=0)
    wait_for(lambda: (tmp_path / "in.restored").is_dir() and len(tree(tmp_path / "in.restored")) > 3)
    process.kill()
    process.communicate(timeout=60)
    whole = [name for name in tree(tmp_path / "in.restored") if not name.startswith(".")]
    assert all(is_restored(tmp_path / "in.restored" / name, tmp_path / "in" / name) for name in whole)
    assert run("in")[0] == 0
    # What a killed run leaves behind is hidden, so it is not an input.
    assert run("in.restored", "-o", "again")[0] == 0
    assert len(tree(tmp_path / "again")) == 20


def test_options_reach_the_restorer(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[RestoreOptions] = []

    def make(options: RestoreOptions, **_: object) -> Restorer:
        given.append(options)
        return StandIn()

    monkeypatch.setattr(Restorer, "from_options", make)
    save_picture(tmp_path / "in" / "a.png")
    assert run("in", "--task", "derain", "--tile", "64", "--strength", "0.5", "-o", "out")[0] == 0
    assert given == [RestoreOptions(task="derain", tile=64, strength=0.5)]
