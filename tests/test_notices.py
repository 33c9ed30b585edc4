import warnings

import pytest

from uformer import notices
from uformer.image.image import Image
from uformer.image.write import encode


def test_a_warning_names_the_caller_outside_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from uformer.image.image import Metadata

    image = Image(pixels=np.zeros((2, 2, 3), np.float32), metadata=Metadata(iptc=b"Photoshop 3.0\0"))
    with pytest.warns(UserWarning, match="IPTC") as found:
        encode(image, ".png")
    assert [each.filename for each in found] == [__file__]


def test_direct_and_ignored() -> None:
    with pytest.warns(UserWarning, match="^one line$") as found:
        notices.warn("one line")
    assert found[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notices.ignore("one line")


def test_on_standard_error_as_a_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (False, True):
        notices.to_stderr(quiet=quiet)("one line")
    assert capsys.readouterr() == ("", "uformer: one line\n")
