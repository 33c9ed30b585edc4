"""The files of the web page, read into memory once, so that no path from a client reaches the file system."""

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
        """Return the file, or status 304 if the client already has it."""
        headers = {"ETag": self.etag, "Cache-Control": "no-cache"}
        if self._is_among(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        return Response(self.data, headers=headers, media_type=self.media_type)

    def _is_among(self, tags: str) -> bool:
        """Return whether If-None-Match names this file.

        Compressing proxies make the tag weak (W/), and caches may send several tags.
        """
        return tags.strip() == "*" or self.etag in (tag.strip().removeprefix("W/") for tag in tags.split(","))


def files() -> dict[str, File]:
    """Return all files of the page by name."""
    found = {}
    for entry in importlib.resources.files("uformer.serve").joinpath("page").iterdir():
        suffix = entry.name[entry.name.rfind(".") :]
        if entry.is_file() and suffix in TYPES:
            data = entry.read_bytes()
            found[entry.name] = File(data, TYPES[suffix], f'"{hashlib.sha256(data).hexdigest()[:16]}"')
    return found
