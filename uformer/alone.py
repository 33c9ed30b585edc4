"""One job at a time: a file lock that the system releases when the process ends, however it ends."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from uformer.errors import OptionError


class Busy(OptionError):  # noqa: N818 - a kind of OptionError, whose name says Error
    """Somebody else holds the lock."""


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def alone(path: Path, refusal: str) -> Iterator[None]:
    """Hold the lock on `path` inside the block; at the end, remove the file, and its folder if that is empty.

    Raises Busy(refusal) if somebody else holds the lock, and OSError if the file cannot be created.
    Where there are no locks (Windows, some network disks), nothing is refused.
    """
    if fcntl is None:
        yield
        return
    file = _locked(path, refusal)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _locked(path: Path, refusal: str) -> int:
    """Open and lock the file, and return its descriptor."""
    while True:
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except (FileExistsError, FileNotFoundError):
            if path.parent.is_file() or path.parent.is_symlink():
                raise
            continue  # another process has just created or removed the folder
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise Busy(refusal) from None
        except OSError:
            return file  # the disk does not support locks
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        os.close(file)  # its last owner has just removed it
