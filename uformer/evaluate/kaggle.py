"""The submission file of SIDD's benchmark on Kaggle: a CSV table of blocks.

The format follows the example of the dataset's owners, prepare_submission_srgb.py in
https://github.com/AbdoKamel/sidd_kaggle_submit.
"""

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from uformer.errors import PictureError
from uformer.files import atomic_file
from uformer.image.image import Pixels


def write_sidd(path: Path, blocks: Sequence[Sequence[Pixels]]) -> None:
    """Write SubmitSrgb.csv, completely or not at all.

    The columns are ID, counted from 0, and BLOCK, the base64 of a block's bytes, rounded to 8 bits. The
    bytes have the order of a contiguous (H, W, 3) array.

    `blocks`: the blocks of each image, (H, W, 3) in [0, 1]. Raises PictureError if the file cannot be
    written.
    """
    try:
        with atomic_file(path) as file:
            file.write(b"ID,BLOCK\n")
            for number, block in enumerate(block for image in blocks for block in image):
                levels = np.rint(np.clip(block, 0, 1) * 255).astype(np.uint8)
                file.write(b"%d,%b\n" % (number, base64.b64encode(levels.tobytes())))
    except OSError as error:
        raise PictureError(f"{path}: cannot be written: {error.strerror or error}") from None
