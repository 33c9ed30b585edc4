"""Settings for all tests: one thread, a working Ctrl-C, and deterministic property tests in CI."""

import os

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before torch is imported; threads waiting for a busy core are slow

import signal
import tempfile

import hypothesis

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # as in a background job; the commands that the tests start would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

_cache = tempfile.TemporaryDirectory(prefix="uformer-tests-")  # removed when the tests end
os.environ["UFORMER_CACHE"] = _cache.name

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")
