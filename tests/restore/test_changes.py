import numpy as np
import pytest

from uformer.image.value_range import FULL, ValueRange
from uformer.restore.changes import note_little_change
from uformer.restore.options import RestoreOptions

DEBLUR = RestoreOptions(task="deblur")


def notes(change: float, options: RestoreOptions) -> list[str]:
    before, said = np.full((9, 7, 3), 0.5, np.float32), []  # type: ignore[var-annotated]
    note_little_change(before, before + np.float32(change / 255), FULL, options, said.append)
    return said


def test_it_names_a_change_that_nobody_sees() -> None:
    assert notes(0.3, DEBLUR) == [
        (
            "changed by only 0.3 of 255 levels on average;"
            " deblurring is experimental and sharpens slight blur only"
        )
    ]
    assert notes(-0.3, DEBLUR) == notes(0.3, DEBLUR)
    assert notes(0.7, DEBLUR) == []


def test_the_change_is_a_share_of_the_range() -> None:
    said: list[str] = []
    before = np.full((9, 7, 1), 0.01, np.float32)
    note_little_change(before, before + np.float32(0.3 / 255), ValueRange(0, 0.02), DEBLUR, said.append)
    assert said == []


@pytest.mark.parametrize(
    "options",
    [
        RestoreOptions(),
        RestoreOptions(task="deblur", weights="mine.safetensors"),
        RestoreOptions(task="deblur", strength=0),
    ],
    ids=["another task", "other weights", "no strength"],
)
def test_it_speaks_of_the_shipped_deblurring_alone(options: RestoreOptions) -> None:
    assert notes(0, options) == []
