import json
import subprocess
import sys

import numpy as np

from tests.image.cameras import heic, needs_heic

needs_heic()


def answers(data: bytes, more: bytes = b"") -> list[bytes]:
    """Return the JSON answers of the process, and the bytes after them."""
    result = subprocess.run(
        [sys.executable, "-m", "uformer.image.external_process", "heic"],
        input=len(data).to_bytes(8, "little") + data + more,
        capture_output=True,
        timeout=120,
        check=True,
    )
    rest, found = result.stdout, []
    while rest[8:9] == b"{":
        end = 8 + int.from_bytes(rest[:8], "little")
        found.append(rest[8:end])
        rest = rest[end:]
    return [*found, rest]


def test_the_pixels_come_only_when_they_are_asked_for() -> None:
    data = heic(np.full((16, 24, 3), 99, np.uint8), "RGB")
    header, rest = answers(data)
    assert (json.loads(header)["width"], rest) == (24, b"")
    header, shape, rest = answers(data, b"\1")
    assert json.loads(shape) == {"shape": [16, 24, 3], "type": "uint8"}
    assert len(rest) == 16 * 24 * 3


def test_an_error_is_an_answer() -> None:
    said, rest = answers(b"\0\0\0\x18ftypheic" + bytes(40))
    assert list(json.loads(said)) == ["error"]
    assert rest == b""
