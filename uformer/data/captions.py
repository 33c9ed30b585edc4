"""Text for contact sheets, drawn with the fonts of the system.

Names of files need small letters, underscores and any script, which the letters of reports do not have.
Without fonts, Pango draws an empty box for each letter.
"""

import html

import numpy as np
import pyvips

from uformer.files import one_line
from uformer.image.image import Pixels

HEIGHT = 18
"""Height of a line, in pixels."""

_DPI = 92


def draw_line(text: str, width: int) -> Pixels:
    """Return a line of white text on black, (HEIGHT, width, 1) float32 in [0, 1].

    A text that is too long loses its middle.
    """
    line = np.zeros((HEIGHT, width, 1), np.float32)
    ink = _ink(text)
    if ink.shape[1] > width - 4:
        keep = max(int(len(text) * (width - 4) / ink.shape[1]) - 2, 2)
        ink = _ink(f"{text[: keep // 2]}…{text[-(keep - keep // 2) :]}")
    ink = ink[:HEIGHT, : width - 4]
    top = (HEIGHT - ink.shape[0]) // 2
    line[top : top + ink.shape[0], 2 : 2 + ink.shape[1]] = ink
    return line


def _ink(text: str) -> Pixels:
    """Return a text as (h, w, 1) in [0, 1]; empty if nothing can be drawn."""
    shown = html.escape(one_line(text).encode(errors="replace").decode(), quote=False)  # pango reads markup
    try:
        drawn = pyvips.Image.text(shown, font="sans 8", dpi=_DPI)
    except pyvips.Error:  # an empty text has no ink
        return np.zeros((0, 0, 1), np.float32)
    ink: Pixels = drawn.numpy().reshape(drawn.height, drawn.width, -1)[..., :1].astype(np.float32)
    return ink / np.float32(255)
