"""Images in a folder whose format is not read: counted by ending, never skipped silently."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from uformer.image import extras, formats

_ENDINGS = {
    *(
        ".apng",
        ".bmp",
        ".bpg",
        ".dcm",
        ".dds",
        ".dib",
        ".dpx",
        ".exr",
        ".fit",
        ".fits",
        ".fts",
        ".gif",
        ".hdr",
    ),
    *(
        ".hdp",
        ".icns",
        ".ico",
        ".j2c",
        ".j2k",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpf",
        ".jpx",
        ".jxl",
        ".jxr",
        ".mpo",
    ),
    *(".pbm", ".pcx", ".pfm", ".pgm", ".pnm", ".ppm", ".psb", ".psd", ".qoi", ".svg", ".tga", ".wdp", ".xcf"),
}
"""Of images that are not read, in lower case."""

_HEAD = 512  # bytes


def is_taken(suffix: str) -> bool:
    """Whether files with this suffix (any case) are read; for some, an extra must be installed."""
    found = formats.read_only(suffix)
    return formats.supports(suffix) if found is None else extras.missing(found) is None


def is_unread_image(path: Path) -> bool:
    """Whether a file is an image, by its ending or its contents, although its suffix is not taken."""
    if path.suffix.lower() in _ENDINGS or formats.read_only(path.suffix):
        return True
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            return formats.is_image(file.read(_HEAD))
    except OSError:
        return False


def reason(path: Path) -> str:
    """Why a file is left out, and what to do."""
    found = formats.read_only(path.suffix)
    command = extras.missing(found) if found else None
    if found and command:
        return f"{found.name} needs an extra; run: {command}"
    if path.suffix.lower() in _ENDINGS:
        return f"{path.suffix.lower()} is not read; convert it to PNG, JPEG, WebP, TIFF or AVIF first"
    return f"its name does not end in one of {', '.join(formats.SUFFIXES)}"


def summary(paths: Iterable[Path]) -> str:
    """One line, `left out: 2 .heic (pip install "uformer[heic]"), 1 .gif`; empty for no paths."""
    counts = Counter(path.suffix.lower() for path in paths)
    parts = []
    for suffix, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        found = formats.read_only(suffix)
        command = extras.missing(found) if found else None
        parts.append(f"{count} {suffix or 'without an ending'}" + (f" ({command})" if command else ""))
    return f"left out: {', '.join(parts)}" if parts else ""
