"""`uformer.restore(image)`: restores in one call and loads its weights only once."""

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any, get_args

from uformer.errors import OptionError
from uformer.files import Times, keep_time
from uformer.restore.chain import joined
from uformer.restore.network import Network
from uformer.restore.options import NetworkOptions, make_options
from uformer.restore.planes import check_not_automatic
from uformer.restore.restorer import Restorer
from uformer.weights import registry
from uformer.weights.create import weights_file


def restore(
    picture: Any,
    task: str = "denoise",
    *,
    mask: Any = None,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    times: Times = "now",
    **options: Any,
) -> Any:
    """Restore one image and return it in the form in which it was passed.

    - `picture`: the path or the bytes of an image file, a numpy array (H, W) or (H, W, C), a torch tensor
      (C, H, W) or (B, C, H, W), or a Pillow image. Arrays and tensors hold integers or floats.
    - `task`: denoise, derain or deblur, or auto, which looks at the image and chooses (docs/auto.md).
    - `mask`: a gray image; only where it is white, the image is restored (see `Restorer.masked`).
    - `output`: for a path, the file to write. The default is NAME.restored.EXT beside the input.
    - `overwrite`: replace an existing output. Otherwise it is an error.
    - `times`: keep gives the output the modification time of the input.
    - `options`: the other fields of RestoreOptions. `tasks=("derain", "denoise")` restores for several tasks,
      one after the other.

    The last four networks are cached, so a loop over images loads its weights once. A weights file that has
    changed is loaded again.

    Raises PictureError for an image that cannot be restored, OptionError for a wrong option or an output that
    exists or cannot be written, and CheckpointError for a file that holds no weights.
    """
    chosen, file = make_options({"task": task, **options}), None
    if chosen.weights is not None and chosen.weights not in registry.WEIGHTS:
        path = weights_file(chosen.weights).absolute()
        if path.exists():
            chosen = dataclasses.replace(chosen, weights=str(path))
            file = path.stat().st_mtime_ns, path.stat().st_size
    if times not in get_args(Times):
        raise OptionError(f"times: {times!r} must be one of {', '.join(get_args(Times))}")
    if times == "keep" and not isinstance(picture, str | os.PathLike):
        raise OptionError("times: needs the path of an image file; other images have no time")
    if isinstance(picture, str | os.PathLike):
        check_not_automatic(picture, chosen)  # before networks are loaded for nothing
    restorers = [Restorer(_network(each.network, file), each) for each in chosen.chain]
    restored = joined(restorers, chosen)(picture, mask=mask, output=output, overwrite=overwrite)
    if times == "keep":
        keep_time(Path(picture), Path(restored))
    return restored


@functools.lru_cache(maxsize=4)
def _network(options: NetworkOptions, _file: tuple[int, int] | None) -> Network:
    return Network.load(options)
