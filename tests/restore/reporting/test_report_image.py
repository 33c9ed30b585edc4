"""The image of a report."""

import numpy as np
import pytest

from uformer.restore.reporting.change_report import Recorder
from uformer.restore.reporting.report_image import draw


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("trust", [True, False])
def test_input_output_difference_and_trust(channels: int, trust: bool) -> None:
    before = np.full((400, 500, channels), 0.25, np.float32)
    after = before.copy()
    after[:200] += 8 / 255
    recorder = Recorder(views=4)
    recorder.begin(*before.shape)
    recorder.add(0, before, after)
    if trust:
        spread = np.zeros((400, 500), np.float32)
        spread[:, 250:] = 4 / 255
        recorder.add_spread(0, spread)
    image = draw(recorder.report())
    assert image.dtype == np.float32
    assert 0 <= image.min() < image.max() <= 1
    left, right, top, below = 12, 524, 36, 460  # the corners of the panels
    assert np.all(image[top : top + 400, left : left + 500] == 0.25)
    assert image[top + 10, right + 10, 0] == pytest.approx(0.25 + 8 / 255)
    difference = image[below : below + 400, left : left + 500, 0]
    assert difference[10, 10] == pytest.approx(0.5 + 8 * 8 / 255)  # as much as fits: 8 times
    assert difference[390, 10] == pytest.approx(0.5)
    if trust:
        panel = image[below : below + 400, right : right + 500]
        assert np.all(panel[:, :250] == 0)
        np.testing.assert_allclose(panel[:, 250:], np.array([255, 240, 180]) / 255 + 0 * panel[:, 250:])


def test_a_small_image_is_enlarged() -> None:
    recorder = Recorder(views=8)
    recorder.begin(20, 30, 3)
    pixels = np.random.default_rng(0).random((20, 30, 3), np.float32)
    recorder.add(0, pixels, pixels)
    image = draw(recorder.report())
    assert np.array_equal(image[36 : 36 + 280, 12 : 12 + 420], pixels.repeat(14, 0).repeat(14, 1))
