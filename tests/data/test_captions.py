import numpy as np

from uformer.data.captions import HEIGHT, draw_line


def test_a_line_has_the_size_that_is_asked_for() -> None:
    for text in ("degraded 24.1 dB", "", "a & b <i>", "a\udcffb\n", "long " * 200):
        line = draw_line(text, 160)
        assert line.shape == (HEIGHT, 160, 1)
        assert 0 <= line.min() <= line.max() <= 1


def test_a_long_text_keeps_its_end() -> None:
    one, other = (draw_line("folder/" * 10 + name, 200) for name in ("1.png", "2.png"))
    assert one.max() == 0 or not np.array_equal(one, other)  # black where there is no font
