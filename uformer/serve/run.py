"""Running the application until it is told to stop, and stopping so that nobody loses a picture."""

import asyncio
import contextlib
import signal
import socket
import time
from types import FrameType

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from uformer.serve.app import create_app
from uformer.serve.service import Service

_MOST_CONNECTIONS = 512
_HEADER_BYTES = 32 * 2**10
_HEADER_SECONDS = 15.0
_LOOK = 0.05  # seconds between looks at what still runs


class Connection(H11Protocol):
    """Closed where the header of a request is not whole in time, for which uvicorn itself waits without end."""

    _header_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._wait_for_header()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait_for_header()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()

    def _wait_for_header(self) -> None:
        if self._header_due is None:
            self._header_due = self.loop.call_later(_HEADER_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._header_due is not None:
            self._header_due.cancel()
            self._header_due = None


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
                http=Connection,
                limit_concurrency=_MOST_CONNECTIONS,
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
