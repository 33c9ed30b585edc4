"""Where commands print their tables."""

from rich.console import Console


def console_for(*, stderr: bool = False) -> Console:
    """A console without markup; if its output is not a terminal, it does not wrap lines."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    return (
        console
        if console.is_terminal
        else Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=400, soft_wrap=True)
    )
