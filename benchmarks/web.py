"""Measure the static site of `uformer web` in headless Chromium.

    uformer web site
    python benchmarks/web.py site                    # WebAssembly
    python benchmarks/web.py site --engine webgpu --flags=--enable-unsafe-webgpu
    python benchmarks/web.py site --sizes            # the sizes of the parts of the site

Restores a photo twice, because the first time includes loading, and prints both times.
Needs playwright, and Chromium at $CHROMIUM or on the path.
"""

import argparse
import functools
import http.server
import os
import shutil
import threading
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
PHOTO = Path(__file__).parents[1] / "examples" / "night.png"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *values: object) -> None:  # noqa: A002
        pass


def restore(page: Page, photo: Path, seconds: float) -> float:
    page.set_input_files("#picker", photo)
    start = time.monotonic()
    page.click("#go")
    page.wait_for_selector("#download[href]", timeout=seconds * 1000)
    return time.monotonic() - start


def print_sizes(site: Path) -> None:
    totals: dict[str, int] = {}
    for path in site.rglob("*"):
        if path.is_file():
            folder = path.relative_to(site).parts[0]
            part = folder if folder in ("models", "runtime") else "page"
            totals[part] = totals.get(part, 0) + path.stat().st_size
    for name, size in sorted(totals.items()):
        print(f"{name}: {size / 1e6:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("site", type=Path)
    parser.add_argument("--photo", type=Path, default=PHOTO)
    parser.add_argument("--engine", choices=["wasm", "webgpu"], default="wasm")
    parser.add_argument("--flags", nargs="*", default=[], help="of Chromium")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one photo")
    parser.add_argument("--sizes", action="store_true", help="print the sizes of the site, and stop")
    given = parser.parse_args()
    if given.sizes:
        print_sizes(given.site)
        return
    handler = functools.partial(_Quiet, directory=str(given.site))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        sync_playwright() as playwright,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        flags = ["--no-sandbox", *given.flags]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/?engine={given.engine}")
        page.locator("#promise:not(:empty)").wait_for(state="attached", timeout=60_000)
        first = restore(page, given.photo, given.timeout)
        second = restore(page, given.photo, given.timeout)
        print(f"Chromium {browser.version}; first photo {first:.1f} s, second {second:.1f} s")
        print(page.locator("#file-facts").text_content())
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
