"""Draw rain streaks one by one: the light that falling drops leave on a sensor while the shutter is open.

A drop falls several pixels during the exposure, so it appears as a translucent streak along its path (Garg &
Nayar, IJCV 2007, section 4). The streak fades towards both ends, and is brighter towards one of them because
a falling drop oscillates (Garg & Nayar, SIGGRAPH 2006). A drop outside the depth of field is as wide as its
circle of confusion, which makes the profile across the streak flat with steep flanks instead of a bell.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 2**20  # pixels of streaks to compute together, which bounds the memory on large images

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Streaks:
    """Straight streaks. Each field except `flatness` has one value per streak."""

    y: Floats
    """Row of the centre, in pixels."""
    x: Floats
    """Column of the centre, in pixels."""
    direction: Floats
    """Angle from straight down in radians, -pi/2 to pi/2, positive to the right."""
    length: Floats
    """Length in pixels between the points where the light has fallen to one half."""
    width: Floats
    """Full width at half maximum, in pixels."""
    light: Floats
    """Light at the middle of the streak."""
    tilt: Floats
    """Relative change of the light from the middle to the lower end, -1 to 1."""
    fade: Floats
    """Share of the length over which each end fades."""
    flatness: int = 1
    """Profile across the streak: 1 is a Gaussian; larger values approach a disc of even light."""

    def __getitem__(self, chosen: NDArray[np.bool_] | slice) -> "Streaks":
        """Return some of the streaks."""
        fields = (field.name for field in dataclasses.fields(self) if field.name != "flatness")
        return dataclasses.replace(self, **{name: getattr(self, name)[chosen] for name in fields})


def draw(shape: tuple[int, int], streaks: Streaks) -> NDArray[np.float32]:
    """Return the light of streaks, (H, W), at least 0. It adds up where streaks cross."""
    light = np.zeros(shape, np.float32)
    steep = np.abs(streaks.direction) <= np.pi / 4
    _add(light, streaks[steep])
    across = streaks[~steep]
    # With rows and columns exchanged, a shallow streak becomes a steep one. A streak that falls to the left
    # would then point up, so it is turned by 180 degrees, which exchanges its ends.
    left = across.direction < 0
    turned = np.where(left, -np.pi / 2, np.pi / 2) - across.direction
    tilt = np.where(left, -across.tilt, across.tilt)
    if len(across.y):
        exchanged = np.zeros((shape[1], shape[0]), np.float32)
        _add(exchanged, dataclasses.replace(across, y=across.x, x=across.y, direction=turned, tilt=tilt))
        light += exchanged.T
    return light


def _add(light: NDArray[np.float32], streaks: Streaks) -> None:
    """Add steep streaks (at most 45 degrees from straight down) to `light`, row by row.

    A line is one row of one streak. All lines are as wide as the widest, so that they form a matrix.
    """
    height, columns = light.shape
    down, right = np.cos(streaks.direction), np.sin(streaks.direction)
    side = 1.5 * streaks.width + 0.5  # a streak has less than 0.2% of its light beyond this distance
    reach = side / down
    half = (streaks.length * (1 + streaks.fade) / 2 + 1) * down + side * np.abs(right)
    top = np.maximum(np.ceil(streaks.y - half), 0)
    rows = np.maximum(np.minimum(np.floor(streaks.y + half) + 1, height) - top, 0).astype(np.int64)
    pixels = int(2 * reach.max(initial=0)) + 1
    wide = np.zeros((height, columns + 2 * pixels), np.float32)  # with room for light beside the image
    table = _table(streaks)
    ends = np.cumsum(rows)
    first, done = 0, 0
    while first < len(rows):
        last = max(first + 1, int(np.searchsorted(ends, done + _AT_ONCE // pixels, side="right")))
        which = np.repeat(np.arange(first, last), rows[first:last])
        row = np.arange(len(which)) + done - (ends - rows - top)[which]
        centre = streaks.x[which] + (row - streaks.y[which]) * (right / down)[which]
        seen = np.abs(centre - (columns - 1) / 2) < reach[which] + (columns - 1) / 2
        which, row, centre = which[seen], row[seen], centre[seen]
        _add_lines(
            wide, row, centre, (row - streaks.y[which]) / down[which], pixels, table[which], streaks.flatness
        )
        first, done = last, int(ends[last - 1])
    light += wide[:, pixels : pixels + columns]


def _table(streaks: Streaks) -> NDArray[np.float32]:
    """Return the coefficients of each streak's light, (n, 6)."""
    narrow = 2 * np.cos(streaks.direction) / streaks.width
    fade = 1 / np.maximum(1, streaks.fade * streaks.length)
    tilt = streaks.light * streaks.tilt * 2 / streaks.length
    values = (np.sin(streaks.direction), narrow, streaks.length / 2 * fade + 0.5, fade, streaks.light, tilt)
    return np.stack(values, axis=1).astype(np.float32)


def _add_lines(
    wide: NDArray[np.float32],
    row: Floats,
    centre: Floats,
    along: Floats,
    pixels: int,
    table: NDArray[np.float32],
    flatness: int,
) -> None:
    """Add lines that are `pixels` wide.

    Each line crosses the axis of its streak at column `centre`, `along` pixels below the streak's centre.
    """
    right, narrow, end, fade, middle, tilt = (column[:, None] for column in table.T)
    start = np.ceil(centre - pixels / 2)
    beside = (start - centre).astype(np.float32)[:, None] + np.arange(pixels, dtype=np.float32)
    reach = np.square(beside * narrow)
    profile = np.exp(np.float32(-np.log(2)) * (reach if flatness == 1 else reach**flatness))
    below = beside * right + along.astype(np.float32)[:, None]
    brightness = np.maximum(middle + tilt * below, 0) * np.clip(end - fade * np.abs(below), 0, 1)
    place = (row * wide.shape[1] + start + pixels).astype(np.int64)[:, None] + np.arange(pixels)
    np.add.at(wide.reshape(-1), place, brightness * profile)
