"""The settings of a server, and their ranges."""

from typing import Any

import pytest

from uformer.errors import OptionError
from uformer.serve.settings import Settings, is_local


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]", "LOCALHOST"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert Settings(host=host).local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "localhost.example.org", ""])
def test_others_do(host: str) -> None:
    assert not is_local(host)
    with pytest.raises(OptionError, match="--insecure"):
        Settings(host=host)
    assert Settings(host=host, token="secret").token == "secret"
    assert Settings(host=host, insecure=True).insecure


@pytest.mark.parametrize(
    "values",
    [
        {"port": 65536}, {"port": -1}, {"queue": -1}, {"min_rate": -1},
        {"max_bytes": 0}, {"max_pixels": 0}, {"max_kept": 0},
        {"timeout": 0.0}, {"job_timeout": -1.0}, {"keep": float("nan")}, {"grace": -1.0},
        {"hold_memory": "much"}, {"hold_memory": "-1"},
        {"root_path": "uformer"}, {"root_path": "/a b"}, {"root_path": "/a//b"}, {"root_path": "/v1/x"},
        {"token": ""}, {"token": "ü"}, {"token": "a\nb"},
        {"queue": 1.5}, {"port": "8000"}, {"keep": float("inf")}, {"insecure": 1}, {"host": None},
    ],
)  # fmt: skip
def test_out_of_range(values: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(values))):
        Settings(**values)


def test_held_answers_are_a_part_of_the_memory_limit() -> None:
    assert Settings().held_bytes(1000) == 250
    assert Settings(hold_memory="400").held_bytes(1000) == 400
    assert Settings(hold_memory="0").held_bytes(1000) == 0
    with pytest.raises(
        OptionError, match="hold_memory: 2GB is more than half of the memory limit of 3,000MB"
    ):
        Settings(hold_memory="2GB").held_bytes(3 * 10**9)


def test_a_root_path_loses_its_last_slash() -> None:
    assert Settings(root_path="/uformer/").root_path == "/uformer"
    assert Settings(root_path="/").root_path == ""


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(Settings(token="secret"))
