"""Error responses in the format of RFC 9457."""

import json

import pytest

from uformer.errors import OptionError, PictureError
from uformer.serve.problems import REASONS, Problem, refused_as, responses


def test_members_and_headers() -> None:
    response = Problem(429, "queue-full", "later", retry_after=2.4).response()
    assert response.media_type == "application/problem+json"
    assert json.loads(bytes(response.body)) == {
        "type": "urn:uformer:queue-full",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "later",
    }
    assert response.headers["retry-after"] == "2"
    assert Problem(429, "queue-full", "later", retry_after=0.01).retry_after == 1
    assert Problem(401, "token", "").headers() == {"WWW-Authenticate": "Bearer"}
    assert Problem(400, "form", "").headers() == {}


@pytest.mark.parametrize(
    ("error", "status"), [(PictureError("p"), 400), (OptionError("o"), 422), (MemoryError(), 503)]
)
def test_errors_of_images_and_options(error: Exception, status: int) -> None:
    with pytest.raises(Problem) as caught, refused_as(400, "not-a-picture"):
        raise error
    assert caught.value.status == status


def test_bugs_stay_bugs() -> None:
    with pytest.raises(ZeroDivisionError), refused_as(400, "not-a-picture"):
        raise ZeroDivisionError


def test_openapi() -> None:
    assert list(responses(504, 400)) == [400, 504]
    assert all(REASONS[status] for status in (400, 413, 415, 422, 429, 503, 504))
