"""Finds the images in a folder that cannot be read, so that they are reported and not skipped silently."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from uformer.image import extras, formats

_UNSUPPORTED = {
    ".apng", ".bmp", ".bpg", ".dcm", ".dds", ".dib", ".dpx", ".exr", ".fit", ".fits", ".fts",
    ".hdp", ".hdr", ".icns", ".ico", ".j2c", ".j2k", ".jfif", ".jp2", ".jpe", ".jpf", ".jpx", ".jxl",
    ".jxr", ".mpo", ".pbm", ".pcx", ".pfm", ".pgm", ".pnm", ".ppm", ".psb", ".psd", ".qoi", ".svg", ".tga",
    ".wdp", ".xcf",
}  # fmt: skip
"""Suffixes of image formats that are not supported, in lower case."""

_HEAD = 512  # bytes


def is_unread_image(path: Path) -> bool:
    """Return whether a file that was not selected is an image, judged by its suffix or its contents."""
    if path.suffix.lower() in _UNSUPPORTED or extras.with_extra(path.suffix):
        return True
    return formats.is_image(_head(path))


def refused_by_contents(path: Path) -> str | None:
    """Return why a file cannot be read whatever its name, judged by its contents; None if it may be read."""
    head = _head(path)
    why = formats.describe(head)
    return None if formats.sniff(head) is not None or why == formats.NONE_OF_OURS else why


def _head(path: Path) -> bytes:
    """Return the first bytes of a file; none if it cannot be read."""
    try:
        if not path.is_file():
            return b""
        with open(path, "rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""


def reason(path: Path) -> str:
    """Return why an image is left out, and what to do."""
    found = extras.with_extra(path.suffix)
    command = extras.missing(found) if found else None
    if found and command:
        return f"{found.name} needs an extra; run: {command}"
    if path.suffix.lower() in _UNSUPPORTED:
        return f"{path.suffix.lower()} is not supported; convert the image to PNG, JPEG, WebP, TIFF or AVIF"
    return f"the suffix {path.suffix!r} is not one of {', '.join(formats.SUFFIXES)}"


def summary(paths: Iterable[Path]) -> str:
    """Return `left out: 2 .heic (pip install "uformer[heic]"), 1 .bmp`, for example; empty without paths."""
    counts = Counter(path.suffix.lower() for path in paths)
    parts = []
    for suffix, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        found = extras.with_extra(suffix)
        command = extras.missing(found) if found else None
        parts.append(f"{count} {suffix or 'without a suffix'}" + (f" ({command})" if command else ""))
    return f"left out: {', '.join(parts)}" if parts else ""
