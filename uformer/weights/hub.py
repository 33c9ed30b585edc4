"""Weights on the Hugging Face Hub, and in folders laid out as its repositories are: model.safetensors, config.json and a card."""

import dataclasses
import importlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from types import ModuleType

from uformer.errors import CheckpointError, OptionError
from uformer.files import atomic_file, one_line, require
from uformer.layout import parameter_count
from uformer.weights.provenance import NOT_STATED, Provenance

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
    hub = _library(f"{name}: there is no such file or folder; if it is on the Hugging Face Hub: ")
    try:
        return Path(hub.hf_hub_download(found["id"], FILE, revision=found["revision"]))
    except _refusals() as error:
        raise CheckpointError(f"{name}: no such file or folder here, and not from the Hugging Face Hub ({one_line(error, 200)})") from None


def save_pretrained(
    weights: str | os.PathLike[str], folder: str | os.PathLike[str], *, repository: str | None = None, licence: str | None = None
) -> None:
    """Write a checkpoint into a folder as a repository holds it, with a model card; `from_pretrained(folder)` reads it.

    A README.md that is there already is left as it is. Raises CheckpointError for a file that is no checkpoint.
    """
    weights, folder = Path(weights), Path(folder)
    about = Provenance.of(weights, licence=licence)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / FILE) as file, open(weights, "rb") as original:
        shutil.copyfileobj(original, file, 2**20)
    with atomic_file(folder / "config.json") as file:
        file.write((json.dumps(dataclasses.asdict(about.config), indent=2) + "\n").encode())
    if not (folder / "README.md").exists():
        with atomic_file(folder / "README.md") as file:
            file.write(card(about, repository or about.name).encode())


def push_to_hub(
    weights: str | os.PathLike[str], repository: str, *, licence: str | None = None, private: bool = False, token: str | None = None
) -> str:
    """Publish weights, by name or file, on the Hub as `repository` ("org/name"), with a model card, and give the address.

    The repository is made where there is none; a card that it has is left as it is. `token`: by default the one of `hf auth login`.
    Raises OptionError without huggingface_hub or for weights that are unknown, CheckpointError where the Hub refuses.
    """
    from uformer.weights.create import weights_file  # noqa: PLC0415 - which looks here for names of the Hub

    if not is_repository(repository) or "@" in repository:
        raise OptionError(f"{repository!r} is not a name such as org/name")
    hub = _library("")
    path = weights_file(weights)
    api = hub.HfApi(token=token, library_name="uformer")
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(path, Path(folder), repository=repository, licence=licence)
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            if api.file_exists(repository, "README.md"):
                (Path(folder) / "README.md").unlink()
            message = f"{Provenance.of(path).name} by uformer"
            return str(api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message))
        except _refusals() as error:
            raise CheckpointError(f"{repository}: the Hugging Face Hub refuses ({one_line(error, 200)})") from None


def card(about: Provenance, repository: str) -> str:
    """A model card in the Hub's form: YAML, then what the weights are, whence, and how to use them."""
    tags = ["uformer", "image-restoration", *([about.shipped.task] if about.shipped else [])]
    head = ["---", "library_name: uformer", "pipeline_tag: image-to-image", "tags:", *(f"- {tag}" for tag in tags)]
    if about.licence != NOT_STATED:
        head.append(f"license: {json.dumps(re.sub(r'[^a-z0-9.]+', '-', about.licence.lower()).strip('-'))}")
    config = about.config
    facts = [
        ("network", f"Uformer, embed_dim {config.embed_dim}, depths {' '.join(map(str, config.depths))}, skip {config.skip}"),
        ("parameters", f"{parameter_count(config):,}"),
        ("channels", f"{config.in_channels} in, {config.out_channels} out"),
        ("sha256 of model.safetensors", f"`{about.sha256}`"),
        ("licence", about.licence),
    ]
    lines = [
        *head,
        "---",
        "",
        f"# {about.name}",
        "",
        "Weights of [Uformer](https://arxiv.org/abs/2106.03106), a transformer that restores pictures.",
        "",
        "```bash",
        'pip install "uformer[hub]"',
        f"uformer restore photo.jpg --weights {repository}",
        "```",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in facts),
    ]
    if about.shipped:
        scores = [f"| {name} | {score:.2f} |" for name, score in about.shipped.scores.items()]
        lines += ["", f"Training data: {about.shipped.data}.", "", "| benchmark | PSNR (dB) |", "|---|---|", *scores]
    return "\n".join(lines) + "\n"


def _library(before: str) -> ModuleType:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        hub = require("huggingface_hub", "hub")
    except OptionError as error:
        raise OptionError(f"{before}{error}") from None
    importlib.import_module("huggingface_hub.utils").logging.set_verbosity_error()  # without a network it tells of each try
    return hub


def _refusals() -> tuple[type[Exception], ...]:
    """What huggingface_hub raises where it cannot do what is asked, the errors of the HTTP library among them that it uses."""
    errors = importlib.import_module("huggingface_hub.errors")
    return (OSError, ValueError, errors.EntryNotFoundError, *errors.HfHubHTTPError.__bases__)
