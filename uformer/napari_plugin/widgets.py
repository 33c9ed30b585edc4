"""The two widgets: one restores an image layer, the other trains noise2void on it.

Only this module imports napari, magicgui and qtpy. A job runs in a thread of napari, which asks it to stop
when the program ends. A timer of the window shows how far the job is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import napari
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FileEdit,
    FloatSlider,
    FloatSpinBox,
    Label,
    LineEdit,
    ProgressBar,
    PushButton,
    Widget,
    create_widget,
)
from napari.layers import Image
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QTimer

from uformer.errors import OptionError, UformerError
from uformer.files import one_line
from uformer.napari_plugin import learning
from uformer.napari_plugin.layers import (
    Index,
    Monitor,
    Planes,
    Stopped,
    label_of,
    layer_options,
    plane_at,
    restore_planes,
)
from uformer.notices import Notify
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer
from uformer.weights.registry import TASKS

_LOOK = 200  # milliseconds between two looks at a running job
_LONGEST = 7 * 24 * 60  # minutes of a training

Work = Callable[[Monitor, Notify], Any]
"""A job: runs in a thread and returns its result."""
Use = Callable[[Any], None]
"""Takes the result of a job, in the thread of the window."""


@dataclass
class _Outcome:
    result: Any = None
    error: str = ""
    notices: list[str] = field(default_factory=list)


class JobRow:
    """A button that starts a job, one that cancels it, a progress bar, and a line about the job.

    `prepare` is called when the job starts. It reads the window, and returns the job and what to do with its
    result.
    """

    def __init__(self, verb: str, prepare: Callable[[], tuple[Work, Use]]) -> None:
        self.start = PushButton(text=verb)
        self.cancel = PushButton(text="Cancel", enabled=False)
        self.bar = ProgressBar(min=0, max=1000, value=0)
        self.line = Label(value="")
        self.line.native.setWordWrap(True)
        buttons = Container(widgets=[self.start, self.cancel], layout="horizontal", labels=False)
        buttons.margins = (0, 0, 0, 0)
        self.widgets: list[Widget] = [buttons, self.bar, self.line]
        self.worker: Any = None  # of the last job
        self._monitor = Monitor()
        self._prepare = prepare
        self._closed = False
        self.bar.native.destroyed.connect(self._close)
        self._timer = QTimer(self.bar.native)  # a child, so that it ends with the widget
        self._timer.setInterval(_LOOK)
        self._timer.timeout.connect(self._show)
        self.start.changed.connect(lambda _: self.begin())
        self.cancel.changed.connect(lambda _: self.stop())

    def begin(self) -> None:
        """Start the job. An error in what the user set becomes a notification."""
        try:
            work, use = self._prepare()
        except UformerError as error:
            show_error(str(error))
            return
        self._monitor = Monitor()
        worker = create_worker(_caught, work, self._monitor)
        self._monitor.should_stop = lambda: bool(worker.abort_requested)
        worker.returned.connect(lambda outcome: self._returned(use, outcome))
        worker.finished.connect(self._finished)
        self.worker = worker
        self._set_running(running=True)
        self._show()
        worker.start()

    def stop(self) -> None:
        """Ask the job to stop."""
        self.worker.quit()

    def _close(self) -> None:
        """Stop the job of a widget that is closed. Its buttons, bar and line no longer exist."""
        self._closed = True
        if self.worker is not None:
            self.worker.quit()

    def _show(self) -> None:
        stopping = self._monitor.should_stop()
        self.bar.value = round(1000 * self._monitor.share)
        self.line.value = "stopping" if stopping else self._monitor.text

    def _returned(self, use: Use, outcome: _Outcome) -> None:
        """Use the result of a job, unless it was cancelled at the last moment."""
        if self.worker.abort_requested:
            return
        for notice in dict.fromkeys(outcome.notices):
            show_warning(notice)
        if outcome.error:
            self._monitor.text = "failed"
            show_error(outcome.error)
        else:
            self._monitor.text = "done"
            use(outcome.result)

    def _finished(self) -> None:
        if self._closed:
            return
        self._set_running(running=False)
        self.bar.value = 0
        self.line.value = "cancelled" if self.worker.abort_requested else self._monitor.text

    def _set_running(self, *, running: bool) -> None:
        self.start.enabled, self.cancel.enabled = not running, running
        self._timer.start() if running else self._timer.stop()

    def say(self, line: str) -> None:
        """Show a line when the job has ended, and as a notification."""
        self._monitor.text = line
        show_info(line)


def _caught(work: Work, monitor: Monitor) -> _Outcome:
    """Run a job; errors that a user can cause become part of its outcome."""
    outcome = _Outcome()
    try:
        outcome.result = work(monitor, outcome.notices.append)
    except Stopped:
        pass
    except UformerError as error:
        outcome.error = str(error)
    except MemoryError:
        outcome.error = "out of memory; close other layers or programs, or restore the current plane only"
    except OSError as error:  # from a file behind the layer
        outcome.error = one_line(error)
    return outcome


class RestoreForm:
    """The settings of a restoration, and the job that restores the chosen layer."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = viewer
        self.layer = _layer_choice()
        self.task = ComboBox(label="task", choices=TASKS)
        self.weights = _weights_choice()
        self.strength = FloatSlider(label="strength", min=0, max=1, step=0.05, value=1)
        self.detail = FloatSlider(label="detail", min=0, max=1, step=0.05, value=0)
        self.tones = ComboBox(label="tones", choices=("auto", "lock", "free"))
        self.range = LineEdit(label="range", value="")
        self.current = CheckBox(label="", text="current plane only", value=False)
        self.strength.tooltip = "How much of the change to apply: 0 returns the image, 1 restores it fully."
        self.detail.tooltip = "How much of the removed fine texture to return."
        self.tones.tooltip = "lock keeps the mean brightness of each region; auto locks it for denoise."
        self.range.tooltip = (
            "Values that the network sees as black to white: auto, full, or LOW:HIGH. "
            "Empty: as the weights were trained."
        )
        self.current.tooltip = "Restore the plane at the sliders, not the whole stack: a quick look."
        self.row = JobRow("Restore", self.prepare)
        self.container = Container(
            widgets=[
                *(self.layer, self.task, self.weights, self.strength, self.detail),
                *(self.tones, self.range, self.current, *self.row.widgets),
            ]
        )

    def options(self) -> RestoreOptions:
        """Return the options as set. Raises OptionError for an impossible range."""
        return RestoreOptions(
            task=self.task.value,
            weights=_text(self.weights),
            strength=self.strength.value,
            detail=self.detail.value,
            tones=self.tones.value,
            range=self.range.value.strip() or None,
        )

    def prepare(self) -> tuple[Work, Use]:
        """Return the job, and the function that adds its result to the viewer."""
        layer, options = _chosen(self.layer), self.options()
        planes = Planes.of(layer)
        only: Index = ()
        if self.current.value:
            only = plane_at(planes, layer.world_to_data(self.viewer.dims.point))
        indices = [only] if only else planes.indices
        look = layer_options(layer, label_of(options.task, options.weights), only)

        def work(monitor: Monitor, notify: Notify) -> Any:
            monitor.show(0, "loading the network")
            restorer = Restorer.from_options(options, notify=notify)
            restored = restore_planes(restorer, planes, indices, monitor, notify)
            return restored.reshape(planes.size if only else planes.data.shape)

        return work, lambda restored: self.viewer.add_image(restored, **look)


class TrainForm:
    """The settings of a training, and the job that trains on the chosen layer and restores it."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = viewer
        self.layer = _layer_choice()
        self.minutes = FloatSpinBox(label="minutes", min=0.1, max=_LONGEST, step=1, value=20)
        self.folder = FileEdit(label="folder", mode="d", value=Path.home() / "uformer-napari")
        self.folder.tooltip = "The weights go to a new folder in this one."
        self.row = JobRow("Train, then restore", self.prepare)
        self.container = Container(widgets=[self.layer, self.minutes, self.folder, *self.row.widgets])

    def prepare(self) -> tuple[Work, Use]:
        """Return the job, and the function that adds its result to the viewer."""
        layer, minutes = _chosen(self.layer), float(self.minutes.value)
        parent = _text(self.folder)
        if parent is None:
            raise OptionError("folder: none is chosen; choose where the training gets a folder of its own")
        planes, folder = Planes.of(layer), learning.new_folder(Path(parent).expanduser(), layer.name)
        look = layer_options(layer, "noise2void")

        def work(monitor: Monitor, notify: Notify) -> Any:
            return learning.train_and_restore(planes, folder, minutes, monitor, notify)

        def use(restored: Any) -> None:
            self.viewer.add_image(restored, **look)
            self.row.say(learning.summary(folder))

        return work, use


def restore_widget() -> Container:
    """Return the widget that restores an image layer of the current viewer."""
    form = RestoreForm(napari.current_viewer())
    form.container.form = form  # napari keeps only the container
    return form.container


def train_widget() -> Container:
    """Return the widget that trains noise2void on an image layer of the current viewer."""
    form = TrainForm(napari.current_viewer())
    form.container.form = form
    return form.container


def _layer_choice() -> Widget:
    """Return a list of the image layers, which napari keeps up to date."""
    return create_widget(annotation=Image, label="layer")


def _weights_choice() -> FileEdit:
    weights = FileEdit(label="weights", mode="r", filter="*.safetensors *.onnx", nullable=True)
    weights.tooltip = "Weights to use instead of the task's own, such as best.safetensors of a training."
    return weights


def _text(choice: FileEdit) -> str | None:
    return choice.line_edit.value.strip() or None


def _chosen(choice: Widget) -> Image:
    if choice.value is None:
        raise OptionError("no image layer is selected; open an image first")
    return choice.value
