import dataclasses
import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.image.suspects import suspects
from uformer.errors import PictureError
from uformer.image.opening import Opened, SuspectError, examine, opened
from uformer.image.read import read_samples
from uformer.image.vet import Limits


@pytest.mark.parametrize("mapped", [False, True])
def test_a_file_and_its_bytes_are_the_same(mapped: bool, tmp_path: Path) -> None:
    file = io.BytesIO()
    PIL.Image.new("RGB", (5, 3)).save(file, "PNG")
    (tmp_path / "a[page=2].png").write_bytes(file.getvalue())
    for source in (tmp_path / "a[page=2].png", file.getvalue()):
        with opened(source, Limits(), mapped=mapped) as found:
            assert (found.image.width, found.image.height, found.format.name, found.frames) == (
                5,
                3,
                "PNG",
                1,
            )
            assert found.data[:] == file.getvalue()


def test_errors_inside_name_the_file() -> None:
    with pytest.raises(PictureError, match="image: does not fit into memory"), opened(_png(), Limits()):
        raise MemoryError


def _png() -> bytes:
    file = io.BytesIO()
    PIL.Image.new("L", (2, 2)).save(file, "PNG")
    return file.getvalue()


def test_the_docs_list_every_limit() -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(max_\w+)` \| ([\d,]+ ?\w*)", page, re.MULTILINE))
    units = {"million": 10**6, "TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "to": 1, "": 1}
    found = {
        name: int(text.split()[0].replace(",", "")) * units["".join(text.split()[1:])]
        for name, text in listed.items()
    }
    assert found == dataclasses.asdict(Limits())


@pytest.mark.parametrize("limit", ["max_frames", "max_metadata"])
def test_limits_of_what_lies_around_the_pixels(limit: str, exif: bytes) -> None:
    file = io.BytesIO()
    several = [PIL.Image.new("L", (2, 2), 9)]
    PIL.Image.new("L", (2, 2)).save(
        file, "PNG", save_all=limit == "max_frames", append_images=several, exif=b"Exif\0\0" + exif
    )
    with opened(file.getvalue(), Limits()) as found:
        assert found.frames == (2 if limit == "max_frames" else 1)
    with (
        pytest.raises(PictureError, match="over the limit of 1$"),
        opened(file.getvalue(), Limits(**{limit: 1})),
    ):
        pass


def test_only_harmless_warnings_are_passed_over() -> None:
    tried = []

    def work(_file: Opened) -> None:
        tried.append(1)
        raise SuspectError("stray bytes")

    with pytest.raises(SuspectError):
        examine(_png(), Limits(), work)
    assert len(tried) == 2


def verdict(data: bytes) -> tuple[str, bytes]:
    """The message about a file, and its samples."""
    try:
        return "", read_samples(data).tobytes()
    except PictureError as error:
        return str(error), b""


def together(rounds: int, threads: int = 8) -> None:
    """Read suspects in several threads, each in its own order, and compare with reading each alone."""
    files = [data for number in range(8) for data in suspects(number).values()]
    alone = [verdict(data) for data in files]

    def work(thread: int) -> list[int]:
        order = np.random.default_rng(thread).permutation(np.tile(np.arange(len(files)), rounds))
        return [index for index in order.tolist() if verdict(files[index]) != alone[index]]

    with ThreadPoolExecutor(threads) as pool:
        wrong = [index for found in pool.map(work, range(threads)) for index in found]
    assert not wrong


def test_suspects_alone() -> None:
    for name, data in suspects(3).items():
        said, samples = verdict(data)
        assert bool(samples) == name.startswith("good"), (name, said)
    assert "wrong checksum of the IDAT chunk at byte 33" in verdict(suspects(3)["sum.png"])[0]
    assert "premature end of data" in verdict(suspects(3)["cut_baseline.jpg"])[0]


def test_a_verdict_depends_on_the_file_alone() -> None:
    together(1)


@pytest.mark.slow
def test_ten_thousand_verdicts_depend_on_the_file_alone() -> None:
    together(11)


def test_whether_a_jpeg_is_complete() -> None:
    for name, complete in (
        ("good_behind_scan.jpg", True),
        ("good_restarts.jpg", True),
        ("cut_restarts.jpg", False),
        ("good.png", True),
    ):
        with opened(suspects(0)[name], Limits()) as found:
            assert found.is_complete() == complete, name
