"""Error responses in the format of RFC 9457: JSON with a type for programs and a detail for people."""

import http
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi.responses import Response

from uformer.errors import OptionError, PictureError

MEDIA_TYPE = "application/problem+json"

REASONS: Mapping[int, str] = {
    400: "The upload is not a readable image, or the form is malformed.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another site.",
    404: "No such path or job, or the job has expired.",
    405: "The path does not support this method.",
    406: "The client accepts no format that the server can send.",
    408: "The upload is too slow or has stopped.",
    409: "The job has not finished yet, or other controls need a new run.",
    410: "The job was cancelled.",
    413: "The upload has too many bytes or pixels.",
    415: "The content type or encoding is not supported, or a stack is not restored here (use /v1/jobs).",
    421: "The server does not answer to this host name.",
    422: "An option is unknown, out of range or cannot be met.",
    429: "The queue is full; Retry-After says when to try again.",
    500: "A bug in the server; its log has the details.",
    503: "The server is not ready, is stopping, or is short of memory.",
    504: "The image was not finished in time.",
}
"""The description of every error status, for the OpenAPI document."""

GUARDED = (401, 403, 421)
"""Statuses of requests that are denied access."""

BUG = "internal error, which is a bug; the server's log has the details"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "The kind of error, for programs: urn:uformer:..."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong with this request, for people."},
    },
}


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """An error response.

    `kind` is for programs ("too-many-bytes"), `detail` for people. `retry_after` is in seconds.
    """

    def __init__(self, status: int, kind: str, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(status, kind, detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.retry_after = None if retry_after is None else max(1, round(retry_after))

    def to_json(self) -> dict[str, Any]:
        title = http.HTTPStatus(self.status).phrase
        return {
            "type": f"urn:uformer:{self.kind}",
            "title": title,
            "status": self.status,
            "detail": self.detail,
        }

    def headers(self) -> dict[str, str]:
        extra = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return extra | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})

    def body(self) -> bytes:
        return json.dumps(self.to_json()).encode()

    def response(self) -> Response:
        return Response(self.body(), self.status, self.headers(), MEDIA_TYPE)


class Cancelled(Exception):  # noqa: N818 - no error
    """The work is no longer wanted."""


@contextmanager
def refused_as(status: int, kind: str) -> Iterator[None]:
    """Turn errors of images and options into Problems. PictureError gets the given status and kind."""
    try:
        yield
    except PictureError as error:
        raise Problem(status, kind, str(error)) from None
    except OptionError as error:
        raise Problem(422, "options", str(error)) from None
    except MemoryError:
        raise Problem(
            503,
            "out-of-memory",
            "the server has too little free memory for this image; try again later",
            retry_after=30,
        ) from None


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of an operation, for OpenAPI."""
    return {
        status: {"description": REASONS[status], "content": {MEDIA_TYPE: {"schema": SCHEMA}}}
        for status in sorted(statuses)
    }
