"""Scores of image pairs whose viewpoints differ slightly, computed as in RealBlur's evaluation.

Rim et al., ECCV 2020, section 5, after Koehler et al., ECCV 2012: the brightness of the restored image is
scaled to that of the clean one, a homography is fitted with the enhanced correlation coefficient
(Evangelidis & Psarakis, PAMI 2008), and only pixels that both images cover are scored. Needs the extra
`eval` (OpenCV).
"""

import math

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.files import require
from uformer.image.image import Pixels
from uformer.metrics import GAUSSIAN_RADIUS, ssim_map

_ITERATIONS = 100
_SMOOTHING = 5  # pixels, side of the filter before the fit


def align(restored: Pixels, clean: Pixels) -> tuple[Pixels, NDArray[np.bool_]]:
    """Return the restored image warped onto the clean one, and the mask (H, W) of the pixels that it covers.

    Both images are (H, W, 3) in [0, 1]. Raises PictureError if no homography is found.
    """
    cv2 = require("cv2", "eval")
    energy = float(np.sum(restored**2, dtype=np.float64))
    if not energy:
        raise PictureError("cannot be aligned: the restored image is black")
    scaled = restored * np.float32(np.sum(clean * restored, dtype=np.float64) / energy)
    gray = [cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY) for image in (clean, scaled)]
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ITERATIONS, 0)
    try:
        _, warp = cv2.findTransformECC(
            *gray,
            np.eye(3, dtype=np.float32),
            cv2.MOTION_HOMOGRAPHY,
            criteria,
            inputMask=None,
            gaussFiltSize=_SMOOTHING,
        )
    except cv2.error as error:
        raise PictureError(f"cannot be aligned: {error.err}") from None
    size = clean.shape[1], clean.shape[0]
    moved = cv2.warpPerspective(
        scaled, warp, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )
    seen = cv2.warpPerspective(
        np.ones_like(gray[0]), warp, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    return moved, seen > 0


def aligned_scores(restored: Pixels, clean: Pixels) -> tuple[float, float]:
    """Return PSNR in dB and SSIM over the pixels that both images cover after alignment.

    Raises the errors of `align`.
    """
    moved, seen = align(restored, clean)
    a, b = (np.where(seen[..., None], image, 0).astype(np.float64) for image in (moved, clean))
    error = float(np.sum((a - b) ** 2)) / (3 * max(int(seen.sum()), 1))
    inner = seen[GAUSSIAN_RADIUS:-GAUSSIAN_RADIUS, GAUSSIAN_RADIUS:-GAUSSIAN_RADIUS]
    similarity = ssim_map(a, b, window="gaussian", data_range=1.0)[inner]
    return (-10 * math.log10(error) if error else math.inf), float(similarity.mean())
