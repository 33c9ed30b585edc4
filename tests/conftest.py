"""Settings of every test: one thread, and property tests that give the same answer on each run of CI."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; threads that wait for a busy core are slow

import tempfile

import hypothesis

_cache = tempfile.TemporaryDirectory(prefix="uformer-tests-")  # removed when the tests end
os.environ["UFORMER_CACHE"] = _cache.name

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")
