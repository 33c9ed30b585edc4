"""The static site in a real browser, with a stand-in for onnxruntime-web, and with the real one (slow)."""

import contextlib
import io
import os
import re
import time
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.serve.conftest import levels
from tests.serve.inspection import faults
from tests.serve.visits import Visit, browser_test, download, drop, needs_chromium, restore
from tests.web.conftest import ICC, hosted, photo
from tests.web.test_modules import tiff
from uformer.cli import main
from uformer.errors import OptionError
from uformer.web import npm
from uformer.web.assemble import RUNTIME
from uformer.weights.registry import WEIGHTS

ROOT = Path(__file__).parents[2]
pytestmark = [browser_test, needs_chromium]


def ready(page: Page) -> None:
    """Wait for the page, after the reload that gives it threads."""
    expect(page.locator("#promise")).to_contain_text("sends nothing", timeout=60_000)
    assert page.evaluate("crossOriginIsolated")


def stored(page: Page) -> None:
    """Wait until all large files are stored for offline use."""
    until = time.monotonic() + 60
    while page.evaluate("async () => (await (await caches.open('uformer-large')).keys()).length") < 6:
        assert time.monotonic() < until
        page.wait_for_timeout(50)


CANCEL_AT_THE_FIRST_TILE = """() => {
  const words = document.querySelector("#progress-words");
  new MutationObserver((_, observer) => {
    if (!words.textContent.includes("of")) return;
    observer.disconnect();
    document.querySelector("#cancel").click();
    document.documentElement.dataset.cancelled = "";
  }).observe(words, { childList: true, characterData: true, subtree: true });
}"""
"""In the page itself, because the photo may be finished before a test can click."""


RECORD_LOCKS = """() => {
  window.locks = [];
  navigator.wakeLock.request = async (kind) => {
    locks.push(kind);
    return { release() { locks.push("released"); } };
  };
}"""


def test_restore_offline_and_cancel(browser: Browser, site: Path) -> None:
    """One visit: the first one online below another folder, then without a network."""
    with hosted(site) as port, Visit(browser, port, token="site/") as page:
        ready(page)
        expect(page.locator("#reference")).to_be_hidden()
        stored(page)
        data = photo("PNG", "RGBA", size=(300, 150))
        page.context.set_offline(True)
        page.reload()
        ready(page)
        drop(page, ("a photo.png", data))
        page.check("[name=task][value=derain]", force=True)  # its tones are free
        page.evaluate(CANCEL_AT_THE_FIRST_TILE)
        page.click("#go")
        expect(page.locator("html[data-cancelled]")).to_have_count(1)
        expect(page.locator("#go")).to_be_visible()
        page.evaluate(RECORD_LOCKS)
        restore(page)
        assert page.evaluate("locks") == ["screen", "released"], "the computer stays awake meanwhile"
        name, made = download(page)
        assert name == "a photo.restored.png"
        original = np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data)))).astype(int)
        wanted = original - [51, 51, 51, 0]
        assert np.abs(levels(made) - np.clip(wanted, 0, 255)).max() <= 1
        restored = PIL.Image.open(io.BytesIO(made))
        assert (restored.getexif()[0x0112], restored.getexif()[0x013B]) == (1, "The owner")
        drop(page, ("b.jpg", photo("JPEG", size=(60, 40), quality=100, subsampling=0)), kind="image/jpeg")
        restore(page)
        name, made = download(page)
        restored = PIL.Image.open(io.BytesIO(made))
        assert (name, restored.size, restored.info["icc_profile"]) == ("b.restored.jpg", (40, 60), ICC)
        assert faults(page) == []
        page.click("#brush")
        page.locator("#viewer").press("Space")
        page.locator("#viewer").press("Space")
        expect(page.locator("#download-with")).to_contain_text("painted mask")
        lighter = levels(download(page)[1]) - levels(made)
        assert lighter[30, 20].min() > 40, "the middle is as it was: 51 levels lighter"
        assert np.abs(lighter[0, 0]).max() <= 3
        page.keyboard.press("Escape")
        drop(page, ("deep.webp", photo("WEBP", lossless=True)), kind="image/webp")
        restore(page)
        assert download(page)[0] == "deep.restored.webp"
        for name, title, text in (
            ("notes.txt", "This file cannot be read as a photo", "PNG, JPEG and WebP work."),
            ("scan.tif", "Photos of this kind cannot be read here", "uformer on a computer reads it."),
            ("photo.heic", "Photos of this kind cannot be read here", "Save the photo as JPEG first."),
        ):
            drop(page, (name, tiff() if name == "scan.tif" else b"hello"), kind="")
            expect(page.locator("#notice-title")).to_have_text(title)
            expect(page.locator("#notice-text")).to_contain_text(text)
            expect(page.locator("#notice-text")).not_to_contain_text("server")
        assert faults(page) == []
        page.goto(f"http://127.0.0.1:{port}/site/?engine=webgpu")
        ready(page)
        drop(page, ("c.png", photo("PNG")))
        page.check("[name=task][value=deblur]", force=True)
        restore(page)
        expect(page.locator("#file-facts")).to_contain_text(
            "The graphics card computes wrong values (off by 0.1"
        )
        expect(page.locator("#file-facts")).to_contain_text("Restored by the processor")
        page.set_viewport_size({"width": 360, "height": 740})
        assert faults(page) == []


def test_it_works_without_a_service_worker(browser: Browser, site: Path) -> None:
    """Some private windows have none: one thread then, and no reload."""
    with hosted(site) as port:
        context = browser.new_context(service_workers="block")
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/site/")
        expect(page.locator("#promise")).to_contain_text("sends nothing")
        drop(page, ("a.png", photo("PNG")))
        restore(page)
        expect(page.locator("#file-facts")).to_contain_text("one thread")
        context.close()


def runtime(folder: Path) -> Path:
    """Return the archive of onnxruntime-web: $ONNXRUNTIME_WEB or else from npm, if it can be reached."""
    if given := os.environ.get("ONNXRUNTIME_WEB"):
        return Path(given)
    try:
        archive = npm.archive_of(RUNTIME)
    except OptionError as error:
        if "cannot be downloaded" not in str(error):
            raise
        pytest.skip(f"$ONNXRUNTIME_WEB does not name an archive, and {error}")
    file = folder / "runtime.tgz"
    file.write_bytes(archive)
    return file


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_real_runtime_equals_the_library(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`uformer web` with onnxruntime-web from npm, in WebAssembly: within one level of 8 bits.

    The site has one network instead of three, because comparing each with the original takes time.
    """
    one = "uformer_t.denoise"
    monkeypatch.setattr("uformer.web.command.WEIGHTS", {one: WEIGHTS[one]})
    assert main(["web", str(tmp_path / "site"), "--runtime", str(runtime(tmp_path))]) == 0
    noisy = tmp_path / "noisy.png"
    PIL.Image.open(ROOT / "examples" / "night.png").crop((100, 100, 210, 200)).save(noisy)
    options = ["--precision", "fp32", "--backend", "openvino", "--tile", "128", "--quiet"]
    assert main(["restore", str(noisy), *options]) == 0
    wanted = levels((tmp_path / "noisy.restored.png").read_bytes())
    with hosted(tmp_path) as port, Visit(browser, port, token="site/") as page:
        ready(page)
        drop(page, (noisy.name, noisy.read_bytes()))
        page.click("#go")
        page.wait_for_selector("#download[href]", timeout=600_000)
        error = np.abs(levels(download(page)[1]) - wanted)
        assert error.max() <= 1
        assert error.mean() < 0.05
        expect(page.locator("#file-facts")).to_contain_text("Restored by the processor (WebAssembly")


def peak_memory(browser: Browser) -> int:
    """Return the most bytes of memory that a process of the browser has held, as Linux counts them."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    peaks = [0]
    for each in processes:
        with contextlib.suppress(OSError):  # no Linux, or it has just ended
            status = Path(f"/proc/{each['id']}/status").read_text()
            peaks += [1024 * int(size) for size in re.findall(r"VmHWM:\s+(\d+) kB", status)]
    return max(peaks)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twelve_megapixels(browser: Browser, site: Path) -> None:
    """A photo of a usual camera, with the stand-in: the page cuts 252 tiles and stays usable."""
    y, x = np.mgrid[:3000, :4000]
    pixels = np.stack([y % 256, x % 256, (x + y) % 256], axis=-1).clip(60, 250).astype(np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    with hosted(site) as port, Visit(browser, port, token="site/?engine=wasm") as page:
        ready(page)
        drop(page, ("large.png", file.getvalue()))
        page.check("[name=task][value=deblur]", force=True)
        page.click("#go")
        expect(page.locator("#progress-words")).to_contain_text("of 252", timeout=120_000)
        page.wait_for_selector("#download[href], #notice:not([hidden])", timeout=300_000)
        restored = levels(download(page)[1])
        assert np.abs(restored - (pixels.astype(int) - 51)).max() <= 1
        page.locator("#strength").fill("50")
        expect(page.locator("#download-with")).to_contain_text("strength 50%", timeout=120_000)
        assert np.abs(levels(download(page)[1]) - restored - 26).max() <= 1
        assert faults(page) == []
        assert peak_memory(browser) < 1.2e9
