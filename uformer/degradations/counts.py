"""Noise of linear data, such as the counts of a microscope's camera: no sRGB, no white balance."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from uformer.errors import OptionError
from uformer.image.value_range import FULL, Real, ValueRange

_FORM = "poisson:gain=...,read=...,offset=..."
_SIGMAS = 3  # that the noise adds to a range of values on each side
_MOST_PHOTONS = 1e9  # beyond, shot noise is invisible, and numpy's Poisson fails


@dataclass(frozen=True, kw_only=True)
class CountNoise:
    """Poisson and read noise: a signal of s counts has the variance gain (s - offset) + read^2.

    The model of photon transfer (Janesick, Photon Transfer, SPIE Press 2007, chapter 3). All fields are in
    the units of the file. Raises OptionError for a value out of range.
    """

    gain: float
    """Counts per electron (or photon); more than 0."""
    read: float = 0.0
    """Standard deviation of the read noise."""
    offset: float = 0.0
    """Value of a pixel without light."""

    margin = 0  # pixels around a patch; see `Degradation`

    def __post_init__(self) -> None:
        values = (self.gain, self.read, self.offset)
        if not all(map(math.isfinite, values)) or self.gain <= 0 or self.read < 0:
            raise OptionError(f"noise: {self} needs a gain of more than 0 and a read noise of at least 0")

    def __str__(self) -> str:
        offset = f"{self.offset:.6g}" if abs(self.offset) < 1e6 else f"{self.offset:.0f}"
        return f"poisson:gain={self.gain:.4g},read={self.read:.4g},offset={offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the noise for a text as `str` gives it; read and offset may be left out."""
        kind, _, rest = text.partition(":")
        known = {field.name for field in dataclasses.fields(cls)}
        try:
            values = {
                key.strip(): float(value) for key, value in (part.split("=") for part in rest.split(","))
            }
        except ValueError:
            values = {}
        if kind != "poisson" or "gain" not in values or not values.keys() <= known:
            raise OptionError(
                f"noise: {text!r} must have the form {_FORM}, as `uformer photon-transfer` prints it"
            )
        return cls(**values)

    def variance(self, signal: float) -> float:
        """Return the variance of a signal."""
        return self.gain * max(signal - self.offset, 0) + self.read**2

    def range_of_noisy(self, used: ValueRange, largest: float) -> ValueRange:
        """Return the range of values of a noisy image whose clean image uses `used`.

        `largest`: the value of the file that is 1 in `Image.values`. The full range stays.
        """
        if used == FULL:
            return used
        low, high = (value * largest for value in (used.low, used.high))
        room = [_SIGMAS * math.sqrt(self.variance(value)) for value in (low, high)]
        return ValueRange((low - room[0]) / largest, (high + room[1]) / largest)

    def within(self, used: ValueRange, largest: float) -> "CountNoise":
        """Return the same noise for values that are scaled so that a range is [0, 1]."""
        width = used.width * largest
        offset = (self.offset - used.low * largest) / width
        return CountNoise(gain=self.gain / width, read=self.read / width, offset=offset)

    def apply(self, clean: NDArray[Real], rng: Generator, /) -> tuple[NDArray[Real], NDArray[Real]]:
        """Return (noisy, clean), not clipped. If all channels are equal, their noise is too.

        Values that only float64 holds get their noise in float64.
        """
        same = bool((clean == clean[..., :1]).all())
        seen = clean[..., :1] if same else clean
        electrons = (seen - self.offset) / self.gain
        lit = np.clip(electrons, 0, _MOST_PHOTONS)  # what lies outside gets no shot noise
        noise = self.gain * (rng.poisson(lit) - lit) + self.read * rng.standard_normal(seen.shape, np.float32)
        return clean + noise.astype(clean.dtype), clean
