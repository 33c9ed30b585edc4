"""Controls on samples of every type, with several threads."""

import threading

import numpy as np
import pytest

from uformer.image.image import Pixels
from uformer.image.value_range import FULL, ValueRange
from uformer.restore import remix
from uformer.restore.controls import Window
from uformer.restore.options import Controls
from uformer.restore.remix import Residual, blend_samples, reader, widened

HEIGHT, WIDTH = 200, 150  # several rows and columns of blocks


def residual(scale: float = 0.1) -> Residual:
    rng = np.random.default_rng(1)
    return (scale * rng.standard_normal((3, HEIGHT, WIDTH))).astype(np.float16)


def image(kind: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    if kind == "float":
        return rng.normal(0.5, 0.5, (HEIGHT, WIDTH, 3)).astype(np.float32)
    return rng.integers(0, np.iinfo(kind).max, (HEIGHT, WIDTH, 3), dtype=kind)


def blended(samples: np.ndarray, controls: Controls, **options: object) -> np.ndarray:
    given = {
        "at": Window(0, HEIGHT, 0, WIDTH),
        "shifts": np.zeros((25, 19), np.float32),
        "depth": 32 if samples.dtype.kind == "f" else 8 * samples.itemsize,
    }
    return blend_samples(samples, residual(), controls, None, **{**given, **options})  # type: ignore[arg-type]


ALL = Controls(luma=0.8, chroma=0.5, detail=0.7, grain=0.3, shadows=0.4, tones="free")


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float"])
@pytest.mark.parametrize("used", [FULL, ValueRange(0.1, 0.7)], ids=["full", "part"])
def test_threads_make_no_difference(kind: str, used: ValueRange) -> None:
    one = blended(image(kind), ALL, threads=1, used=used)
    assert one.dtype == image(kind).dtype
    assert np.array_equal(blended(image(kind), ALL, threads=3, used=used), one)
    assert not np.array_equal(one, image(kind))


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float"])
@pytest.mark.parametrize("used", [FULL, ValueRange(0.1, 0.7)], ids=["full", "part"])
def test_strength_0_leaves_every_bit(kind: str, used: ValueRange) -> None:
    assert np.array_equal(blended(image(kind), Controls(strength=0), used=used), image(kind))


def test_floats_are_what_the_samples_are_rounded_from() -> None:
    samples = blended(image("uint8"), ALL)
    values = blended(image("uint8"), ALL, as_floats=True)
    assert values.dtype == np.float32
    assert np.array_equal(np.rint(values * np.float32(255)), samples)
    upper = image("uint8").astype(np.uint16) * 16
    twelve = blended(upper, Controls(strength=0), depth=12, as_floats=True)
    np.testing.assert_allclose(twelve, upper / 4095, atol=1e-6)


def test_a_failed_check_ends_the_work_of_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remix, "MOST_THREADS", 2)
    seen: list[str] = []

    def check() -> None:
        seen.append(threading.current_thread().name)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        blended(image("uint8"), Controls(), check=check)
    assert len(seen) <= 4, "one for each row of blocks"
    assert not [each for each in threading.enumerate() if each.name in seen]


def test_float16_becomes_float32() -> None:
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)].reshape(2, -1, 2)
    assert np.array_equal(widened(finite[:, ::2]), finite[:, ::2].astype(np.float32))


def test_a_window() -> None:
    read = reader(image("uint8"), residual(), FULL, 8)
    pixels, change = read(Window(3, 10, 20, 33))
    expected: Pixels = image("uint8")[3:10, 20:33].astype(np.float32) / np.float32(255)
    assert np.array_equal(pixels, expected.transpose(2, 0, 1))
    assert np.array_equal(change, residual()[:, 3:10, 20:33])
