"""Hostile files of every format in a separate process: no crash, hang or noise, and one typed error each.

A short run here; `make fuzz` runs longer (UFORMER_FUZZ_SECONDS), each minute with another seed (from
UFORMER_FUZZ_SEED on).
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.image import fuzz

SECONDS = float(os.environ.get("UFORMER_FUZZ_SECONDS", "8"))
SEED = int(os.environ.get("UFORMER_FUZZ_SEED", "0"))
ROUND = 60.0
ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(SECONDS + 120)
def test_hostile_files(tmp_path: Path) -> None:
    end = time.monotonic() + SECONDS
    seed = SEED
    while (left := end - time.monotonic()) > 0:
        command = [sys.executable, "-m", "tests.image.fuzz", str(seed), str(min(left, ROUND)), str(tmp_path)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ROUND + 100,
            cwd=ROOT,
            check=False,
        )
        assert done.returncode == 0, (
            f"seed {seed}, exit code {done.returncode}, files in {tmp_path}\n{done.stdout}{done.stderr}"
        )
        assert done.stderr == "", f"seed {seed} made noise"
        print(done.stdout.strip())
        seed += 1


@pytest.mark.parametrize("name", fuzz.seeds())
def test_each_seed_is_sound(name: str) -> None:
    assert fuzz.check(fuzz.seeds()[name])


def test_cases_can_be_made_again() -> None:
    files = fuzz.seeds()
    assert fuzz.case(3, 14, files) == fuzz.case(3, 14, files) != fuzz.case(3, 15, files)


def test_a_broken_promise_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_args: object, **_kwargs: object) -> None:
        raise OverflowError("one two three")

    monkeypatch.setattr(fuzz, "header", broken)
    findings = list(fuzz.run(0, 0.2, tmp_path))
    assert findings
    assert "OverflowError: one two three" in findings[0]
