"""Use half an hour on one fast GPU: check it, time it, train all three tasks, and score the results.

    python training/gpu_half_hour.py DATA OUT [--minutes 30] [--dev DEV] [--device cuda]

DATA is a folder of clean images. OUT must be new or empty. It receives all results, in files under 16 MiB:

    gpu.json                          inference and training speed of uformer_t, uformer_s and uformer_b
    uformer_t.TASK.trunk.safetensors  weights at the constant learning rate (float16), to start another trunk
    uformer_t.TASK.safetensors        weights after the decay (float16), updated every few minutes
    scores.TASK.json                  scores of the trained weights by `benchmarks/quality.py DEV`, with --dev
    summary.json                      what ran, how long, how many patches, and what failed

The clock starts with the script. A failed phase is reported, and the next one runs. The script can be
interrupted at any time, because the files in OUT are always complete. To rehearse without a GPU, use
`--device cpu --minutes 5`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from uformer.errors import UformerError
from uformer.restore.backends.choose import read_weights
from uformer.restore.backends.trust import check
from uformer.restore.options import NetworkOptions
from uformer.train.folder import read_config
from uformer.weights.checkpoint import write_half

ROOT = Path(__file__).parents[1]
SHARES = {"denoise": 0.55, "derain": 0.25, "deblur": 0.20}
"""Shares of the training time."""
DECAY = 0.2
"""Share of a task's training in which the learning rate falls."""
TIMING, SCORING = 0.12, 0.12
"""Shares of the total time for benchmarks/gpu.py and for scoring."""
SETTINGS = {
    "cuda": ["batch=64", "ema=0.999", "warmup=100", "held_out=0", "save_minutes=4", "validate_every=1000000"],
    "cpu": [
        "patch=64",
        "batch=4",
        "ema=0.9",
        "warmup=0",
        "held_out=0",
        "save_minutes=1",
        "validate_every=1000000",
        "log_every=1",
    ],
}


@dataclass
class Clock:
    """Measures the minutes since the start, and those left of the time limit."""

    minutes: float
    begin: float = field(default_factory=time.monotonic)

    @property
    def passed(self) -> float:
        return (time.monotonic() - self.begin) / 60

    @property
    def left(self) -> float:
        return self.minutes - self.passed


@dataclass
class Session:
    """State shared by the phases: the clock, the folders, and the summary, written after each phase."""

    data: Path
    out: Path
    device: str
    clock: Clock
    dev: Path | None
    extra: list[str] = field(default_factory=list)
    """Settings that the smoke test found necessary."""
    summary: list[dict[str, object]] = field(default_factory=list)

    def note(self, phase: str, **facts: object) -> None:
        self.summary.append({"phase": phase, "ended_at_minute": round(self.clock.passed, 2), **facts})
        (self.out / "summary.json").write_text(json.dumps(self.summary, indent=1) + "\n")
        listed = ", ".join(f"{key} {value}" for key, value in facts.items())
        print(f"[{self.clock.passed:5.1f} min] {phase}: {listed}", flush=True)

    def run(self, words: list[str], *, minutes: float) -> int:
        """Run a Python command, showing its output. Returns its exit code, or 124 if it exceeds `minutes`."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        }
        try:
            command = [sys.executable, *words]
            limit = max(60 * minutes, 1)
            return subprocess.run(command, env=environment, check=False, timeout=limit).returncode  # noqa: S603
        except subprocess.TimeoutExpired:
            return 124

    def train(self, task: str, folder: Path, settings: list[str], *, minutes: float, fresh: bool) -> int:
        """Run `uformer train` and return its exit code. Decoding and compiling may add three minutes."""
        begin = [task, "--start", f"uformer_t.{task}"] if fresh else ["--resume"]
        chosen = [*SETTINGS["cpu" if self.device == "cpu" else "cuda"], *self.extra] if fresh else []
        words = [
            "-m",
            "uformer",
            "train",
            *begin,
            "--data",
            str(self.data),
            "--out",
            str(folder),
            "--device",
            self.device,
        ]
        for setting in (*chosen, *settings):
            words += ["--set", setting]
        return self.run(words, minutes=minutes + 3)


def check_device(session: Session) -> None:
    """Exit with a message if the device is missing, or if it restores the golden tile wrongly."""
    device = torch.device(session.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("--device cuda: torch finds no CUDA device; to rehearse, use --device cpu")
    options = NetworkOptions(backend="torch", device=session.device)
    if wrong := check(read_weights(options), options):
        sys.exit(f"--device {session.device}: the device failed its check: {wrong}")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    free = shutil.disk_usage(session.out).free // 10**9
    session.note("device", name=name, torch=torch.__version__, cores=os.cpu_count(), disk_free_gb=free)


def time_networks(session: Session) -> None:
    """Run benchmarks/gpu.py. The loader needs no timing, because training runs print its throughput."""
    minutes = TIMING * session.clock.minutes
    words = [str(ROOT / "benchmarks" / "gpu.py"), "--device", session.device, "--minutes", str(minutes)]
    code = session.run([*words, "--json", str(session.out / "gpu.json")], minutes=minutes + 2)
    session.note("timing", exit_code=code)


def smoke(session: Session, work: Path) -> None:
    """Run a few steps of the real training command. If they fail, turn torch.compile off and try again."""
    for extra in ([], ["compile=never"]):
        session.extra = extra
        folder = work / f"smoke{len(extra)}"
        code = session.train("denoise", folder, ["steps=4", "warmup=0"], minutes=3, fresh=True)
        session.note("smoke run", settings=" ".join(extra) or "default", exit_code=code)
        if code == 0:
            return
    sys.exit(f"--device {session.device}: training fails on this device; see the output above")


def train_task(session: Session, task: str, work: Path, minutes: float) -> None:
    """Train a trunk at a constant learning rate, then its decay. OUT gets the newest weights regularly."""
    folder, published = work / task, session.out / f"uformer_t.{task}.safetensors"
    trunk = minutes * (1 - DECAY)
    with Publisher(folder / "last.safetensors", published):
        code = session.train(task, folder, ["decay=0", f"minutes={trunk:.3f}"], minutes=trunk, fresh=True)
    if code == 0:
        write_half(
            {folder / "last.safetensors": 1.0},
            published.with_suffix(".trunk.safetensors"),
            {"recipe": f"{task}: trunk of a GPU run"},
        )
        with Publisher(folder / "last.safetensors", published):
            settings = [f"minutes={minutes:.3f}", f"decay={DECAY}"]
            code = session.train(task, folder, settings, minutes=minutes - trunk, fresh=False)
    session.note(f"train {task}", exit_code=code, minutes=round(minutes, 2), patches=patches_seen(folder))


class Publisher:
    """Copies a run's newest weights to a file as float16, while it is open and once more when it closes."""

    def __init__(self, newest: Path, published: Path) -> None:
        self._newest, self._published = newest, published
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._publish()

    def _watch(self) -> None:
        seen = 0
        while not self._stop.wait(5):
            changed = self._newest.stat().st_mtime_ns if self._newest.exists() else 0
            if changed != seen:
                self._publish()
                seen = changed

    def _publish(self) -> None:
        """Copy the weights. This is safe at any time, because `uformer train` replaces files atomically."""
        if self._newest.exists():
            write_half({self._newest: 1.0}, self._published, {"recipe": "a GPU run, see summary.json"})


def patches_seen(folder: Path) -> int:
    """Return the number of patches that a run has learned from so far, according to its log."""
    log, config = folder / "log.jsonl", folder / "config.yaml"
    if not log.exists():
        return 0
    steps = [json.loads(line).get("step", 0) for line in log.read_text().splitlines()]
    return int(max(steps, default=0) * read_config(config)["recipe"].batch)


def score(session: Session, task: str) -> None:
    """Score the task's weights with benchmarks/quality.py. The model card has the shipped weights' scores."""
    weights = session.out / f"uformer_t.{task}.safetensors"
    if session.dev is None or not weights.exists():
        session.note(f"score {task}", skipped="no --dev" if session.dev is None else "no weights")
        return
    words = [
        str(ROOT / "benchmarks" / "quality.py"),
        str(session.dev),
        "--weights",
        str(weights),
        "--task",
        task,
    ]
    code = session.run(
        [*words, "--json", str(session.out / f"scores.{task}.json")], minutes=max(session.clock.left, 1)
    )
    session.note(f"score {task}", exit_code=code)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument(
        "--dev", type=Path, help="folder of images with ground truth, laid out for benchmarks/quality.py"
    )
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    args = parser.parse_args()

    if not args.data.is_dir():
        parser.error(f"{args.data}: no such folder")
    args.out.mkdir(parents=True, exist_ok=True)
    if any(args.out.iterdir()):
        parser.error(f"{args.out}: the folder is not empty; give a new one")
    work = args.out.with_name(f"{args.out.name}.work")
    session = Session(args.data, args.out, args.device, Clock(args.minutes), args.dev)
    check_device(session)
    time_networks(session)
    smoke(session, work)
    remaining = 1.0
    for task, share in SHARES.items():
        for_training = session.clock.left - SCORING * args.minutes
        minutes = for_training * share / remaining
        remaining -= share
        try:
            train_task(session, task, work, max(minutes - 0.5, 0.1))  # half a minute to start
        except (UformerError, OSError) as error:
            session.note(f"train {task}", failed=error)
    for task in SHARES:
        score(session, task)


if __name__ == "__main__":
    main()
