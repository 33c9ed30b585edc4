"""The entry point of the command `uformer` and of `python -m uformer`."""

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_INTERRUPTED = 130


def main() -> int:
    """Run the command in `sys.argv` and return the exit code.

    Ctrl-C during the import of the command line ends the process at once and silently. Before this function
    runs, Python itself starts, which no package can influence, and `uformer` is imported, which is why that
    import is kept to a few milliseconds.
    """
    _open_closed_streams()
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    # This import takes a third of a second. Ctrl-C should not show a traceback in that time.
    from uformer.cli import main as run  # noqa: PLC0415
    from uformer.signals import leave, second_ctrl_c_ends  # noqa: PLC0415

    signal.signal(signal.SIGINT, before)
    second_ctrl_c_ends()
    return leave(run())


def _open_closed_streams() -> None:
    """Connect each standard stream that the caller closed (`2>&-`) to the null device.

    Python sets such a stream to None, and the next file to be opened gets its number. What libraries print
    would then go into that file.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - open until the process ends


def _leave(_number: int, _frame: "FrameType | None") -> None:
    os._exit(_INTERRUPTED)  # an exception raised during an import could be swallowed


if __name__ == "__main__":
    sys.exit(main())
