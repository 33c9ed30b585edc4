"""A restorer without a network, for layers."""

import numpy as np
from numpy.typing import NDArray

from tests.restore.stand_in import StandIn
from uformer.image.value_range import FULL, Real, ValueRange
from uformer.notices import Notify, warn
from uformer.restore.progress import Progress


class Halving(StandIn):
    """Halves the values that the network would see. It notes their ranges."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges: list[ValueRange] = []

    def restore_pixels(
        self,
        pixels: NDArray[Real],
        *,
        used: ValueRange = FULL,
        progress: Progress | None = None,
        notify: Notify = warn,
    ) -> NDArray[Real]:
        self.ranges.append(used)
        for done in (1, 2):
            if progress:
                progress(done, 2)
        return used.from_unit(used.to_unit(pixels) * np.float32(0.5), pixels)
