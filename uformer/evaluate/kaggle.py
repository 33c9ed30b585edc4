"""The file that SIDD's benchmark takes today, at Kaggle: a table of blocks as text.

The format is that of the owners' example, https://github.com/AbdoKamel/sidd_kaggle_submit, prepare_submission_srgb.py.
"""

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from uformer.errors import PictureError
from uformer.files import atomic_file
from uformer.image.image import Pixels


def write_sidd(path: Path, blocks: Sequence[Sequence[Pixels]]) -> None:
    """SubmitSrgb.csv, whole or not at all: columns ID, from 0 on, and BLOCK, the base64 of a block's bytes, rounded to 8 bits.

    `blocks`: of each picture, in [0, 1]; a block's bytes are its rows, their pixels, and their R, G and B, as (H, W, 3) lies in memory.
    Raises PictureError where it cannot be written.
    """
    try:
        with atomic_file(path) as file:
            file.write(b"ID,BLOCK\n")
            for number, block in enumerate(block for picture in blocks for block in picture):
                levels = np.rint(np.clip(block, 0, 1) * 255).astype(np.uint8)
                file.write(b"%d,%b\n" % (number, base64.b64encode(levels.tobytes())))
    except OSError as error:
        raise PictureError(f"{path}: cannot be written: {error.strerror or error}") from None
