"""Running the application, and stopping it without losing images."""

import asyncio
import contextlib
import signal
import socket
import time
from functools import partial
from types import FrameType

import uvicorn

from uformer.serve.app import create_app
from uformer.serve.connection import MOST, Connection
from uformer.serve.service import Service

_HEADER_BYTES = 32 * 2**10
_POLL = 0.05  # seconds between checks of what still runs


class Server(uvicorn.Server):
    """A uvicorn server that stops gracefully.

    On SIGTERM it refuses new images, finishes those in progress, and hands out results for at most `grace`
    seconds. On SIGINT it does not wait for results to be fetched. A second signal of either kind stops the
    work at the next tile.
    """

    def __init__(self, service: Service, *, access_log: bool = False) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(service),
                access_log=access_log,
                h11_max_incomplete_event_size=_HEADER_BYTES,
                http=partial(Connection, min_rate=service.settings.min_rate),  # type: ignore[arg-type] # a class to uvicorn
                limit_concurrency=MOST + 1,  # a new connection is counted before the idle one is closed
                log_level="info" if access_log else "warning",
                server_header=False,
                timeout_graceful_shutdown=10,
                timeout_keep_alive=15,
                ws="none",
            )
        )
        self._service = service
        self._signals: list[int] = []

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
        engine, store = self._service.engine, self._service.store
        engine.drain()
        while not self._service.idle and len(self._signals) == 1:
            await asyncio.sleep(_POLL)
        until = time.monotonic() + self._service.settings.grace
        while store.unfetched and time.monotonic() < until and self._signals == [signal.SIGTERM]:
            await asyncio.sleep(_POLL)
        self.should_exit = True
