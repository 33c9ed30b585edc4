"""ICC profiles of displays, made from white, primaries and one curve.

They replace descriptions that only PNG, AVIF and HEIC can hold: gAMA and cHRM, or code points (ITU-T H.273).
The layout follows ICC.1:2010 (version 4.3).
"""

import struct
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Curve = float | Literal["srgb"]
"""The curve from values to light: the exponent of a power, or the curve of sRGB (IEC 61966-2-1)."""
Corners = tuple[float, ...]
"""The chromaticities x and y of white, red, green and blue."""

_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
SRGB: Corners = (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)
_P3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
_DISPLAY_P3: Corners = (*_D65, *_P3)
_CORNERS: dict[int, Corners] = {
    1: SRGB,
    2: SRGB,  # unspecified
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),  # NTSC of 1953
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),  # PAL
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),  # SMPTE C
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),  # film
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    11: (*_DCI, *_P3),
    12: _DISPLAY_P3,
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),  # EBU 3213
}
"""By the code point of the primaries."""
_CURVES: dict[int, Curve] = {4: 2.2, 5: 2.8, 8: 1.0}
_CURVES |= dict.fromkeys((1, 2, 6, 13, 14, 15), "srgb")  # those of television are displayed like sRGB
"""By the code point of the transfer. Those without white (PQ, HLG, logarithms) cannot be described."""

_D50 = np.array((0.9642, 1.0, 0.8249))
_BRADFORD = np.array(((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)))
_DATE = (2026, 1, 1, 0, 0, 0)  # the same profile has the same bytes
_VERSION, _RELATIVE = 0x04300000, 1
_NAME = "Display described by white, primaries and curve"
_MOST = 100.0  # in a matrix; a profile holds numbers below 32768
_LEAST_AREA = 1e-3  # of the triangle of the primaries; with less, they are no colours


def of_code_points(primaries: int, transfer: int, *, gray: bool = False) -> bytes | None:
    """The profile of code points; None for HDR (PQ, HLG), and for rare ones that cannot be described."""
    if primaries not in _CORNERS or transfer not in _CURVES:
        return None
    corners, curve = _CORNERS[primaries], _CURVES[transfer]
    name = "Display P3" if (corners, curve) == (_DISPLAY_P3, "srgb") and not gray else _NAME
    return matrix_profile(corners, curve, gray=gray, name=name)


def matrix_profile(corners: Corners, curve: Curve, *, gray: bool = False, name: str = _NAME) -> bytes | None:
    """The profile of a display; None if the numbers describe none.

    `gray`: for images of one channel; only white and the curve count. `name`: what programs show to users.
    """
    found = _to_xyz(corners)
    if found is None or (curve != "srgb" and not 0.1 <= curve <= 10):
        return None
    adaptation, columns = found
    tags = {
        b"desc": _text(name),
        b"cprt": _text("No copyright"),
        b"wtpt": _xyz(_D50),
        b"chad": b"sf32" + bytes(4) + _fixed(adaptation.ravel()),
    }
    if gray:
        tags[b"kTRC"] = _parametric(curve)
    else:
        for number, letter in enumerate((b"r", b"g", b"b")):
            tags[letter + b"XYZ"] = _xyz(columns[:, number])
            tags[letter + b"TRC"] = _parametric(curve)
    return _file(tags, b"GRAY" if gray else b"RGB ")


def _to_xyz(corners: Corners) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The matrix that adapts white to D50, and the one from linear RGB to XYZ under D50."""
    points = np.array(corners, np.float64).reshape(4, 2)
    if not (np.isfinite(points).all() and (points[:, 1] > 0).all()):
        return None
    if abs(np.linalg.det(np.c_[points[1:], np.ones(3)])) / 2 < _LEAST_AREA:
        return None
    xyz = np.stack([points[:, 0], points[:, 1], 1 - points.sum(axis=1)]) / points[:, 1]
    white, primaries = xyz[:, 0], xyz[:, 1:]
    amounts = np.linalg.solve(primaries, white)
    if (amounts <= 0).any():  # white does not lie between the primaries
        return None
    cones = _BRADFORD @ white
    if (cones <= 0).any():
        return None
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / cones) @ _BRADFORD
    columns = adaptation @ (primaries * amounts)
    if max(np.abs(adaptation).max(), np.abs(columns).max()) > _MOST:
        return None
    return adaptation, columns


def _fixed(values: NDArray[np.float64]) -> bytes:
    """Numbers as s15Fixed16Number."""
    return np.rint(values * 65536).astype(">i4").tobytes()


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _parametric(curve: Curve) -> bytes:
    kind, numbers = (
        (0, (curve,)) if curve != "srgb" else (3, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
    )
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(np.array(numbers, np.float64))


def _text(words: str) -> bytes:
    data = words.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(data), 28) + data


def _file(tags: dict[bytes, bytes], space: bytes) -> bytes:
    """The file of a display profile; equal tags share their data."""
    start = 128 + 4 + 12 * len(tags)
    body, table, places = bytearray(), bytearray(struct.pack(">I", len(tags))), dict[bytes, int]()
    for name, data in tags.items():
        if data not in places:
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, places[data], len(data))
    header = struct.pack(
        ">I4xI4s4s4s6H4s24xI",
        start + len(body),
        _VERSION,
        b"mntr",
        space,
        b"XYZ ",
        *_DATE,
        b"acsp",
        _RELATIVE,
    )
    return (header + _fixed(_D50)).ljust(128, b"\0") + bytes(table) + bytes(body)
