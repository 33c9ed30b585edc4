"""Reading uploads chunk by chunk."""

import asyncio
import contextlib
import dataclasses
import io
import tracemalloc
from typing import Any

import numpy as np
import pytest
import tifffile
from fastapi import Request

from tests.serve.conftest import header_of, png
from uformer.serve import upload
from uformer.serve.problems import Cancelled, Problem
from uformer.serve.upload import Rules, check_header, check_mask, uploaded

GONE: dict[str, Any] = {"type": "http.disconnect"}


def request(*chunks: bytes | None, content_type: str = "image/png", **headers: str) -> Request:
    """Return a request whose body arrives in chunks; None stands for a client that disconnects."""
    waiting = list(chunks)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.sleep(60)
        chunk = waiting.pop(0)
        return GONE if chunk is None else {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    given = {
        "content-type": content_type,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]
    return Request(
        {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": encoded}, receive
    )


def read(*chunks: bytes | None, max_bytes: int = 100, **about: str) -> bytes:
    rules = Rules(max_bytes=max_bytes, seconds=60, min_rate=0)
    return asyncio.run(uploaded(request(*chunks, **about), rules))["picture"]


def refused(*chunks: bytes | None, **about: Any) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        read(*chunks, **about)
    return caught.value.status, caught.value.kind


def form(*parts: tuple[str, bytes], end: bytes = b"--\r\n") -> bytes:
    heads = (
        f'--B\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for name, data in parts
    )
    return b"".join(heads) + b"--B" + end


FORM = "multipart/form-data; boundary=B"


def test_chunks() -> None:
    assert read(b"ab", b"", b"cd") == b"abcd"
    assert read(bytes(100)) == bytes(100)
    assert read(b"x", content_type="IMAGE/JPEG; a=b") == b"x"


def test_too_many_bytes_while_reading_and_before() -> None:
    endless = [bytes(60)] * 100
    assert refused(*endless) == (413, "too-many-bytes")
    assert refused(content_length="101") == (413, "too-many-bytes")
    assert refused(form(("picture", bytes(200))), content_type=FORM) == (413, "too-many-bytes")
    assert refused(*[form(("other", bytes(20_000)))[:-5]] * 9, content_type=FORM) == (413, "too-many-bytes")


def test_a_client_that_leaves() -> None:
    with pytest.raises(Cancelled):
        read(b"ab", None)


def test_a_client_that_stops_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "PATIENCE", 0.01)
    with pytest.raises(Problem) as caught:
        asyncio.run(uploaded(_stalled(), Rules(max_bytes=10, seconds=60, min_rate=0)))
    assert (caught.value.status, "paused for 0.01 seconds" in caught.value.detail) == (408, True)


def test_a_client_that_sends_too_slowly() -> None:
    with pytest.raises(Problem) as caught:
        asyncio.run(uploaded(_stalled(), Rules(max_bytes=10, seconds=0.01, min_rate=0)))
    assert (caught.value.status, "0.01 seconds" in caught.value.detail) == (408, True)


@pytest.mark.parametrize(("min_rate", "total"), [(1000, 0), (10, 3)])
def test_an_upload_below_the_minimum_rate(monkeypatch: pytest.MonkeyPatch, min_rate: int, total: int) -> None:
    monkeypatch.setattr(upload, "HEAD_START", 0.01)
    stalled = _stalled() if total == 0 else request(*[b"a"] * total, b"")
    receive, delays = stalled.receive, iter([0, 0, 0, 60])

    async def slow() -> Any:
        await asyncio.sleep(next(delays) if total else 60)
        return await receive()

    stalled._receive = slow
    rules = Rules(max_bytes=10, seconds=60, min_rate=min_rate)
    with pytest.raises(
        Problem, match=rf"brought {total} bytes in \d+ seconds; send at least {min_rate:,} bytes"
    ) as caught:
        asyncio.run(uploaded(stalled, rules))
    assert (caught.value.status, caught.value.kind) == (408, "upload-stopped")


def test_each_chunk_is_counted() -> None:
    counts: list[int] = []
    rules = Rules(max_bytes=10, seconds=60, min_rate=0, took=counts.append)
    assert asyncio.run(uploaded(request(b"abc", b"", b"d"), rules)) == {"picture": b"abcd"}
    assert counts == [3, 1]


def test_forms_leave_no_memory_behind(no_garbage_collector: None) -> None:
    body = form(("picture", bytes(2**20)))
    chunks = [body[at : at + 2**16] for at in range(0, len(body), 2**16)]
    about: dict[str, Any] = {"content_type": FORM, "max_bytes": 2**20}
    for _ in range(2):
        assert len(read(*chunks, **about)) == 2**20
    refused(*chunks[:-1], b"?", **about)
    tracemalloc.start()
    try:
        for _ in range(4):
            assert len(read(*chunks, **about)) == 2**20
            refused(*chunks[:-1], b"?", **about)
        assert tracemalloc.get_traced_memory()[0] < 2**19
    finally:
        tracemalloc.stop()


def test_forms_are_kept_off_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda *_, **__: pytest.fail("written to disk"))
    body = form(("picture", bytes(3 * 2**20)))
    assert len(read(body, content_type=FORM, max_bytes=2**22)) == 3 * 2**20


def test_a_field_of_text_is_no_file() -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="picture"\r\n\r\nx\r\n--B--\r\n'
    assert refused(body, content_type=FORM, max_bytes=1000) == (400, "form")


@pytest.mark.parametrize("charset", ["undefined", "idna", "hex", "no such"])
def test_a_charset_that_is_none(charset: str) -> None:
    body = form(("picture", b"x"))
    with contextlib.suppress(Problem):
        assert read(body, content_type=f"{FORM}; charset={charset}", max_bytes=1000) == b"x"


def _stalled() -> Request:
    stalled = request(b"ab", b"cd")
    receive, calls = stalled.receive, iter((False, True))

    async def slow() -> Any:
        if next(calls):
            await asyncio.sleep(60)
        return await receive()

    stalled._receive = slow
    return stalled


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_forms_in_any_pieces(size: int) -> None:
    data = b"\r\n-- B\r\n--\r\nbytes\x00"
    body = form(("picture", data))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert read(*pieces, content_type=FORM, max_bytes=1000) == data


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (form(("other", b"x")), FORM),
        (form(("picture", b"x"), ("picture", b"y")), FORM),
        (form(("picture", b"x"), end=b""), FORM),
        (form(("picture", b"x"))[:-20], FORM),
        (b"nonsense", FORM),
        (b"", FORM),
        (form(("picture", b"x")), "multipart/form-data"),
        (form(("picture", b"x")), "multipart/form-data; boundary=" + "B" * 500),
        (form(("picture", b"")), FORM),
    ],
)
def test_forms_that_are_none(body: bytes, content_type: str) -> None:
    assert refused(body, content_type=content_type, max_bytes=1000)[0] == 400


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "image/bmp", "image/svg+xml", "IMAGE/"],
)
def test_other_content(content_type: str) -> None:
    assert refused(b"x", content_type=content_type) == (415, "media-type")


def test_header() -> None:
    assert check_header(png(30, 20), max_pixels=600).width == 30
    for most, status in ((599, 413), (600, None)):
        if status:
            with pytest.raises(Problem, match=r"30 x 20 \(600 pixels\); the limit is 599"):
                check_header(png(30, 20), max_pixels=most)
    with pytest.raises(Problem) as caught:
        check_header(b"GIF89a", max_pixels=600)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("shape", "what"),
    [((3, 8, 10), "has 3 pages"), ((1, 8, 10, 6), "has channels that are neither gray nor RGB")],
)
def test_stacks_are_refused_before_they_wait(shape: tuple[int, ...], what: str) -> None:
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        np.zeros(shape, np.uint8),
        photometric="minisblack",
        planarconfig="contig" if len(shape) == 4 else None,
        metadata=None,
    )
    with pytest.raises(Problem) as refused:
        check_header(file.getvalue(), max_pixels=600)
    assert (refused.value.status, refused.value.kind) == (415, "stack")
    assert refused.value.detail == f"the image {what}; send it to /v1/jobs"
    assert check_header(file.getvalue(), max_pixels=600, stacks=True).stack == what
    with pytest.raises(Problem, match=f"the mask {what}; send a single image"):
        check_mask(file.getvalue(), header_of(10, 8), max_pixels=600)


def test_thousands_of_pages_are_refused_before_they_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((4, 8, 10), np.uint8), photometric="minisblack", metadata=None)
    monkeypatch.setattr(upload, "_ANY", dataclasses.replace(upload._ANY, max_pages=3))
    with pytest.raises(Problem, match="more than 3 pages"):
        check_header(file.getvalue(), max_pixels=600, stacks=True)
