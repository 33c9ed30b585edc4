import numpy as np
import pytest

from uformer.data.captions import HEIGHT, draw_line


def test_a_line_has_the_size_that_is_asked_for() -> None:
    for text in ("degraded 24.1 dB", "", "a & b <i>", "a\udcffb\n", "long " * 200):
        line = draw_line(text, 160)
        assert line.shape == (HEIGHT, 160, 1)
        assert 0 <= line.min() <= line.max() <= 1


def test_a_long_text_keeps_its_end() -> None:
    if np.array_equal(draw_line("1", 200), draw_line("2", 200)):
        pytest.skip("no fonts: Pango draws the same box for every letter")
    one, other = (draw_line("folder/" * 10 + name, 200) for name in ("1.png", "2.png"))
    assert not np.array_equal(one, other)
