"""Numbers in words: one helper, so that nobody writes "1 pictures"."""


def counted(count: int, noun: str) -> str:
    """The count and the noun, which takes an s unless the count is 1."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
