"""benchmarks/budget: images, entries, their table, and a whole run of an entry that only copies."""

import itertools
import json
import sys
from pathlib import Path

import pytest
from numpy.random import RandomState

from benchmarks.budget import scenes, track
from tests.data.pictures import make_pairs
from uformer.train.recipe import override
from uformer.train.recipes import find

ENTRIES = sorted(track.ENTRIES.glob("*.json"))
COPY = '{python} -c \'import shutil; shutil.copytree(r"{noisy}", r"{restored}", dirs_exist_ok=True)\''


def test_the_images_are_the_same_everywhere() -> None:
    random = RandomState([1, 0])
    clean = scenes.scene(random, 32)
    assert (clean.shape, int(clean.sum())) == ((32, 32, 3), 410_867)
    noise = scenes.noisy(clean, random).astype(int) - clean
    assert 15 < noise.std() < 26  # less than 25, because of clipping


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.stem)
def test_an_entry_is_complete(path: Path) -> None:
    entry = json.loads(path.read_text())
    assert set(entry) == {"what", "train", "restore", "results"}
    known = {"train": "t", "out": "o", "seed": 0, "minutes": 1, "seconds": 60}
    chosen = track.words(entry["train"], known)
    assert track.words(entry["restore"], {"noisy": "n", "restored": "r", "out": "o"})
    if chosen[1:4] == ["-m", "uformer", "train"]:
        settings = [word for before, word in itertools.pairwise(chosen) if before == "--set"]
        assert override(find(chosen[4]), settings).clock == "cpu"
        assert chosen[chosen.index("--start") + 1] == "none", "an entry begins with nothing"
    for row in entry["results"]:
        assert set(row) == {"hours", "psnr", "ssim", "cpu_hours", "machine", "date", "uformer"}
        for key in ("psnr", "ssim", "cpu_hours"):
            assert len(row[key]) == len(track.SEEDS), key
        assert max(row["cpu_hours"]) * 3600 <= track.TOLERANCE * row["hours"] * 3600 + track.STARTING


def test_every_machine_and_budget_has_the_baseline() -> None:
    rows = {
        path.stem: {(row["machine"], row["hours"]) for row in track.load_entry(path.stem)["results"]}
        for path in ENTRIES
    }
    assert set().union(*rows.values()) <= rows[track.BASELINE]


def test_the_table_is_up_to_date() -> None:
    text = track.README.read_text(encoding="utf-8")
    assert track.with_table(text) == text, "run: python -m benchmarks.budget.track table"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pairs to score with; and entries that may be added."""
    monkeypatch.setattr(track, "ENTRIES", tmp_path / "entries")
    (tmp_path / "entries").mkdir()
    make_pairs(tmp_path / "data" / "test", 2)
    monkeypatch.setattr(scenes, "DIGEST", scenes.digest(tmp_path / "data"))
    return tmp_path / "data"


def add(name: str, train: str, restore: str = COPY) -> None:
    entry = {"what": name, "train": train, "restore": restore, "results": []}
    (track.ENTRIES / f"{name}.json").write_text(json.dumps(entry))


def test_a_run_resumes_and_records_its_repeats(data: Path, tmp_path: Path) -> None:
    """The second repeat fails at first, and the first one is not run again."""
    gate = tmp_path / "gate"
    check = f"import os, sys; open(r'{tmp_path}/calls', 'a').write('{{seed}} '); "
    add("copy", f"{{python}} -c \"{check}sys.exit({{seed}} == 1 and not os.path.exists(r'{gate}'))\"")
    with pytest.raises(SystemExit, match="exit code 1: "):
        track.run("copy", data, tmp_path / "out", 0.5)
    assert track.load_entry("copy")["results"] == []
    gate.touch()
    track.run("copy", data, tmp_path / "out", 0.5)
    assert (tmp_path / "calls").read_text().split() == ["0", "1", "1", "2"]
    (row,) = track.load_entry("copy")["results"]
    assert row["hours"] == 0.5
    assert row["psnr"] == [row["psnr"][0]] * 3
    assert 10 < row["psnr"][0] < 40
    table = track.table().splitlines()
    assert table[2] == "| `copy`: copy | 8 | not measured | | | |"
    assert f"| {row['psnr'][0]:.2f} (" in table[3]
    track.run("copy", data, tmp_path / "out", 0.5)
    assert len(track.load_entry("copy")["results"]) == 1, "a row replaces that of the same machine and budget"


def test_a_run_that_uses_too_much_or_leaves_images_out_has_no_result(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track, "run_counted", lambda command: (0, 100.0))
    add("slow", "x")
    with pytest.raises(SystemExit, match="training took 100 s of 36 s; no result"):
        track.repeat(track.load_entry("slow"), data, tmp_path / "slow", 0, 0.01)
    with pytest.raises(SystemExit, match="missing; the entry must restore every image"):
        track.repeat(track.load_entry("slow"), data, tmp_path / "other", 0, 1)


def test_wrong_usage_is_one_line(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="unknown entry 'nothing'; choose one of"):
        track.run("nothing", data, tmp_path, 1)
    add("copy", "x")
    monkeypatch.setattr(scenes, "DIGEST", "other")
    with pytest.raises(SystemExit, match="not the images of the track"):
        track.run("copy", data, tmp_path, 1)


def test_the_time_of_a_command_is_that_of_its_children_too() -> None:
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}], check=True)"
    code, seconds = track.run_counted([sys.executable, "-c", parent])
    assert code == 0
    assert seconds >= 0.2
