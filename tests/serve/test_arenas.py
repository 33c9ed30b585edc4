"""Memory that threads leave in the allocator's arenas."""

import subprocess
import sys

import pytest

from uformer import allocator

CODE = """
import ctypes, sys, threading, psutil
from uformer.allocator import share_arenas
if sys.argv[1] == "yes":
    assert share_arenas()
allocate, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
allocate.restype, free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
turn = threading.Barrier(9)

def work(number):
    for at in range(8):
        if at == number:  # in turn, each thread allocates 16 MiB and frees all but a few bytes at the end
            blocks = [allocate(100_000) for _ in range(160)]
            for block in blocks:
                ctypes.memset(block, 1, 100_000)
            kept = allocate(100)
            for block in blocks:
                free(block)
        turn.wait()
    turn.wait()  # a thread that ends would hand its arena to the next

threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
before = psutil.Process().memory_info().rss
for each in threads:
    each.start()
for _ in range(8):
    turn.wait()
print((psutil.Process().memory_info().rss - before) // 2**20)
turn.wait()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_what_one_thread_frees_serves_the_next() -> None:
    grown = {}
    for shared in ("yes", "no"):
        done = subprocess.run(
            [sys.executable, "-c", CODE, shared], capture_output=True, text=True, check=True, timeout=60
        )
        grown[shared] = int(done.stdout)
    assert grown["yes"] < 60 < grown["no"]


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not allocator.share_arenas()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert not allocator.share_arenas()
