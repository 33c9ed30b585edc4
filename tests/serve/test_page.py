"""The page in a real browser: using it, and what it shows when something goes wrong."""

import base64
import re
from pathlib import Path

import numpy as np
import PIL.Image
from playwright.sync_api import Browser, expect

from tests.serve.conftest import Build, Pace, levels, png, send, served, wait_until
from tests.serve.inspection import faults
from tests.serve.visits import Visit, browser_test, download, drop, needs_chromium, restore
from uformer.cli import main
from uformer.restore.options import RestoreOptions
from uformer.serve import static
from uformer.serve.service import Service
from uformer.serve.settings import Settings

ROOT = Path(__file__).parents[2]
TIMES = "\N{MULTIPLICATION SIGN}"


@browser_test
@needs_chromium
def test_drop_restore_compare_download(browser: Browser, tmp_path: Path) -> None:
    noisy = tmp_path / "ma photo.png"
    PIL.Image.open(ROOT / "examples" / "night.png").crop((100, 100, 196, 180)).save(noisy)
    options = ["--precision", "fp32", "--backend", "openvino"]
    assert main(["restore", str(noisy), *options, "--quiet"]) == 0
    service = Service.build(Settings(), RestoreOptions(precision="fp32", backend="openvino"))
    with served(service) as (_, port), Visit(browser, port) as page:
        drop(page, (noisy.name, noisy.read_bytes()))
        expect(page.locator("#file-facts")).to_contain_text(f"96 {TIMES} 80")
        page.click("#go")
        page.wait_for_selector("#download:not([hidden])", timeout=60_000)
        slider = page.locator("#divider")
        expect(slider).to_have_attribute("aria-valuenow", "50")
        box = slider.bounding_box()
        assert box is not None
        shown = page.locator("#viewer").screenshot()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] - 150, box["y"] + 200, steps=4)
        page.mouse.up()
        assert int(slider.get_attribute("aria-valuenow") or 50) < 45
        assert page.locator("#viewer").screenshot() != shown
        name, data = download(page)
        assert name == "ma photo.restored.png"
        by_command = (tmp_path / name).read_bytes()
        assert np.abs(levels(data) - levels(by_command)).max() <= 1, "the answer is held as float16"
        page.click("[aria-label='Remove ma photo.png']")
        wait_until(lambda: service.store.kept == 0)


@browser_test
@needs_chromium
def test_the_photo_is_shown_pixel_by_pixel(browser: Browser, build: Build) -> None:
    with served(build()) as (_, port), Visit(browser, port, width=1000, height=700) as page:
        drop(page, ("a.png", png(240, 160)))
        restore(page)
        viewer = page.locator("#viewer")
        viewer.focus()
        page.keyboard.press("1")
        expect(page.locator("#level")).to_have_text("100%")
        seen, area = levels(viewer.screenshot()), viewer.bounding_box()
        assert area is not None
        top, left = round((area["height"] - 160) / 2), round((area["width"] - 240) / 2)
        piece, before = seen[top : top + 160, left : left + 240, :3], levels(png(240, 160))
        assert np.array_equal(piece[:, :80], before[:, :80]), "left of the divider: before"
        assert np.array_equal(piece[:100, 160:], before[:100, 160:] - 51), (
            "right of the divider, above the zoom buttons: after"
        )
        for _ in range(20):
            page.keyboard.press("+")
        expect(page.locator("#level")).to_have_text("3200%")
        was = page.locator("#before").get_attribute("style")
        page.keyboard.press("ArrowRight")
        assert page.locator("#before").get_attribute("style") != was
        page.keyboard.press("0")
        expect(page.locator("#level")).to_have_text("Fit")
        page.mouse.move(area["x"] + 100, area["y"] + 100)
        page.mouse.wheel(0, -300)
        expect(page.locator("#level")).not_to_have_text("Fit")
        page.locator("#divider").focus()
        for key, value in (("Home", "0"), ("ArrowRight", "2"), ("PageUp", "12"), ("End", "100")):
            page.keyboard.press(key)
            expect(page.locator("#divider")).to_have_attribute("aria-valuenow", value)


@browser_test
@needs_chromium
def test_several_wait_their_turn_and_can_be_cancelled(browser: Browser, build: Build, pace: Pace) -> None:
    pace.go.clear()
    service = build()
    with served(service) as (_, port), Visit(browser, port) as page:
        drop(page, ("a.png", png()), ("b.png", png(20, 10)), ("c.png", png(30, 20)))
        expect(page.locator(".thumb")).to_have_count(3)
        expect(page.locator("#go")).to_have_text("Restore 3 photos")
        page.click("#go")
        assert pace.at_work.wait(20)
        expect(page.locator("#progress-eta")).to_have_text("2 more")
        page.click("#cancel")
        pace.go.set()
        expect(page.locator("#go")).to_have_text("Restore 3 photos")
        expect(page.locator("#status")).to_have_text("Cancelled.")
        page.wait_for_timeout(100)
        assert len(pace.seen) == 1
        page.click(".tasks label:has([value=derain])")
        page.click("#go")
        expect(page.locator(".badge[data-state=done]")).to_have_count(3)
        assert [each.task for each in pace.seen[1:]] == ["derain"] * 3
        page.click("[aria-label='Remove b.png']")
        expect(page.locator(".thumb")).to_have_count(2)


@browser_test
@needs_chromium
def test_closing_the_page_cancels_the_work(browser: Browser, build: Build, pace: Pace) -> None:
    pace.go.clear()
    service = build()
    with served(service) as (_, port):
        with Visit(browser, port) as page:
            drop(page, ("a.png", png()))
            page.click("#go")
            assert pace.at_work.wait(20)
            expect(page.locator("#progress-words")).to_have_text("Preparing")
            page.goto(f"http://127.0.0.1:{port}/docs")
            wait_until(lambda: not service.store._jobs)
        pace.go.set()
        wait_until(lambda: service.idle)
    assert pace.tiles_done == 1


@browser_test
@needs_chromium
def test_every_error_has_a_title_and_help(browser: Browser, build: Build, pace: Pace) -> None:
    service = build(max_bytes=20_000, max_pixels=5000, queue=0)
    with served(service) as (_, port), Visit(browser, port) as page:
        title, text = page.locator("#notice-title"), page.locator("#notice-text")
        # The first image tells the server how long one takes, and so what Retry-After to send.
        assert send(port, "POST", "/v1/restore", png())[0] == 200
        drop(page, ("notes.txt", b"hello"), kind="text/plain")
        expect(title).to_have_text("This file cannot be read as a photo")
        expect(text).to_contain_text("Convert other files")
        page.click("#drop-it")
        expect(page.locator("#welcome")).to_be_visible()
        drop(page, ("big.png", png(100, 51, "1")))
        page.click("#go")
        expect(title).to_have_text("This photo is too large")
        expect(text).to_contain_text("100 x 51 (5,100 pixels); the limit is 5,000")
        drop(page, ("heavy.png", png(100, 100)))
        page.click("#go")
        expect(title).to_have_text("This file is too large")
        pace.go.clear()
        slot = service.engine.admit()
        slot.enter_queue()
        drop(page, ("a.png", png()))
        page.click("#go")
        expect(page.locator("#progress-words")).to_contain_text("The server is busy")
        slot.release()
        pace.go.set()
        page.wait_for_selector("#download:not([hidden])")
        service.engine._not_ready = "the weights are being loaded"
        page.click(".tasks label:has([value=deblur])")
        page.click("#go")
        waiting = "The server is not ready: the weights are being loaded"
        expect(page.locator("#progress-words")).to_have_text(waiting)
        service.engine._not_ready = None
        expect(page.locator("#progress")).to_be_hidden()
        pace.error = RuntimeError("a bug")
        page.click(".tasks label:has([value=derain])")
        page.click("#go")
        expect(title).to_have_text("Something went wrong on the server")
        pace.error = None
        page.click("#again")
        page.wait_for_selector("#download:not([hidden])")


@browser_test
@needs_chromium
def test_the_page_says_when_no_answer_is_held(browser: Browser, build: Build) -> None:
    words = "each change of a setting takes a new run"
    for memory, says in (("0", True), ("25%", False)):
        with served(build(hold_memory=memory)) as (_, port), Visit(browser, port) as page:
            drop(page, ("a.png", png()))
            page.click("#go")
            page.wait_for_selector("#download:not([hidden])")
            assert (words in (page.locator("#file-facts").text_content() or "")) is says


@browser_test
@needs_chromium
def test_paste_choose_samples_and_theme(browser: Browser, build: Build) -> None:
    with served(build()) as (_, port), Visit(browser, port) as page:
        given = base64.b64encode(png()).decode()
        page.evaluate(
            """(data) => {
                const transfer = new DataTransfer();
                const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
                transfer.items.add(new File([bytes], "pasted.png", {type: "image/png"}));
                window.dispatchEvent(new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true}));
            }""",
            given,
        )
        expect(page.locator("#file-name")).to_have_text("pasted.png")
        page.set_input_files("#picker", {"name": "b.png", "mimeType": "image/png", "buffer": png(20, 10)})
        expect(page.locator("#file-name")).to_have_text("b.png")
        page.goto(f"http://127.0.0.1:{port}/")
        page.click("[data-sample='rain.jpg']")
        page.wait_for_selector("#download:not([hidden])")
        expect(page.locator("[name=task][value=derain]")).to_be_checked()
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        page.click("#theme")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@browser_test
@needs_chromium
def test_a_token_is_asked_for_once(browser: Browser, build: Build) -> None:
    with served(build(token="s3cret")) as (_, port):
        with Visit(browser, port) as page:
            page.fill("#token", "s3cret")
            page.click("#ask button")
            expect(page.locator("#limits")).to_contain_text("megapixels")
            drop(page, ("a.png", png()))
            restore(page)
        with Visit(browser, port, token="#token=s3cret") as page:
            expect(page.locator("#limits")).to_contain_text("megapixels")
            assert "s3cret" not in page.url


@browser_test
@needs_chromium
def test_a_phone(browser: Browser, build: Build) -> None:
    with served(build()) as (_, port), Visit(browser, port, width=360, height=740, phone=True) as page:
        assert faults(page) == []
        expect(page.locator("[data-camera]")).to_be_visible()
        page.tap("[data-sample='night.jpg']")
        page.wait_for_selector("#download:not([hidden])")
        expect(page.locator("#download")).to_be_in_viewport()
        page.click("summary")
        assert faults(page) == []
        page.locator("#shadows").scroll_into_view_if_needed()
        expect(page.locator("#viewer")).to_be_in_viewport()
        expect(page.locator("#download")).to_be_in_viewport()


@browser_test
@needs_chromium
def test_the_keyboard_gets_everywhere(browser: Browser, build: Build) -> None:
    with served(build()) as (_, port), Visit(browser, port) as page:
        drop(page, ("a.png", png()))
        restore(page)
        page.click("summary")
        page.evaluate("document.activeElement.blur()")
        reached = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.add(
                page.evaluate("(({id, name, className}) => id || name || className)(document.activeElement)")
            )
        assert reached >= {
            "theme",
            "viewer",
            "divider",
            "level",
            "task",
            "strength",
            "format",
            "tile",
            "download",
            "thumb",
            "remove",
            "add",
        }


@browser_test
@needs_chromium
def test_the_api_reference(browser: Browser, build: Build) -> None:
    with served(build()) as (_, port), Visit(browser, port) as page:
        page.goto(f"http://127.0.0.1:{port}/docs")
        expect(page.locator("article")).to_have_count(10)
        expect(page.locator("article").first).to_contain_text("/v1/restore")
        page.set_viewport_size({"width": 360, "height": 740})
        page.locator("summary").first.click()
        assert faults(page) == []


@browser_test
@needs_chromium
def test_a_small_laptop_cuts_nothing_off(browser: Browser, build: Build) -> None:
    with served(build()) as (_, port), Visit(browser, port, width=1024, height=640) as page:
        drop(page, ("a.png", png(30, 20)), ("b.png", png()))
        page.click("#go")
        expect(page.locator(".badge[data-state=done]")).to_have_count(2)
        whole = "(({ scrollWidth, scrollHeight }) => [scrollWidth, scrollHeight])(document.documentElement)"
        assert page.evaluate(whole) == [1024, 640]
        for part in ("#viewer", "#tools", "#strip", "#download", "#download-all", "#strength"):
            expect(page.locator(part)).to_be_in_viewport(ratio=0.99)


def _luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb (WCAG 2.2)."""
    values = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_contrasts_with_its_background() -> None:
    css = static.files()["style.css"].data.decode()
    themes = [
        dict(re.findall(r"--([\w-]+): (#\w{6});", block)) for block in re.findall(r":root[^{]*{([^}]*)}", css)
    ]
    assert len(themes) == 2
    for theme in themes:
        behind = [(ink, paper) for ink in ("ink", "soft") for paper in ("paper", "card", "press")]
        behind += [
            ("accent-ink", "accent"),
            ("accent-ink", "accent-press"),
            ("ink", "wash"),
            ("soft", "wash"),
            ("accent", "paper"),
            ("accent", "card"),
            ("accent", "wash"),
            ("ink", "raised"),
            ("bad", "card"),
        ]
        edges = [("edge", paper) for paper in ("paper", "card", "press")]
        for one, other in behind + edges:
            light, dark = sorted((_luminance(theme[one]), _luminance(theme[other])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= (3 if one == "edge" else 4.5), (one, other)
