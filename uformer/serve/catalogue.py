"""What the server can restore with: the weights that ship, and one file that its operator may add."""

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from uformer.errors import OptionError
from uformer.layout import parameter_count
from uformer.restore.backends.choose import read_config
from uformer.restore.options import NetworkOptions, RestoreOptions
from uformer.restore.restorer import Restorer
from uformer.weights import checkpoint, registry
from uformer.weights.create import weights_file

Load = Callable[[RestoreOptions], Restorer]

_MOST = 6  # networks kept at a time


class Catalogue:
    """Names that a client may use, and what they mean here.

    `defaults`: what a client gets who asks for nothing. Raises OptionError or CheckpointError where it names weights that cannot be used.
    """

    def __init__(self, defaults: RestoreOptions) -> None:
        self.defaults = defaults
        self.own: Path | None = None
        if defaults.weights is not None and defaults.weights not in registry.WEIGHTS:
            self.own = weights_file(defaults.weights).absolute()
            self.defaults = dataclasses.replace(defaults, weights=str(self.own))  # by which it is known again
            self._own_parameters = parameter_count(read_config(self.own))
        self.names: tuple[str, ...] = (*([self.own.stem] if self.own else []), *registry.WEIGHTS)
        registry.for_task(defaults.task)

    def options(self, asked: Mapping[str, Any]) -> RestoreOptions:
        """The defaults with what a client asks for. Raises OptionError for what is not there or out of range."""
        values = dict(asked)
        name = values.get("weights")
        if name is not None:
            if name not in self.names:
                raise OptionError(f"weights: {name!r} is not one of {', '.join(self.names)}")
            if self.own is not None and name == self.own.stem:
                values["weights"] = str(self.own)
        elif "task" in values:
            registry.for_task(values["task"])
            values["weights"] = None
        return dataclasses.replace(self.defaults, **values)

    def name(self, options: RestoreOptions) -> str:
        """The weights that options lead to, by the name that clients know."""
        if options.weights is None:
            return registry.for_task(options.task).name
        return Path(options.weights).stem if options.weights == str(self.own) else options.weights

    def describe(self) -> list[dict[str, Any]]:
        """What `GET /v1/models` says of each."""
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
    """The restorers of one device, whose networks are loaded once; for one thread."""

    def __init__(self, load: Load = Restorer.from_options) -> None:
        self._load = load
        self._kept: OrderedDict[NetworkOptions, Restorer] = OrderedDict()

    def get(self, options: RestoreOptions) -> Restorer:
        """A restorer with these options; errors as of `Restorer.from_options`."""
        key = options.network
        if key not in self._kept:
            self._kept[key] = self._load(options)
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key].with_options(options)
