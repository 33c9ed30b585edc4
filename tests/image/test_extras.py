import pytest

from tests.image.cameras import dng, ramp
from uformer.errors import PictureError
from uformer.image import extras, formats
from uformer.image.read import header, read

HEIC_HEAD = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def test_formats_without_an_extra_miss_nothing() -> None:
    assert all(extras.missing(each) is None for each in formats.FORMATS)


@pytest.mark.parametrize("each", formats.READ_ONLY)
def test_an_installed_module_is_found(each: formats.Format, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    assert extras.missing(each) is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (HEIC_HEAD, 'is HEIC, which needs an extra; run: pip install "uformer[heic]"'),
        (dng(ramp()), 'is camera raw (DNG), which needs an extra; run: pip install "uformer[raw]"'),
    ],
)
def test_a_missing_extra_is_named_in_one_line(
    data: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for ask in (read, header):
        with pytest.raises(PictureError) as caught:
            ask(data)
        assert str(caught.value) == f"image: {said}"


def test_a_module_that_is_blocked_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rawpy", None)
    assert extras.missing(formats.RAW) == 'pip install "uformer[raw]"'
