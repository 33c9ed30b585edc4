"""Repositories of weights on the Hugging Face Hub: their names, and the download of a checkpoint."""

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
    """Whether a name can be that of a repository: "org/name", or "org/name@revision"."""
    return _REPOSITORY.fullmatch(name) is not None


def download(name: str) -> Path:
    """The checkpoint of a repository, from the Hub or from huggingface_hub's cache; without network only from there.

    Only model.safetensors is fetched; no code is run. Raises CheckpointError where there is none, OptionError for what is no name, or
    without huggingface_hub.
    """
    found = _REPOSITORY.fullmatch(name)
    if found is None:
        raise OptionError(f"{name!r} is not a name such as org/name or org/name@revision")
    hub = library(f"{name}: there is no such file or folder; if it is on the Hugging Face Hub: ")
    try:
        return Path(hub.hf_hub_download(found["id"], FILE, revision=found["revision"]))
    except refusals() as error:
        raise CheckpointError(
            f"{name}: no such file or folder here, and not from the Hugging Face Hub ({one_line(error, 200)})"
        ) from None


def library(before: str) -> ModuleType:
    """huggingface_hub, silent. Raises OptionError, whose text begins with `before`, where it is not installed."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        hub = require("huggingface_hub", "hub")
    except OptionError as error:
        raise OptionError(f"{before}{error}") from None
    importlib.import_module(
        "huggingface_hub.utils"
    ).logging.set_verbosity_error()  # without a network it tells of each try
    return hub


def refusals() -> tuple[type[Exception], ...]:
    """What huggingface_hub raises where it cannot do what is asked, the errors of the HTTP library among them that it uses."""
    errors = importlib.import_module("huggingface_hub.errors")
    return (OSError, ValueError, errors.EntryNotFoundError, *errors.HfHubHTTPError.__bases__)
