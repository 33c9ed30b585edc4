import numpy as np
import pytest
import pyvips

from uformer.image import vips


def test_nothing_is_cached() -> None:
    assert pyvips.cache_get_max() == 0


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("wide", [False, True])
def test_samples_in_are_samples_out(bands: int, wide: bool) -> None:
    samples = np.random.default_rng(0).integers(0, 65536 if wide else 256, (3, 5, bands)).astype(np.uint16 if wide else np.uint8)
    image = vips.from_samples(samples.data, 5, 3, bands, wide=wide)
    np.testing.assert_array_equal(image.numpy().reshape(3, 5, bands), samples)
    assert image.hasalpha() == (bands in (2, 4))


def test_fields() -> None:
    image = pyvips.Image.black(1, 1).copy()
    assert vips.blob(image, "xmp-data") is None
    vips.set_blob(image, "xmp-data", b"<x/>")
    assert vips.blob(image, "xmp-data") == b"<x/>"
    assert vips.integer(image, "n-pages", 1) == 1
    assert vips.integer(image, "width", 9) == 1


def test_reason_is_one_line() -> None:
    with pytest.raises(pyvips.Error) as error:
        vips.load("tiffload_buffer", b"II*\0")
    reason = vips.reason(error.value)
    assert reason
    assert "\n" not in reason
    assert "unable to call" not in reason
    assert vips.reason(UnicodeDecodeError("utf-8", b"\xa4", 0, 1, "invalid")) == "the data is damaged"
