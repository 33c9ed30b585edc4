"""Repositories of weights on the Hugging Face Hub: names, and the download of a checkpoint."""

import importlib
import os
import re
from pathlib import Path
from types import ModuleType

from uformer.errors import CheckpointError, OptionError
from uformer.files import one_line, require

FILE = "model.safetensors"
_REPOSITORY = re.compile(r"(?P<id>[\w][\w.-]*/[\w][\w.-]*)(@(?P<revision>[\w./-]+))?", re.ASCII)


def is_repository(name: str) -> bool:
    """Whether a name has the form of a repository: "org/name" or "org/name@revision"."""
    return _REPOSITORY.fullmatch(name) is not None


def download(name: str) -> Path:
    """Download a repository's checkpoint from the Hub, and return its path in huggingface_hub's cache.

    Without a network, it must be in the cache already. Only model.safetensors is fetched, and no code is run.
    Raises CheckpointError if there is no checkpoint, and OptionError for an invalid name or without
    huggingface_hub.
    """
    found = _REPOSITORY.fullmatch(name)
    if found is None:
        raise OptionError(f"{name!r} is not a repository name such as org/name or org/name@revision")
    hub = library(f"{name}: no such file or folder; to look on the Hugging Face Hub: ")
    try:
        return Path(hub.hf_hub_download(found["id"], FILE, revision=found["revision"]))
    except refusals() as error:
        raise CheckpointError(
            f"{name}: no such file or folder, and not available from the Hugging Face Hub "
            f"({one_line(error, 200)})"
        ) from None


def library(before: str) -> ModuleType:
    """Import huggingface_hub, silenced.

    Raises OptionError if it is not installed; its text begins with `before`.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        hub = require("huggingface_hub", "hub")
    except OptionError as error:
        raise OptionError(f"{before}{error}") from None
    # Without a network, huggingface_hub logs each attempt.
    importlib.import_module("huggingface_hub.utils").logging.set_verbosity_error()
    return hub


def refusals() -> tuple[type[Exception], ...]:
    """The exceptions with which huggingface_hub fails, including those of its HTTP library."""
    errors = importlib.import_module("huggingface_hub.errors")
    return (OSError, ValueError, errors.EntryNotFoundError, *errors.HfHubHTTPError.__bases__)
