"""ASGI middleware that discards the rest of a request body after an early response.

Many clients read the response only after they have sent the whole request. If the server closes the
connection too soon, they get "connection reset" instead of the response. So the server sends the response at
once, discards the rest of the body for a limited time, and then closes the connection. A client that never
stops sending cannot keep the server busy.
"""

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST = 64 * 2**20
"""Maximum number of bytes to discard if Content-Length promises no more."""
MOST_SECONDS = 5.0
LITTLE = 2**18
"""Maximum number of bytes to discard of a chunked request, or of one longer than `MOST`."""
LITTLE_SECONDS = 1.0


class Leftover:
    """Middleware that responds at once, discards the rest of the request, and closes the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _has_body(scope):
            body = _Body(scope, receive, send)
            await self._app(scope, body.receive, body.send)
        else:
            await self._app(scope, receive, send)


class _Body:
    """Tracks how much of a request's body has arrived, and whether it is complete."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        self._length = int(headers[b"content-length"]) if b"content-length" in headers else None
        self._expects = b"expect" in headers
        self._receive, self._send = receive, send
        self._received, self._whole, self._asked = 0, False, False

    async def receive(self) -> Message:
        self._asked = True
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._whole = (
            self._whole or message["type"] == "http.disconnect" or not message.get("more_body", False)
        )
        return message

    async def send(self, message: Message) -> None:
        if self._whole:
            await self._send(message)
        elif message["type"] == "http.response.start":
            await self._send({**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]})
        elif message.get("more_body", False):
            await self._send(message)
        else:
            await self._send({**message, "more_body": True})  # so that the server does not close yet
            await self._discard()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _discard(self) -> None:
        if self._expects and not self._asked:
            return  # a client that sends Expect: 100-continue sends no body until it is told to
        left = None if self._length is None else self._length - self._received
        most, seconds = (LITTLE, LITTLE_SECONDS) if left is None or left > MOST else (left, MOST_SECONDS)
        end = self._received + most
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._whole and self._received <= end:
                    await self.receive()


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0") != b""
