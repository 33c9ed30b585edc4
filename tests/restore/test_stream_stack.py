"""A stack from standard input is restored page by page, and standard output receives the whole stack."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.image.stacks import counts, save_imagej
from tests.image.zarrs import save_ome
from tests.restore.stand_in import StandIn
from uformer.cli import main
from uformer.restore import once
from uformer.restore.restorer import Restorer


def streams(folder: Path, monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Put a stack of two channels into a.tif and on standard input, and return standard output."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(Restorer, "from_options", lambda *_, **__: StandIn())
    monkeypatch.setattr(StandIn, "restore_pixels", lambda _self, pixels, **_: pixels + np.float32(1 / 65535))
    save_imagej(folder / "a.tif", counts(3, 2, 8, 10), "TCYX")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / "a.tif").read_bytes())))
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out))
    return out


@pytest.mark.parametrize("arguments", [["-"], ["-", "-o", "-"], ["a.tif", "-o", "-"], ["-", "-o", "out.tif"]])
def test_all_pages_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    standard_output = streams(tmp_path, monkeypatch)
    assert main(["restore", *arguments]) == 0
    out = tmp_path / "out.tif"
    restored = io.BytesIO(out.read_bytes()) if out.exists() else io.BytesIO(standard_output.getvalue())
    with tifffile.TiffFile(restored) as file:
        assert file.series[0].axes == "TCYX"
        assert np.array_equal(file.asarray(), tifffile.imread(tmp_path / "a.tif") + 1)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            ["-", "-o", "out.png"],
            "standard input: has 6 pages, and is written as TIFF; name an output that ends in .tif, not .png",
        ),
        (["-", "--task", "auto"], "standard input: has 6 pages, and auto looks at single photos only"),
        (["-", "--metadata", "strip"], "standard input: has 6 pages, and its tags hold axes and pixel size"),
        (["a.zarr", "-o", "-"], "a.zarr: is a Zarr, which is a folder; name an output that ends in .zarr"),
        (
            ["a.tif", "--task", "auto"],
            "a.tif: has 6 pages, and auto looks at single photos only",
        ),
    ],
)
def test_refusals_load_no_network(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    why: str,
) -> None:
    standard_output = streams(tmp_path, monkeypatch)
    save_ome(tmp_path / "a.zarr", counts(2, 8, 10), "zyx")
    monkeypatch.setattr(Restorer, "from_options", lambda *_, **__: pytest.fail("a network was loaded"))
    assert main(["restore", *arguments]) == 1
    assert capsys.readouterr().err.startswith(f"uformer: error: {why}")
    assert not standard_output.getvalue()
    monkeypatch.setattr(once, "_network", lambda *_: pytest.fail("a network was loaded"))
    with pytest.raises(ValueError, match="auto looks at single photos only"):
        once.restore("a.tif", "auto")
