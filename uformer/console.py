"""Where commands print their tables."""

from rich.console import Console


def console_for(*, stderr: bool = False) -> Console:
    """A console that keeps its lines whole where nobody looks at them, and takes what it prints as it is."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    return (
        console
        if console.is_terminal
        else Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=400, soft_wrap=True)
    )
