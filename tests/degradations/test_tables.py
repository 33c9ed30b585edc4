"""The measured tables: curves that rise from black to white, and kernels that sum to 1."""

import numpy as np
import pytest

from uformer.degradations.tables import expose, levin_kernels, responses, unexpose


def test_every_response_rises_from_black_to_white() -> None:
    curves = responses()
    assert curves.shape == (201, 65)
    assert (np.diff(curves, axis=1) >= 0).all()
    np.testing.assert_allclose(curves[:, [0, -1]], [[0, 1]] * 201, atol=1e-3)


def test_kernels_sum_to_one() -> None:
    kernels = levin_kernels()
    assert kernels.shape == (8, 27, 27)
    assert (kernels >= 0).all()
    np.testing.assert_allclose(kernels.sum(axis=(1, 2)), 1, atol=1e-6)


@pytest.mark.parametrize("response", [0, 7, 100, 200])
def test_what_is_exposed_can_be_taken_back(response: int) -> None:
    pixels = np.linspace(0.05, 0.95, 50, dtype=np.float32)
    back = expose(unexpose(pixels, response), response)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, pixels, atol=2e-3)
