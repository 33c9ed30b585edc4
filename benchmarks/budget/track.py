"""The budget track: what a network learns from nothing in a fixed amount of processor time.

    python -m benchmarks.budget.track make DATA                # the images, always the same ones
    python -m benchmarks.budget.track run DATA OUT ENTRY       # three repeats; repeat the command to resume
    python -m benchmarks.budget.track table                    # the table in README.md, from entries/

README.md beside this file states the rules and how to add an entry.
"""

import argparse
import datetime
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.budget import scenes
from uformer.files import atomic_file
from uformer.image.read import read
from uformer.metrics import psnr, ssim
from uformer.processors import available_processors
from uformer.restore.backends.drivers import cpu_name
from uformer.version import __version__
from uformer.words import counted

HERE = Path(__file__).parent
ENTRIES = HERE / "entries"
README = HERE / "README.md"

HOURS = 8.0  # of one core
SEEDS = (0, 1, 2)
TOLERANCE, STARTING = 1.02, 60.0
"""A training may use this factor of its budget, and these seconds to start."""

BASELINE = "plain"
"""The entry that every machine measures, because a core-hour is not the same everywhere."""

BEGIN, END = "<!-- table -->", "<!-- end of the table -->"
INTERRUPTED = 130

Entry = dict[str, Any]


def load_entry(name: str) -> Entry:
    """Return an entry by its name. Raises SystemExit, listing the names, for an unknown one."""
    path = ENTRIES / f"{name}.json"
    if not path.exists():
        known = ", ".join(sorted(found.stem for found in ENTRIES.glob("*.json")))
        raise SystemExit(f"unknown entry {name!r}; choose one of {known}, or add {path}")
    return _read(path)


def words(command: str, values: Mapping[str, object]) -> list[str]:
    """Return the words of an entry's command, with its placeholders replaced."""
    return [word.format(python=sys.executable, here=HERE, **values) for word in shlex.split(command)]


def run_counted(command: Sequence[str]) -> tuple[int, float]:
    """Run a command. Returns its exit code and its processor time in seconds, that of its children included.

    Ctrl-C reaches the command too, and it is waited for, so that it can save.
    """
    process = subprocess.Popen(command)
    interrupted = False
    while True:
        try:
            _, status, used = os.wait4(process.pid, 0)
            break
        except KeyboardInterrupt:
            interrupted = True
    process.returncode = os.waitstatus_to_exitcode(status)
    return INTERRUPTED if interrupted else process.returncode, used.ru_utime + used.ru_stime


def repeat(entry: Entry, data: Path, folder: Path, seed: int, hours: float) -> dict[str, float]:
    """Train with one seed in `folder`, restore the test images, and return the scores.

    What is finished is not repeated. Raises SystemExit if a command fails, is interrupted, or exceeds the
    budget.
    """
    result, spent = folder / "result.json", folder / "spent.json"
    if result.exists():
        return _read(result)
    restored = folder / "restored"
    values = {
        "train": data / "train",
        "noisy": data / "test" / "degraded",
        "out": folder,
        "restored": restored,
        "seed": seed,
        "seconds": 3600 * hours,
        "minutes": 60 * hours,
    }
    folder.mkdir(parents=True, exist_ok=True)
    so_far = _read(spent) if spent.exists() else {"seconds": 0.0, "finished": False}
    if not so_far["finished"]:
        command = words(entry["train"], values)
        code, seconds = run_counted(command)
        so_far = {"seconds": so_far["seconds"] + seconds, "finished": code == 0}
        _write(spent, so_far)
        _check(code, command)
    if so_far["seconds"] > TOLERANCE * 3600 * hours + STARTING:
        raise SystemExit(
            f"{folder}: training took {so_far['seconds']:.0f} s of {3600 * hours:.0f} s; no result"
        )
    shutil.rmtree(restored, ignore_errors=True)
    restored.mkdir()
    command = words(entry["restore"], values)
    _check(run_counted(command)[0], command)
    scores = {**score(restored, data / "test" / "clean"), "cpu_hours": round(so_far["seconds"] / 3600, 4)}
    _write(result, scores)
    return scores


def score(restored: Path, clean: Path) -> dict[str, float]:
    """Return the mean PSNR in dB and SSIM of all images of `clean`, over RGB.

    Raises SystemExit if one was not restored, or has another size.
    """
    psnrs, ssims = [], []
    for path in sorted(clean.glob("*.png")):
        if not (restored / path.name).exists():
            raise SystemExit(f"{restored / path.name}: missing; the entry must restore every image")
        image, truth = (read(each).pixels for each in (restored / path.name, path))
        if image.shape != truth.shape:
            raise SystemExit(f"{restored / path.name}: {image.shape}, but the clean image has {truth.shape}")
        psnrs.append(psnr(image, truth))
        ssims.append(ssim(image, truth))
    return {"psnr": round(statistics.fmean(psnrs), 3), "ssim": round(statistics.fmean(ssims), 4)}


def run(name: str, data: Path, out: Path, hours: float) -> None:
    """Run all repeats of an entry, and write the result into its file. Raises SystemExit as `repeat` does."""
    entry = load_entry(name)
    found = scenes.digest(data)
    if found != scenes.DIGEST:
        raise SystemExit(
            f"{data}: not the images of the track ({found[:12]}); make them with: "
            "python -m benchmarks.budget.track make"
        )
    scores = []
    for seed in SEEDS:
        scores.append(repeat(entry, data, out / f"{name}-{hours:g}h" / f"seed-{seed}", seed, hours))
        print(f"{name}, seed {seed}: {scores[-1]}", flush=True)
    row = {
        "hours": hours,
        **{key: [each[key] for each in scores] for key in scores[0]},
        "machine": machine(),
        "date": f"{datetime.date.today()}",
        "uformer": __version__,
    }
    others = [old for old in entry["results"] if (old["hours"], old["machine"]) != (hours, row["machine"])]
    _write(ENTRIES / f"{name}.json", {**entry, "results": [*others, row]})
    print(f"wrote {ENTRIES / name}.json; `python -m benchmarks.budget.track table` puts it into the table")


def machine() -> str:
    """Return the processor's name and the number of cores that this process may use."""
    return f"{cpu_name()}, {counted(available_processors(), 'core')}"


def table() -> str:
    """Return the table of all entries: first the largest budget, then the highest PSNR."""
    lines = [
        "| Entry | Core-hours | PSNR, dB: mean (lowest to highest) | SSIM | Used | Machine, date |",
        "|---|---|---|---|---|---|",
    ]
    rows = [(_read(path), path.stem) for path in sorted(ENTRIES.glob("*.json"))]
    measured = [(entry, name, row) for entry, name in rows for row in entry["results"]]
    measured.sort(key=lambda each: (-each[2]["hours"], -statistics.fmean(each[2]["psnr"])))
    for entry, name in rows:
        if all(row["hours"] != HOURS for row in entry["results"]):
            lines.append(f"| `{name}`: {entry['what']} | {HOURS:g} | not measured | | | |")
    for entry, name, row in measured:
        scores, ssims, used = row["psnr"], row["ssim"], row["cpu_hours"]
        lines.append(
            f"| `{name}`: {entry['what']} | {row['hours']:g} "
            f"| {statistics.fmean(scores):.2f} ({min(scores):.2f} to {max(scores):.2f}) "
            f"| {statistics.fmean(ssims):.4f} | {max(used):.3g} | {row['machine']}, {row['date']} |"
        )
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """Return the text of README.md with the table of today's entries."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{rest.partition(END)[2]}"


def _check(code: int, command: Sequence[str]) -> None:
    if code == INTERRUPTED:
        raise SystemExit("interrupted; repeat the command to resume")
    if code:
        raise SystemExit(f"exit code {code}: {shlex.join(command)}")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _write(path: Path, values: Mapping[str, Any]) -> None:
    with atomic_file(path) as file:
        file.write((json.dumps(values, indent=1) + "\n").encode())


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make", help="make the images").add_argument("data", type=Path)
    running = commands.add_parser("run", help="train, restore and score an entry")
    running.add_argument("data", type=Path)
    running.add_argument("out", type=Path)
    running.add_argument("entry")
    running.add_argument(
        "--hours", type=float, default=HOURS, help="core-hours of a repeat; default: %(default)g"
    )
    commands.add_parser("table", help="write the table into README.md")
    chosen = parser.parse_args()
    if chosen.command == "make":
        scenes.make(chosen.data)
        print(f"noisy test images: {score(*(chosen.data / 'test' / kind for kind in ('degraded', 'clean')))}")
    elif chosen.command == "run":
        run(chosen.entry, chosen.data, chosen.out, chosen.hours)
    else:
        README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
