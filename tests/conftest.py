"""Settings for all tests: one thread, working Ctrl-C, and property tests that are deterministic in CI."""

import os

# Set before torch is imported: threads that wait for a busy core are slow.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal
import tempfile

import hypothesis

# A background job of a script ignores Ctrl-C, and the commands that the tests start would inherit this.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER" not in os.environ:  # workers share the folder of the process that starts them
    _cache = tempfile.TemporaryDirectory(prefix="uformer-tests-")  # removed when the tests end
    os.environ["UFORMER_CACHE"] = _cache.name

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")
