"""Use half an hour of one strong GPU: check it, time it, train all three tasks on a clock, and score the results.

    python training/gpu_half_hour.py DATA OUT [--minutes 30] [--dev DEV] [--device cuda]

DATA is a folder of clean images. OUT must be new or empty; it receives everything worth keeping, in files under 16 MiB:

    gpu.json                          inference and training speed of uformer_t, uformer_s and uformer_b
    uformer_t.TASK.trunk.safetensors  weights at the constant learning rate (float16); the next trunk starts from them
    uformer_t.TASK.safetensors        weights after the decay (float16), written every few minutes while they train
    scores.TASK.json                  `benchmarks/quality.py DEV` of the trained weights, where --dev is given
    summary.json                      what ran, how long, how many patches, and what failed

The clock starts with the script. A phase that fails is reported, and the next one runs. Interrupt the script at any time: OUT is whole.
Rehearse it without a GPU: `--device cpu --minutes 5`.
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
from uformer.train.folder import read_config
from uformer.weights.checkpoint import write_half

ROOT = Path(__file__).parents[1]
SHARES = {"denoise": 0.55, "derain": 0.25, "deblur": 0.20}
"""Of the time left for training."""
DECAY = 0.2
"""Share of a task's training in which the learning rate falls."""
TIMING, SCORING = 0.12, 0.12
"""Shares of the whole time for benchmarks/gpu.py and for the scores."""
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
    """Minutes since the start, out of those given."""

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
    """What the phases share: the clock, the folders, and the summary, which is written after each phase."""

    data: Path
    out: Path
    device: str
    clock: Clock
    dev: Path | None
    extra: list[str] = field(default_factory=list)
    """Settings that the smoke run found necessary."""
    summary: list[dict[str, object]] = field(default_factory=list)

    def note(self, phase: str, **facts: object) -> None:
        self.summary.append({"phase": phase, "ended_at_minute": round(self.clock.passed, 2), **facts})
        (self.out / "summary.json").write_text(json.dumps(self.summary, indent=1) + "\n")
        print(
            f"[{self.clock.passed:5.1f} min] {phase}: {', '.join(f'{key} {value}' for key, value in facts.items())}",
            flush=True,
        )

    def run(self, words: list[str], *, minutes: float) -> int:
        """The exit code of a Python command; 124 where it did not end within `minutes`. Its output is shown as it comes."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        }
        try:
            command = [sys.executable, *words]
            return subprocess.run(
                command, env=environment, check=False, timeout=max(60 * minutes, 1)
            ).returncode  # noqa: S603 - our own
        except subprocess.TimeoutExpired:
            return 124

    def train(self, task: str, folder: Path, settings: list[str], *, minutes: float, fresh: bool) -> int:
        """One `uformer train` run. Its start-up (decoding, compiling) may take three minutes more than `minutes`."""
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
    """Fail early and in words: a device that is missing, or on which a product of matrices is wrong."""
    device = torch.device(session.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("this torch sees no CUDA device; rehearse with --device cpu")
    matrix = torch.arange(256.0).reshape(16, 16)
    if not torch.allclose((matrix.to(device) @ matrix.to(device)).cpu(), matrix @ matrix):
        sys.exit(f"{session.device}: a product of two matrices is wrong on this device")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    free = shutil.disk_usage(session.out).free // 10**9
    session.note("device", name=name, torch=torch.__version__, cores=os.cpu_count(), disk_free_gb=free)


def time_networks(session: Session) -> None:
    """The table of benchmarks/gpu.py. A training run says by itself how many patches a second its loader can make."""
    minutes = TIMING * session.clock.minutes
    words = [str(ROOT / "benchmarks" / "gpu.py"), "--device", session.device, "--minutes", str(minutes)]
    code = session.run([*words, "--json", str(session.out / "gpu.json")], minutes=minutes + 2)
    session.note("timing", exit_code=code)


def smoke(session: Session, work: Path) -> None:
    """A few steps of the very command that trains. Where they fail compiled, training runs without torch.compile."""
    for extra in ([], ["compile=never"]):
        session.extra = extra
        folder = work / f"smoke{len(extra)}"
        code = session.train("denoise", folder, ["steps=4", "warmup=0"], minutes=3, fresh=True)
        session.note("smoke run", settings=" ".join(extra) or "as they are", exit_code=code)
        if code == 0:
            return
    sys.exit("no training run works on this device: see above")


def train_task(session: Session, task: str, work: Path, minutes: float) -> None:
    """A trunk at a constant learning rate, then its decay; both are published into OUT, the newest weights every few minutes."""
    folder, published = work / task, session.out / f"uformer_t.{task}.safetensors"
    trunk = minutes * (1 - DECAY)
    with Publisher(folder / "last.safetensors", published):
        code = session.train(task, folder, ["decay=0", f"minutes={trunk:.3f}"], minutes=trunk, fresh=True)
    if code == 0:
        write_half(
            folder / "last.safetensors",
            published.with_suffix(".trunk.safetensors"),
            {"recipe": f"{task}: trunk of a GPU run"},
        )
        with Publisher(folder / "last.safetensors", published):
            settings = [f"minutes={minutes:.3f}", f"decay={DECAY}"]
            code = session.train(task, folder, settings, minutes=minutes - trunk, fresh=False)
    session.note(f"train {task}", exit_code=code, minutes=round(minutes, 2), patches=patches_seen(folder))


class Publisher:
    """While it is open, and once more when it closes: writes a run's newest weights to a file as float16."""

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
        """uformer train replaces files whole, so that a read never meets half a file."""
        if self._newest.exists():
            write_half(self._newest, self._published, {"recipe": "a GPU run, see summary.json"})


def patches_seen(folder: Path) -> int:
    """How many patches a run has learned from so far, by its log."""
    log, config = folder / "log.jsonl", folder / "config.yaml"
    if not log.exists():
        return 0
    steps = [json.loads(line).get("step", 0) for line in log.read_text().splitlines()]
    return int(max(steps, default=0) * read_config(config)["recipe"].batch)


def score(session: Session, task: str) -> None:
    """The rows of benchmarks/quality.py for the task: the shipped weights' scores stand in the model card."""
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
        "--dev", type=Path, help="folder of images with ground truth, as benchmarks/quality.py takes it"
    )
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    args = parser.parse_args()

    if not args.data.is_dir():
        parser.error(f"{args.data}: no such folder of clean images")
    args.out.mkdir(parents=True, exist_ok=True)
    if any(args.out.iterdir()):
        parser.error(f"{args.out}: not empty; name a new folder")
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
