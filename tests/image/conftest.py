"""Fixtures for the image tests: a small EXIF block and colour profiles."""

import PIL.Image
import PIL.ImageCms
import pytest


def _exif(orientation: int = 1) -> bytes:
    exif = PIL.Image.Exif()
    exif[0x010F] = "Acme"
    exif[0x0112] = orientation
    exif.get_ifd(0x8769).update({0x9003: "2020:01:02 03:04:05", 0x829A: (1, 250), 0x927C: b"maker\0\1\2\3"})
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
    return exif.tobytes().removeprefix(b"Exif\0\0")


@pytest.fixture
def exif() -> bytes:
    """An EXIF block with camera, time, maker note, location and orientation 1."""
    return _exif()


@pytest.fixture
def turned_exif() -> bytes:
    """The same with orientation 6."""
    return _exif(6)


@pytest.fixture
def profile() -> bytes:
    """An RGB colour profile."""
    return bytes(PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes())


@pytest.fixture
def xmp() -> bytes:
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="1" note="a"/></x:xmpmeta>'
