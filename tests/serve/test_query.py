"""RestoreOptions as query parameters."""

import dataclasses

from fastapi.testclient import TestClient

from uformer.restore.options import RestoreOptions
from uformer.serve.query import OPERATORS, field_words, option_names


def test_every_option_is_a_parameter_or_set_by_the_operator(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]["/v1/restore"]["post"]["parameters"]
    fields = {field.name for field in dataclasses.fields(RestoreOptions)}
    assert {each["name"] for each in described} == (fields - set(OPERATORS)) | {"metadata", "format"}
    assert all(each["description"] for each in described)
    assert not any(each["required"] for each in described)


def test_bounds_are_described(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]["/v1/restore"]["post"]["parameters"]
    schemas = {each["name"]: each["schema"]["anyOf"][0] for each in described if "anyOf" in each["schema"]}
    for name in ("strength", "luma", "chroma", "detail", "grain", "shadows"):
        assert (schemas[name]["minimum"], schemas[name]["maximum"]) == (0, 1)


def test_words_of_the_fields() -> None:
    words = field_words(RestoreOptions)
    assert "derain" in words["task"]
    assert all(text == " ".join(text.split()) for text in words.values())
    assert set(option_names()) <= set(words)
