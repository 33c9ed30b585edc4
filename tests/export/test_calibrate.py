import dataclasses
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.export.conftest import needs_nncf
from tests.networks import TINY
from uformer.errors import OptionError, PictureError
from uformer.export.calibrate import (
    LARGEST_SIDE,
    MOST_PICTURES,
    CalibrationPair,
    Loss,
    calibration_pairs,
    load_nncf,
    measure,
    quantize,
)
from uformer.export.verify import Pictures


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (6, 5), level: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("L", size, level).convert(mode).save(path)


def test_pairs(pictures: Path) -> None:
    found = calibration_pairs(pictures, TINY)
    assert len(found) == 3
    for sample in found:
        assert sample.clean is not None
        assert sample.degraded.shape == sample.clean.shape == (1, 3, 40, 52)
        assert sample.degraded.dtype == np.float32
        assert 0.05 < np.abs(sample.degraded - sample.clean).mean() < 0.1


def test_images_without_pairs_are_degraded_ones(tmp_path: Path) -> None:
    save(tmp_path / "b" / "gray.png", "L", (6, 5))
    save(tmp_path / "large.png", "RGB", (LARGEST_SIDE + 40, 5))
    first, second = calibration_pairs(tmp_path, TINY)
    assert first.degraded.shape == (1, 3, 5, 6)
    assert second.degraded.shape == (1, 3, 5, LARGEST_SIDE)
    assert first.clean is second.clean is None
    (gray,) = calibration_pairs(tmp_path / "b", dataclasses.replace(TINY, in_channels=1, out_channels=1))
    assert gray.degraded.shape == (1, 1, 5, 6)


def test_the_first_of_many(tmp_path: Path) -> None:
    for number in range(MOST_PICTURES + 3):
        save(tmp_path / f"{number:03}.png", level=number)
    found = calibration_pairs(tmp_path, TINY)
    assert [round(float(sample.degraded[0, 0, 0, 0]) * 255) for sample in found] == list(range(MOST_PICTURES))


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no such folder"):
        calibration_pairs(tmp_path / "none", TINY)
    with pytest.raises(OptionError, match="contains no images"):
        calibration_pairs(tmp_path, TINY)
    save(tmp_path / "a.png")
    with pytest.raises(OptionError, match=r"a\.png: the image has 3 channels; the network has 1"):
        calibration_pairs(tmp_path, dataclasses.replace(TINY, in_channels=1))
    (tmp_path / "0.png").write_bytes(b"no image")
    with pytest.raises(PictureError, match=r"0\.png"):
        calibration_pairs(tmp_path, TINY)


def test_the_loss_is_the_difference_of_the_psnrs() -> None:
    clean = np.full((1, 3, 8, 8), 100 / 255, np.float32)

    def off_by(levels: int) -> Pictures:
        return clean + np.float32(levels / 255)

    loss = measure(lambda _: off_by(20), lambda _: off_by(10), [CalibrationPair(clean, clean)] * 2)
    assert loss.network is not None
    assert loss.quantized is not None
    assert loss.network - loss.quantized == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert loss.agreement == pytest.approx(20 * np.log10(255 / 10), abs=1e-3)
    assert "a loss of 6.02 dB (28.13 to 22.11 dB)" in str(loss)
    assert measure(lambda _: off_by(20), lambda _: off_by(10), [CalibrationPair(clean, None)]) == Loss(
        loss.agreement
    )
    assert "a folder with degraded/ and clean/" in str(Loss(40.0))


def test_without_nncf_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(OptionError, match=r'nncf is not installed.*pip install "uformer\[int8\]"'):
        quantize(None, [])


@needs_nncf
@pytest.mark.slow
def test_nncf_has_no_telemetry() -> None:
    load_nncf()
    assert sys.modules.get("openvino_telemetry") is None
