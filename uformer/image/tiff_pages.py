"""How many images a TIFF file holds, by the directories of its pages.

Pages that are reduced copies (a pyramid) or masks belong to another page and do not count.
"""

import contextlib
import itertools
import re

from uformer.image.formats import Encoded
from uformer.image.ifd import (
    DESCRIPTION,
    NEW_SUBFILE_TYPE,
    OLD_SUBFILE_TYPE,
    Directory,
    entries,
    header,
    pages,
    unpack,
)

_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_OLD_REDUCED = 2  # value of SubfileType
_STACK = re.compile(r"ImageJ=.*?^images=([0-9]{1,9})$", re.DOTALL | re.MULTILINE)


def count(data: Encoded) -> tuple[int, int]:
    """The number of images, and of reduced copies and masks.

    ImageJ writes a stack above 4 GB with a single directory, whose description holds the number of images.
    """
    roles = [_is_companion(data, page) for page in pages(data)]
    stacked = None
    with contextlib.suppress(ValueError):
        stacked = _STACK.match(Directory(data).text(DESCRIPTION))
    images = max(roles.count(False), int(stacked[1]) if stacked else 1)
    return images, roles.count(True)


def _is_companion(data: Encoded, page: int) -> bool | None:
    """Whether a page is a reduced copy or a mask of another page; None if its directory is damaged."""
    try:
        form, _ = header(data)
        # Tags are in ascending order, and none has a lower number than these two.
        found = list(itertools.islice(entries(data, form, page), 2))
        for entry in found:
            (value,) = unpack(form.order + ("H" if entry.kind == 3 else "I"), data, entry.start)
            if entry.tag == NEW_SUBFILE_TYPE and value & (_REDUCED | _MASK):
                return True
            if entry.tag == OLD_SUBFILE_TYPE and value == _OLD_REDUCED:
                return True
    except ValueError:
        return None
    return False if found else None
