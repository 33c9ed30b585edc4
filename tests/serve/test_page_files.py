"""Files that a browser cannot show: the page shows, only restores, or refuses them."""

import base64
import io
from pathlib import Path

import numpy as np
import PIL.Image
import tifffile
from playwright.sync_api import Browser, Route, expect

from tests.image.cameras import heic
from tests.serve.conftest import Build, png, served
from tests.serve.test_stack_jobs import hyperstack, stack
from tests.serve.visits import Visit, browser_test, download, drop, needs_chromium, restore
from uformer.image.read import read

TIMES = "\N{MULTIPLICATION SIGN}"


@browser_test
@needs_chromium
def test_formats_that_a_browser_cannot_show(browser: Browser, build: Build, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(20_000, 65_536, (30, 40), dtype=np.uint16)
    PIL.Image.fromarray(samples).save(tmp_path / "deep.TIFF")
    with served(build()) as (_, port), Visit(browser, port) as page:
        drop(page, ("deep.TIFF", (tmp_path / "deep.TIFF").read_bytes()), kind="image/tiff")
        expect(page.locator("#file-facts")).to_contain_text(f"40 {TIMES} 30")
        restore(page)
        expect(page.locator("#file-facts")).to_contain_text("TIFF, 16-bit")
        expect(page.locator("#after")).to_have_js_property("naturalWidth", 40)
        name, data = download(page)
    assert name == "deep.restored.TIFF"
    restored = read(data)
    assert (restored.suffix, restored.depth, restored.channels) == (".tif", 16, 1)


@browser_test
@needs_chromium
def test_heic_is_shown_and_saved_as_jpeg(browser: Browser, build: Build) -> None:
    data = heic(np.full((30, 40, 3), 99, np.uint8), "RGB")
    with served(build()) as (_, port), Visit(browser, port) as page:
        drop(page, ("IMG_1.HEIC", data), kind="image/heic")
        expect(page.locator("#file-facts")).to_contain_text(f"40 {TIMES} 30")
        restore(page)
        expect(page.locator("#after")).to_have_js_property("naturalWidth", 40)
        assert download(page)[0] == "IMG_1.restored.jpg"


@browser_test
@needs_chromium
def test_what_cannot_be_read_is_refused_before_it_is_sent(browser: Browser, build: Build) -> None:
    def without_extras(route: Route) -> None:
        about = route.fetch().json()
        route.fulfill(json=about | {"suffixes": [".png", ".jpg", ".jpeg", ".tif", ".tiff"]})

    with served(build()) as (_, port), Visit(browser, port) as page:
        page.route("**/v1/models", without_extras)
        page.reload()
        expect(page.locator("#limits")).to_contain_text("megapixels")
        for name, kind, help_ in (
            ("a.HEIC", "HEIC", 'run pip install "uformer[heic]".'),
            ("a.cr2", "Camera raw", 'run pip install "uformer[raw]".'),
            ("a.psd", "Photoshop", "Save the photo as JPEG or TIFF first."),
        ):
            drop(page, (name, b"any"), kind="")
            expect(page.locator("#notice-title")).to_have_text("Photos of this kind cannot be read here")
            expect(page.locator("#notice-text")).to_contain_text(f"{kind} is not among the formats")
            expect(page.locator("#notice-text")).to_contain_text(help_)
            expect(page.locator("[aria-current=true] .kind")).to_have_text(name.split(".")[1].lower())
            expect(page.locator("#go")).to_be_hidden()


@browser_test
@needs_chromium
def test_a_stack_is_restored_but_neither_shown_nor_uploaded_for_that(browser: Browser, build: Build) -> None:
    with served(build()) as (_, port), Visit(browser, port) as page:
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url))
        drop(page, ("a.tif", hyperstack(3, 8, 10)))
        expect(page.locator("#notice-title")).to_have_text("This file is not shown here")
        expect(page.locator("#notice-buttons")).to_be_hidden()
        expect(page.locator(".thumb .kind")).to_have_text("tif")
        restore(page)
        expect(page.locator("#file-facts")).to_contain_text(f"10 {TIMES} 8 · TIFF, 16-bit")
        expect(page.locator("#file-facts")).to_contain_text("all 3 pages are restored")
        expect(page.locator("#notice")).to_be_visible()
        expect(page.locator("#brush-group")).to_be_hidden()
        assert not [url for url in sent if "/v1/restore" in url]
        name, restored = download(page)
        assert name == "a.restored.tif"
        with tifffile.TiffFile(io.BytesIO(restored)) as file:
            assert (file.series[0].axes, file.series[0].shape) == ("CYX", (3, 8, 10))
        drop(page, ("b.tif", stack(np.zeros((8, 10), np.int16))))  # only the server recognises it
        expect(page.locator("#file-name")).to_have_text("b.tif")
        expect(page.locator("#notice")).to_be_visible()
        expect(page.locator("#notice-title")).to_have_text("This file is not shown here")
        assert len([url for url in sent if "/v1/restore" in url]) == 1


@browser_test
@needs_chromium
def test_which_files_the_page_takes_for_stacks(browser: Browser, build: Build) -> None:
    one, two = np.zeros((8, 10), np.uint8), np.zeros((2, 8, 10), np.uint8)
    copy = bytearray(stack(one, subfiletype=1))
    entries = int.from_bytes(copy[8:10], "little")
    copy[10 + 12 * entries : 14 + 12 * entries] = copy[4:8]  # the next directory is the first one again
    stacks = [stack(two, byteorder=order, bigtiff=big) for order in "<>" for big in (False, True)]
    others = [stack(one), with_companion(1), with_companion(4), stack(two)[:100], bytes(copy), png(), b""]
    ask = """async (files) => {
        const { isStack } = await import("./page/tiff.js");
        const blob = (data) => new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))]);
        return Promise.all(files.map((data) => isStack(blob(data))));
    }"""
    with served(build()) as (_, port), Visit(browser, port) as page:
        found = page.evaluate(ask, [base64.b64encode(data).decode() for data in stacks + others])
    assert found == [True] * len(stacks) + [False] * len(others)


def with_companion(kind: int) -> bytes:
    """Return a TIFF of an image and a page that belongs to it; `kind`: its NewSubfileType."""
    file, pixels = io.BytesIO(), np.zeros((8, 16), np.bool_)
    with tifffile.TiffWriter(file) as writer:
        for each in (0, kind):
            writer.write(pixels, photometric="minisblack", metadata=None, subfiletype=each)
    return file.getvalue()
