"""The figures of a report, against what numpy says about the whole image."""

import json

import numpy as np
import pytest

from uformer.image.value_range import FULL, ValueRange
from uformer.restore.reporting.change_report import ChangeReport, Recorder
from uformer.restore.reporting.report_files import as_json


def recorded(
    before: np.ndarray, after: np.ndarray, *, depth: int = 8, used: ValueRange = FULL, portion: int = 7
) -> ChangeReport:
    recorder = Recorder(views=4)
    recorder.begin(*before.shape)
    for first in range(0, len(before), portion):
        rows = slice(first, first + portion)
        recorder.add_values(first, before[rows], after[rows], depth, used)
    return recorder.report()


def images(channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    before = rng.integers(0, 256, (20, 30, channels))
    after = np.clip(before + rng.integers(-20, 30, before.shape), 0, 255)
    return before, after


def test_figures() -> None:
    before, after = images()
    report = recorded((before / 255).astype(np.float32), (after / 255).astype(np.float32))
    change = np.abs(after - before).max(axis=2)
    assert report.changed == {step: pytest.approx((change > step).mean()) for step in (1, 4, 16)}
    assert report.largest == pytest.approx(change.max(), abs=1e-4)
    assert report.usual == pytest.approx(np.percentile(change, 99), abs=1.1)
    for number, channel in enumerate(report.channels):
        old, new = before[..., number], after[..., number]
        assert channel.mean_before == pytest.approx(old.mean(), abs=1e-4)
        assert channel.mean_after == pytest.approx(new.mean(), abs=1e-4)
        assert channel.histogram_before == tuple(np.bincount(old.ravel(), minlength=256))
        moved = np.abs(np.sort(old.ravel()) - np.sort(new.ravel())).mean()
        assert channel.histogram_shift == pytest.approx(moved)
        assert (channel.black_before, channel.white_after) == ((old == 0).mean(), (new == 255).mean())
    assert [channel.name for channel in report.channels] == ["red", "green", "blue"]


def test_an_unchanged_gray_image_of_16_bits() -> None:
    before = np.random.default_rng(0).integers(0, 65536, (9, 5, 1)).astype(np.float32) / 65535
    report = recorded(before, before, depth=16)
    assert report.largest == 0
    assert set(report.changed.values()) == {0}
    assert [channel.name for channel in report.channels] == ["gray"]
    assert report.as_dict()["trust"] is None


def test_levels_count_in_the_range_that_was_restored() -> None:
    before = np.full((8, 8, 1), 300.0, np.float32)
    report = recorded(before, before + 20, depth=32, used=ValueRange(100, 500))
    assert report.largest == pytest.approx(20 / 400 * 255, abs=1e-3)


def test_what_starts_again_at_row_0_counts_once() -> None:
    before = np.zeros((8, 8, 1), np.float32)
    recorder = Recorder(views=4)
    recorder.begin(*before.shape)
    for rows in (4, 8):
        recorder.add(0, before[:rows], before[:rows] + 1)
        recorder.add_spread(0, before[:rows, :, 0] + np.float32(2 / 255))
    report = recorder.report()
    assert sum(report.channels[0].histogram_after) == 64
    assert report.spread is not None
    assert report.spread["mean"] == pytest.approx(2)
    assert report.trust is not None
    np.testing.assert_allclose(report.trust, 2 / 255, rtol=1e-5)


def test_a_histogram_takes_one_line_of_the_json() -> None:
    before, after = (pixels.astype(np.float32) / 255 for pixels in images())
    figures = recorded(before, after).as_dict()
    text = as_json(figures)
    assert json.loads(text) == figures
    assert len(text.splitlines()) < 120
