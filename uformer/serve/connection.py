"""A client's connection, with the time limits that uvicorn lacks for headers and for reading a response."""

import asyncio
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 512
"""Maximum number of connections. One more closes the connection that has been idle longest."""
_HEADER_SECONDS = 15.0
_READER_SECONDS = 10.0  # between checks of how much of a response was read


class Connection(H11Protocol):
    """A connection that is closed if a request's header is late or the client reads a response too slowly.

    `min_rate`: bytes a second that the client must read; 0 for no limit.
    """

    def __init__(self, *args: Any, min_rate: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._min_rate = min_rate
        self._idle_since = 0.0
        self._header_due: asyncio.TimerHandle | None = None
        self._reader_due: asyncio.TimerHandle | None = None
        self._unread = 0  # bytes, at the last check

    @property
    def idle(self) -> bool:
        """Whether no request is in progress: none has arrived, or its header is incomplete."""
        return self.conn.our_state is h11.IDLE and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._wait_for_header()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait_for_header()
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        self._idle_since = self.loop.time()
        self._watch_reader()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()
        self._stop_watching()

    def _make_room(self) -> None:
        """Close the connection that has been idle longest if there are too many."""
        others = [cast("Connection", each) for each in self.connections if each is not self]
        if len(others) < MOST:
            return
        idle = [each for each in others if each.idle]
        if idle:
            min(idle, key=lambda each: each._idle_since).transport.abort()  # noqa: SLF001 - another of this class

    def _wait_for_header(self) -> None:
        if self._header_due is None:
            self._header_due = self.loop.call_later(_HEADER_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._header_due is not None:
            self._header_due.cancel()
            self._header_due = None

    def _watch_reader(self) -> None:
        """Schedule a check of how much was read, if part of the response still waits in the buffer."""
        self._stop_watching()
        self._unread = self.transport.get_write_buffer_size()
        if self._unread and self._min_rate:
            self._reader_due = self.loop.call_later(_READER_SECONDS, self._check_reader)

    def _stop_watching(self) -> None:
        if self._reader_due is not None:
            self._reader_due.cancel()
            self._reader_due = None

    def _check_reader(self) -> None:
        read = self._unread - self.transport.get_write_buffer_size()
        if read < min(self._min_rate * _READER_SECONDS, self._unread):
            self.transport.abort()
        else:
            self._watch_reader()
