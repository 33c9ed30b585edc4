"""One connection of a client, closed where the client only holds it: uvicorn itself waits without end."""

import asyncio
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 512
"""Connections at a time; one more closes the one that has been without a request for the longest."""
_HEADER_SECONDS = 15.0
_READER_SECONDS = 10.0  # between looks at how much of an answer was read


class Connection(H11Protocol):
    """Closed where the header of a request is not whole in time, or where nobody reads the answer.

    `min_rate`: bytes a second that the reader of an answer must take; 0 for no limit.
    """

    def __init__(self, *args: Any, min_rate: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._min_rate = min_rate
        self._idle_since = 0.0
        self._header_due: asyncio.TimerHandle | None = None
        self._reader_due: asyncio.TimerHandle | None = None
        self._unread = 0  # bytes, at the last look

    @property
    def idle(self) -> bool:
        """Whether no request is at work: none has come, or its header is not whole."""
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
        """Close the connection that has been idle for the longest, where there are too many."""
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
        """Look later how much of the answer was read, if not all of it is on its way already."""
        self._stop_watching()
        self._unread = self.transport.get_write_buffer_size()
        if self._unread and self._min_rate:
            self._reader_due = self.loop.call_later(_READER_SECONDS, self._look_at_reader)

    def _stop_watching(self) -> None:
        if self._reader_due is not None:
            self._reader_due.cancel()
            self._reader_due = None

    def _look_at_reader(self) -> None:
        read = self._unread - self.transport.get_write_buffer_size()
        if read < min(self._min_rate * _READER_SECONDS, self._unread):
            self.transport.abort()
        else:
            self._watch_reader()
