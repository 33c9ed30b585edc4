"""The format of a response."""

import pytest

from tests.serve.conftest import header_of
from uformer.serve.accept import Answer, check_accepted, choose_suffix
from uformer.serve.problems import Problem


@pytest.mark.parametrize(
    ("answer", "accept", "own", "expected"),
    [
        ("same", None, ".jpg", ".jpg"),
        ("same", "*/*", ".tif", ".tif"),
        ("same", "image/*", ".avif", ".avif"),
        ("same", "image/webp", ".jpg", ".webp"),
        ("same", "image/webp;q=0.4, image/png;q=0.8", ".jpg", ".png"),
        ("same", "image/webp, */*;q=0.1", ".jpg", ".jpg"),
        ("same", "image/jpeg;q=0, image/*", ".jpg", ".png"),
        ("same", "text/html, image/AVIF ; q = 1", ".jpg", ".avif"),
        ("png", "*/*", ".jpg", ".png"),
        ("png", None, ".jpg", ".png"),
    ],
)
def test_the_own_format_where_it_is_welcome(
    answer: Answer, accept: str | None, own: str, expected: str
) -> None:
    assert choose_suffix(answer, accept, header_of(suffix=own)) == expected


@pytest.mark.parametrize(
    ("answer", "accept"),
    [("same", "text/html"), ("same", "image/png;q=9"), ("png", "image/webp"), ("same", ";,;")],
)
def test_what_cannot_be_given(answer: Answer, accept: str) -> None:
    with pytest.raises(Problem) as caught:
        choose_suffix(answer, accept, header_of(suffix=".jpg"))
    assert caught.value.status == 406


def test_alpha_does_not_go_into_jpeg() -> None:
    with pytest.raises(Problem, match="alpha"):
        choose_suffix("jpg", None, header_of(alpha=True))


def test_a_finished_result_has_its_format() -> None:
    check_accepted(".png", "image/*")
    check_accepted(".png", None)
    with pytest.raises(Problem, match="image/png"):
        check_accepted(".png", "image/webp")
