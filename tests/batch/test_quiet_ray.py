"""Ray sends nothing, and standard error shows only what this program writes."""

import os
import subprocess
import sys

SCRIPT = """
import os, sys
from uformer.batch.quiet_ray import only_ours
with only_ours():
    os.write(2, b"theirs\\n")
    print("ours", file=sys.stderr)
os.write(2, b"after\\n")
print(os.environ["RAY_USAGE_STATS_ENABLED"], file=sys.stderr)
"""


def test_only_ours() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr.splitlines() == ["ours", "after", "0"]


def test_a_stand_in_for_standard_error_stays() -> None:
    from uformer.batch.quiet_ray import only_ours  # imports Ray, which takes seconds

    before = sys.stderr, os.fstat(2)
    with only_ours():
        assert sys.stderr is before[0] or sys.stderr.fileno() != 2
    assert (sys.stderr, os.fstat(2)) == before
