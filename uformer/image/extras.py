"""Finds out whether the extra that a format needs is installed, and how to install it."""

import importlib.util

from uformer.image import formats
from uformer.image.formats import Format

_EXTRAS = {
    formats.HEIC.name: ("pillow_heif", "heic"),
    formats.RAW.name: ("rawpy", "raw"),
    formats.ZARR.name: ("zarr", "zarr"),
}
"""For each format: the module that reads it, and the extra of this package that installs the module."""


def missing(picture_format: Format) -> str | None:
    """The command that installs the extra for a format; None if the format can be read already."""
    if picture_format.name not in _EXTRAS:
        return None
    module, extra = _EXTRAS[picture_format.name]
    return None if _is_installed(module) else f'pip install "uformer[{extra}]"'


def with_extra(suffix: str) -> Format | None:
    """The format of a suffix that needs an extra to be read; None for any other suffix."""
    found = formats.ZARR if suffix.lower() in formats.ZARR.suffixes else formats.read_only(suffix)
    return found if found and found.name in _EXTRAS else None


def can_read(suffix: str) -> bool:
    """Whether images with this suffix (".heic", any case) can be read with the installed extras."""
    found = with_extra(suffix)
    return formats.is_known(suffix) if found is None else missing(found) is None


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
