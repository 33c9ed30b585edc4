"""Visits of the page with a real browser."""

import base64
import os
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first takes half of the others' processor time."""
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)

browser_test = pytest.mark.browser
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None,
    reason="no Chromium: apt-get install chromium-headless-shell, or set $CHROMIUM to its path",
)


class Visit:
    """A page that fails its test if it contacts another host or logs an error other than an HTTP status."""

    def __init__(
        self,
        browser: Browser,
        port: int,
        *,
        width: int = 1280,
        height: int = 800,
        phone: bool = False,
        token: str = "",
    ) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            has_touch=phone,
            is_mobile=phone,
            device_scale_factor=2 if phone else 1,
            reduced_motion="reduce",
            accept_downloads=True,
        )
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on(
            "request", lambda request: self.hosts.add(re.sub(r"^(blob:)?(\w+://[^/]+).*", r"\2", request.url))
        )
        self.page.goto(f"http://127.0.0.1:{port}/{token}")
        self.port = port

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:
            self.errors.append(text)

    def __enter__(self) -> Page:
        return self.page

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.context.close()
        if kind is None:
            assert self.errors == []
            assert {host for host in self.hosts if not host.startswith("data:")} == {
                f"http://127.0.0.1:{self.port}"
            }


def drop(page: Page, *files: tuple[str, bytes], kind: str = "image/png") -> None:
    """Drop files onto the page, as from a file manager."""
    given = [{"name": name, "data": base64.b64encode(data).decode()} for name, data in files]
    make = """([files, type]) => {
        const transfer = new DataTransfer();
        for (const {name, data} of files) {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            transfer.items.add(new File([bytes], name, {type}));
        }
        return transfer;
    }"""
    transfer = page.evaluate_handle(make, [given, kind])
    page.dispatch_event("main", "dragenter", {"dataTransfer": transfer})
    expect(page.locator("body")).to_have_class("dropping")
    page.dispatch_event("main", "drop", {"dataTransfer": transfer})


def download(page: Page) -> tuple[str, bytes]:
    """Click the download button; return the file's name and bytes."""
    with page.expect_download() as waiting:
        page.click("#download")
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def restore(page: Page) -> None:
    """Click the button that restores, and wait for the file, not for an older one."""
    page.click("#go")
    expect(page.locator("#go")).to_be_hidden()
    expect(page.locator("#progress")).to_be_hidden()
    page.wait_for_selector("#download[href]")
