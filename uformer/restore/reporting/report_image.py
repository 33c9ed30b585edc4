"""Draws a report: input, output, difference and trust map side by side, with labels and a legend."""

import numpy as np

from uformer.image.image import Pixels
from uformer.restore.reporting.change_report import LEVELS, ChangeReport
from uformer.restore.reporting.lettering import lettered

_LEAST = 400  # pixels of the sides of a panel: smaller images are enlarged, so that labels fit
_GAP = 12
_LINE = 24  # pixels from one line of text to the next
_PAPER, _INK = np.float32(1), np.float32(0.1)
_COLOURS = np.array(  # of the trust map, from no spread to the most
    [(0, 0, 0), (60, 20, 110), (170, 40, 100), (240, 120, 40), (255, 240, 180)], np.float32
) / np.float32(255)
_FACTORS = (32, 16, 8, 4, 2, 1)


def draw(report: ChangeReport) -> Pixels:
    """Return the image of a report, (h, w, 3) in [0, 1]."""
    factor = next((factor for factor in _FACTORS if factor * report.usual <= LEVELS / 2), 1)
    gray = np.float32(0.5)
    panels = [
        ("Input", report.before),
        ("Output", report.after),
        (f"Difference x {factor}", np.clip(gray + factor * report.difference, 0, 1)),
    ]
    if report.trust is not None and report.spread is not None:
        most = _most(report.spread["99_percent"])
        coloured = _in_colours(report.trust * np.float32(LEVELS / most))
        panels.append((f"Trust: spread of {report.views} views", coloured))
        below = _legend(most)
    else:
        below = np.full((_LINE, 1, 3), _PAPER, np.float32)
    blocks = [_labelled(title, _enlarged(pixels)) for title, pixels in panels]
    pairs = [_beside(blocks[start : start + 2]) for start in range(0, len(blocks), 2)]
    return _framed(_stacked([*pairs, below, *map(_text, summary(report))]))


def summary(report: ChangeReport) -> list[str]:
    """Return the main figures in a few lines."""
    lines = [
        f"{channel.name}: mean {channel.mean_before:.2f} to {channel.mean_after:.2f},"
        f" histogram moved by {channel.histogram_shift:.2f},"
        f" black {channel.black_before:.2%} to {channel.black_after:.2%},"
        f" white {channel.white_before:.2%} to {channel.white_after:.2%}"
        for channel in report.channels
    ]
    steps = ", ".join(f"{step}: {share:.1%}" for step, share in report.changed.items())
    return [*lines, f"Pixels changed by more than {steps} (of 255 levels)"]


def _most(usual: float) -> float:
    """Return the spread in levels at the bright end of the colours: a power of two that few pixels exceed."""
    return float(2.0 ** np.ceil(np.log2(min(max(usual, 0.5), 128))))


def _in_colours(shares: Pixels) -> Pixels:
    """Return colours (h, w, 3) for shares of the largest value that has a colour of its own."""
    places = np.linspace(0, 1, len(_COLOURS))
    channels = [np.interp(shares, places, _COLOURS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=2).astype(np.float32)


def _legend(most: float) -> Pixels:
    """Return the colours of the trust map with the spreads that they stand for."""
    bar = _in_colours(np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(_LINE - 8, axis=0))
    return _beside([_text("Spread: 0"), bar, _text(f"{most:g} or more (of 255 levels)")])


def _labelled(title: str, panel: Pixels) -> Pixels:
    return _stacked([_text(title), panel])


def _enlarged(pixels: Pixels) -> Pixels:
    """Return an image in colour whose longer side has at least _LEAST pixels."""
    times = -(-_LEAST // max(pixels.shape[:2]))
    larger = pixels.repeat(times, axis=0).repeat(times, axis=1)
    return np.repeat(larger, 3, axis=2) if larger.shape[2] == 1 else larger


def _text(line: str) -> Pixels:
    letters = lettered(line)
    band = np.zeros((_LINE, letters.shape[1]), np.float32)
    top = (_LINE - len(letters)) // 2
    band[top : top + len(letters)] = letters
    ink: Pixels = _PAPER + (_INK - _PAPER) * band
    return ink[..., None].repeat(3, axis=2)


def _beside(parts: list[Pixels]) -> Pixels:
    height = max(len(part) for part in parts)
    parts = [_extended(part, height, part.shape[1] + _GAP * (part is not parts[-1])) for part in parts]
    return np.concatenate(parts, axis=1)


def _stacked(parts: list[Pixels]) -> Pixels:
    width = max(part.shape[1] for part in parts)
    return np.concatenate([_extended(part, len(part), width) for part in parts], axis=0)


def _framed(pixels: Pixels) -> Pixels:
    return np.pad(pixels, ((_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=_PAPER)


def _extended(part: Pixels, height: int, width: int) -> Pixels:
    """Return an image with paper to its right and below it."""
    out = np.full((height, width, 3), _PAPER, np.float32)
    out[: part.shape[0], : part.shape[1]] = part
    return out
