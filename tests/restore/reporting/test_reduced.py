"""A small copy of a large image, made from rows that arrive in any portions."""

import numpy as np
import pytest

from uformer.restore.reporting import reduced
from uformer.restore.reporting.reduced import Reduced


def test_a_small_image_stays_as_it_is() -> None:
    rows = np.random.default_rng(0).random((5, 7, 3), np.float32)
    copy = Reduced(5, 7, 3)
    copy.add(0, rows)
    assert copy.factor == 1
    assert np.array_equal(copy.mean(), rows)


@pytest.mark.parametrize("portion", [1, 2, 4, 10])
def test_blocks_are_means_or_first_pixels(monkeypatch: pytest.MonkeyPatch, portion: int) -> None:
    monkeypatch.setattr(reduced, "SIDE", 4)
    rows = np.random.default_rng(0).random((10, 7, 1), np.float32)
    means, picked = Reduced(10, 7, 1), Reduced(10, 7, 1)
    for first in range(0, 10, portion):
        means.add(first, rows[first : first + portion])
        picked.sample(first, rows[first : first + portion])
    assert means.factor == 3
    expected = [[rows[top : top + 3, left : left + 3].mean() for left in (0, 3, 6)] for top in (0, 3, 6, 9)]
    np.testing.assert_allclose(means.mean()[..., 0], expected, rtol=1e-6)
    assert np.array_equal(picked.values, rows[::3, ::3])
