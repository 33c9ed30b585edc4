"""What large arrays leave behind."""

import subprocess
import sys

import pytest

from uformer.serve import allocator

CODE = """
import ctypes, sys, threading, psutil
from uformer.serve.allocator import return_large_arrays
if sys.argv[1] == "yes":
    assert return_large_arrays()
allocate = ctypes.CDLL(None).malloc
allocate.restype, free = ctypes.c_void_p, ctypes.CDLL(None).free
free.argtypes = [ctypes.c_void_p]

def work():
    free(allocate(30 * 2**20))  # raises the threshold to 30 MiB, where it may
    large, small = [], []
    for _ in range(40):
        large.append(allocate(2**20))
        ctypes.memset(large[-1], 1, 2**20)
        small.append(allocate(100))  # lies between them, and is kept
    for each in large:
        free(each)

thread = threading.Thread(target=work)
before = psutil.Process().memory_info().rss
thread.start()
thread.join()
print((psutil.Process().memory_info().rss - before) // 2**20)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_large_arrays_are_given_back() -> None:
    grown = {}
    for fixed in ("yes", "no"):
        done = subprocess.run([sys.executable, "-c", CODE, fixed], capture_output=True, text=True, check=True, timeout=60)
        grown[fixed] = int(done.stdout)
    assert grown["yes"] < 5
    assert grown["no"] > grown["yes"], "no longer needed: glibc gives it back by itself"


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not allocator.return_large_arrays()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert not allocator.return_large_arrays()
