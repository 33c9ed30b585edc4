"""The widgets and the manifest of the napari plugin.

CI has no napari: there, the tests of the manifest run, and those of the widgets are skipped. They need no
display (QT_QPA_PLATFORM=offscreen), because they use napari's model of a viewer without its window.
"""

import ast
import os
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.napari_plugin.stand_in import Halving
from uformer.errors import PictureError
from uformer.restore.restorer import Restorer

ROOT = Path(__file__).parents[2]
Finish = Callable[..., str]


def test_manifest_lies_where_the_entry_point_says_and_names_functions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, file = project["entry-points"]["napari.manifest"]["uformer-napari"].partition(":")
    manifest = yaml.safe_load((ROOT / module.replace(".", "/") / file).read_text(encoding="utf-8"))
    assert manifest["name"] == project["name"]  # npe2 compares them
    commands = {each["id"]: each["python_name"] for each in manifest["contributions"]["commands"]}
    assert {each["command"] for each in manifest["contributions"]["widgets"]} == set(commands)
    for python_name in commands.values():
        home, _, function = python_name.partition(":")
        tree = ast.parse((ROOT / f"{home.replace('.', '/')}.py").read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.fixture
def finish(monkeypatch: pytest.MonkeyPatch) -> Iterator[Finish]:
    """Start the job of a form, wait until it has ended, and return its notifications."""
    monkeypatch.setenv("QT_QPA_PLATFORM", os.environ.get("QT_QPA_PLATFORM", "offscreen"))
    pytest.importorskip("napari")
    pytest.importorskip("qtpy", exc_type=ImportError)
    from napari.utils.notifications import notification_manager
    from qtpy.QtWidgets import QApplication

    application = QApplication.instance() or QApplication([])
    monkeypatch.setattr(Restorer, "from_options", lambda *_, **__: Halving())
    notification_manager.records.clear()

    def run(form: Any, cancel: bool = False) -> str:
        form.row.begin()
        if cancel:
            form.row.stop()
        end = time.monotonic() + 60
        while form.row.cancel.enabled:
            application.processEvents()
            assert time.monotonic() < end
        return "; ".join(f"{note.severity.name}: {note.message}" for note in notification_manager.records)

    yield run
    notification_manager.records.clear()


def form_for(kind: str, data: Any, **options: Any) -> Any:
    """Return the form of a widget for a viewer with one layer."""
    from napari.components import ViewerModel

    from uformer.napari_plugin import widgets

    viewer = ViewerModel()
    form = getattr(widgets, kind)(viewer)
    form.layer.choices = [] if data is None else [viewer.add_image(data, name="cells", **options)]
    return form


@pytest.mark.slow
def test_manifest_is_valid() -> None:
    manifest = pytest.importorskip("npe2").PluginManifest
    found = manifest.from_file(ROOT / "uformer" / "napari_plugin" / "napari.yaml")
    assert [each.display_name for each in found.contributions.widgets] == ["Restore", "Train noise2void"]


@pytest.mark.slow
def test_stack_becomes_a_new_layer_in_the_same_place(finish: Finish) -> None:
    data = np.random.default_rng(0).integers(0, 256, (3, 8, 9), dtype=np.uint8)
    form = form_for("RestoreForm", data, scale=(3, 0.5, 0.5), translate=(1, 2, 3), colormap="magma")
    assert finish(form) == ""
    layer = form.viewer.layers["cells restored (denoise)"]
    assert np.abs(layer.data - data / 2).max() <= 0.5
    assert (layer.scale.tolist(), layer.translate.tolist()) == ([3, 0.5, 0.5], [1, 2, 3])
    assert layer.colormap.name == "magma"
    assert (form.row.line.value, form.row.start.enabled) == ("done", True)


@pytest.mark.slow
def test_current_plane_only(finish: Finish) -> None:
    data = np.random.default_rng(0).integers(0, 256, (3, 8, 9), dtype=np.uint8)
    form = form_for("RestoreForm", data, scale=(3, 0.5, 0.5), translate=(1, 2, 3))
    form.current.value = True
    form.viewer.dims.set_point(0, 1 + 3 * 2)
    assert finish(form) == ""
    layer = form.viewer.layers["cells restored (denoise), plane 2"]
    assert np.abs(layer.data - data[2] / 2).max() <= 0.5
    assert layer.translate.tolist() == [2, 3]


@pytest.mark.slow
def test_errors_are_one_notification(finish: Finish, monkeypatch: pytest.MonkeyPatch) -> None:
    assert finish(form_for("RestoreForm", None)).endswith(
        "ERROR: no image layer is selected; open an image first"
    )
    form = form_for("RestoreForm", np.zeros((8, 8), np.float32))
    form.range.value = "9:1"
    assert "ERROR: range: '9:1' must be auto, full or LOW:HIGH" in finish(form)
    form.range.value = ""
    form.layer.value.data = np.full((8, 8), np.nan, np.float32)
    assert finish(form).endswith("ERROR: the image has non-finite pixels (NaN or infinity)")
    assert (form.row.line.value, len(form.viewer.layers)) == ("failed", 1)

    for error in (PictureError("it is broken"), OSError(5, "Input/output error", "stack.zarr")):
        monkeypatch.setattr(Restorer, "from_options", lambda *_, error=error, **__: raises(error))
        assert finish(form).endswith(f"ERROR: {error}")


def raises(error: Exception) -> None:
    raise error


@pytest.mark.slow
def test_cancel_adds_no_layer(finish: Finish) -> None:
    form = form_for("RestoreForm", np.zeros((3, 8, 8), np.uint8))
    assert finish(form, cancel=True) == ""
    assert (form.row.line.value, len(form.viewer.layers)) == ("cancelled", 1)


@pytest.mark.slow
def test_closing_the_widget_cancels(finish: Finish) -> None:
    """Its job must not touch what no longer exists."""
    from qtpy.QtCore import QEvent, QThreadPool
    from qtpy.QtWidgets import QApplication

    form = form_for("RestoreForm", np.zeros((3, 8, 8), np.uint8))
    form.row.begin()
    form.container.native.deleteLater()
    QApplication.instance().sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert form.row.worker.abort_requested
    assert QThreadPool.globalInstance().waitForDone(60_000)
    QApplication.instance().processEvents()
    assert len(form.viewer.layers) == 1


@pytest.mark.slow
def test_trained_weights_restore_the_layer(
    finish: Finish, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from uformer.napari_plugin import learning

    trained = []

    def train(folder: Path, minutes: float, _monitor: object) -> Path:
        trained.append((folder, minutes, sorted(path.name for path in (folder / "images").iterdir())))
        return folder / "run" / "best.safetensors"

    monkeypatch.setattr(learning, "train", train)
    form = form_for("TrainForm", np.zeros((3, 8, 8), np.uint8))
    form.folder.line_edit.value = str(tmp_path)
    form.minutes.value = 7
    folder = tmp_path / "cells-noise2void"
    assert finish(form) == f"INFO: trained weights: {folder / 'run' / 'best.safetensors'}"
    assert trained == [(folder, 7, ["0000.tif", "0001.tif", "0002.tif"])]
    assert "cells restored (noise2void)" in form.viewer.layers
    form.folder.line_edit.value = ""
    assert "ERROR: folder: none is chosen; choose where the training gets a folder of its own" in finish(form)
