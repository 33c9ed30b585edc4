"""Running the application, and stopping it without losing images."""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from functools import partial
from types import FrameType

import uvicorn

from uformer.serve.app import create_app
from uformer.serve.connection import MOST, Connection
from uformer.serve.security import access_log
from uformer.serve.service import Service

_HEADER_BYTES = 32 * 2**10
_LAST_WORDS = 0.5  # seconds in which interrupted requests receive their response
_POLL = 0.05  # seconds between checks of what still runs


class Server(uvicorn.Server):
    """A uvicorn server that stops gracefully.

    On SIGTERM it refuses new images, finishes those in progress, and hands out results; all of it takes at
    most `grace` seconds. On SIGINT it does not wait for results to be fetched. A second signal of either kind
    ends the wait. What is then still in progress is refused; its work stops at the next tile.
    """

    def __init__(self, service: Service, *, log: bool = False) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(service),
                access_log=False,  # `Guard` logs requests, with their duration and size
                h11_max_incomplete_event_size=_HEADER_BYTES,
                http=partial(Connection, min_rate=service.settings.min_rate),  # type: ignore[arg-type] # a class to uvicorn
                limit_concurrency=MOST + 1,  # a new connection is counted before the idle one is closed
                log_level="info" if log else "warning",
                server_header=False,
                timeout_keep_alive=15,
                ws="none",
            )
        )
        self._service = service
        self._signals: list[int] = []
        if log:
            log_requests()

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C stopped the server."""
        return signal.SIGINT in self._signals

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        self._signals.append(sig)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal arrives."""
        waiter = asyncio.create_task(self._stop_on_signal())
        try:
            await super().serve(sockets)
        finally:
            waiter.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiter

    async def _stop_on_signal(self) -> None:
        while not self._signals:
            await asyncio.sleep(_POLL)
        service = self._service
        until = time.monotonic() + service.settings.grace
        service.engine.drain()

        def has_work() -> bool:
            unfetched = service.store.unfetched and self._signals == [signal.SIGTERM]
            return not service.idle or bool(unfetched)

        while has_work() and len(self._signals) == 1 and time.monotonic() < until:
            await asyncio.sleep(_POLL)
        if not service.idle:
            service.engine.interrupt()
            service.blender.interrupt()
        left = until - time.monotonic() if len(self._signals) == 1 else 0
        # uvicorn waits this long for responses to be sent.
        self.config.timeout_graceful_shutdown = max(left, _LAST_WORDS)  # type: ignore[assignment] # any number
        self.should_exit = True


def log_requests() -> None:
    """Write the access log to standard error, one line for each request, beginning with the time (UTC)."""
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    access_log.handlers = [handler]
    access_log.setLevel(logging.INFO)
    access_log.propagate = False
