"""Restore noisy, rainy or blurred images with Uformer.

Each public name loads on first use (PEP 562): `import uformer` imports neither torch nor openvino and takes
less than a millisecond. The command `uformer` starts with this import, before it can handle Ctrl-C (see
`__main__`).
"""

TYPE_CHECKING = False  # not from typing, which takes longer to import than this whole module

if TYPE_CHECKING:
    from uformer.config import UformerConfig as UformerConfig
    from uformer.errors import CheckpointError as CheckpointError
    from uformer.errors import OptionError as OptionError
    from uformer.errors import PictureError as PictureError
    from uformer.errors import UformerError as UformerError
    from uformer.model.uformer import Uformer as Uformer
    from uformer.restore.once import restore as restore
    from uformer.restore.options import RestoreOptions as RestoreOptions
    from uformer.restore.restoration import Restoration as Restoration
    from uformer.restore.restorer import Restorer as Restorer
    from uformer.timm_registry import register_with_timm as register_with_timm
    from uformer.version import __version__ as __version__
    from uformer.weights.create import create_model as create_model
    from uformer.weights.create import list_models as list_models
else:
    # The package uformer/restore and the function `uformer.restore` share a name. Python binds the package to
    # that name once, on its first import. So import the package now and free the name: `__getattr__` then
    # returns the function.
    from uformer import restore

    del restore

_HOMES = {
    "CheckpointError": "uformer.errors",
    "OptionError": "uformer.errors",
    "PictureError": "uformer.errors",
    "Restoration": "uformer.restore.restoration",
    "RestoreOptions": "uformer.restore.options",
    "Restorer": "uformer.restore.restorer",
    "Uformer": "uformer.model.uformer",
    "UformerConfig": "uformer.config",
    "UformerError": "uformer.errors",
    "__version__": "uformer.version",
    "create_model": "uformer.weights.create",
    "list_models": "uformer.weights.create",
    "register_with_timm": "uformer.timm_registry",
    "restore": "uformer.restore.once",
}

__all__ = [
    "CheckpointError",
    "OptionError",
    "PictureError",
    "Restoration",
    "RestoreOptions",
    "Restorer",
    "Uformer",
    "UformerConfig",
    "UformerError",
    "__version__",
    "create_model",
    "list_models",
    "register_with_timm",
    "restore",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'uformer' has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - see above

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
