import contextlib
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.train.several import without_what_is_shown


@contextlib.contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes, as on a full disk. Use it briefly: pytest writes files too."""
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


@pytest.fixture
def drawn() -> None:
    """Make the test's runs draw their curves."""


@pytest.fixture(autouse=True)
def nothing_shown(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "drawn" not in request.fixturenames:
        without_what_is_shown(monkeypatch.setattr)
