import pytest

from uformer.image.xmp_packet import orientation, upright


@pytest.mark.parametrize(
    "told",
    [
        b'tiff:Orientation="6"',
        b"tiff:Orientation='6'",
        b'tiff:Orientation = "6"',
        b"<tiff:Orientation>6</tiff:Orientation>",
        b"<tiff:Orientation> 6\n</tiff:Orientation>",
    ],
)
def test_each_way_to_say_it(told: bytes) -> None:
    packet = b"<rdf:Description a='6' " + told + b" b='6'>"
    assert orientation(packet) == 6
    assert upright(packet) == packet.replace(told, told.replace(b"6", b"1"))
    assert orientation(upright(packet)) == 1


@pytest.mark.parametrize(
    "packet", [b"", b"<x/>", b'tiff:Orientation="9"', b'tiff:Orientation="66"', b'exif:Orientation="6"']
)
def test_none(packet: bytes) -> None:
    assert orientation(packet) == 1
    assert upright(packet) == packet
