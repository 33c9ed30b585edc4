"""The errors a user can cause: each says in one line what was wrong and what was expected."""


class UformerError(Exception):
    """Base of all errors that this package raises on bad input; `str()` is one line, fit to be shown."""


class OptionError(UformerError, ValueError):
    """A value that cannot be used: an unknown name, a number out of range, a missing extra."""


class UnknownOption(OptionError):  # noqa: N818 - an OptionError, and said in its name
    """A word that looks like an option of a command, and is none; `str()` is the word."""


class CheckpointError(UformerError, ValueError):
    """A weights file that cannot be read, does not fit, or is not one."""


class PictureError(UformerError, ValueError):
    """A picture that cannot be read, restored or written."""


class TrainingError(UformerError, RuntimeError):
    """A training run that cannot go on: a loss that is not finite, a folder that cannot be written."""


class ExportError(UformerError, RuntimeError):
    """An exported file that does not compute what the network does; it is not kept."""
