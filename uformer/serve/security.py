"""ASGI middleware for access control and security headers.

Without a token, the server trusts everyone who can reach it. Pages of other sites must therefore not reach it
through a visitor's browser: neither with a cross-site request (checked by Origin) nor with DNS rebinding, a
name of their own that points at this machine (checked by Host).
"""

import asyncio
import logging
import secrets
import time
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from uformer.serve.problems import Problem
from uformer.serve.prometheus import Metrics
from uformer.serve.settings import Settings, is_local

access_log = logging.getLogger("uformer.access")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self' blob:; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    b"cache-control": b"no-store",
}
"""Headers of every response that does not set them itself."""

_GUARDED = ("/v1/", "/metrics")  # paths that need the token; the page itself holds no secret


class Guard:
    """Middleware that checks access, logs and counts requests, and adds security headers to responses."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status, size = time.monotonic(), 0, 0

        async def send_safely(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name.lower() for name, _ in message.get("headers", ())}
                extra = [(name, value) for name, value in HEADERS.items() if name not in present]
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            size += len(message.get("body", b""))
            await send(message)

        try:
            problem = self.refusal(scope)
            if problem is None:
                await self._app(scope, receive, send_safely)
            else:
                await answer(problem, send_safely)
        except asyncio.CancelledError:
            status = status or 503
            raise
        finally:
            route = getattr(scope.get("route"), "path", "refused" if status in (401, 403, 421) else "other")
            seconds = time.monotonic() - start
            self._metrics.requests.labels(route=route, status=str(status or "gone")).inc()
            self._metrics.request_seconds.labels(route=route).observe(seconds)
            access_log.info("%s", log_line(scope, status, size, seconds))

    def refusal(self, scope: Scope) -> Problem | None:
        """Return why a request is denied; None if it is allowed."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self._settings.token is not None:
            given = headers.get(b"authorization", b"")
            scheme, _, token = given.partition(b" ")
            if not scope["path"].startswith(_GUARDED):
                return None
            if scheme.lower() == b"bearer" and secrets.compare_digest(
                token.strip(), self._settings.token.encode()
            ):
                return None
            return Problem(
                401,
                "token",
                "the token is missing or wrong; send the server's token as Authorization: Bearer TOKEN",
            )
        host = headers.get(b"host", b"").decode("latin-1")
        if self._settings.local and not is_local(_name(host)):
            return Problem(
                421,
                "host",
                f"this server answers to localhost only, not to {host[:64]!r}; "
                "to allow other names, start it with --host and a token",
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin.partition("://")[2] != host:
            return Problem(
                403,
                "origin",
                f"requests from pages of other sites are refused; this one comes from {origin[:64]!r}",
            )
        return None


def log_line(scope: Scope, status: int, size: int, seconds: float) -> str:
    """Return the line of the access log: client, request, status, bytes of the body and duration."""
    target = quote(scope["path"])
    if scope["query_string"]:
        target += "?" + quote(scope["query_string"], safe="/=&%+:,")
    client = (scope.get("client") or ("-",))[0]
    return f'{client} "{scope["method"]} {target}" {status or "gone"} {size} {seconds:.3f}'


def _name(host: str) -> str:
    """Return the Host header without its port."""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


async def answer(problem: Problem, send: Send) -> None:
    """Send a problem without the framework."""
    body = problem.body()
    headers = {
        "content-type": "application/problem+json",
        "content-length": str(len(body)),
        **problem.headers(),
    }
    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
