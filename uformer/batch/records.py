"""The inputs and outcomes of a job, one image each."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Item:
    """One image to restore."""

    input: str
    """Absolute path or URL."""
    output: str
    """Absolute path or URL."""
    there: bool = False
    """Whether the output exists and only its row in the manifest is missing."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """The outcome of one image: a row of the manifest. Unknown values are None."""

    input: str
    output: str | None
    """None if there is no output."""
    seconds: float | None = None
    """Time to read, restore and write the image, without waiting; None for an output that already existed."""
    size: int | None = None
    """Size of the output in bytes."""
    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    sha256: str | None = None
    """SHA-256 of the output, in hexadecimal."""
    warnings: str | None = None
    """Warnings, joined by "; "."""
    error: str | None = None
    """Why the image failed, in one line; None if it did not."""
