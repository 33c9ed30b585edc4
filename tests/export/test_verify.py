import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from tests.networks import TINY
from uformer.config import VARIANTS, UformerConfig
from uformer.errors import ExportError
from uformer.export.verify import Pictures, check, compare, examples


def as_it_is(pictures: Pictures) -> Pictures:
    return pictures


def fails(_: Pictures) -> Pictures:
    raise RuntimeError("no\nsuch operator")


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        dataclasses.replace(TINY, window_size=1),
        dataclasses.replace(TINY, in_channels=1),
        *VARIANTS.values(),
    ],
)
def test_three_sizes_one_not_square_one_without_padding(config: UformerConfig) -> None:
    shapes = [images.shape for images in examples(config)]
    assert len({shape[2:] for shape in shapes}) == 3
    assert any(height != width for *_, height, width in shapes)
    assert any(height % config.multiple == width % config.multiple == 0 for *_, height, width in shapes)
    assert any(height % config.multiple or width % config.multiple for *_, height, width in shapes)
    assert max(shape[0] for shape in shapes) > 1
    assert all(shape[1] == config.in_channels for shape in shapes)


def test_the_same_is_equal() -> None:
    found = compare(as_it_is, as_it_is, examples(TINY))
    check(found, tolerance=0)
    assert str(found[0]) == "against the network at 8 x 8: equal"


def test_an_error_at_one_sample_is_found_and_named() -> None:
    def off_by(pictures: Pictures) -> Pictures:
        changed = pictures.copy()
        changed[-1, -1, -1, -1] += np.float32(0.01)
        return changed

    found = compare(off_by, as_it_is, examples(TINY))
    assert [each.largest for each in found] == pytest.approx([0.01] * 3, rel=1e-4)
    assert found[0].decibel == pytest.approx(10 * np.log10(3 * 64 / 0.01**2), abs=0.01)
    check(found, tolerance=0.011)
    with pytest.raises(
        ExportError, match=r"^at 8 x 8 the file differs from the network by 0.01, more than 0.0001$"
    ):
        check(found, tolerance=1e-4)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda x: x[:, :, :8, :8], r"at 9 x 5 the file returns \(1, 3, 8, 5\), not \(1, 3, 9, 5\)"),
        (lambda x: x * np.float32(np.nan), "at 8 x 8 the file returns values that are not finite"),
        (fails, r"^at 8 x 8 the file cannot be run: no such operator$"),
    ],
)
def test_files_that_do_not_match(run: Callable[[Pictures], Pictures], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        compare(run, as_it_is, examples(TINY))
