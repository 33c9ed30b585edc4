"""Stacks over HTTP: jobs restore them page by page, and return them with type and tags."""

import io
import time
from typing import Any

import numpy as np
import pytest
import tifffile
from fastapi.testclient import TestClient

from tests.image.stacks import counts
from tests.serve.conftest import Build, Pace, client_of, png, wait_until
from uformer.serve.settings import Settings
from uformer.serve.stack_jobs import check_stack

TIFF = {"Content-Type": "image/tiff"}


def stack(values: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **{"photometric": "minisblack", "metadata": None, **options})
    return file.getvalue()


def hyperstack(*shape: int) -> bytes:
    options = {"imagej": True, "resolution": (9.7, 9.7), "metadata": {"axes": "TCYX"[-len(shape) :]}}
    return stack(counts(*shape), **options)


def finished(client: TestClient, data: bytes, query: str = "") -> dict[str, Any]:
    answer = client.post(f"/v1/jobs{query}", content=data, headers=TIFF)
    assert answer.status_code == 202, answer.text
    path = answer.headers["location"]
    wait_until(lambda: client.get(path).json()["state"] not in ("queued", "running"))
    return {"path": path, **client.get(path).json()}


def test_a_hyperstack_comes_back_with_its_tags(client: TestClient, pace: Pace) -> None:
    data = hyperstack(3, 2, 8, 10)
    job = finished(client, data)
    assert (job["state"], job["pages"], job["notes"]) == ("done", 6, ["all 6 pages are restored"])
    assert (job["tiles_done"], job["tiles"]) == (24, 24)
    assert len(job["range"]) == 2
    answer = client.get(f"{job['path']}/result")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/tiff")
    with tifffile.TiffFile(io.BytesIO(answer.content)) as file, tifffile.TiffFile(io.BytesIO(data)) as before:
        assert (file.series[0].axes, file.pages.first.resolution) == ("TCYX", before.pages.first.resolution)
        assert file.asarray().dtype == np.uint16
        assert (file.asarray() < before.asarray()).mean() > 0.9
    assert "uformer_pixels_total 480.0" in client.get("/metrics").text


@pytest.mark.parametrize("kind", ["int16", "uint32", "float64"])
def test_data_of_instruments(client: TestClient, kind: str) -> None:
    values = (counts(8, 10).astype(np.int64) - (0 if kind == "uint32" else 200)).astype(kind)
    job = finished(client, stack(values, compression="zlib"), "?range=-200:300")
    assert (job["pages"], job["range"], job["notes"]) == (1, [-200, 300], [f"has {kind} samples"])
    restored = tifffile.imread(io.BytesIO(client.get(f"{job['path']}/result").content))
    assert restored.dtype == kind
    assert np.abs(restored - (values - 100.0)).max() < 0.6


def test_a_mask_is_for_all_pages(client: TestClient) -> None:
    values = np.full((3, 8, 12), 200, np.uint8)
    mask = io.BytesIO()
    tifffile.imwrite(mask, np.repeat([[0, 255]], 6, axis=1).repeat(8, axis=0).astype(np.uint8))
    files = {
        "picture": ("a.tif", stack(values), "image/tiff"),
        "mask": ("m.tif", mask.getvalue(), "image/tiff"),
    }
    answer = client.post("/v1/jobs", files=files)
    path = answer.headers["location"]
    wait_until(lambda: client.get(path).json()["state"] == "done")
    restored = tifffile.imread(io.BytesIO(client.get(f"{path}/result").content))
    assert np.array_equal(restored[..., 0], np.full((3, 8), 200))
    assert np.array_equal(restored[..., -1], np.full((3, 8), 149))


def test_what_stacks_cannot_have(client: TestClient) -> None:
    data = hyperstack(3, 8, 10)
    for query, said in (
        ("format=png", "format: the image has 3 pages, and is returned as TIFF; use format=same or tif"),
        (
            "metadata=strip",
            "metadata: the image has 3 pages, and its tags hold axes and pixel size; use metadata=keep",
        ),
        (
            "metadata=safe",
            "metadata: the image has 3 pages, and its tags hold axes and pixel size; use metadata=keep",
        ),
    ):
        answer = client.post(f"/v1/jobs?{query}", content=data, headers=TIFF)
        assert (answer.status_code, answer.json()["detail"]) == (422, said)
    answer = client.post("/v1/restore", content=data, headers=TIFF)
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:uformer:stack")
    assert answer.json()["detail"] == "the image has 3 pages; send it to /v1/jobs"
    assert finished(client, data, "?metadata=keep&format=tif")["state"] == "done"


def test_an_answer_is_not_held(client: TestClient) -> None:
    job = finished(client, hyperstack(3, 8, 10), "?hold=true")
    assert (job["held"], job["not_held"]) == (False, "the planes of a stack are not held")
    assert client.get(f"{job['path']}/result").status_code == 200
    answer = client.get(f"{job['path']}/result?luma=0.5")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:uformer:not-held")
    assert answer.json()["detail"].startswith("the planes of a stack are not held; send the image again")


def test_limits(build: Build) -> None:
    with client_of(build(max_pixels=400, max_kept=700)) as client:
        for data, status, said in (
            (
                hyperstack(6, 8, 10),
                413,
                "the stack has 6 planes of 10 x 8 (480 pixels); the limit is 400 pixels",
            ),
            (stack(counts(8, 10, 6), planarconfig="contig"), 413, "the stack has 6 planes of 10 x 8"),
            (hyperstack(5, 8, 10), 413, "the stack takes 800 bytes uncompressed; the limit is 700 bytes"),
            (hyperstack(3, 8, 10)[:900], 400, "image: "),
        ):
            answer = client.post("/v1/jobs", content=data, headers=TIFF)
            assert (answer.status_code, said in answer.json()["detail"]) == (status, True)
        assert finished(client, hyperstack(4, 8, 10))["state"] == "done"
        wait_until(lambda: client.get("/metrics").text.count("uformer_upload_bytes 0.0") == 1)


def test_pages_that_differ_are_refused(client: TestClient) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(counts(8, 10), metadata=None)
        writer.write(counts(4, 5), metadata=None)
    answer = client.post("/v1/jobs", content=file.getvalue(), headers=TIFF)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:uformer:not-a-picture")
    assert answer.json()["detail"].startswith("image: page 2 (5 x 4 pixels, uint16) differs from page 1")


def test_a_cancelled_job_stops_between_tiles(client: TestClient, pace: Pace) -> None:
    pace.go.clear()
    path = client.post("/v1/jobs", content=hyperstack(3, 8, 10), headers=TIFF).headers["location"]
    assert pace.at_work.wait(20)
    assert client.delete(path).status_code == 204
    pace.go.set()
    wait_until(lambda: "uformer_running 0.0" in client.get("/metrics").text)
    time.sleep(0.05)
    assert pace.tiles_done <= 2
    # Nothing of it stays, so the next image is restored.
    assert client.post("/v1/restore", content=png(), headers={"Content-Type": "image/png"}).status_code == 200


def test_no_pixels_are_decoded_to_check_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda *_: pytest.fail("decoded"))
    check_stack(hyperstack(3, 8, 10), Settings())
