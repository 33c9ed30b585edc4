"""The health check of the container: `python -m uformer.serve.healthy` exits with 0 if the server runs.

It finds the server among the processes, so it follows `--host` and `--port`.
"""

import contextlib
import sys
import urllib.request
from collections.abc import Iterable

import psutil

_SECONDS = 3.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a name, not a bind


def address(processes: Iterable[psutil.Process]) -> str | None:
    """Return host and port on which the first `uformer serve` listens; None if there is none."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if "serve" not in process.cmdline():
                continue
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    host = _ANY.get(connection.laddr.ip, connection.laddr.ip)
                    return f"{f'[{host}]' if ':' in host else host}:{connection.laddr.port}"
    return None


def main(processes: Iterable[psutil.Process] | None = None) -> int:
    """Return 0 if the server answers, otherwise 1. `processes`: where to look for it; default: everywhere."""
    found = address(psutil.process_iter() if processes is None else processes)
    if found is None:
        print("no uformer serve is running", file=sys.stderr)
        return 1
    try:
        with urllib.request.urlopen(f"http://{found}/healthz", timeout=_SECONDS):
            return 0
    except OSError as error:
        print(f"{found} does not answer: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
