import numpy as np
import pytest
import pyvips

from uformer.image import vips


def test_nothing_is_cached() -> None:
    assert pyvips.cache_get_max() == 0


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_samples_in_are_samples_out(bands: int, kind: type) -> None:
    samples: np.ndarray = (
        np.random.default_rng(0).random((3, 5, bands)) * (1 if kind is np.float32 else np.iinfo(kind).max)
    ).astype(kind)
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


def test_the_error_buffer_of_the_process_stays_empty() -> None:
    with pytest.raises(vips.Error) as error:
        vips.load("tiff", b"II*\0")
    assert error.value.detail == ""  # type: ignore[attr-defined]
    assert pyvips.ffi.string(pyvips.vips_lib.vips_error_buffer()) == b""


def test_a_digest_tells_samples_apart() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 256, (130, 7, 3), np.uint8) for _ in range(2))
    assert vips.digest(vips.from_samples(one)) == vips.digest(vips.from_samples(one.copy()))
    assert vips.digest(vips.from_samples(one)) != vips.digest(vips.from_samples(other))
    one[129, 6, 2] ^= 1
    assert vips.digest(vips.from_samples(one)) != vips.digest(vips.from_samples(one - one))
