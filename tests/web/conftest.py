"""A stand-in for onnxruntime-web, a site made with it, and node, which runs the page's modules."""

import base64
import functools
import http.server
import io
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.PngImagePlugin
import pytest

from uformer.web.assemble import RUNTIME_FILES, SiteModel, page_files, write_site

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node, which runs the page's modules")

STAND_IN = """
// Darkens every sample by 0.2, as slowly as the address asks for.
class Tensor {
  constructor(type, data, dims) { Object.assign(this, { data, dims }); }
  async getData() { return this.data; }
  dispose() {}
}
const InferenceSession = { create: async (data, { executionProviders: [provider] }) => ({
  async run({ image }) {
    await new Promise((resolve) => setTimeout(resolve, data[0] === 1 ? 150 : 0));
    const wrong = provider === "webgpu" && data[0] === 2 ? 0.1 : 0;
    return { restored: new Tensor("float32", image.data.map((value) => value - 0.2 + wrong), image.dims) };
  },
  async release() {},
}) };
export { InferenceSession, Tensor };
export const env = { wasm: {}, webgpu: { device: { lost: new Promise(() => {}) } } };
//# sourceMappingURL=gone.map
"""
KINDS = {"denoise": 0, "derain": 1, "deblur": 2}
"""First byte of a stand-in's weights: quick, slow, and wrong on a graphics card."""


def stand_ins() -> tuple[list[SiteModel], dict[str, bytes]]:
    """Return models and a runtime that need no download."""
    at = np.arange(3 * 128 * 128, dtype=np.int64)
    answer = [float(each) for each in (((31 * at * at + 17 * at) % 256) / 255 - 0.2)[::997]]
    models = [
        SiteModel(task, f"tiny.{task}", "CC0 1.0", bytes([kind, 7]), 128, answer)
        for task, kind in KINDS.items()
    ]
    return models, dict.fromkeys(RUNTIME_FILES, b"export {};\n") | {RUNTIME_FILES[0]: STAND_IN.encode()}


class Handler(http.server.SimpleHTTPRequestHandler):
    """A plain web server: no header but the media type."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}  # noqa: RUF012

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002
        pass


@contextmanager
def hosted(folder: Path) -> Iterator[int]:
    """Serve a folder on a port of this machine, and yield the port."""
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the parent of a site called `site`, which has the stand-ins."""
    parent = tmp_path_factory.mktemp("web")
    write_site(parent / "site", *stand_ins())
    return parent


def in_node(folder: Path, script: str, values: object) -> Any:
    """Run a script among the page's modules; `given` is `values`, and `answer` takes its result."""
    (folder / "package.json").write_text('{"type": "module"}')
    for name, data in page_files().items():
        if name.endswith(".js"):
            (folder / name).write_bytes(data)
    (folder / "script.js").write_text(
        'import { readFileSync, writeSync } from "node:fs";\n'
        "const given = JSON.parse(readFileSync(0));\n"
        "const answer = (value) => { let text = Buffer.from(JSON.stringify(value));"
        " while (text.length) text = text.subarray(writeSync(1, text)); };\n"
        "const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64'));\n"
        "const text = (data) => Buffer.from(data).toString('base64');\n" + script
    )
    run = subprocess.run(
        ["node", "script.js"], cwd=folder, input=json.dumps(values).encode(), capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr.decode()
    return json.loads(run.stdout)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


ICC = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><note>private</note></x:xmpmeta>'


def exif(orientation: int = 6) -> PIL.Image.Exif:
    """Return EXIF with a place, an owner, an exposure and an orientation."""
    values = PIL.Image.Exif()
    values[0x0112] = orientation
    values[0x010F] = "A camera"
    values[0x013B] = "The owner"
    values.get_ifd(0x8769).update({0x829A: 0.01, 0xA002: 40, 0xA003: 24, 0xA431: "serial 77"})
    values.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 0.0)})
    return values


def photo(
    kind: str, mode: str = "RGB", *, size: tuple[int, int] = (40, 24), orientation: int = 6, **options: Any
) -> bytes:
    """Return an image file with a profile, EXIF and XMP; `kind` is Pillow's name of its format."""
    rng = np.random.default_rng(size[0])
    levels = rng.integers(60, 256, (size[1], size[0], 4), dtype=np.uint8)
    image = PIL.Image.fromarray(levels, "RGBA").convert(mode)
    if kind == "PNG":
        info = PIL.PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        info.add_text("Title", "a title")
        options["pnginfo"] = info
    else:
        options["xmp"] = XMP
    file = io.BytesIO()
    image.save(file, kind, icc_profile=ICC, exif=exif(orientation), **options)
    return file.getvalue()
