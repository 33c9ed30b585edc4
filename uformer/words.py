"""Counts in messages, so that none says "1 images"."""


def counted(count: int, noun: str) -> str:
    """The count and the noun, with an s unless the count is 1."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
