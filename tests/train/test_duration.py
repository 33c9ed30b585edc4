import pytest

from uformer.train.duration import spoken


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "under a tenth of a second"),
        (0.4, "0.4 seconds"),
        (40, "40 seconds"),
        (89, "89 seconds"),
        (120, "2 minutes"),
        (9000, "2.5 hours"),
        (34.2 * 86400, "34 days"),
        (1400 * 86400, "1,400 days"),
    ],
)
def test_a_duration_has_two_digits_and_a_fitting_unit(seconds: float, words: str) -> None:
    assert spoken(seconds) == words
