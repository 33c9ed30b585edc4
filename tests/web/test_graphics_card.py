"""WebGPU: graphics cards that fail, in node, and a small network on Chromium's software adapter (slow)."""

import contextlib
import dataclasses
import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from tests.networks import KINDS, build
from tests.serve.conftest import levels
from tests.serve.visits import CHROMIUM, Visit, browser_test, download, drop, needs_chromium
from tests.web.conftest import hosted, in_node, needs_node
from tests.web.test_in_browser import ready, runtime
from uformer.export import browser as export
from uformer.export import onnx_model
from uformer.restore.tiles import blend, cut, plan_tiles
from uformer.web import npm
from uformer.web.assemble import RUNTIME, RUNTIME_FILES, SiteModel, write_site
from uformer.weights import checkpoint

ADAPTER = "--enable-unsafe-webgpu"
"""The flag of Chromium that offers SwiftShader, which computes WebGPU on the processor."""

CARDS = """
import { writeFileSync } from "node:fs";
import { Network, probe } from "./network.js";

writeFileSync("ort.webgpu.min.mjs", `
export class Tensor {
  constructor(type, data) { this.data = data; }
  getData() { return this.data; }
  dispose() {}
}
export const InferenceSession = { create: async (data, { executionProviders: [provider] }) => {
  if (provider === "webgpu" && globalThis.card.refuses) throw new Error("no adapter\\\\nat line 1");
  return {
    async release() {},
    async run({ image }) {
      const { data } = image;
      const turn = provider === "webgpu" && globalThis.card[globalThis.runs++ ? "photo" : "probe"];
      if (turn === "hangs") await new Promise(() => {});
      if (turn === "crashes") throw new Error("device lost");
      if (turn === "is lost") { globalThis.lose({ reason: "unknown" }); await new Promise(() => {}); }
      const change = { lies: 0.1, "returns NaN": NaN }[turn] ?? 0;
      return { restored: new Tensor("float32", data.map((value, at) => value + (at % 7 ? 0 : change))) };
    },
  };
} };
const lost = new Promise((resolve) => { globalThis.lose = resolve; });
export const env = { wasm: {}, webgpu: { device: { lost } } };
`);
globalThis.self = { crossOriginIsolated: false };
globalThis.fetch = async () => new Response(new Uint8Array(1));
const gpu = { requestAdapter: async () => given.card.adapter };
Object.defineProperty(globalThis, "navigator", { value: { gpu } });
globalThis.card = given.card;
globalThis.runs = 0;
Network.patience = 50;

const side = 32;
const wanted = [...probe(side)].filter((_, at) => at % 997 === 0);
const model = { task: "denoise", file: "network", multiple: side, answer: wanted };
const base = new URL("./", import.meta.url);
const packed = { network: [1, 1], binary: [1, 1] };
const site = { runtime: { folder: ".", binary: "binary" }, models: [model], packed };
const network = new Network(base, site, given.card.wanted ?? "");
let problem = null;
try {
  await network.load("denoise", () => {});
  await network.run(new Float32Array(3 * side * side), side, side);
} catch ({ type, detail }) {
  problem = [type, detail];
}
answer([problem, problem ? "" : network.described]);
"""
"""Restores a tile with a stand-in for onnxruntime-web that behaves as `card` says."""


def after(folder: Path, **card: object) -> list[Any]:
    found: list[Any] = in_node(folder, CARDS, {"card": {"adapter": {"info": {}}, **card}})
    return found


@needs_node
@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({"refuses": True}, "cannot be used (no adapter)"),
        ({"probe": "lies"}, "computes wrong values (off by 0.10)"),
        ({"probe": "returns NaN"}, "computes values that are not finite"),
        ({"probe": "crashes"}, "cannot be used (device lost)"),
        ({"probe": "hangs"}, "does not answer within 0.05 seconds"),
        ({"photo": "returns NaN"}, "computes values that are not finite"),
        ({"photo": "crashes"}, "cannot be used (device lost)"),
        ({"photo": "hangs"}, "does not answer within 0.05 seconds"),
        ({"photo": "is lost", "wanted": "webgpu"}, "stopped working"),
    ],
    ids=str,
)
def test_a_card_that_fails_is_named(tmp_path: Path, card: dict[str, Any], words: str) -> None:
    problem = ["urn:uformer:graphics-card", f"The graphics card {words}, so the processor does the work"]
    assert after(tmp_path, **card) == [problem, ""]


@needs_node
def test_a_good_card_is_used_and_a_software_renderer_only_on_request(tmp_path: Path) -> None:
    card, processor = (
        "Restored by the graphics card (WebGPU)",
        "Restored by the processor (WebAssembly, one thread)",
    )
    software = {"info": {"isFallbackAdapter": True}}
    assert after(tmp_path) == [None, card]
    assert after(tmp_path, adapter=software) == [None, processor]
    assert after(tmp_path, adapter=software, wanted="webgpu") == [None, card]
    assert after(tmp_path, adapter=None) == [None, processor]


@contextlib.contextmanager
def software_adapter(browser: Browser) -> Iterator[Browser]:
    """Yield a Chromium whose WebGPU computes on the processor; skip the test if it has none."""
    with browser.browser_type.launch(executable_path=CHROMIUM, args=["--no-sandbox", ADAPTER]) as other:
        yield other


def kill_graphics_process(browser: Browser) -> None:
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    (number,) = (each["id"] for each in processes if each["type"] == "GPU")
    os.kill(number, signal.SIGKILL)


def small_network(folder: Path) -> SiteModel:
    """Export a network of the kind that ships, but with two levels and few channels, and random weights."""
    config = dataclasses.replace(
        KINDS["2022"], embed_dim=8, depths=(2, 1, 1, 1, 2), num_heads=(1, 1, 2, 2, 1), window_size=8
    )
    network = build(config)
    with torch.no_grad():  # so that the output is an image again, as that of weights that ship
        for parameter in network.output_proj.parameters():
            parameter.mul_(0.005)
    checkpoint.save(folder / "small.safetensors", network, notes={"licence": "CC0 1.0"})
    made = export.write(folder / "small.onnx", folder / "small.safetensors")
    data = (folder / "small.onnx").read_bytes()
    return SiteModel("derain", "small.derain", "CC0 1.0", data, config.multiple, made.answer)


@pytest.mark.slow
@pytest.mark.timeout(900)
@browser_test
@needs_chromium
def test_webgpu_equals_onnxruntime(browser: Browser, tmp_path: Path) -> None:
    """A small network, written by the export of `uformer web` and run by the real onnxruntime-web."""
    model = small_network(tmp_path)
    files = npm.files_in(npm.archive_of(RUNTIME, runtime(tmp_path)), RUNTIME_FILES)
    write_site(tmp_path / "site", [model], files)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")

    plan = plan_tiles(24, 40, tile=64, overlap=32, multiple=model.multiple, align=32, margin=8)
    planar = pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    network = onnx_model.load(model.data)
    tiles = (network(tile[None])[0] for tile in cut(lambda first, last: planar[:, first:last], plan))
    rows = np.concatenate([part.copy() for _, part in blend(tiles, plan)], axis=1)
    wanted = np.clip(255 * rows, 0, 255).transpose(1, 2, 0)
    assert np.abs(wanted - pixels).mean() > 5, "the network changes the image"

    def restored(page: Page) -> None:
        drop(page, ("a.png", file.getvalue()))
        page.check("[name=task][value=derain]", force=True)  # its tones are free
        page.click("#go")
        page.wait_for_selector("#download[href], #notice:not([hidden])", timeout=600_000)
        assert np.abs(levels(download(page)[1]) - wanted).max() < 1

    facts = "#file-facts"
    with software_adapter(browser) as other, hosted(tmp_path) as port:
        with Visit(other, port, token="site/?engine=webgpu") as page:
            ready(page)
            if page.evaluate("navigator.gpu?.requestAdapter() ?? null") is None:
                pytest.skip(f"this Chromium offers no WebGPU adapter with {ADAPTER}")
            restored(page)
            expect(page.locator(facts)).to_contain_text("Restored by the graphics card (WebGPU)")
            kill_graphics_process(other)
            restored(page)
            expect(page.locator(facts)).to_contain_text("The graphics card stopped working, so the processor")
            expect(page.locator(facts)).to_contain_text("Restored by the processor (WebAssembly")
        with Visit(other, port, token="site/") as page:
            ready(page)
            restored(page)
            expect(page.locator(facts)).to_contain_text("Restored by the processor (WebAssembly")
            expect(page.locator(facts)).not_to_contain_text("graphics card")
    with hosted(tmp_path) as port, Visit(browser, port, token="site/?engine=webgpu") as page:
        ready(page)
        restored(page)
        expect(page.locator(facts)).to_contain_text(
            "The graphics card cannot be used (no available backend found"
        )
