"""What goes into a job and what comes out of it: one picture each."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Item:
    """One picture to do."""

    input: str
    """A path from the root on, or a URL."""
    output: str
    """Likewise."""
    there: bool = False
    """Whether the output is there already, so that only the manifest lacks it."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What became of one picture: a row of the manifest. What is not known is None."""

    input: str
    output: str | None
    """None where there is none."""
    seconds: float | None = None
    """For reading, restoring and writing it, without waiting; None for an output that was there before."""
    size: int | None = None
    """Bytes of the output."""
    width: int | None = None
    """Pixels."""
    height: int | None = None
    sha256: str | None = None
    """Of the output's bytes, in hexadecimal digits."""
    warnings: str | None = None
    """Joined by "; "."""
    error: str | None = None
    """Why it failed, in one line; None where it did not."""
