import contextlib
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest


@contextlib.contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Lets no file grow beyond a size in bytes, as a full disk would; no longer than needed, as pytest writes to a file too."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


@pytest.fixture
def small_files() -> Callable[[int], AbstractContextManager[None]]:
    return no_file_beyond
