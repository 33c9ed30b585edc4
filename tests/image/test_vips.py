import numpy as np
import pytest
import pyvips

from uformer.image import vips


def test_nothing_is_cached() -> None:
    assert pyvips.cache_get_max() == 0


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_samples_in_are_samples_out(bands: int, kind: type) -> None:
    samples: np.ndarray = (np.random.default_rng(0).random((3, 5, bands)) * (1 if kind is np.float32 else np.iinfo(kind).max)).astype(kind)
    image = vips.from_samples(samples)
    np.testing.assert_array_equal(image.numpy().reshape(3, 5, bands), samples)
    assert image.hasalpha() == (bands in (2, 4))


def test_fields() -> None:
    image = pyvips.Image.black(1, 1).copy()
    assert vips.blob(image, "xmp-data") is None
    vips.set_blob(image, "xmp-data", b"<x/>")
    assert vips.blob(image, "xmp-data") == b"<x/>"
    assert vips.integer(image, "n-pages", 1) == 1
    assert vips.integer(image, "width", 9) == 1
    assert (vips.size(image, "xmp-data"), vips.size(image, "iptc-data")) == (4, 0)
    assert (vips.text(image, "interpretation"), vips.text(image, "n-pages")) == ("multiband", "")


def test_reason_is_one_line() -> None:
    with pytest.raises(pyvips.Error) as error:
        vips.load("tiff", b"II*\0")
    reason = vips.reason(error.value)
    assert reason
    assert "\n" not in reason
    assert "unable to call" not in reason
    assert vips.reason(UnicodeDecodeError("utf-8", b"\xa4", 0, 1, "invalid")) == "the data is damaged"
