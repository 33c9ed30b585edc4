"""A server with a stand-in restorer that darkens images tile by tile, at a pace that the test controls."""

import copy
import dataclasses
import gc
import http.client
import io
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import PIL.Image
import pytest
from fastapi.testclient import TestClient

from uformer.image.image import Header, Image, Pixels
from uformer.image.stored import StoredImage
from uformer.image.value_range import ValueRange, choose
from uformer.restore.masks import Mask
from uformer.restore.options import RestoreOptions
from uformer.restore.restoration import Held, Restoration
from uformer.restore.restorer import Restorer
from uformer.restore.tones import decided
from uformer.serve.app import create_app
from uformer.serve.command import listen
from uformer.serve.server import Server
from uformer.serve.service import Service
from uformer.serve.settings import Settings

HEADERS = {"Content-Type": "image/png"}


class Pace:
    """Controls the stand-in and records what it has done."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.at_work = threading.Event()
        self.tiles = 4
        self.tiles_done = 0
        self.loaded: list[RestoreOptions] = []
        self.seen: list[RestoreOptions] = []
        self.error: Exception | None = None
        self.images: list[weakref.ref[Image | StoredImage | Pixels]] = []


class StandIn:
    """A restorer that subtracts 0.2 from every sample and waits for `pace.go` before each tile."""

    def __init__(self, options: RestoreOptions, pace: Pace) -> None:
        self.options, self._pace, self.mask = options, pace, None
        pace.loaded.append(options)

    def with_options(self, options: RestoreOptions) -> "StandIn":
        other = copy.copy(self)
        other.options = options
        return other

    def masked(self, mask: Any) -> "StandIn":
        other = copy.copy(self)
        other.mask = mask
        return other

    def range_of_image(self, image: Image | StoredImage, *, notify: Callable[[str], None]) -> ValueRange:
        return choose(self.options.range or "auto", image.values, image.depth)

    def restore_image(
        self,
        image: Image,
        *,
        used: ValueRange,
        progress: Callable[[int, int], None],
        notify: Callable[[str], None],
    ) -> Image:
        self._run(image, progress)
        return image.with_pixels(self._darker(image.pixels))

    @property
    def range(self) -> str:
        return self.options.range or "auto"

    def range_of(self, sample: Pixels, depth: int, *, notify: Callable[[str], None]) -> ValueRange:
        return choose(self.range, sample, depth)

    def restore_pixels(
        self,
        pixels: Pixels,
        *,
        used: ValueRange,
        progress: Callable[[int, int], None],
        notify: Callable[[str], None],
    ) -> Pixels:
        self._run(pixels, progress)
        return used.from_unit(self._darker(used.to_unit(pixels)), pixels)

    def _darker(self, pixels: Pixels) -> Pixels:
        """Darken pixels (H, W, C) by 0.2, where the mask lets it."""
        height, width, _ = pixels.shape
        share = (
            1 if self.mask is None else Mask(self.mask, height, width).window(0, height, 0, width)[..., None]
        )
        return np.maximum(pixels - np.float32(0.2) * share, 0)

    def infer(
        self, image: StoredImage, *, progress: Callable[[int, int], None], notify: Callable[[str], None]
    ) -> Restoration:
        """Return an answer that any tones leave as it is."""
        self._run(image, progress)
        residual = np.full((image.channels, image.height, image.width), -0.2, np.float16)
        cells = np.zeros((-(-image.height // 8), -(-image.width // 8)), np.float32)
        used = self.range_of_image(image, notify=notify)
        answer = Restoration(Held.of(image), [residual], [cells], [used], decided(self.options.chain[0]))
        answer.mask = self.mask
        return answer

    def _run(self, image: Image | StoredImage | Pixels, progress: Callable[[int, int], None]) -> None:
        pace = self._pace
        pace.seen.append(self.options)
        pace.images.append(weakref.ref(image))
        pace.at_work.set()
        if pace.error is not None:
            raise copy.copy(pace.error)  # so that the test's own error gets no traceback
        for tile in range(pace.tiles):
            assert pace.go.wait(20), "the test never set pace.go"
            pace.tiles_done += 1
            progress(tile + 1, pace.tiles)


Build = Callable[..., Service]


@pytest.fixture
def pace() -> Iterator[Pace]:
    pace = Pace()
    yield pace
    pace.go.set()


@pytest.fixture
def build(pace: Pace) -> Build:
    """Return a function that builds a service with the stand-in from settings and `options`."""

    def build(options: RestoreOptions = RestoreOptions(), **settings: Any) -> Service:
        chosen = dataclasses.replace(Settings(grace=0.5), **settings)
        return Service.build(chosen, options, load=lambda each: cast(Restorer, StandIn(each, pace)))

    return build


@pytest.fixture
def no_garbage_collector() -> Iterator[None]:
    """Disable the garbage collector, so that reference cycles stay in memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@contextmanager
def client_of(service: Service, host: str = "localhost") -> Iterator[TestClient]:
    """Yield a client that calls the application directly."""
    with TestClient(create_app(service), base_url=f"http://{host}", raise_server_exceptions=False) as client:
        wait_until(lambda: service.engine.not_ready is None)
        yield client


@pytest.fixture
def client(build: Build) -> Iterator[TestClient]:
    with client_of(build()) as client:
        yield client


@contextmanager
def served(service: Service) -> Iterator[tuple[Server, int]]:
    """Yield a running server and its port."""
    listener = listen("127.0.0.1", 0)
    server = Server(service)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_until(lambda: server.started and service.engine.not_ready is None)
        yield server, listener.getsockname()[1]
    finally:
        server.handle_exit(2, None)
        server.handle_exit(2, None)
        thread.join(20)
        assert not thread.is_alive()


def wait_until(holds: Callable[[], object], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "timed out"
        time.sleep(0.005)


def png(width: int = 12, height: int = 8, mode: str = "RGB", suffix: str = "PNG") -> bytes:
    """Return the file of a random image; `suffix` is Pillow's name of its format."""
    rng = np.random.default_rng(width + height)
    image = PIL.Image.fromarray(rng.integers(60, 256, (height, width, 3), dtype=np.uint8)).convert(mode)
    file = io.BytesIO()
    image.save(file, suffix, **({"exif": exif()} if suffix in ("PNG", "JPEG") else {}))
    return file.getvalue()


def header_of(width: int = 12, height: int = 8, **values: Any) -> Header:
    return Header(
        **{
            "width": width,
            "height": height,
            "channels": 3,
            "alpha": False,
            "depth": 8,
            "suffix": ".png",
            **values,
        }
    )


def exif() -> PIL.Image.Exif:
    values = PIL.Image.Exif()
    values[0x010E] = "where I live"
    return values


def levels(data: bytes) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(data))).astype(int)


def send(
    port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """Send one request on a new connection; return the status and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body, {**(HEADERS if body else {}), **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
