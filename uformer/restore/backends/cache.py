"""A disk cache of compiled graphs: compiling takes longer than restoring a small image.

The cache only saves time. Any error in its folder or its files counts as a miss.
"""

import contextlib
import hashlib
import os
from pathlib import Path

import platformdirs

from uformer.files import atomic_file

MAX_FILES = 20
MAX_BYTES = 512 * 2**20
SUFFIX = ".compiled"
_MAGIC = b"uformer-compiled-1\n"
_DIGEST_SIZE = hashlib.sha256().digest_size


def default_cache_dir() -> Path | None:
    """Return $UFORMER_CACHE, or the system's folder for caches; None if the user has no home folder."""
    if chosen := os.environ.get("UFORMER_CACHE"):
        return Path(chosen)
    try:
        folder = platformdirs.user_cache_path("uformer", appauthor=False)
    except RuntimeError:
        return None
    return folder if folder.is_absolute() else None


def load(folder: Path, key: str) -> bytes | None:
    """Return the bytes that `store` kept under `key`; None if they are missing or damaged."""
    path = folder / f"{key}{SUFFIX}"
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, blob = data[len(_MAGIC) : len(_MAGIC) + _DIGEST_SIZE], data[len(_MAGIC) + _DIGEST_SIZE :]
    if not data.startswith(_MAGIC) or hashlib.sha256(blob).digest() != digest:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # `_prune` removes the least recently used files
    return blob


def store(folder: Path, key: str, blob: bytes) -> None:
    """Keep `blob` under `key`, if possible.

    Removes the least recently used files beyond MAX_FILES files or MAX_BYTES bytes.
    """
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with atomic_file(folder / f"{key}{SUFFIX}") as file:
            file.write(_MAGIC + hashlib.sha256(blob).digest() + blob)
        _prune(folder)


def _prune(folder: Path) -> None:
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):  # another process may have removed it
            found.append((path.stat().st_mtime, path.stat().st_size, path))
    kept = size = 0
    for _, length, path in sorted(found, reverse=True):
        kept, size = kept + 1, size + length
        if kept > 1 and (kept > MAX_FILES or size > MAX_BYTES):
            with contextlib.suppress(OSError):
                path.unlink()
