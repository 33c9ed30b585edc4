"""Reading the picture of a request: in memory, no more than the limit, from a raw body or from a form."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Message

from uformer.errors import PictureError
from uformer.image.image import Header
from uformer.image.read import DEFAULT_LIMITS, Limits, header
from uformer.serve.problems import Cancelled, Problem

MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".avif": "image/avif",
}
"""What each format is called over HTTP."""

_READ_ONLY = ("image/heic", "image/heif")
"""Accepted as well; camera raw, which has no media type of its own, comes as image/*."""

FIELD = "picture"
PATIENCE = 60  # seconds without a byte of an upload
HEAD_START = 10  # seconds before the average rate of an upload counts
_FORM_ROOM = 16 * 2**10  # bytes that a form may take beyond its picture
_ANY = Limits(
    max_pixels=2**62, max_side=2**31
)  # what is too large is refused here, in words and a status of its own


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What an upload must keep to."""

    max_bytes: int
    """Of the image's file."""
    seconds: float
    """In all."""
    min_rate: int
    """Bytes a second, on average after a head start; 0 for no limit."""
    took: Callable[[int], None] = lambda _: None
    """Called with the number of bytes of each chunk; what it raises ends the upload."""


async def picture_bytes(request: Request, rules: Rules) -> bytes:
    """The picture's file as the client sent it.

    Raises Problem: 400 for nothing or a broken form, 408 where the client stops sending or is too slow, 413, 415;
    Cancelled where the client leaves.
    """
    try:
        async with asyncio.timeout(rules.seconds):
            return await _picture_bytes(request, rules)
    except TimeoutError:
        raise Problem(408, "upload-stopped", f"the upload took more than {rules.seconds:g} seconds") from None


async def _picture_bytes(request: Request, rules: Rules) -> bytes:
    written, _ = parse_options_header(request.headers.get("content-type", ""))
    kind = written.lower().decode("latin-1")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "content-encoding", "send the picture's file as it is, without Content-Encoding")
    if kind == "multipart/form-data":
        data = await _from_form(request, rules)
    elif kind in (*MEDIA_TYPES.values(), *_READ_ONLY, "image/*"):
        data = b"".join([chunk async for chunk in _chunks(request, rules.max_bytes, rules)])
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
        raise Problem(
            413,
            "too-many-pixels",
            f"{found.width} x {found.height} pixels; the longest side may be {DEFAULT_LIMITS.max_side:,}",
        )
    return found


async def _chunks(request: Request, limit: int, rules: Rules) -> AsyncGenerator[bytes]:
    """The body as it comes, at most `limit` bytes of it."""
    words = f"the picture is larger than the limit of {rules.max_bytes:,} bytes"
    if int(request.headers.get("content-length", 0)) > limit:
        raise Problem(413, "too-many-bytes", words)
    began, total, more = time.monotonic(), 0, True
    while more:
        message = await _next_message(request, began, total, rules.min_rate)
        if message["type"] == "http.disconnect":
            raise Cancelled
        chunk: bytes = message.get("body", b"")
        total, more = total + len(chunk), message.get("more_body", False)
        if total > limit:
            raise Problem(413, "too-many-bytes", words)
        if chunk:
            rules.took(len(chunk))
            yield chunk


async def _next_message(request: Request, began: float, total: int, min_rate: int) -> Message:
    """What the client sends next. Raises Problem where nothing comes for long, or the upload is too slow on average."""
    left = began + HEAD_START + total / min_rate - time.monotonic() if min_rate else PATIENCE
    try:
        async with asyncio.timeout(min(PATIENCE, max(left, 0))):
            return await request.receive()
    except TimeoutError:
        slow = f"the upload brought {total:,} bytes in {time.monotonic() - began:.0f} seconds"
        need = f"send at least {min_rate:,} bytes a second"
        words = f"{slow}; {need}" if left < PATIENCE else f"no byte came for {PATIENCE} seconds"
        raise Problem(408, "upload-stopped", words) from None


class _FormInMemory(MultiPartParser):
    """Starlette's parser of forms, which writes no file to disk: the body is limited already."""

    spool_max_size = 0


async def _from_form(request: Request, rules: Rules) -> bytes:
    try:
        async with contextlib.aclosing(_chunks(request, rules.max_bytes + _FORM_ROOM, rules)) as chunks:
            form = await _FormInMemory(request.headers, chunks).parse()
    except MultiPartException as error:
        raise Problem(400, "form", f"the form cannot be read: {error.message}") from None
    except UnicodeError:  # of some charsets that Content-Type can name
        raise Problem(400, "form", "the form cannot be read: its charset is not one for text") from None
    try:
        images = form.getlist(FIELD)
        if len(images) != 1:
            raise Problem(
                400, "form", f"expected a form with one field {FIELD!r}, found {len(images)} of them"
            )
        (image,) = images
        if isinstance(image, str):
            raise Problem(400, "form", f"the field {FIELD!r} holds text; send a file, with a filename")
        data = await image.read()
    finally:
        await form.close()
    if len(data) > rules.max_bytes:
        raise Problem(
            413, "too-many-bytes", f"the picture is larger than the limit of {rules.max_bytes:,} bytes"
        )
    return data
