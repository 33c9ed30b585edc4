"""Masks and crops over HTTP: with an upload, and with a result that is held."""

import io
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from fastapi.testclient import TestClient

from tests.serve.conftest import Build, Pace, client_of, levels, png, wait_until
from uformer.restore import restoration

WIDTH, HEIGHT = 40, 24


def mask_file(width: int = WIDTH, height: int = HEIGHT, kind: str = "PNG", **options: Any) -> bytes:
    """Return a mask that is black on the left and white on the right."""
    values = np.zeros((height, width), np.uint8)
    values[:, width // 2 :] = 255
    file = io.BytesIO()
    PIL.Image.fromarray(values).save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def held(client: TestClient) -> str:
    """Return the path of the result of a job whose answer is held."""
    return started(client, "hold=true", {"picture": ("a.png", png(WIDTH, HEIGHT))})


def started(client: TestClient, query: str, files: dict[str, Any]) -> str:
    job = client.post(f"/v1/jobs?{query}", files=files).json()
    wait_until(lambda: client.get(f"/v1/jobs/{job['id']}").json()["state"] == "done")
    return str(job["result"])


def halves(data: bytes, share: float = 1) -> tuple[int, int]:
    """Return how far the left and the right half are from black and white in the mask, at most."""
    before, after = levels(png(WIDTH, HEIGHT)), levels(data)
    left, right = np.split(np.abs(after - before), 2, axis=1)
    return int(left.max()), int(np.abs(right - 51 * share).max())  # the stand-in subtracts 51


def test_a_mask_comes_with_the_upload(client: TestClient) -> None:
    files = {"picture": ("a.png", png(WIDTH, HEIGHT)), "mask": ("m.png", mask_file())}
    assert halves(client.post("/v1/restore", files=files).content) == (0, 0)
    assert halves(client.get(started(client, "", files)).content) == (0, 0)
    result = started(client, "hold=true", files)
    assert halves(client.get(result).content) == (0, 0)
    assert halves(client.get(f"{result}?strength=0.4").content, 0.4)[0] == 0, "other controls keep the mask"
    inverted = PIL.ImageOps.invert(PIL.Image.open(io.BytesIO(mask_file())))
    file = io.BytesIO()
    inverted.save(file, "PNG")
    other = levels(client.post(result, files={"mask": ("m.png", file.getvalue())}).content)
    assert np.array_equal(other[:, WIDTH // 2 :], levels(png(WIDTH, HEIGHT))[:, WIDTH // 2 :])


def test_the_mask_of_a_held_result_is_in_memory_once(
    client: TestClient, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def converted_again(mask: Any) -> None:
        raise AssertionError("the mask was converted again")

    monkeypatch.setattr(restoration, "mask_values", converted_again)
    assert halves(client.post(held, files={"mask": ("m.png", mask_file())}).content) == (0, 0)


def test_a_mask_for_a_held_result(client: TestClient, held: str, pace: Pace) -> None:
    as_form = client.post(held, files={"mask": ("m.png", mask_file())})
    assert as_form.headers["content-type"] == "image/png"
    assert halves(as_form.content) == (0, 0)
    as_body = client.post(held, content=mask_file(), headers={"Content-Type": "image/png"})
    assert as_body.content == as_form.content
    small = client.post(f"{held}?strength=0.5&format=tif", files={"mask": ("m.png", mask_file(20, 12))})
    assert small.headers["content-type"] == "image/tiff"
    assert levels(small.content).shape == (HEIGHT, WIDTH, 3)
    turned = PIL.Image.open(io.BytesIO(mask_file())).transpose(PIL.Image.Transpose.ROTATE_90)
    file, exif = io.BytesIO(), PIL.Image.Exif()
    exif[0x0112] = 6  # a viewer turns it clockwise
    turned.save(file, "PNG", exif=exif)
    assert halves(client.post(held, files={"mask": ("m.png", file.getvalue())}).content) == (0, 0)
    assert halves(client.get(held).content)[0] == 51, "the result itself has no mask"
    assert len(pace.seen) == 1


def test_a_crop_is_a_part_of_the_result(client: TestClient, held: str) -> None:
    whole = levels(client.get(f"{held}?detail=0.5&grain=1").content)
    part = client.get(f"{held}?detail=0.5&grain=1&crop=5,3,20,10")
    assert np.array_equal(levels(part.content), whole[3:13, 5:25])
    masked = client.post(f"{held}?crop=10,0,20,24", files={"mask": ("m.png", mask_file())})
    assert np.array_equal(levels(masked.content)[:, :10], levels(png(WIDTH, HEIGHT))[:, 10:20])


REFUSED = (
    (400, "not-a-picture", "mask: not a PNG, JPEG", "", b"hello"),
    (400, "not-a-picture", "the mask is empty", "", b""),
    (400, "not-a-picture", "mask: ", "", mask_file()[:70]),
    (413, "too-many-pixels", "the mask is 400 x 240 (96,000 pixels)", "", mask_file(400, 240)),
    (413, "too-many-bytes", "limit of 20,000 bytes", "", bytes(20_001)),
    (422, "options", "mask: 24 x 24 does not fit an image of 40 x 24", "", mask_file(24, 24)),
    (422, "options", "luma", "luma=2", mask_file()),
    (422, "options", "crop: left 30, top 0, width 11", "crop=30,0,11,5", mask_file()),
    (422, "options", "crop: '1,2,3' must be LEFT,TOP,WIDTH,HEIGHT", "crop=1,2,3", mask_file()),
    (422, "options", "unknown parameter 'masks'", "masks=1", mask_file()),
)


def test_what_cannot_be_is_refused(build: Build) -> None:
    service = build(max_bytes=20_000, max_pixels=10_000)
    picture = {"picture": ("a.png", png(WIDTH, HEIGHT))}
    with client_of(service) as client:
        result = started(client, "hold=true", picture)
        for status, kind, words, query, mask in REFUSED:
            file = {"mask": ("m.png", mask)}
            answers = [client.post(f"{result}?{query}", files=file)]
            answers += [] if query else [client.post("/v1/restore", files={**picture, **file})]
            for answer in answers:
                problem = answer.json()
                assert (answer.status_code, problem["type"]) == (status, f"urn:uformer:{kind}"), problem
                assert words in problem["detail"]
            assert (service.engine.uploaded, service.engine.admitted) == (0, 0)


def test_fields_and_jobs_that_do_not_fit(client: TestClient, held: str) -> None:
    picture = {"picture": ("a.png", png())}
    typo = {**picture, "maks": ("m.png", mask_file())}
    for path, files, words in (
        ("/v1/restore", typo, "unknown file 'maks'; known: picture, mask"),
        (held, picture, "unknown file 'picture'; known: mask"),
    ):
        answer = client.post(path, files=files)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:uformer:form")
        assert words in answer.json()["detail"]
    plain = started(client, "", picture)
    for answer in (
        client.post(plain, files={"mask": ("m.png", mask_file())}),
        client.get(f"{plain}?crop=0,0,1,1"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:uformer:not-held")
    assert client.post("/v1/jobs/none/result", files={"mask": ("m.png", mask_file())}).status_code == 404


def test_other_kinds_of_images(client: TestClient) -> None:
    """Gray, alpha and 16 bits stay as they are, and where the mask is black, so does every sample."""
    values = np.random.default_rng(0).integers(20_000, 60_000, (HEIGHT, WIDTH), dtype=np.uint16)
    file = io.BytesIO()
    PIL.Image.fromarray(values).save(file, "TIFF")
    for data in (file.getvalue(), png(WIDTH, HEIGHT, "RGBA"), png(WIDTH, HEIGHT, "L")):
        result = started(client, "hold=true", {"picture": ("a", data)})
        after = levels(client.post(result, files={"mask": ("m.png", mask_file())}).content)
        before = levels(data)
        assert after.shape == before.shape
        assert np.array_equal(after[:, : WIDTH // 2], before[:, : WIDTH // 2])
        assert not np.array_equal(after, before)


def test_the_mask_counts_towards_what_is_held(build: Build) -> None:
    service = build()
    with client_of(service) as client:
        files = {"picture": ("a.png", png(WIDTH, HEIGHT))}
        started(client, "hold=true", files)
        alone = service.held.bytes
        started(client, "hold=true", {**files, "mask": ("m.png", mask_file())})
        assert service.held.bytes == 2 * alone + len(mask_file())


def test_the_limit_is_for_both_files_together(build: Build) -> None:
    picture, mask = png(WIDTH, HEIGHT), mask_file()
    with client_of(build(max_bytes=len(picture) + len(mask) - 1)) as client:
        files = {"picture": ("a.png", picture), "mask": ("m.png", mask)}
        answer = client.post("/v1/restore", files=files)
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:uformer:too-many-bytes")
