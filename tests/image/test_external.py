import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tests.image.cameras import heic, needs_heic
from uformer.errors import PictureError
from uformer.image import formats, vips
from uformer.image.external import ExternalError, external
from uformer.image.read import read

needs_heic()

GRAY = np.full((16, 24, 3), 99, np.uint8)

Child = Any


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Child:
    """Return a function that makes the separate process run other Python code."""
    start = subprocess.Popen

    def replace(code: str) -> None:
        def run(_: object, **options: Any) -> subprocess.Popen[bytes]:
            return start([sys.executable, "-c", code], **options)

        monkeypatch.setattr(subprocess, "Popen", run)

    return replace


def test_header_then_pixels_and_the_process_ends() -> None:
    with external(heic(GRAY, "RGB"), formats.HEIC, 60) as found:
        assert (found.width, found.height, found.bands, found.bits, found.frames) == (24, 16, 3, 8, 1)
        stand_in = found.placeholder()
        assert (stand_in.width, stand_in.height, stand_in.bands) == (24, 16, 3)
        assert vips.integer(stand_in, "bits-per-sample", 0) == 8
        np.testing.assert_allclose(found.pixels().astype(int), GRAY, atol=1)
        process = found.process
    assert process._process.returncode is not None


def test_a_crash_is_one_line(replaced: Child) -> None:
    replaced("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(
        PictureError, match="^image: cannot be read as HEIC: the decoder crashed; the data is damaged$"
    ):
        read(heic(GRAY, "RGB"))


def test_a_decoder_that_takes_too_long_is_killed(replaced: Child) -> None:
    replaced("import time; time.sleep(600)")
    with pytest.raises(TimeoutError), external(heic(GRAY, "RGB"), formats.HEIC, 0.5):
        pass


def test_what_a_decoder_prints_is_not_seen(replaced: Child, capfd: pytest.CaptureFixture[str]) -> None:
    replaced("import sys; print('noise', file=sys.stderr); sys.exit(3)")
    with pytest.raises(ExternalError, match="crashed"), external(heic(GRAY, "RGB"), formats.HEIC, 60):
        pass
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('{"error": "two\\nlines"}', r"two.*lines"),
        (
            '{"width": 0, "height": 4, "bands": 3, "bits": 8, "notes": [], "colours": [1, 13]}',
            "it claims 0 x 4 pixels",
        ),
    ],
)
def test_what_it_reports(replaced: Child, answer: str, said: str) -> None:
    replaced(
        f"import sys; text = {answer.encode()!r}\n"
        "sys.stdout.buffer.write(len(text).to_bytes(8, 'little') + text)"
    )
    with pytest.raises(ExternalError, match=said) as caught, external(heic(GRAY, "RGB"), formats.HEIC, 60):
        pass
    assert "\n" not in str(caught.value)
