"""Draw structures that look like rain but are not: bars, fences, nets, cables, blinds, hatching.

Photographs show them too seldom for a network to learn to preserve them. Each structure is a mask that says
how much of each pixel it covers, with its own brightness, colour and shading. Images are float32 (H, W, 3) in
[0, 1].
"""

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from uformer.image.image import Pixels

Mask = NDArray[np.float32]


def draw_structure(clean: Pixels, rng: Generator) -> Pixels:
    """Return an image with one or two structures drawn over it.

    In one draw of three, a smooth or faintly textured background replaces the image.
    """
    shape = clean.shape[0], clean.shape[1]
    image = _ground(clean, rng) if rng.random() < 1 / 3 else clean
    for _ in range(1 if rng.random() < 0.75 else 2):
        mask, opaque = _mask(shape, rng)
        image = _paint(image, mask, rng, opaque=opaque)
    return np.clip(image, 0, 1).astype(np.float32)


def _mask(shape: tuple[int, int], rng: Generator) -> tuple[Mask, bool]:
    """Return (a random structure, whether it must be opaque).

    In six draws of ten it is nearly upright, as rain is; otherwise it has any angle. Strokes that end are
    opaque, because translucent ones would be rain.
    """
    angle = math.radians(rng.normal(0, 15) if rng.random() < 0.6 else rng.uniform(-90, 90))
    kind = rng.random()
    if kind < 0.45:
        mask = bars(shape, rng, angle=angle)
    elif kind < 0.62:
        crossing = angle + math.radians(90 if rng.random() < 0.5 else rng.uniform(40, 140))
        mask = np.maximum(bars(shape, rng, angle=angle), bars(shape, rng, angle=crossing))
    elif kind < 0.85:
        mask = cables(shape, rng, angle=angle)
    else:
        mask = dashes(shape, rng, angle=angle)
    if rng.random() < 0.35:
        mask = mask * _region(shape, rng)
    return mask, kind >= 0.85


def bars(shape: tuple[int, int], rng: Generator, *, angle: float) -> Mask:
    """Return parallel bars, from wires to fence posts, 1 to 12 pixels wide and 3 to 64 pixels apart.

    `angle` is in radians from upright. In some draws the spacing is uneven, or perspective makes the bars
    converge slightly.
    """
    across, along = _axes(shape, angle)
    if rng.random() < 0.3:
        across = across * (1 + along * np.float32(rng.uniform(-0.25, 0.25) / max(shape)))
    width = math.exp(rng.uniform(0, math.log(12)))
    period = width + math.exp(rng.uniform(math.log(2), math.log(52)))
    place = across / period + rng.random()
    number = np.floor(place)
    uneven = rng.random(1024).astype(np.float32)
    jitter = uneven[number.astype(np.int64) % 1024] if rng.random() < 0.4 else np.float32(0.5)
    gap = (period - width) * rng.uniform(0, 0.9)
    distance = np.abs(
        (place - number - 0.5) * np.float32(period) - (jitter - np.float32(0.5)) * np.float32(gap)
    )
    return _soft(distance, width / 2, rng)


def cables(shape: tuple[int, int], rng: Generator, *, angle: float) -> Mask:
    """Return one to five cables, branches or posts of different widths and angles, straight or sagging."""
    mask = np.zeros(shape, np.float32)
    for _ in range(int(rng.integers(1, 6))):
        across, along = _axes(shape, angle + math.radians(rng.normal(0, 8)))
        sag = rng.normal(0, 0.3) / max(shape) if rng.random() < 0.5 else 0.0
        place = rng.uniform(-0.6, 0.6) * max(shape)
        distance = np.abs(across - np.float32(place) + np.float32(sag) * np.square(along))
        mask = np.maximum(mask, _soft(distance, math.exp(rng.uniform(0, math.log(10))) / 2, rng))
    return mask


def dashes(shape: tuple[int, int], rng: Generator, *, angle: float) -> Mask:
    """Return hatching, blades, needles or boards: rows of strokes of one width, length and spacing."""
    across, along = _axes(shape, angle)
    width = math.exp(rng.uniform(0, math.log(7)))
    pitch = width + math.exp(rng.uniform(math.log(2), math.log(24)))
    length = math.exp(rng.uniform(math.log(12), math.log(100)))
    column = np.floor(across / np.float32(pitch))
    shift = rng.random(1024).astype(np.float32) if rng.random() < 0.6 else np.full(1024, 0.5, np.float32)
    place = along / np.float32(length) + shift[column.astype(np.int64) % 1024] * np.float32(0.8)
    # Distance from the middle of a stroke.
    part = np.abs(place - np.floor(place) - np.float32(0.5)) * np.float32(length)
    distance = np.abs(across - (column + np.float32(0.5)) * np.float32(pitch))
    return np.minimum(_soft(distance, width / 2, rng), _soft(part, length * rng.uniform(0.25, 0.48), rng))


def _axes(shape: tuple[int, int], angle: float) -> tuple[Mask, Mask]:
    """Return the coordinates of all pixels (across, along) a line through the middle of the image.

    The line leans to the right by `angle` radians from upright.
    """
    rows = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(shape[0] / 2)
    columns = np.arange(shape[1], dtype=np.float32) - np.float32(shape[1] / 2)
    down, right = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return columns * down - rows * right, rows * down + columns * right


def _soft(distance: Mask, half: float, rng: Generator) -> Mask:
    """Return 1 within `half` of the middle, falling to 0 over one pixel, or over more if out of focus."""
    edge = 1.0 if rng.random() < 0.7 else rng.uniform(1, 1 + 1.5 * half)
    return np.clip((np.float32(half) - distance) / np.float32(edge) + np.float32(0.5), 0, 1)


def _region(shape: tuple[int, int], rng: Generator) -> Mask:
    """Return a mask of one side of a random line through the image, or of a band, where a structure ends."""
    across, _ = _axes(shape, rng.uniform(-math.pi, math.pi))
    start = rng.uniform(-0.3, 0.3) * max(shape)
    end = start + max(shape) * (10 if rng.random() < 0.5 else rng.uniform(0.2, 0.6))
    return np.clip(np.minimum(across - start, end - across), 0, 1).astype(np.float32)


def _paint(image: Pixels, mask: Mask, rng: Generator, *, opaque: bool) -> Pixels:
    """Cover an image with a structure, or brighten or darken the image there. Colour is flat or shaded."""
    kind = rng.random()
    if kind < 0.35 and not opaque:  # a translucent structure, a reflection, a shadow
        step = rng.uniform(0.05, 0.5) * (1 if rng.random() < 0.6 else -1)
        return image + np.float32(step) * mask[..., None]
    level = (
        rng.random()
        if rng.random() < 0.5
        else (rng.uniform(0.7, 1) if rng.random() < 0.6 else rng.uniform(0, 0.25))
    )
    tint = rng.normal(0, 0.08, 3) if rng.random() < 0.4 else np.zeros(3)
    colour = np.clip(level + tint, 0, 1).astype(np.float32)
    if kind < 0.6:  # lit from one side
        across, _ = _axes(mask.shape, rng.uniform(-math.pi, math.pi))
        shade = 1 + np.float32(rng.uniform(-0.6, 0.6) / max(mask.shape)) * across
        return image + mask[..., None] * (shade[..., None] * colour - image)
    opacity = np.float32(1 if opaque or rng.random() < 0.7 else rng.uniform(0.4, 1))
    return image + (opacity * mask)[..., None] * (colour - image)


def _ground(clean: Pixels, rng: Generator) -> Pixels:
    """Return a background: a smooth gradient, with some of the image's texture in half of the draws."""
    across, _ = _axes((clean.shape[0], clean.shape[1]), rng.uniform(-math.pi, math.pi))
    level = rng.uniform(0, 1) + rng.normal(0, 0.06, 3) * (rng.random() < 0.5)
    smooth = (level + (rng.uniform(-0.5, 0.5) / max(clean.shape) * across)[..., None]).astype(np.float32)
    texture = np.float32(rng.uniform(0, 0.4) * (rng.random() < 0.5))
    return np.clip(smooth + texture * (clean - clean.mean()), 0, 1)
