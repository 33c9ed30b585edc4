"""`uformer web`."""

import sys
import tempfile
from pathlib import Path

from uformer.export import browser
from uformer.files import require
from uformer.output import check_output_folder
from uformer.processors import limit_torch
from uformer.signals import stops_like_ctrl_c
from uformer.web import npm
from uformer.web.assemble import RUNTIME, RUNTIME_FILES, SiteModel, check_folder, write_site
from uformer.weights.registry import WEIGHTS


def web(out: Path, *, runtime: Path | None = None, overwrite: bool = False) -> None:
    """Write a static site that restores photos in the browser. No photo leaves the visitor's computer.

    It is the page of uformer serve with the weights that ship and onnxruntime-web, which is downloaded from
    the npm registry (33 MB). Any web server can host it; after the first visit, it works offline.

    Parameters
    ----------
    out
        Folder to write.
    runtime
        The archive of onnxruntime-web, a .tgz file, where the npm registry cannot be reached. Its checksum is
        verified.
    overwrite
        Replace the site in OUT.
    """
    check_folder(out, overwrite=overwrite)
    check_output_folder(out)
    browser.require_packages()
    limit_torch(require("torch", "export"))
    with stops_like_ctrl_c():
        archive = npm.archive_of(RUNTIME, runtime)
        files = npm.files_in(archive, RUNTIME_FILES)
        size = write_site(out, [_model(name) for name in WEIGHTS], files)
    print(f"{out}: {size / 1e6:.1f} MB, {RUNTIME.name} {RUNTIME.version}")
    print(
        f"next: {Path(sys.executable).name} -m http.server --directory {out}, then open http://localhost:8000/"
    )


def _model(name: str) -> SiteModel:
    """Export shipped weights, and print how much the file differs from the network."""
    shipped = WEIGHTS[name]
    with tempfile.TemporaryDirectory(prefix="uformer-web-") as folder:
        path = Path(folder) / "model.onnx"
        made = browser.write(path, shipped.verify())
        data = path.read_bytes()
    largest = max(made.agreements, key=lambda each: each.largest)
    print(f"{name}: {len(data) / 1e6:.1f} MB, {largest}")
    return SiteModel(shipped.task, name, shipped.licence, data, made.about.config.multiple, made.answer)
