"""One job at a time: a lock on a file that goes with the process, however that ends."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from uformer.errors import OptionError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def alone(path: Path, refusal: str) -> Iterator[None]:
    """Inside the block nobody else is in one of the same path. At its end the file goes, and its folder if nothing else is in it.

    Raises OptionError(refusal) while somebody else is, OSError where the file cannot be made. Without locks (Windows, some network disks)
    there is no refusal.
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
    """The file, open and locked."""
    while True:
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except (FileExistsError, FileNotFoundError):
            if path.parent.is_file() or path.parent.is_symlink():
                raise
            continue  # whoever was here made or removed the folder just now
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise OptionError(refusal) from None
        except OSError:
            return file  # a disk that has no locks
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        os.close(file)  # of somebody who ended, and took it away, just now
