"""The version of this package, written here once."""

__version__ = "0.1.0"
