"""Puts the static site together: the page of `uformer serve`, its other engine, the weights, the runtime.

    index.html, service-worker.js, site.webmanifest, site.json
    page/      the page's own files
    models/    one ONNX file for each task
    runtime/   onnxruntime-web

The networks and the runtime's WebAssembly are compressed with gzip, and the page unpacks them, because many
web servers send such files as they are. The names of the large files contain their hashes, so browsers never
fetch an unchanged one again.
"""

import gzip
import hashlib
import importlib.resources
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uformer.errors import OptionError
from uformer.staging import staging
from uformer.version import __version__
from uformer.web.npm import Release

RUNTIME = Release(
    name="onnxruntime-web",
    version="1.30.0",
    integrity="q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
)
RUNTIME_FILES = (
    "dist/ort.webgpu.min.mjs",
    "dist/ort-wasm-simd-threaded.asyncify.mjs",
    "dist/ort-wasm-simd-threaded.asyncify.wasm",
)
"""The build that has both WebGPU and threads in WebAssembly."""

PAGE_SUFFIXES = {".html", ".js", ".css", ".svg", ".jpg", ".png", ".webmanifest"}
SERVER_ONLY = {"docs.html", "docs.js", "http.js", "tiff.js"}
"""Files of the page that only the server uses."""
LARGE = ("models/", "runtime/")
"""Folders whose files browsers store for offline use once the page runs, not before."""
AT_TOP = ("index.html", "service-worker.js", "site.webmanifest")
"""Files beside the folder of the page, because the page's address and the worker's scope are there."""
_CONTENTS = {*AT_TOP, "site.json", ".nojekyll", "page", "models", "runtime"}


@dataclass(frozen=True)
class SiteModel:
    """The network for one task."""

    task: str
    name: str
    licence: str
    data: bytes
    multiple: int
    """Sides of tiles are multiples of this many pixels."""
    answer: Sequence[float]
    """Samples of the output for a tile of that side, by which a browser checks its graphics card."""

    @property
    def path(self) -> str:
        return f"models/{self.task}.{_hash(self.data)}.onnx.gz"


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise OptionError if a site cannot be written to a folder.

    A folder that holds anything but a site is never replaced, so that no other file is lost.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OptionError(f"{folder}: is a file; give a folder")
    there = sorted(os.listdir(folder))  # noqa: PTH208 - only names are needed
    if not there:
        return
    if not overwrite:
        raise OptionError(
            f"{folder} is not empty; add --overwrite to replace the site, or give another folder"
        )
    others = [name for name in there if name not in _CONTENTS]
    if others or "site.json" not in there:
        holds = f"holds {others[0]}" if others else "holds no site.json"
        raise OptionError(f"{folder}: {holds}, so it is not a site to replace; give another folder")


def write_site(folder: Path, models: Sequence[SiteModel], runtime: Mapping[str, bytes]) -> int:
    """Write the site completely or not at all; return its size in bytes. Raises OSError.

    `runtime`: RUNTIME_FILES by name.
    """
    files = _files(models, runtime)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with staging(folder.parent) as temporary:
        made = temporary / "site"
        for name, data in files.items():
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if folder.exists():
            folder.rename(temporary / "old")
        made.rename(folder)
    return sum(map(len, files.values()))


def _files(models: Sequence[SiteModel], runtime: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of the site by name."""
    files = {f"page/{name}": data for name, data in page_files().items()}
    for name in AT_TOP:
        files[name] = files.pop(f"page/{name}")
    code, helper, binary = (_without_map(runtime[name]) for name in RUNTIME_FILES)
    # The runtime asks for its two other files by names of its own, so the hash is that of a folder.
    at = f"runtime/{_hash(code + helper + binary)}"
    code_path, helper_path, binary_path = (f"{at}/{Path(name).name}" for name in RUNTIME_FILES)
    files |= {code_path: code, helper_path: helper}
    binary_path += ".gz"
    unpacked = {binary_path: binary} | {model.path: model.data for model in models}
    packed = {name: gzip.compress(data, mtime=0) for name, data in unpacked.items()}
    files |= packed
    files["index.html"] = with_manifest(files["index.html"])
    files["site.json"] = _json(
        {
            "version": __version__,
            "runtime": {
                "folder": at,
                "binary": binary_path,
                "name": RUNTIME.name,
                "version": RUNTIME.version,
                "licence": "MIT",
            },
            "models": [_described(model) for model in models],
            "packed": {name: [len(data), len(unpacked[name])] for name, data in packed.items()},
        }
    )
    files[".nojekyll"] = b""  # GitHub Pages then serves the files as they are
    stored = [name for name in files if name not in ("service-worker.js", ".nojekyll")]
    offline = {
        "version": _hash(b"".join(files[name] for name in stored)),
        "small": ["./", *(name for name in stored if not name.startswith(LARGE) and name != "index.html")],
        "large": [name for name in stored if name.startswith(LARGE)],
    }
    files["service-worker.js"] = (
        b"const SITE = " + _json(offline).rstrip() + b";\n" + files["service-worker.js"]
    )
    return files


def page_files() -> dict[str, bytes]:
    """Return the files of the page of `uformer serve` by name, with those of this package in their place."""
    found = {}
    for package in ("uformer.serve", "uformer.web"):
        for entry in importlib.resources.files(package).joinpath("page").iterdir():
            if Path(entry.name).suffix in PAGE_SUFFIXES and entry.name not in SERVER_ONLY:
                found[entry.name] = entry.read_bytes()
    return found


def with_manifest(page: bytes) -> bytes:
    """Return index.html with a link to the manifest, which makes the site installable."""
    return page.replace(b"</head>", b'<link rel="manifest" href="site.webmanifest">\n</head>', 1)


def _described(model: SiteModel) -> dict[str, Any]:
    """Return what the engine has to know of a network."""
    return {
        "task": model.task,
        "name": model.name,
        "licence": model.licence,
        "file": model.path,
        "multiple": model.multiple,
        "answer": [round(float(each), 6) for each in model.answer],
    }


def _without_map(script: bytes) -> bytes:
    """Return a script without the reference to its source map, which the site does not have."""
    head, mark, tail = script.rpartition(b"//# sourceMappingURL=")
    return head if mark and len(tail) < 200 else script


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
