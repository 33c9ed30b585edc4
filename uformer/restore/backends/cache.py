"""A disk cache: compiled graphs, which take longer to make than a small image takes, and checks of devices.

The cache only saves time. Any error in its folder or its files counts as a miss.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from uformer.files import atomic_file
from uformer.weights.checkpoint import State

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


def key_of(about: Mapping[str, Any], state: State, sources: Iterable[bytes] = ()) -> str:
    """Return a key for what depends on JSON values, the tensors of a network, and source files."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for source in sources:
        digest.update(source)
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode() + tensor.tobytes())
    return digest.hexdigest()


def load(folder: Path, key: str, suffix: str = SUFFIX) -> bytes | None:
    """Return the bytes that `store` kept under `key`; None if they are missing or damaged."""
    path = folder / f"{key}{suffix}"
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


def store(folder: Path, key: str, blob: bytes, suffix: str = SUFFIX) -> None:
    """Keep `blob` under `key`, if possible.

    Removes the least recently used files of this suffix beyond MAX_FILES files or MAX_BYTES bytes.
    """
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with atomic_file(folder / f"{key}{suffix}") as file:
            file.write(_MAGIC + hashlib.sha256(blob).digest() + blob)
        _prune(folder, suffix)


def _prune(folder: Path, suffix: str) -> None:
    found = []
    for path in folder.glob(f"*{suffix}"):
        with contextlib.suppress(OSError):  # another process may have removed it
            found.append((path.stat().st_mtime, path.stat().st_size, path))
    kept = size = 0
    for _, length, path in sorted(found, reverse=True):
        kept, size = kept + 1, size + length
        if kept > 1 and (kept > MAX_FILES or size > MAX_BYTES):
            with contextlib.suppress(OSError):
                path.unlink()
