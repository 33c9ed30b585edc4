import io
from pathlib import Path

import PIL.Image
import pytest

from uformer.errors import PictureError
from uformer.image.source import opened
from uformer.image.vet import Limits


@pytest.mark.parametrize("mapped", [False, True])
def test_a_file_and_its_bytes_are_the_same(mapped: bool, tmp_path: Path) -> None:
    file = io.BytesIO()
    PIL.Image.new("RGB", (5, 3)).save(file, "PNG")
    (tmp_path / "a[page=2].png").write_bytes(file.getvalue())
    for source in (tmp_path / "a[page=2].png", file.getvalue()):
        with opened(source, Limits(), mapped=mapped) as found:
            assert (found.image.width, found.image.height, found.format.name, found.frames) == (5, 3, "PNG", 1)
            assert found.data[:] == file.getvalue()


def test_errors_inside_name_the_file() -> None:
    with pytest.raises(PictureError, match="picture: does not fit into memory"), opened(_png(), Limits()):
        raise MemoryError


def _png() -> bytes:
    file = io.BytesIO()
    PIL.Image.new("L", (2, 2)).save(file, "PNG")
    return file.getvalue()
