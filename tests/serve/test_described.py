"""The description of bodies: what a form holds."""

from fastapi.testclient import TestClient

from uformer.serve.upload import MEDIA_TYPES


def test_bodies(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path, needed, files in (
        ("/v1/restore", "picture", {"picture", "mask"}),
        ("/v1/jobs", "picture", {"picture", "mask"}),
        ("/v1/jobs/{job_id}/result", "mask", {"mask"}),
    ):
        body = paths[path]["post"]["requestBody"]["content"]
        form = body["multipart/form-data"]["schema"]
        assert (form["required"], set(form["properties"])) == ([needed], files)
        assert set(MEDIA_TYPES.values()) < set(body)
    for method in ("get", "post"):
        names = {each["name"] for each in paths["/v1/jobs/{job_id}/result"][method]["parameters"]}
        assert {"luma", "crop", "format", "metadata", "job_id"} <= names
