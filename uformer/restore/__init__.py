"""Restoring: from a picture in any form to the restored picture in the same form.

This package can be called: `uformer.restore(picture, task="denoise")`.
"""

from __future__ import annotations

import sys
import types

TYPE_CHECKING = False  # see uformer/__init__.py
if TYPE_CHECKING:
    from typing import Any


class _Restore(types.ModuleType):
    """A module that can be called, since the package and its function share their name."""

    def __call__(self, picture: Any, task: str = "denoise", **options: Any) -> Any:
        """Restore one picture; see `uformer.restore.once.restore`."""
        from uformer.restore.once import restore  # noqa: PLC0415 - `import uformer` stays light

        return restore(picture, task, **options)


sys.modules[__name__].__class__ = _Restore
