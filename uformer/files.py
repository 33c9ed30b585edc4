"""What every reader and writer of files needs: whole files or none, short error texts, and extras that may be missing."""

import contextlib
import errno
import importlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from uformer.errors import OptionError

_LONGEST_SUFFIX = 32  # bytes; a temporary name must not be too long where the file's own is not


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its place if the block ends well and disappears if it does not.

    A symbolic link is followed, and a file that is replaced leaves its permissions to the new one. Raises OSError
    where the file cannot be written, and where `path` is something else than a file (a folder, a device).
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "exists and is not a regular file", str(path))
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= _LONGEST_SUFFIX else ""
    temporary = path.parent / f".uformer-{secrets.token_hex(8)}{suffix}"
    try:
        temporary.touch(exist_ok=False)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def one_line(text: object, limit: int = 160) -> str:
    """What a file says of itself, fit for an error message: one line, no control characters, at most `limit` characters."""
    line = "".join(letter if letter.isprintable() else " " for letter in str(text)[: 4 * limit])
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def require(module: str, extra: str) -> ModuleType:
    """Import a module that an extra brings. Raises OptionError with the line that installs it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise OptionError(f'{module} is not installed; run: pip install "uformer[{extra}]"') from None
