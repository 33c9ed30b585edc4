"""Where the command `uformer` begins, and `python -m uformer`."""

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_INTERRUPTED = 130


def main() -> int:
    """Run a command of `sys.argv` and return the exit code.

    Ctrl-C while the command line is being imported ends at once, silently. Before this runs there is Python's own start, of which no
    package can have a say, and the import of `uformer` itself, which therefore takes a few milliseconds only.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    from uformer.cli import main as run  # noqa: PLC0415 - takes a third of a second, in which Ctrl-C should show no traceback
    from uformer.signals import leave, second_ctrl_c_ends  # noqa: PLC0415

    signal.signal(signal.SIGINT, before)
    second_ctrl_c_ends()
    return leave(run())


def _leave(_number: int, _frame: "FrameType | None") -> None:
    os._exit(_INTERRUPTED)  # an exception could be lost in the middle of an import


if __name__ == "__main__":
    sys.exit(main())
