"""How the page looks in every state: nothing is faint, cut off or covered, and nothing jumps.

tests/serve/inspection.py says what counts as a fault.
"""

from playwright.sync_api import Browser, Page, expect

from tests.serve.conftest import Build, Pace, png, served
from tests.serve.inspection import faults
from tests.serve.test_stack_jobs import hyperstack
from tests.serve.visits import Visit, browser_test, drop, needs_chromium, restore

SIZES = ((1280, 800, "light"), (1024, 640, "dark"), (360, 740, "light"), (640, 360, "dark"))
NAME = "a_long_name_that_a_camera_or_a_person_gave_to_this_photo.png"


def look(page: Page, state: str) -> None:
    """Fail if the page has faults in windows of several sizes."""
    for width, height, theme in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        assert faults(page) == [], f"{state}, {width} x {height}, {theme}"


def enlarge(page: Page) -> None:
    """Double the size of text, as a visitor can in the settings of a browser."""
    page.context.new_cdp_session(page).send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})


@browser_test
@needs_chromium
def test_every_state_in_every_window(browser: Browser, build: Build, pace: Pace) -> None:
    pace.go.clear()
    with served(build()) as (_, port), Visit(browser, port) as page:
        expect(page.locator("#limits")).to_contain_text("megapixels")
        look(page, "empty")
        drop(page, (NAME, png(240, 160)), ("b.png", png(20, 30)))
        expect(page.locator("#file-facts")).to_contain_text("240")
        look(page, "dropped")
        page.click("#go")
        assert pace.at_work.wait(20)
        look(page, "running")
        moving = "document.getAnimations().map((each) => each.animationName)"
        assert page.evaluate(moving) == ["pulse"], "the visitor prefers reduced motion"
        pace.go.set()
        expect(page.locator(".badge[data-state=done]")).to_have_count(2)
        scrolled = page.evaluate("[scrollY, document.getElementById('panel').scrollTop]")
        assert scrolled == [0, 0], "new controls appear below those in view"
        look(page, "done")
        facts = page.locator("#file-facts").text_content() or ""
        assert "240\xa0\xd7\xa0160\xa0· PNG,\xa08-bit" in facts, "lines break between facts only"
        page.click("[data-view=beside]")
        for name in ("strength", "luma", "chroma", "detail", "grain", "shadows"):
            page.locator(f"#{name}").fill("40")
        page.click("summary")
        expect(page.locator("#download-with")).to_contain_text("shadows only 40%")
        look(page, "side by side, all controls moved, more options")
        page.click("#brush")
        look(page, "brush")
        page.click("#brush-done")
        page.click(".tasks label:has([value=derain])")
        look(page, "changed since it was restored")
        page.route(
            "**/result?*", lambda route: route.fulfill(status=422, json={"type": "urn:uformer:options"})
        )
        page.click(".tasks label:has([value=denoise])")
        page.locator("#luma").fill("10")
        expect(page.locator("#trouble")).to_be_visible()
        look(page, "refused settings")
        drop(page, ("b.heic", b"no photo"), ("c.bmp", b"BM"), kind="")
        page.locator(".thumb").last.click()
        expect(page.locator("#notice-title")).to_have_text("Photos of this kind cannot be read here")
        look(page, "refused file")
        drop(page, ("d.tif", hyperstack(2, 8, 10)))
        expect(page.locator("#notice-title")).to_have_text("This file is not shown here")
        look(page, "stack")
        page.locator(".remove").last.click()
        enlarge(page)
        look(page, "refused file, text of twice the size")
        page.locator(".thumb").first.click()
        expect(page.locator("#notice")).to_be_hidden()
        look(page, "done, text of twice the size")


@browser_test
@needs_chromium
def test_asking_for_a_token(browser: Browser, build: Build) -> None:
    with served(build(token="s3cret")) as (_, port), Visit(browser, port) as page:
        expect(page.locator("#ask")).to_be_visible()
        look(page, "a token is needed")
        page.fill("#token", "guess")
        page.click("#ask button[value=ok]")
        expect(page.locator("#token-wrong")).to_be_visible()
        look(page, "wrong token")
        page.click("#ask button[value='']")
        expect(page.locator("#away-text")).to_contain_text("This server needs a token")
        look(page, "no token")


@browser_test
@needs_chromium
def test_nothing_jumps(browser: Browser, build: Build) -> None:
    with served(build()) as (_, port), Visit(browser, port, width=360, height=740) as page:

        def place(name: str = "strip") -> list[float]:
            found: list[float] = page.evaluate(
                "(name) => (({ x, y, width }) => [x, y, width])"
                "(document.getElementById(name).getBoundingClientRect())",
                name,
            )
            return found

        drop(page, ("a.png", png(240, 160)))
        expect(page.locator("#file-facts")).to_contain_text("240")
        strip, level = place(), place("level")
        restore(page)
        assert place() == strip, "when the photo is restored"
        page.locator("#viewer").focus()
        page.keyboard.press("1")
        for _ in range(20):
            page.keyboard.press("+")
        expect(page.locator("#level")).to_have_text("3200%")
        assert (place(), place("level")) == (strip, level), "when the zoom changes"
        drop(page, ("b.bmp", b"BM"), kind="image/bmp")
        expect(page.locator("#notice")).to_be_visible()
        assert place() == strip, "when a file is refused"
        page.locator(".remove").first.click()
        expect(page.locator("#action")).to_be_hidden()  # it has no button now
        page.locator(".remove").first.click()
        expect(page.locator("#welcome")).to_be_visible()
        expect(page.locator("#tools")).to_be_hidden()


@browser_test
@needs_chromium
def test_the_keyboard_keeps_its_place(browser: Browser, build: Build, pace: Pace) -> None:
    pace.go.clear()
    with served(build()) as (_, port), Visit(browser, port) as page:

        def press(selector: str) -> None:
            page.locator(selector).press("Enter")

        page.keyboard.press("Tab")
        expect(page.locator(".brand")).to_be_focused()  # nothing to skip to yet
        drop(page, ("a.png", png()), ("b.png", png(20, 10)))
        press("#go")
        expect(page.locator("#bar")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.locator("#cancel")).to_be_focused()
        pace.go.set()
        expect(page.locator("#download")).to_be_focused()
        expect(page.locator(".badge[data-state=done]")).to_have_count(2)
        page.locator("#grain").fill("30")
        press("#neutral")
        expect(page.locator("#strength")).to_be_focused()
        press("[aria-label='Remove a.png']")
        expect(page.locator(".thumb")).to_be_focused()
        press("[aria-label='Remove b.png']")
        expect(page.locator("#welcome [data-choose]")).to_be_focused()
