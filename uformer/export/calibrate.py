"""INT8: calibrated on pictures, and measured on them."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from uformer.config import UformerConfig
from uformer.data.eligible import paired, pictures_below
from uformer.data.pairs import CLEAN, DEGRADED, find_pairs
from uformer.errors import OptionError
from uformer.export.verify import Pictures, Run
from uformer.files import require
from uformer.image.read import read
from uformer.metrics import psnr
from uformer.notices import ignore

MOST_PICTURES = 64
LARGEST_SIDE = 256  # pixels; the middle of a larger picture is taken


@dataclass(frozen=True)
class CalibrationPair:
    """A degraded picture (1, C, h, w), and the clean one where there is one."""

    degraded: Pictures
    clean: Pictures | None


@dataclass(frozen=True)
class Loss:
    """What INT8 costs on the pictures: PSNR in dB of its output against the network's, and of both against the clean pictures."""

    agreement: float
    network: float | None = None
    quantized: float | None = None

    def __str__(self) -> str:
        text = f"{self.agreement:.2f} dB from the network"
        if self.network is None or self.quantized is None:
            return f"{text}; with {DEGRADED}/ and {CLEAN}/ in the folder, the loss against the clean pictures is measured too"
        return f"{text}; a loss of {self.network - self.quantized:.2f} dB ({self.network:.2f} to {self.quantized:.2f} dB)"


def calibration_pairs(folder: Path, config: UformerConfig) -> list[CalibrationPair]:
    """The first pictures of a folder, by name: pairs where it has degraded/ and clean/, else all below it, taken as degraded.

    Raises OptionError for a folder without pictures, PictureError for one that cannot be read or has channels the network does not take.
    """
    found: list[tuple[Path | None, Path | None]]
    if both := paired(folder):
        found = [(pair.degraded, pair.clean) for pair in find_pairs(*both)]
    else:
        if not folder.is_dir():
            raise OptionError(f"--calibrate {folder}: there is no such folder")
        found = [(folder / path, None) for path in pictures_below(folder).pictures]
    if not found:
        raise OptionError(f"--calibrate {folder}: no pictures in it")
    return [
        CalibrationPair(
            _load(degraded, config.in_channels), None if clean is None else _load(clean, config.out_channels)
        )
        for degraded, clean in found[:MOST_PICTURES]
        if degraded is not None
    ]


def load_nncf() -> ModuleType:
    """nncf, without its telemetry. Raises OptionError where it is not installed."""
    from uformer.restore.backends.quiet import silence  # noqa: PLC0415 - openvino takes long to import

    silence()  # nncf sends by the package that openvino sends by
    nncf = require("nncf", "int8")
    nncf.set_log_level(logging.ERROR)
    return nncf


def quantize(model: Any, pictures: Sequence[CalibrationPair]) -> Any:
    """An ONNX or OpenVINO model with its products in INT8, ranges taken from the pictures. Raises OptionError without nncf."""
    nncf = load_nncf()
    data = nncf.Dataset([sample.degraded for sample in pictures], lambda picture: {"image": picture})
    # One range for all channels: nncf moves a range for each, of a depth-wise convolution, to where channels lie on another axis.
    one_range = nncf.quantization.advanced_parameters.QuantizationParameters(per_channel=False)
    half_range = (
        nncf.quantization.advanced_parameters.OverflowFix.ENABLE
    )  # or sums saturate on CPUs without VNNI
    advanced = nncf.AdvancedQuantizationParameters(
        activations_quantization_params=one_range, overflow_fix=half_range
    )
    return nncf.quantize(
        model,
        data,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(pictures),
        advanced_parameters=advanced,
    )


def measure(run: Run, network: Run, pictures: Sequence[CalibrationPair]) -> Loss:
    """What a quantized file loses on pictures: means over them."""
    agreement, before, after = [], [], []
    for sample in pictures:
        wanted, got = (np.clip(each(sample.degraded), 0, 1)[0].transpose(1, 2, 0) for each in (network, run))
        agreement.append(psnr(got, wanted, rounded=False))
        if sample.clean is not None:
            clean = sample.clean[0].transpose(1, 2, 0)
            before.append(psnr(wanted, clean))
            after.append(psnr(got, clean))
    if not before:
        return Loss(_mean(agreement))
    return Loss(_mean(agreement), _mean(before), _mean(after))


def _load(path: Path, channels: int) -> Pictures:
    pixels = read(path, notify=ignore).pixels  # (H, W, C); what else the file holds does not matter here
    if pixels.shape[2] == 1 and channels == 3:
        pixels = np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] != channels:
        raise OptionError(f"{path}: a picture of {pixels.shape[2]} channels; the network has {channels}")
    top, left = (max(side - LARGEST_SIDE, 0) // 2 for side in pixels.shape[:2])
    middle = pixels[top : top + LARGEST_SIDE, left : left + LARGEST_SIDE]
    return np.ascontiguousarray(middle.transpose(2, 0, 1)[None], np.float32)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
