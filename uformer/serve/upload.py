"""Reading the picture of a request: in memory, no more than the limit, from a raw body or from a form."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from uformer.errors import PictureError
from uformer.image.image import Header
from uformer.image.read import DEFAULT_LIMITS, Limits, header
from uformer.serve.problems import Cancelled, Problem

MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".tif": "image/tiff", ".avif": "image/avif"}
"""What each format is called over HTTP."""

FIELD = "picture"
PATIENCE = 60  # seconds without a byte of an upload
_FORM_ROOM = 16 * 2**10  # bytes that a form may take beyond its picture
_ANY = Limits(max_pixels=2**62, max_side=2**31)  # what is too large is refused here, in words and a status of its own
_REST = 64 * 2**20  # bytes of an upload that are still taken, and thrown away, so that a client in the middle of it hears the refusal
_REST_PATIENCE = 5  # seconds


async def picture_bytes(request: Request, *, max_bytes: int, seconds: float) -> bytes:
    """The picture's file as the client sent it.

    Raises Problem: 400 for nothing or a broken form, 408 where the client stops sending or takes more than `seconds`, 413, 415; Cancelled
    where the client leaves.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _picture_bytes(request, max_bytes)
    except TimeoutError:
        raise Problem(408, "upload-stopped", f"the upload took more than {seconds:g} seconds") from None


async def _picture_bytes(request: Request, max_bytes: int) -> bytes:
    written, parameters = parse_options_header(request.headers.get("content-type", ""))
    kind = written.lower().decode("latin-1")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "content-encoding", "send the picture's file as it is, without Content-Encoding")
    if kind == "multipart/form-data":
        data = await _from_form(request, parameters.get(b"boundary", b""), max_bytes)
    elif kind in (*MEDIA_TYPES.values(), "image/*"):
        data = b"".join([chunk async for chunk in _chunks(request, max_bytes, max_bytes)])
    else:
        said = kind[:64] or "nothing"
        takes = f"Content-Type is {said!r}; send one of {', '.join(MEDIA_TYPES.values())}, or multipart/form-data with a field {FIELD!r}"
        raise Problem(415, "media-type", takes)
    if not data:
        raise Problem(400, "not-a-picture", "the picture is empty")
    return data


def check_header(data: bytes, *, max_pixels: int) -> Header:
    """What the file says of its picture; nothing is decoded. Raises Problem: 400 for no picture, 413 for too many pixels."""
    try:
        found = header(data, limits=_ANY)
    except PictureError as error:
        raise Problem(400, "not-a-picture", str(error)) from None
    if found.pixels > max_pixels:
        words = f"{found.width} x {found.height} are {found.pixels:,} pixels; the limit is {max_pixels:,}"
        raise Problem(413, "too-many-pixels", words)
    if max(found.width, found.height) > DEFAULT_LIMITS.max_side:
        raise Problem(413, "too-many-pixels", f"{found.width} x {found.height} pixels; the longest side may be {DEFAULT_LIMITS.max_side:,}")
    return found


async def discard(request: Request) -> None:
    """Take the rest of a refused upload and throw it away, within reason: many clients read no answer before they have sent all."""
    if getattr(request.state, "body_read", False) or request.headers.get("expect"):
        return  # who sends Expect: 100-continue asks before sending
    taken = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REST_PATIENCE):
            while taken <= _REST:
                message = await request.receive()
                taken += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return


async def _chunks(request: Request, limit: int, max_bytes: int) -> AsyncIterator[bytes]:
    """The body as it comes, at most `limit` bytes of it; `max_bytes` is the limit that the client is told."""
    words = f"the picture is larger than the limit of {max_bytes:,} bytes"
    if int(request.headers.get("content-length", 0)) > limit:
        raise Problem(413, "too-many-bytes", words)
    total, more = 0, True
    while more:
        try:
            message = await asyncio.wait_for(request.receive(), PATIENCE)
        except TimeoutError:
            raise Problem(408, "upload-stopped", f"no byte came for {PATIENCE} seconds") from None
        if message["type"] == "http.disconnect":
            raise Cancelled
        chunk: bytes = message.get("body", b"")
        total, more = total + len(chunk), message.get("more_body", False)
        request.state.body_read = not more
        if total > limit:
            raise Problem(413, "too-many-bytes", words)
        if chunk:
            yield chunk


async def _from_form(request: Request, boundary: bytes, max_bytes: int) -> bytes:
    form = _Form(boundary)
    try:
        async for chunk in _chunks(request, max_bytes + _FORM_ROOM, max_bytes):
            form.parser.write(chunk)
        form.parser.finalize()
    except FormParserError as error:
        raise Problem(400, "form", f"the form cannot be read: {error}") from None
    if len(form.pictures) != 1 or not form.ended:
        found = f"{len(form.pictures)} of them" if form.ended else "a form that is cut off"
        raise Problem(400, "form", f"expected a form with one field {FIELD!r}, found {found}")
    data = bytes(form.pictures[0])
    if len(data) > max_bytes:
        raise Problem(413, "too-many-bytes", f"the picture is larger than the limit of {max_bytes:,} bytes")
    return data


class _Form:
    """The picture of a multipart/form-data body; other fields are passed over."""

    def __init__(self, boundary: bytes) -> None:
        if not boundary:
            raise Problem(400, "form", "the form's Content-Type names no boundary")
        self.pictures: list[bytearray] = []
        self.ended = False
        self._name, self._value, self._disposition = b"", b"", b""
        self._wanted = False
        callbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._on_name,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_end": self._on_end,
        }
        try:
            self.parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type] # a dictionary of just these
        except FormParserError as error:
            raise Problem(400, "form", f"the form cannot be read: {error}") from None

    def _begin(self) -> None:
        self._disposition = b""

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def _on_headers(self) -> None:
        _, parameters = parse_options_header(self._disposition)
        self._wanted = parameters.get(b"name") == FIELD.encode()
        if self._wanted:
            self.pictures.append(bytearray())

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self.pictures[-1] += data[start:end]

    def _on_end(self) -> None:
        self.ended = True
