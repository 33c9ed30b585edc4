"""Reading the image and the mask of a request from a raw body or a form, in memory and up to a limit."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Self

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Message

from uformer.errors import PictureError
from uformer.image.image import Header
from uformer.image.read import DEFAULT_LIMITS, Limits, header
from uformer.restore.masks import check_ratio
from uformer.serve.problems import Cancelled, Problem, refused_as
from uformer.serve.settings import Settings

MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".avif": "image/avif",
}
"""The media type of each format, by suffix."""

UPLOAD_TYPES = (*MEDIA_TYPES.values(), "image/gif", "image/heic", "image/heif", "image/*")
"""The media types of uploads. Camera raw has none and is sent as image/*."""

FIELD, MASK = "picture", "mask"
PATIENCE = 60  # seconds that an upload may pause
HEAD_START = 10  # seconds before the average rate of an upload is checked
_FORM_ROOM = 16 * 2**10  # bytes of a form beyond its image
_ANY = Limits(max_pixels=2**62, max_side=2**31, max_pages=10_000)
"""Limits of a header. This module checks the size itself, to respond with status 413."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The limits of an upload."""

    max_bytes: int
    """Most bytes of all files together."""
    seconds: float
    """Longest duration of the upload."""
    min_rate: int
    """Minimum average of bytes a second, checked after `HEAD_START`; 0 for no limit."""
    took: Callable[[int], None] = lambda _: None
    """Called with the size of each chunk; an exception that it raises ends the upload."""

    @classmethod
    def of(cls, settings: Settings, took: Callable[[int], None]) -> Self:
        """Return the limits that an operator set."""
        return cls(
            max_bytes=settings.max_bytes, seconds=settings.timeout, min_rate=settings.min_rate, took=took
        )


async def uploaded(
    request: Request, rules: Rules, *, needed: str = FIELD, allowed: tuple[str, ...] = ()
) -> dict[str, bytes]:
    """Return the files of a request by their field: one that is `needed`, and those `allowed` that it has.

    A body that is no form is the needed file. Raises Problem with status 400 (empty upload or malformed
    form), 408 (upload stopped or too slow), 413 (too many bytes) or 415 (unsupported content), and Cancelled
    if the client disconnects.
    """
    try:
        async with asyncio.timeout(rules.seconds):
            return await _uploaded(request, rules, needed, allowed)
    except TimeoutError:
        raise Problem(408, "upload-stopped", f"the upload took more than {rules.seconds:g} seconds") from None


async def _uploaded(
    request: Request, rules: Rules, needed: str, allowed: tuple[str, ...]
) -> dict[str, bytes]:
    written, _ = parse_options_header(request.headers.get("content-type", ""))
    kind = written.lower().decode("latin-1")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "content-encoding", "send the image file as it is, without Content-Encoding")
    if kind == "multipart/form-data":
        files = await _from_form(request, rules, needed, allowed)
    elif kind in UPLOAD_TYPES:
        files = {needed: b"".join([chunk async for chunk in _chunks(request, rules.max_bytes, rules)])}
    else:
        found = f"Content-Type is {kind[:64]!r}" if kind else "Content-Type is missing"
        types = ", ".join(UPLOAD_TYPES)
        detail = f"{found}; use one of {types}, or multipart/form-data with a field {needed!r}"
        raise Problem(415, "media-type", detail)
    for name, data in files.items():
        if not data:
            what = "the mask" if name == MASK else "the upload"
            raise Problem(400, "not-a-picture", f"{what} is empty; send an image file")
    return files


def check_header(data: bytes, *, max_pixels: int, what: str = "image", stacks: bool = False) -> Header:
    """Return the header of an image file without decoding its pixels.

    Raises Problem with status 400 if the file is not an image, 415 if it is a stack, unless `stacks` may
    pass, and 413 if it has too many pixels. `what`: the image in the words of these.
    """
    try:
        found = header(data, limits=_ANY)
    except PictureError as error:
        detail = str(error) if what == "image" else f"{what}: {str(error).removeprefix('image: ')}"
        raise Problem(400, "not-a-picture", detail) from None
    if found.stack and not stacks:
        how = "send it to /v1/jobs" if what == "image" else "send a single image of 8 or 16 bits"
        raise Problem(415, "stack", f"the {what} {found.stack}; {how}")
    if found.pixels > max_pixels:
        size = f"{found.width} x {found.height} ({found.pixels:,} pixels)"
        raise Problem(413, "too-many-pixels", f"the {what} is {size}; the limit is {max_pixels:,} pixels")
    if max(found.width, found.height) > DEFAULT_LIMITS.max_side:
        raise Problem(
            413,
            "too-many-pixels",
            f"the {what} is {found.width} x {found.height}; a side may have at most "
            f"{DEFAULT_LIMITS.max_side:,} pixels",
        )
    return found


def check_mask(data: bytes, image: Header, *, max_pixels: int) -> None:
    """Check the header of a mask. Raises the errors of `check_header`, and 422 if it does not fit."""
    found = check_header(data, max_pixels=max_pixels, what="mask")
    with refused_as(422, "options"):
        check_ratio((found.height, found.width), (image.height, image.width))


async def _chunks(request: Request, limit: int, rules: Rules) -> AsyncGenerator[bytes]:
    """Yield the body as it arrives. Raises Problem (413) beyond `limit` bytes."""
    if int(request.headers.get("content-length", 0)) > limit:
        raise _too_many_bytes(rules)
    began, total, more = time.monotonic(), 0, True
    while more:
        message = await _next_message(request, began, total, rules.min_rate)
        if message["type"] == "http.disconnect":
            raise Cancelled
        chunk: bytes = message.get("body", b"")
        total, more = total + len(chunk), message.get("more_body", False)
        if total > limit:
            raise _too_many_bytes(rules)
        if chunk:
            rules.took(len(chunk))
            yield chunk


def _too_many_bytes(rules: Rules) -> Problem:
    return Problem(413, "too-many-bytes", f"the upload is larger than the limit of {rules.max_bytes:,} bytes")


async def _next_message(request: Request, began: float, total: int, min_rate: int) -> Message:
    """Return the next message of the client. Raises Problem (408) if the upload pauses or is too slow."""
    left = began + HEAD_START + total / min_rate - time.monotonic() if min_rate else PATIENCE
    try:
        async with asyncio.timeout(min(PATIENCE, max(left, 0))):
            return await request.receive()
    except TimeoutError:
        slow = f"the upload brought {total:,} bytes in {time.monotonic() - began:.0f} seconds"
        need = f"send at least {min_rate:,} bytes a second"
        detail = f"{slow}; {need}" if left < PATIENCE else f"the upload paused for {PATIENCE} seconds"
        raise Problem(408, "upload-stopped", detail) from None


class _FormInMemory(MultiPartParser):
    """Starlette's form parser without its temporary files; the size of the body is limited already."""

    spool_max_size = 0


async def _from_form(
    request: Request, rules: Rules, needed: str, allowed: tuple[str, ...]
) -> dict[str, bytes]:
    try:
        async with contextlib.aclosing(_chunks(request, rules.max_bytes + _FORM_ROOM, rules)) as chunks:
            form = await _FormInMemory(request.headers, chunks).parse()
    except MultiPartException as error:
        raise Problem(400, "form", f"the form cannot be read: {error.message}") from None
    except UnicodeError:  # Content-Type can name codecs that do not decode text
        raise Problem(400, "form", "the form cannot be read: its charset is not a text encoding") from None
    files = {}
    try:
        known = (needed, *allowed)
        for name, value in form.multi_items():
            if name not in known and not isinstance(value, str):  # other fields of text do no harm
                raise Problem(400, "form", f"unknown file {name[:64]!r}; known: {', '.join(known)}")
        for name in (needed, *(each for each in allowed if each in form)):
            given = form.getlist(name)
            if len(given) != 1:
                raise Problem(
                    400, "form", f"the form must have one field {name!r}; it has {len(given)} of them"
                )
            (file,) = given
            if isinstance(file, str):
                raise Problem(400, "form", f"the field {name!r} holds text; send a file, with a filename")
            files[name] = await file.read()
    finally:
        await form.close()
    if sum(map(len, files.values())) > rules.max_bytes:
        raise _too_many_bytes(rules)
    return files
