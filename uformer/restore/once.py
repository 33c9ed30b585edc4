"""`uformer.restore(image)`: restores in one call and loads its weights only once."""

import dataclasses
import functools
from typing import Any

from uformer.restore.network import Network
from uformer.restore.options import NetworkOptions, make_options
from uformer.restore.restorer import Restorer
from uformer.weights import registry
from uformer.weights.create import weights_file


def restore(picture: Any, task: str = "denoise", **options: Any) -> Any:
    """Restore one image, in any form (see `Restorer.__call__`), and return it in the same form.

    `options`: the fields of RestoreOptions. The last four networks are cached, so a loop over images loads
    its weights once. A weights file that has changed is loaded again.
    """
    chosen, file = make_options({"task": task, **options}), None
    if chosen.weights is not None and chosen.weights not in registry.WEIGHTS:
        path = weights_file(chosen.weights).absolute()
        if path.exists():
            chosen = dataclasses.replace(chosen, weights=str(path))
            file = path.stat().st_mtime_ns, path.stat().st_size
    return Restorer(_network(chosen.network, file), chosen)(picture)


@functools.lru_cache(maxsize=4)
def _network(options: NetworkOptions, _file: tuple[int, int] | None) -> Network:
    return Network.load(options)
