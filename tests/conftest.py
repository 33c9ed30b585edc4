"""Settings for all tests: compiling, threads, Ctrl-C, property tests in CI, processes; and a browser."""

import os

# Set before torch is imported: threads that wait for a busy core are slow.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

# The README's command lets pip compile nothing. Python stores what it compiles, or each process that a test
# starts would compile all its modules anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A background job of a script ignores Ctrl-C, and the commands that the tests start would inherit this.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER" not in os.environ:  # workers share the folder of the process that starts them
    _cache = tempfile.TemporaryDirectory(prefix="uformer-tests-")  # removed when the tests end
    os.environ["UFORMER_CACHE"] = _cache.name

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each module to one process, and tests/export as a whole: its modules share an export of 20 s."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # a library without types
        def _split_scope(self, nodeid: str) -> str:
            return "tests/export" if nodeid.startswith("tests/export/") else super()._split_scope(nodeid)

    return Scheduling(config, log)


@pytest.fixture(scope="module")  # while it is open, no other test of the process can run an event loop
def browser() -> Iterator[Any]:
    """Yield a Chromium; tests that use it have the marks of tests/serve/visits.py."""
    from playwright.sync_api import expect, sync_playwright

    from tests.serve.visits import CHROMIUM

    expect.set_options(timeout=30_000)  # the default, 5 seconds, is too short for a busy machine
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(  # CI runs as root, which the sandbox does not support
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        yield browser
        browser.close()
