"""Hidden folders in which files are created, and the removal of those that dead processes left.

A staging folder is called .uformer-PLACE-HOST-RANDOM. Its process holds a lock on it (flock), which the
system releases when the process ends, however it ends. The next process that creates files in the same parent
folder removes a staging folder

- whose lock is free. This counts only where PLACE is the same: PLACE stands for the running kernel and the
  mounted file system, and only two processes that share both see each other's locks (a network share may be
  in use by other machines);
- or that was created on the machine HOST before that machine last started.

Any other folder stays: its process may be alive.
"""

import contextlib
import functools
import hashlib
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = ".uformer-"
_NAME = re.compile(re.escape(PREFIX) + "([0-9a-f]{8})-([0-9a-f]{8})-[0-9a-f]{16}")
_NO_LOCK = "0" * 8  # the PLACE of a folder that could not be locked


@contextlib.contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, which only this user can read; removed at the end with everything in it.

    Raises OSError if it cannot be created.
    """
    sweep(parent)
    folder, lock = _create(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


@functools.lru_cache(maxsize=4096)  # once per folder, because listing a large one takes time
def sweep(parent: Path) -> None:
    """Remove the staging folders in `parent` that dead processes left."""
    with contextlib.suppress(OSError):
        for name in os.listdir(parent):  # noqa: PTH208 - creating a million paths would be slow
            if found := _NAME.fullmatch(name):
                _remove_abandoned(parent / name, *found.groups())


def _remove_abandoned(folder: Path, place: str, host: str) -> None:
    """Remove a staging folder unless its process may be alive."""
    with contextlib.suppress(OSError):  # it is locked, has disappeared, or belongs to another user
        if place != _NO_LOCK and place == _place(folder.parent):
            lock = _lock(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
        elif host == _short_hash(platform.node()) and folder.lstat().st_mtime < _started():
            shutil.rmtree(folder, ignore_errors=True)


def _create(parent: Path) -> tuple[Path, int | None]:
    """A new staging folder, and the descriptor that holds its lock (None if folders cannot be locked)."""
    place = _place(parent)
    while True:
        folder = _make(parent, place)
        try:
            lock = _lock(folder)
        except (FileNotFoundError, BlockingIOError):
            continue  # a sweep removed or locked it first
        except OSError:
            folder.rmdir()
            return _make(parent, _NO_LOCK), None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), folder.stat()):
                return folder, lock
        os.close(lock)  # a sweep removed the folder before it was locked


def _make(parent: Path, place: str) -> Path:
    folder = parent / f"{PREFIX}{place}-{_short_hash(platform.node())}-{secrets.token_hex(8)}"
    folder.mkdir(mode=0o700)
    return folder


def _lock(folder: Path) -> int:
    """A descriptor that holds the folder's lock.

    Raises BlockingIOError if another process holds it, FileNotFoundError if the folder does not exist, and
    OSError if the system cannot lock it.
    """
    if fcntl is None:
        raise OSError("this system cannot lock folders")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _place(parent: Path) -> str:
    """A hash that stands for the running kernel and the file system mounted at `parent`."""
    return _short_hash(f"{_kernel()} {parent.stat().st_dev}")


@functools.cache
def _kernel() -> str:
    """A text that differs between machines and, on Linux, between two starts of one machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return platform.node()


def _started() -> float:
    """When this machine started, in seconds since 1970."""
    import psutil  # noqa: PLC0415 - rarely needed, and slow to import

    return float(psutil.boot_time())


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
