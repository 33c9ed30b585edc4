from hypothesis import given
from hypothesis import strategies as st

from uformer.image import iptc


def data_set(number: int, value: bytes, record: int = 2) -> bytes:
    return bytes([0x1C, record, number]) + len(value).to_bytes(2, "big") + value


CITY, NOTICE, CAPTION = data_set(90, b"Berlin"), data_set(116, b"(c) x"), data_set(120, b"hello")
OTHER = b"8BIM\x03\xed\x03abc\0\0\0\x05fives\0"  # a resource with a name of three letters and an odd length


@given(st.binary(max_size=50))
def test_wrapped_and_out_again(records: bytes) -> None:
    assert iptc.records(iptc.wrapped(records)) == (records or None)


def test_records_lie_behind_other_resources() -> None:
    wrapped = iptc.wrapped(CITY)
    assert iptc.records(wrapped[:14] + OTHER + wrapped[14:]) == CITY
    assert iptc.records(wrapped[:14] + OTHER) is None


def test_selection() -> None:
    payload = iptc.wrapped(CITY + NOTICE + data_set(116, b"no", record=1) + CAPTION)
    assert iptc.records(iptc.selected(payload, {116}) or b"") == NOTICE
    assert iptc.selected(payload, {5}) is None
    assert iptc.selected(b"not Photoshop's", {5}) is None


def test_what_is_malformed_ends_the_records() -> None:
    assert iptc.selected(iptc.wrapped(NOTICE + b"\x1c\x02\x74\xff\xff"), {116}) == iptc.wrapped(NOTICE)


@given(st.binary(max_size=60))
def test_any_bytes_are_survived(data: bytes) -> None:
    for payload in (
        data,
        b"Photoshop 3.0\0" + data,
        b"Photoshop 3.0\x008BIM\x04\x04\0\0" + data,
        iptc.wrapped(data),
    ):
        iptc.records(payload)
        iptc.selected(payload, range(256))
