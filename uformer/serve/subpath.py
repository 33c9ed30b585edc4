"""ASGI middleware for a server below a path of a proxy, such as https://example.org/uformer/.

A proxy may remove that path from its requests or keep it. Both work: inside this middleware, no path has it.
"""

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class SubPath:
    """Middleware that removes `root` ("/uformer", or "" for none) from the start of paths.

    The root without its slash is redirected, because the links of the page are relative to the slash.
    """

    def __init__(self, app: ASGIApp, root: str) -> None:
        self._app, self._root = app, root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if self._root and path == self._root:
            await RedirectResponse(f"{self._root}/", 308)(scope, receive, send)
        elif self._root and path.startswith(f"{self._root}/"):
            await self._app({**scope, "path": path.removeprefix(self._root)}, receive, send)
        else:
            await self._app(scope, receive, send)
