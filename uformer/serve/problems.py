"""Refusals as RFC 9457 asks for: JSON with a type for programs, and a reason that a person understands."""

import http
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi.responses import Response

from uformer.errors import OptionError, PictureError

MEDIA_TYPE = "application/problem+json"

REASONS: Mapping[int, str] = {
    400: "Not a picture that can be read, or not a request that can be understood.",
    401: "A token is needed.",
    403: "The request comes from a page of another site.",
    404: "There is no such thing, or no more.",
    405: "Not this method.",
    406: "The picture cannot be given in a format that the client accepts.",
    408: "The upload was too slow.",
    409: "The job has not finished yet.",
    410: "The job was cancelled.",
    413: "Too large, in bytes or in pixels.",
    415: "Not a kind of content that is taken here.",
    421: "The server is not known by this name.",
    422: "An option that cannot be met.",
    429: "The queue is full; Retry-After says when to try again.",
    500: "The server failed; its log says why.",
    503: "Not ready yet, or stopping.",
    504: "The picture was not finished in time.",
}
"""Every status of a refusal, for people who read the API's description."""

GUARDED = (401, 403, 421)
"""Statuses of requests that are not let in."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "What went wrong, for programs: urn:uformer:..."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What went wrong with this request, for people."},
    },
}


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A refusal: `kind` is for programs ("too-large"), `detail` for people."""

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
    """Turn what a picture or an option can cause into problems: PictureErrors into the one given."""
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
            "the server has too little memory for this picture right now",
            retry_after=30,
        ) from None


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of an operation, for OpenAPI."""
    return {
        status: {"description": REASONS[status], "content": {MEDIA_TYPE: {"schema": SCHEMA}}}
        for status in sorted(statuses)
    }
