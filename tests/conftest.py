"""Settings of every test: few threads, and property tests that give the same answer on each run of CI."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before torch is imported; more only get in each other's way on small networks

import hypothesis

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")
