"""Helpers for files: atomic writes, checksums, one-line messages, and imports of optional packages."""

import contextlib
import errno
import hashlib
import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Literal

from uformer.errors import OptionError
from uformer.staging import staging, sweep

Times = Literal["now", "keep"]
"""The modification time of an output: that of the writing, or that of the input."""

_REFUSALS = {errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}
"""Error codes from file systems without permissions or without fsync (exFAT, some network shares)."""


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """An open file that replaces `path` if the block succeeds, and disappears if it raises.

    Like `atomic_path`, but where the system supports files without a name (Linux: O_TMPFILE), even a killed
    process leaves nothing behind.
    """
    path = _place_of(path)
    sweep(path.parent)
    descriptor = _open_unnamed(path.parent)
    if descriptor is None:
        with atomic_path(path) as temporary, open(temporary, "w+b") as file:
            yield file
        return
    with open(descriptor, "w+b") as file:
        yield file
        file.flush()
        _sync(file)
        _give_name(file, path)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path that replaces `path` if the block succeeds, and disappears if it raises.

    It has the same name as `path`, in a folder of its own, which may hold other temporary files too. A
    symbolic link is followed, and the new file inherits the permissions of the file that it replaces. The
    next process removes what a killed process left (see `staging`). Raises OSError if the file cannot be
    written, or if `path` is not a file but a folder or a device.
    """
    path = _place_of(path)
    with staging(path.parent) as folder:
        temporary = folder / path.name
        temporary.touch()
        yield temporary
        with open(temporary, "rb+") as file:
            _sync(file)
        _replace(temporary, path)


def _place_of(path: Path) -> Path:
    """The path with symbolic links resolved.

    Raises FileExistsError if something other than a file lies there.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "exists and is not a regular file", str(path))
    return path


def _open_unnamed(folder: Path) -> int | None:
    """Open a new file without a name in a folder; None if the system does not support such files."""
    if not hasattr(os, "O_TMPFILE"):
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    except OSError:  # not supported, or the folder is unusable, which `atomic_path` will report
        return None


def _give_name(file: BinaryIO, path: Path) -> None:
    """Give a file without a name its path."""
    if not path.exists():
        with contextlib.suppress(OSError):  # the file has just been created, or the file system has no links
            _link(file, path)
            return
    with staging(path.parent) as folder:  # a link cannot replace a file, a rename can
        temporary = folder / path.name
        try:
            _link(file, temporary)
        except OSError:
            file.seek(0)
            with open(temporary, "wb") as copy:
                shutil.copyfileobj(file, copy, 2**20)
                copy.flush()
                _sync(copy)
        _replace(temporary, path)


def _link(file: BinaryIO, path: Path) -> None:
    folder = os.open(path.parent, os.O_PATH)
    try:
        os.link(f"/proc/self/fd/{file.fileno()}", path.name, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _replace(temporary: Path, path: Path) -> None:
    if path.exists():
        with _where_possible():
            shutil.copymode(path, temporary)
    temporary.replace(path)


def keep_time(source: Path, output: Path) -> None:
    """Give a file the modification time of another, where the file system supports it. Raises OSError."""
    with _where_possible():
        os.utime(output, ns=(output.stat().st_atime_ns, source.stat().st_mtime_ns))


def _sync(file: BinaryIO) -> None:
    with _where_possible():
        os.fsync(file.fileno())


@contextlib.contextmanager
def _where_possible() -> Iterator[None]:
    """Ignore that the file system does not support an operation; a full or broken disk is still an error."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError if the file cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def one_line(text: object, limit: int = 160) -> str:
    """Text for a message: one line, without control characters, of at most `limit` characters."""
    line = "".join(letter if letter.isprintable() else " " for letter in str(text)[: 4 * limit])
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def require_folder(folder: Path, advice: str = "", *, shown: str = "") -> None:
    """Raise OptionError unless `folder` is a folder. The message ends with `advice`.

    `shown`: how the message names the folder; by default, its path.
    """
    if not folder.is_dir():
        problem = "is a file; give a folder" if folder.exists() else "no such folder"
        raise OptionError(f"{shown or folder}: {problem}" + (advice and f"; {advice}"))


def require(module: str, extra: str) -> ModuleType:
    """Import a module that an extra installs. Raises OptionError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise OptionError(f'{module} is not installed; run: pip install "uformer[{extra}]"') from None
