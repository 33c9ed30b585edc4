"""The weights that the server offers: those that ship with the package, and one file of the operator's."""

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from uformer.errors import OptionError
from uformer.layout import parameter_count
from uformer.restore.backends.choose import read_config
from uformer.restore.chain import Chain
from uformer.restore.options import NetworkOptions, RestoreOptions
from uformer.restore.restorer import Restorer
from uformer.weights import checkpoint, registry
from uformer.weights.create import weights_file

Load = Callable[[RestoreOptions], Restorer]

_MOST = 6  # networks that stay loaded


class Catalogue:
    """The names of weights that a client may use.

    `defaults` are the options of requests that set none. Raises OptionError or CheckpointError if its weights
    cannot be used.
    """

    def __init__(self, defaults: RestoreOptions) -> None:
        self.defaults = defaults
        self.own: Path | None = None
        if defaults.weights is not None and defaults.weights not in registry.WEIGHTS:
            self.own = weights_file(defaults.weights).absolute()
            self.defaults = dataclasses.replace(defaults, weights=str(self.own))
            self._own_parameters = parameter_count(read_config(self.own))
        self.names: tuple[str, ...] = (*([self.own.stem] if self.own else []), *registry.WEIGHTS)
        for task in (defaults.task, *defaults.task_names):
            registry.for_task(task)

    def options(self, asked: Mapping[str, Any]) -> RestoreOptions:
        """Return the defaults with a request's options.

        Raises OptionError if an option is unknown or out of range.
        """
        values = dict(asked)
        name = values.get("weights")
        if name is not None:
            if name not in self.names:
                raise OptionError(f"weights: unknown name {name!r}; known: {', '.join(self.names)}")
            if self.own is not None and name == self.own.stem:
                values["weights"] = str(self.own)
            values.setdefault("tasks", None)
        elif "task" in values or "tasks" in values:
            values = {"weights": None, "tasks": None} | values
            for task in RestoreOptions(task=values.get("task", "denoise"), tasks=values["tasks"]).task_names:
                registry.for_task(task)
        return dataclasses.replace(self.defaults, **values)

    def name(self, options: RestoreOptions) -> str:
        """Return the client's name for the weights that the options select; several are joined by +."""
        if options.tasks is not None:
            return "+".join(self.name(each) for each in options.chain)
        if options.weights is None:
            return registry.for_task(options.task).name
        return Path(options.weights).stem if options.weights == str(self.own) else options.weights

    def describe(self) -> list[dict[str, Any]]:
        """Return the entries of `GET /v1/models`."""
        default = self.name(self.options({}))
        own: list[dict[str, Any]] = []
        if self.own is not None:
            own = [
                {
                    "name": self.own.stem,
                    "task": None,
                    "parameters": self._own_parameters,
                    "licence": None,
                    "data": None,
                }
            ]
        shipped = [
            {
                "name": weights.name,
                "task": weights.task,
                "parameters": checkpoint.describe(weights.path)["parameters"],
                "licence": weights.licence,
                "data": weights.data,
                "scores": dict(weights.scores),
            }
            for weights in registry.WEIGHTS.values()
        ]
        return [{**model, "default": model["name"] == default} for model in own + shipped]


class Restorers:
    """The restorers of one device. Each network is loaded once. Not thread-safe."""

    def __init__(self, load: Load = Restorer.from_options) -> None:
        self._load = load
        self._kept: OrderedDict[NetworkOptions, Restorer] = OrderedDict()

    def get(self, options: RestoreOptions) -> Restorer:
        """Return a restorer with these options. Raises the errors of `Restorer.from_options`."""
        if options.tasks is not None:
            return Chain([self.get(each) for each in options.chain], options)
        key = options.network
        if key not in self._kept:
            self._kept[key] = self._load(options)
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key].with_options(options)
