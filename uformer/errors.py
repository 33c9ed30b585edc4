"""The errors that a user can cause. Each says in one line what is wrong and what was expected."""


class UformerError(Exception):
    """Base of all errors that this package raises on bad input; `str()` is one line to show to the user."""


class OptionError(UformerError, ValueError):
    """A value that cannot be used: an unknown name, a number out of range, a missing extra."""


class UnknownOption(OptionError):  # noqa: N818 - a kind of OptionError, whose name says Error
    """An argument that looks like an option but is not one; `str()` is the argument."""


class CheckpointError(UformerError, ValueError):
    """A file that is not a weights file, cannot be read, or does not fit the network."""


class PictureError(UformerError, ValueError):
    """An image that cannot be read, restored or written."""


class TrainingError(UformerError, RuntimeError):
    """A training run that cannot continue: a loss that is not finite, a folder that cannot be written."""


class ExportError(UformerError, RuntimeError):
    """An export that failed, or whose file computes something else than the network and was deleted."""
