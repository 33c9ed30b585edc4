"""The ASGI application: the routes, the web page and the error responses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from uformer.serve import static
from uformer.serve.api import jobs, posts
from uformer.serve.delivery import results
from uformer.serve.leftover import Leftover
from uformer.serve.problems import BUG, Cancelled, Problem
from uformer.serve.security import Guard
from uformer.serve.service import Service
from uformer.serve.status import status
from uformer.serve.subpath import SubPath
from uformer.version import __version__

_LAST_WAIT = 0.1  # seconds for a tile that is still being restored

_DESCRIPTION = """Restores noisy, rainy and slightly blurred images.
By default, a response has the same bytes as the output of `uformer restore --metadata strip`.

Errors are `application/problem+json` (RFC 9457); `detail` explains what is wrong."""


def create_app(service: Service) -> Leftover:
    """Return the ASGI application of a service. The workers run from its startup to its shutdown."""
    root = service.settings.root_path

    @contextlib.asynccontextmanager
    async def lifespan(_api: FastAPI) -> AsyncIterator[None]:
        service.engine.start()
        sweeper = asyncio.create_task(service.sweep())
        yield
        sweeper.cancel()
        await asyncio.to_thread(service.engine.close, _LAST_WAIT)
        service.blender.close()
        service.store.clear()

    api = FastAPI(
        title="Uformer",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        servers=[{"url": root}] if root else None,
    )
    for routes in (posts, jobs, results, status):
        api.include_router(routes(service))
    _add_page(api)
    api.exception_handler(Problem)(_on_problem)
    api.add_exception_handler(Cancelled, _on_cancelled)
    api.exception_handler(RequestValidationError)(_on_invalid)
    api.add_exception_handler(404, _on_not_found)
    api.add_exception_handler(405, _on_wrong_method)
    api.add_exception_handler(Exception, _on_bug)
    return Leftover(SubPath(Guard(api, service.settings, service.metrics), root))


def _add_page(api: FastAPI) -> None:
    files = static.files()

    @api.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(request: Request) -> Response:
        return files["index.html"].response(request)

    @api.api_route("/docs", methods=["GET", "HEAD"], include_in_schema=False)
    async def docs(request: Request) -> Response:
        return files["docs.html"].response(request)

    @api.api_route("/page/{name}", methods=["GET", "HEAD"], include_in_schema=False)
    async def file(request: Request, name: str) -> Response:
        if name not in files:
            return await _on_not_found(request, KeyError(name))
        return files[name].response(request)


async def _on_problem(_request: Request, error: Problem) -> Response:
    return error.response()


async def _on_cancelled(_request: Request, _error: Exception) -> Response:
    # Nobody reads this response. Proxies log status 499 when a client disconnects.
    return Response(status_code=499)


async def _on_invalid(_request: Request, error: RequestValidationError) -> Response:
    """Respond to parameters that have a wrong type or are out of range."""
    detail = "; ".join(
        f"{each['loc'][-1]}: {each['msg'][:1].lower()}{each['msg'][1:]}" for each in error.errors()
    )
    return Problem(422, "options", detail).response()


async def _on_not_found(request: Request, _error: Exception) -> Response:
    return Problem(404, "not-found", f"there is nothing at {request.url.path[:200]!r}").response()


async def _on_wrong_method(request: Request, error: Exception) -> Response:
    path = request.url.path[:200]
    response = Problem(405, "method", f"{path} does not support the method {request.method}").response()
    response.headers.update(getattr(error, "headers", None) or {})
    return response


async def _on_bug(_request: Request, _error: Exception) -> Response:
    return Problem(500, "internal", BUG).response()
