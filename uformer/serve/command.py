"""`uformer serve`."""

import errno
import os
import socket
import sys
import warnings
import webbrowser
from typing import Annotated

from cyclopts import Parameter

from uformer import child
from uformer.allocator import share_arenas
from uformer.files import require
from uformer.restore.options import RestoreOptions
from uformer.serve.settings import Settings
from uformer.signals import INTERRUPTED, end_now


def serve(
    *,
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),
    options: Annotated[RestoreOptions, Parameter(name="*")] = RestoreOptions(),
    browser: bool | None = None,
    verbose: bool = False,
) -> int:
    """Start a local server with a web page and an HTTP API for restoring images.

    By default, the server listens on this machine only. It writes no image to disk and opens no outgoing
    connection. The options of `uformer restore` apply to requests that do not set them. With several devices
    (--device cuda:0,cuda:1), one worker runs on each.

    Parameters
    ----------
    browser
        Open the page in a browser. The default is to open it if there is a screen and a terminal.
    verbose
        Log one line per request to standard error: time, client, request, status, bytes, seconds.
    """
    for module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        require(module, "serve")
    from uformer.serve.server import Server  # noqa: PLC0415 - the extra may be missing
    from uformer.serve.service import Service  # noqa: PLC0415

    share_arenas()
    service = Service.build(settings, options)
    listener = listen(settings.host, settings.port)
    url = page_url(settings, listener.getsockname()[1])
    plain = url.partition("#")[0]
    server = Server(service, log=verbose)
    shown = url if sys.stdout.isatty() else plain  # keep the token out of logs
    print(f"{shown}  (API: {plain}docs; press Ctrl-C to stop)", flush=True)
    if browser or (browser is None and settings.local and has_screen()):
        webbrowser.open(url)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_args, **_kwargs: print(
            f"uformer: {message}", file=sys.stderr, flush=True
        )
        server.run(sockets=[listener])
    code = INTERRUPTED if server.interrupted else 0
    child.end_all()  # a device that is being checked, or weights that are being exported
    if service.engine.busy:  # in the middle of a tile, which can take longer than a stopping server has
        end_now(code)
    return code


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises OSError if the address is not available."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=256)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        hint = "; choose another --port" if error.errno == errno.EADDRINUSE else ""
        raise OSError(error.errno, f"cannot listen: {reason}{hint}", f"{host}:{port}") from None


def page_url(settings: Settings, port: int) -> str:
    """Return the address of the page, with the token if there is one.

    The token follows the #, so browsers never send it in a request line.
    """
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(settings.host, settings.host)  # noqa: S104 - a name, not a bind
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{host}:{port}/" + (f"#token={settings.token}" if settings.token else "")


def has_screen() -> bool:
    """Return whether there is a terminal and a graphical screen."""
    graphical = sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    return sys.stdout.isatty() and graphical
