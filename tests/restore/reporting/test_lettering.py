"""Letters as pixels."""

import numpy as np

from uformer.restore.reporting.lettering import HEIGHT, WIDTH, lettered


def test_small_letters_become_capitals_that_differ() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:%+-/()"
    assert np.array_equal(lettered("abc"), lettered("ABC"))
    assert len({lettered(letter).tobytes() for letter in letters}) == len(letters)


def test_size_and_unknown_letters() -> None:
    assert lettered("I x", scale=3).shape == (3 * HEIGHT, 3 * 3 * (WIDTH + 1))
    assert lettered("é").any()
    assert not lettered(" ").any()
