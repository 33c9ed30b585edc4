"""Publish weights, with config.json and a model card, on the Hugging Face Hub or in a folder like it."""

import dataclasses
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from uformer.errors import CheckpointError, OptionError
from uformer.files import atomic_file, one_line
from uformer.layout import parameter_count
from uformer.weights.create import weights_file
from uformer.weights.provenance import NOT_STATED, Provenance
from uformer.weights.repository import FILE, is_repository, library, refusals


def save_pretrained(
    weights: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    repository: str | None = None,
    licence: str | None = None,
) -> None:
    """Write a checkpoint and a model card into a folder that `from_pretrained(folder)` reads.

    The folder is laid out like a repository. An existing README.md is kept. Raises CheckpointError if
    `weights` is not a checkpoint.
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
    weights: str | os.PathLike[str],
    repository: str,
    *,
    licence: str | None = None,
    private: bool = False,
    token: str | None = None,
) -> str:
    """Publish weights, by name or file, with a model card on the Hub as "org/name"; return the address.

    The repository is created if it does not exist; an existing card is kept. `token`: by default that of `hf
    auth login`. Raises OptionError without huggingface_hub or for unknown weights, and CheckpointError if the
    Hub refuses.
    """
    if not is_repository(repository) or "@" in repository:
        raise OptionError(f"{repository!r} is not a repository name such as org/name")
    hub = library("")
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
        except refusals() as error:
            raise CheckpointError(
                f"{repository}: the Hugging Face Hub refused ({one_line(error, 200)})"
            ) from None


def card(about: Provenance, repository: str) -> str:
    """The model card in the Hub's format: YAML, then the weights' use, facts, training data and scores."""
    tags = ["uformer", "image-restoration", *([about.shipped.task] if about.shipped else [])]
    head = [
        "---",
        "library_name: uformer",
        "pipeline_tag: image-to-image",
        "tags:",
        *(f"- {tag}" for tag in tags),
    ]
    if about.licence != NOT_STATED:
        head.append(f"license: {json.dumps(re.sub(r'[^a-z0-9.]+', '-', about.licence.lower()).strip('-'))}")
    config = about.config
    depths = " ".join(map(str, config.depths))
    facts = [
        (
            "network",
            f"Uformer, embed_dim {config.embed_dim}, depths {depths}, skip {config.skip}",
        ),
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
        "Weights of [Uformer](https://arxiv.org/abs/2106.03106), a transformer that restores images.",
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
        lines += [
            "",
            f"Training data: {about.shipped.data}.",
            "",
            "| benchmark | PSNR (dB) |",
            "|---|---|",
            *scores,
        ]
    return "\n".join(lines) + "\n"
