"""Running the application until it is told to stop, and stopping so that nobody loses a picture."""

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
_LOOK = 0.05  # seconds between looks at what still runs


class Server(uvicorn.Server):
    """Told to stop, it refuses new pictures, finishes those at work, hands out results for `grace` seconds at most, then ends.

    SIGINT does not wait for results to be fetched; a second signal of either kind stops at the next tile.
    """

    def __init__(self, service: Service, *, access_log: bool = False) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(service),
                access_log=access_log,
                h11_max_incomplete_event_size=_HEADER_BYTES,
                http=partial(Connection, min_rate=service.settings.min_rate),  # type: ignore[arg-type] # a class to uvicorn
                limit_concurrency=MOST + 1,  # a new one counts before the one that makes room is gone
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
        """Whether Ctrl-C stopped it."""
        return signal.SIGINT in self._signals

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        self._signals.append(sig)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes."""
        waiter = asyncio.create_task(self._stop_when_told())
        try:
            await super().serve(sockets)
        finally:
            waiter.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiter

    async def _stop_when_told(self) -> None:
        while not self._signals:
            await asyncio.sleep(_LOOK)
        engine, store = self._service.engine, self._service.store
        engine.drain()
        while not self._service.idle and len(self._signals) == 1:
            await asyncio.sleep(_LOOK)
        until = time.monotonic() + self._service.settings.grace
        while store.unfetched and time.monotonic() < until and self._signals == [signal.SIGTERM]:
            await asyncio.sleep(_LOOK)
        self.should_exit = True
