import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uformer.image import formats, reasons
from uformer.image.formats import Format

IMAGE = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8))


def encoded(picture_format: Format) -> bytes:
    file = io.BytesIO()
    IMAGE.save(file, picture_format.name)
    return file.getvalue()


@pytest.mark.parametrize("picture_format", formats.FORMATS, ids=lambda each: each.name)
def test_a_file_cut_off(picture_format: Format) -> None:
    data = encoded(picture_format)
    why = reasons.why(data[: len(data) // 2], picture_format)
    assert why == reasons.CUT_OFF or "it is cut off or damaged" in why
    assert "damaged" in reasons.why(data, picture_format)


def test_a_chunk_with_a_wrong_sum_is_named() -> None:
    data = bytearray(encoded(formats.PNG))
    data[50] ^= 1
    assert reasons.why(bytes(data), formats.PNG) == "wrong checksum of the IDAT chunk at byte 33"
    data[12:16] = b"\xa4\n\0X"
    assert reasons.why(bytes(data), formats.PNG) == "wrong checksum of the ???X chunk at byte 8"


@given(st.binary(max_size=100), st.sampled_from(formats.FORMATS))
def test_any_bytes_give_one_line(data: bytes, picture_format: Format) -> None:
    for hostile in (data, encoded(picture_format)[:40] + data):
        assert reasons.why(hostile, picture_format).isprintable()
