"""INT8 quantization: calibration on images, and measuring the loss on them."""

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
from uformer.files import require, require_folder
from uformer.image.read import read
from uformer.image.value_range import choose, sampled
from uformer.metrics import psnr
from uformer.notices import ignore

MOST_PICTURES = 64
LARGEST_SIDE = 256  # pixels; larger images are cropped to their centre


@dataclass(frozen=True)
class CalibrationPair:
    """A degraded image (1, C, h, w), and the clean one if there is one."""

    degraded: Pictures
    clean: Pictures | None


@dataclass(frozen=True)
class Loss:
    """The loss of INT8 on images, as PSNR in dB."""

    agreement: float
    """PSNR of the INT8 output against the network's."""
    network: float | None = None
    """PSNR of the network's output against the clean images."""
    quantized: float | None = None
    """PSNR of the INT8 output against the clean images."""

    def __str__(self) -> str:
        text = f"{self.agreement:.2f} dB from the network"
        if self.network is None or self.quantized is None:
            return (
                f"{text}; to also measure against clean images, give a folder with {DEGRADED}/ and {CLEAN}/"
            )
        loss = self.network - self.quantized
        return f"{text}; a loss of {loss:.2f} dB ({self.network:.2f} to {self.quantized:.2f} dB)"


def calibration_pairs(folder: Path, config: UformerConfig, asked: str = "auto") -> list[CalibrationPair]:
    """Return the first images of a folder, sorted by name. `asked`: the range that the weights scale.

    They are pairs if the folder holds degraded/ and clean/; otherwise all images below it count as
    degraded. Raises OptionError if there are no images or one has other channels than the network, and
    PictureError if an image cannot be read.
    """
    found: list[tuple[Path | None, Path | None]]
    if both := paired(folder):
        found = [(pair.degraded, pair.clean) for pair in find_pairs(*both)]
    else:
        require_folder(folder, shown=f"--calibrate {folder}")
        found = [(folder / path, None) for path in pictures_below(folder).pictures]
    if not found:
        raise OptionError(f"--calibrate {folder}: the folder contains no images")
    return [
        CalibrationPair(
            _load(degraded, config.in_channels, asked),
            None if clean is None else _load(clean, config.out_channels, asked),
        )
        for degraded, clean in found[:MOST_PICTURES]
        if degraded is not None
    ]


def load_nncf() -> ModuleType:
    """Return the module nncf with its telemetry off. Raises OptionError if it is not installed."""
    from uformer.restore.backends.quiet import silence  # noqa: PLC0415 - openvino takes long to import

    silence()  # nncf and openvino use the same telemetry package
    nncf = require("nncf", "int8")
    nncf.set_log_level(logging.ERROR)
    return nncf


def quantize(model: Any, pairs: Sequence[CalibrationPair]) -> Any:
    """Return an ONNX or OpenVINO model with INT8 matrix products, whose ranges come from the images.

    Raises OptionError if nncf is not installed.
    """
    nncf = load_nncf()
    data = nncf.Dataset([sample.degraded for sample in pairs], lambda image: {"image": image})
    # Activations get one range for all channels. With a range per channel, nncf moves those of depth-wise
    # convolutions to places where the channels are on another axis.
    one_range = nncf.quantization.advanced_parameters.QuantizationParameters(per_channel=False)
    # Without the overflow fix, sums saturate on CPUs without VNNI.
    half_range = nncf.quantization.advanced_parameters.OverflowFix.ENABLE
    advanced = nncf.AdvancedQuantizationParameters(
        activations_quantization_params=one_range, overflow_fix=half_range
    )
    return nncf.quantize(
        model,
        data,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(pairs),
        advanced_parameters=advanced,
    )


def measure(run: Run, network: Run, pairs: Sequence[CalibrationPair]) -> Loss:
    """Return the mean loss of a quantized file on images."""
    agreement, before, after = [], [], []
    for sample in pairs:
        wanted, got = (np.clip(each(sample.degraded), 0, 1)[0].transpose(1, 2, 0) for each in (network, run))
        agreement.append(psnr(got, wanted, rounded=False))
        if sample.clean is not None:
            clean = sample.clean[0].transpose(1, 2, 0)
            before.append(psnr(wanted, clean))
            after.append(psnr(got, clean))
    if not before:
        return Loss(_mean(agreement))
    return Loss(_mean(agreement), _mean(before), _mean(after))


def _load(path: Path, channels: int, asked: str) -> Pictures:
    image = read(path, notify=ignore)
    values = image.values
    pixels = choose(asked, sampled(values), image.depth).to_unit(values)  # (H, W, C)
    if pixels.shape[2] == 1 and channels == 3:
        pixels = np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] != channels:
        raise OptionError(f"{path}: the image has {pixels.shape[2]} channels; the network has {channels}")
    top, left = (max(side - LARGEST_SIDE, 0) // 2 for side in pixels.shape[:2])
    middle = pixels[top : top + LARGEST_SIDE, left : left + LARGEST_SIDE]
    return np.ascontiguousarray(middle.transpose(2, 0, 1)[None], np.float32)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
