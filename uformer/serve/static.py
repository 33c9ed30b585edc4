"""The page's files, read once: nothing is looked up by a path that a client sends."""

import hashlib
import importlib.resources
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True)
class File:
    """One file of the page."""

    data: bytes
    media_type: str
    etag: str

    def response(self, request: Request) -> Response:
        """The file, or 304 where the client has it already."""
        headers = {"ETag": self.etag, "Cache-Control": "no-cache"}
        if self._is_among(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        return Response(self.data, headers=headers, media_type=self.media_type)

    def _is_among(self, tags: str) -> bool:
        """Whether If-None-Match names this file; a proxy that compresses makes its tag a weak one, and a cache may name several."""
        return tags.strip() == "*" or self.etag in (tag.strip().removeprefix("W/") for tag in tags.split(","))


def files() -> dict[str, File]:
    """Every file of the page, by name."""
    found = {}
    for entry in importlib.resources.files("uformer.serve").joinpath("page").iterdir():
        suffix = entry.name[entry.name.rfind(".") :]
        if entry.is_file() and suffix in TYPES:
            data = entry.read_bytes()
            found[entry.name] = File(data, TYPES[suffix], f'"{hashlib.sha256(data).hexdigest()[:16]}"')
    return found
