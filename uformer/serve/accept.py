"""Choosing the format of a response: the upload's own, a requested one, or one that the Accept header allows.

RFC 9110, section 12.5.1, describes the Accept header.
"""

import re
from typing import Literal

from uformer.image.formats import by_suffix
from uformer.image.image import Header
from uformer.serve.problems import Problem
from uformer.serve.upload import MEDIA_TYPES

Answer = Literal["same", "png", "jpg", "webp", "tif", "avif"]


def choose_suffix(answer: Answer, accept: str | None, header: Header) -> str:
    """Return the suffix (".png") of the response's format.

    Raises Problem if the client accepts no format that can hold the image.
    """
    suffix = _preferred(answer, accept, header.suffix)
    if header.alpha and not by_suffix(suffix).alpha:
        raise Problem(
            422, "options", "the image has alpha, which JPEG cannot hold; use format=png, webp, tif or avif"
        )
    return suffix


def check_accepted(suffix: str, accept: str | None) -> None:
    """Raise Problem if the client does not accept the format with this suffix."""
    if accept and _quality(accept, MEDIA_TYPES[suffix]) == 0:
        raise Problem(
            406, "not-acceptable", f"Accept is {accept[:80]!r}, but the response is {MEDIA_TYPES[suffix]}"
        )


def _preferred(answer: Answer, accept: str | None, own: str) -> str:
    wanted = own if answer == "same" else f".{answer}"
    if not accept or _quality(accept, MEDIA_TYPES[wanted]) > 0:
        return wanted
    best = max(MEDIA_TYPES, key=lambda suffix: _quality(accept, MEDIA_TYPES[suffix]))
    if answer != "same":
        check_accepted(wanted, accept)
    if _quality(accept, MEDIA_TYPES[best]) == 0:
        raise Problem(
            406,
            "not-acceptable",
            f"Accept is {accept[:80]!r}; supported types: {', '.join(MEDIA_TYPES.values())}",
        )
    return best


def _quality(accept: str, media_type: str) -> float:
    """Return the quality value of a media type, in [0, 1]; the most specific matching range decides."""
    found: dict[int, float] = {}
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        ranges = ("*/*", media_type.partition("/")[0] + "/*", media_type)
        if name in ranges:
            quality = next(
                (re.sub(r"^q\s*=\s*", "", each) for each in parameters if re.match(r"q\s*=", each)), "1"
            )
            found[ranges.index(name)] = (
                float(quality) if re.fullmatch(r"0(\.\d{0,3})?|1(\.0{0,3})?", quality) else 0.0
            )
    return found[max(found)] if found else 0.0
