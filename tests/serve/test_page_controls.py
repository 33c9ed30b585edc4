"""The page's controls in a real browser: what they do without a new run, and when they need one."""

import contextlib
import io
import zipfile

import numpy as np
from playwright.sync_api import Browser, Dialog, Error, Page, Route, expect

from tests.serve.conftest import Build, Pace, levels, png, served
from tests.serve.inspection import faults
from tests.serve.visits import Visit, browser_test, download, drop, needs_chromium, restore


@browser_test
@needs_chromium
def test_controls_act_at_once_and_without_a_run(browser: Browser, build: Build, pace: Pace) -> None:
    service = build()
    with served(service) as (_, port), Visit(browser, port) as page:
        drop(page, ("a.png", png(240, 160)))
        restore(page)
        page.locator("#viewer").focus()
        page.keyboard.press("1")
        page.route("**/result?*", lambda route: None)  # the file with the new controls does not come yet
        page.locator("#luma").fill("30")
        expect(page.locator("#live")).to_be_visible()
        expect(page.locator("#download-with")).to_have_text("Applying the changes")
        assert page.locator("#download").get_attribute("href") is None, "an older file can be downloaded"
        viewer = page.locator("#viewer")
        before, seen = levels(png(240, 160)), levels(viewer.screenshot())[..., :3]
        top, left = (seen.shape[0] - 160) // 2, (seen.shape[1] - 240) // 2
        right = seen[top : top + 160, left + 160 : left + 240]  # of the divider
        assert np.abs(right - (before[:, 160:] - 0.3 * 51)).max() <= 1  # the stand-in subtracts 51
        page.unroute("**/result?*")
        page.locator("#luma").fill("40")
        page.locator("#detail").fill("10")
        page.locator("#detail").fill("0")
        page.wait_for_selector("#download[href]")
        expect(page.locator("#live")).to_be_hidden()
        expect(page.locator("#download-with")).to_contain_text("Noise removed, brightness 40% · PNG")
        _, data = download(page)
        assert np.abs(levels(data) - (before - 0.4 * 51)).max() <= 1
        page.select_option("[name=format]", "jpg")
        page.select_option("[name=quality]", "60")
        expect(page.locator("#download-with")).to_contain_text("JPEG")
        small = len(download(page)[1])
        page.select_option("[name=quality]", "95")
        page.wait_for_selector("#download:not([href])", state="attached")
        page.wait_for_selector("#download[href]")
        name, data = download(page)
        assert name == "a.restored.jpg"
        assert len(data) > small
        assert b"where I live" in data
        page.click(".segments label:has([value=strip])")
        page.wait_for_selector("#download:not([href])", state="attached")
        page.wait_for_selector("#download[href]")
        assert b"where I live" not in download(page)[1]
        assert len(pace.seen) == 1

        page.click(".tasks label:has([value=derain])")
        expect(page.locator("#download-word")).to_have_text("Download the last result")
        expect(page.locator("#go")).to_have_text("Restore again")
        restore(page)
        expect(page.locator("#download-with")).to_contain_text("Rain removed, brightness 40%")
        assert len(pace.seen) == 2
        service.store.clear()  # as after ten minutes
        page.click("#neutral")
        expect(page.locator("#download-with")).to_contain_text("Rain removed · JPEG")
        assert len(pace.seen) == 3


@browser_test
@needs_chromium
def test_a_file_that_could_not_be_made_can_be_tried_again(browser: Browser, build: Build) -> None:
    with served(build()) as (_, port), Visit(browser, port) as page:
        drop(page, ("a.png", png()))
        restore(page)
        expect(page.locator("#retry")).to_be_hidden()
        page.route("**/result?*", lambda route: route.abort())
        page.locator("#luma").fill("30")
        expect(page.locator("#trouble")).to_contain_text("The server cannot be reached.")
        expect(page.locator("#download-word")).to_have_text("Download the last result")
        page.unroute("**/result?*")
        page.click("#retry")
        expect(page.locator("#download-with")).to_contain_text("Noise removed, brightness 30% · PNG")
        expect(page.locator(".thumb")).to_be_focused()  # the button has gone, and there is no file yet
        expect(page.locator("#trouble")).to_be_hidden()
        page.route("**/result?*", lambda route: route.fulfill(status=422))
        page.locator("#luma").fill("20")
        expect(page.locator("#trouble")).to_be_visible()
        expect(page.locator("#retry")).to_be_hidden()  # only other settings help


@browser_test
@needs_chromium
def test_settings_of_one_photo_zip_and_leaving(browser: Browser, build: Build, pace: Pace) -> None:
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    with served(build()) as (_, port), Visit(browser, port) as page:
        page.on("dialog", answer)
        drop(page, ("a.png", png()), ("a.png", png(20, 10)))
        page.click("#scope label:has([value=one])")
        page.click(".tasks label:has([value=deblur])")
        page.click("#go")
        expect(page.locator(".badge[data-state=done]")).to_have_count(2)
        assert [each.task for each in pace.seen] == ["deblur", "denoise"]
        with page.expect_event("dialog"):  # the page asks before unsaved results are lost
            page.evaluate("location.href = 'docs'")
        assert asked == ["beforeunload"]
        expect(page.locator("#download-all")).to_have_text("Download all 2 (ZIP)")
        with page.expect_download() as waiting:
            page.click("#download-all")
        with zipfile.ZipFile(waiting.value.path()) as archive:
            assert archive.testzip() is None
            assert archive.namelist() == ["a.restored.png", "a.restored (2).png"]
            for name, size in (("a.restored.png", (12, 8)), ("a.restored (2).png", (20, 10))):
                data = archive.read(name)
                assert np.abs(levels(data) - (levels(png(*size)) - 51)).max() <= 1
            assert io.BytesIO(data).read(4) == b"\x89PNG"
        page.goto(f"http://127.0.0.1:{port}/docs")
        assert asked == ["beforeunload"], "the page asked although all is saved"


@browser_test
@needs_chromium
def test_original_side_by_side_and_folders(browser: Browser, build: Build) -> None:
    drop_folder = """() => {
        const file = (name) => ({ name, isDirectory: false, file: (done) => done(new File([name], name)) });
        const folder = (name, inside) => ({ name, isDirectory: true, createReader: () => {
            const parts = [inside, []];
            return { readEntries: (done) => done(parts.shift()) };
        } });
        const entry = folder("trip", [file("b10.png"), file("b9.JPG"), file(".hidden.png"), file("notes.txt"),
            folder("more", [file("c.tif")])]);
        const transfer = { types: ["Files"], files: [], items: [{ webkitGetAsEntry: () => entry }] };
        dispatchEvent(Object.assign(new Event("drop", { cancelable: true }), { dataTransfer: transfer }));
    }"""
    with served(build()) as (_, port), Visit(browser, port) as page:
        drop(page, ("a.png", png(240, 160)))
        restore(page)
        layer = page.locator("#after-layer")
        page.keyboard.down("o")
        expect(layer).to_be_hidden()
        page.keyboard.up("o")
        expect(layer).to_be_visible()
        page.click("[data-view=beside]")
        expect(page.locator("#divider")).to_be_hidden()
        one, other = (page.locator(name).bounding_box() for name in ("#before", "#after"))
        assert one is not None
        assert other is not None
        assert other["x"] >= one["x"] + one["width"]
        page.evaluate(drop_folder)
        expect(page.locator(".thumb")).to_have_count(4)
        titles = page.locator(".thumb").evaluate_all("(all) => all.map((each) => each.title)")
        assert titles[1:] == ["trip/b9.JPG", "trip/b10.png", "trip/more/c.tif"]
        expect(page.locator("#toast")).to_have_text("2 other files in the folder were left out.")


@browser_test
@needs_chromium
def test_below_a_path_of_a_proxy_and_what_goes_wrong_there(browser: Browser, build: Build) -> None:
    with served(build(token="s3cret")) as (_, port), Visit(browser, port) as page:

        def forward(route: Route) -> None:
            with contextlib.suppress(Error):  # the page may close while a request is under way
                route.fulfill(response=route.fetch(url=route.request.url.replace("/photos/tool/", "/")))

        page.click("#ask button[value='']")
        expect(page.locator("#away-text")).to_contain_text("This server needs a token")
        page.route("**/photos/tool/**", forward)
        page.goto(f"http://127.0.0.1:{port}/photos/tool/")
        for given in ("guess", "s3cret"):
            page.fill("#token", given)
            page.click("#ask button[value=ok]")
            if given == "guess":
                expect(page.locator("#token-wrong")).to_be_visible()
        expect(page.locator("#limits")).to_contain_text("megapixels")
        drop(page, ("old.bmp", b"BM"), kind="image/bmp")
        expect(page.locator("#notice-title")).to_have_text("Photos of this kind cannot be read here")
        expect(page.locator(".thumb .kind")).to_have_text("bmp")
        drop(page, ("a.png", png()))
        too_large = "<h1>413 Request Entity Too Large</h1>"
        page.route(
            "**/v1/jobs?*", lambda route: route.fulfill(status=413, content_type="text/html", body=too_large)
        )
        page.click("#go")
        expect(page.locator("#notice-title")).to_have_text("This file is too large")
        expect(page.locator("#notice-text")).to_contain_text("such as a proxy")
        page.unroute("**/v1/jobs?*")
        page.route("**/v1/jobs?*", lambda route: route.abort())
        page.click("#again")
        expect(page.locator("#notice-title")).to_have_text("The upload was cut off")
        page.route("**/healthz", lambda route: route.abort())
        page.click("#again")
        expect(page.locator("#notice-title")).to_have_text("The server cannot be reached")
        page.unroute("**/v1/jobs?*")
        page.click("#again")
        page.wait_for_selector("#download[href]")
        page.click("#reference")
        expect(page.locator("article").first).to_contain_text("/v1/restore")


def stroke(page: Page, *points: tuple[float, float]) -> None:
    """Draw a line with the mouse; the points are relative to the middle of the viewer."""
    box = page.locator("#viewer").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x + points[0][0], y + points[0][1])
    page.mouse.down()
    for across, down in points[1:]:
        page.mouse.move(x + across, y + down, steps=3)
    page.mouse.up()


def made_anew(page: Page) -> np.ndarray:
    """Wait for the file that the last step asked for, and return its levels below those of the photo."""
    page.wait_for_selector("#download[href]")
    return levels(png(240, 160)) - levels(download(page)[1])


@browser_test
@needs_chromium
def test_a_brush_paints_where_the_photo_stays(browser: Browser, build: Build, pace: Pace) -> None:
    with served(build()) as (_, port), Visit(browser, port) as page:
        drop(page, ("a.png", png(240, 160)))
        restore(page)
        page.route("**/result*", lambda route: None)  # the file with the mask does not come yet
        page.click("#brush")
        expect(page.locator("#divider")).to_be_hidden()
        page.keyboard.press("1")
        page.locator("#brush-size").fill("40")
        page.locator("#brush-soft").fill("0")
        stroke(page, (-60, -70), (-60, 70))  # a line down, 60 pixels left of the middle
        expect(page.locator("#download-with")).to_have_text("Applying the changes")
        tinted = levels(page.locator("#viewer").screenshot())[..., :3]
        page.click("#brush-show")
        page.mouse.move(5, 5)
        expect(page.locator("#overlay")).to_be_hidden()
        seen = levels(page.locator("#viewer").screenshot())[..., :3]
        top, left = (seen.shape[0] - 160) // 2, (seen.shape[1] - 240) // 2
        below = levels(png(240, 160)) - seen[top : top + 160, left : left + 240]
        assert np.abs(below[20:140, 55:65]).max() <= 1, "the original, before the file is made"
        assert np.abs(below[:, 150:] - 51).max() <= 1
        assert np.abs(tinted - seen)[top + 80, left + 60].max() > 20, "the mask was shown"
        page.unroute("**/result*")

        page.click("#brush-invert")
        below = made_anew(page)
        expect(page.locator("#download-with")).to_contain_text("Noise removed, painted mask")
        assert (below[20:140, 55:65] == 51).all()
        assert (below[:, 150:] == 0).all()
        page.locator("#viewer").focus()
        page.keyboard.press("Control+z")
        below = made_anew(page)
        assert (below[20:140, 55:65] == 0).all()
        assert (below[:, 150:] == 51).all()
        page.click(".brushes label:has([value=restore])")
        stroke(page, (-60, 0), (-61, 0))
        assert made_anew(page)[80, 60].tolist() == [51, 51, 51], "erased"
        page.click("#brush-clear")
        assert (made_anew(page) == 51).all()
        expect(page.locator("#download-with")).not_to_contain_text("mask")
        page.locator("#viewer").focus()
        for key in ("x", "Space", "ArrowRight", "ArrowRight", "Space"):  # by the keyboard alone
            page.keyboard.press(key)
        expect(page.locator("#status")).to_have_text("Brush lifted")
        below = made_anew(page)
        assert (below[75:85, 115:130] == 0).all()
        assert (below[:, :60] == 51).all()
        page.keyboard.press("Escape")
        expect(page.locator("#brushes")).to_be_hidden()
        expect(page.locator("#divider")).to_be_visible()

        page.click(".tasks label:has([value=derain])")  # a new run takes the mask with it
        restore(page)
        expect(page.locator("#download-with")).to_contain_text(
            "Rain removed"
        )  # until then, the last file stays
        below = made_anew(page)
        assert (below[75:85, 115:130] == 0).all()
        assert (below[:, :60] == 51).all()
        assert len(pace.seen) == 2
        page.click("#brush")
        page.click("#brush-clear")
        assert (made_anew(page) == 51).all(), "without the mask of the run"


@browser_test
@needs_chromium
def test_the_brush_on_a_phone(browser: Browser, build: Build) -> None:
    with served(build()) as (_, port), Visit(browser, port, width=360, height=740, phone=True) as page:
        drop(page, ("a.png", png(240, 160)))
        restore(page)
        page.evaluate("scrollTo(0, 0)")
        page.tap("#brush")
        assert faults(page) == []
        box = page.locator("#viewer").bounding_box()
        assert box is not None
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(page.locator("#download-with")).to_contain_text("painted mask")
        assert page.evaluate("scrollX") == 0
        for canvas in ("live", "overlay"):  # two device pixels for each CSS pixel
            sizes = f"[{canvas}.width / 2, parseFloat({canvas}.style.width), viewer.clientWidth]"
            assert page.evaluate(sizes) == [360, 360, 360]
        below = levels(png(240, 160)) - levels(download(page)[1])
        assert (below[80, 120] == 0).all()
        assert (below[0, 0] == 51).all()
