"""`uformer info`."""

import dataclasses
import re
from typing import cast

from rich.table import Table

from uformer.complexity import Complexity, Cost, multiply_adds
from uformer.config import VARIANTS, UformerConfig
from uformer.console import console_for
from uformer.errors import OptionError
from uformer.files import one_line
from uformer.layout import parameter_count
from uformer.restore.backends import onnx
from uformer.weights import checkpoint
from uformer.weights.create import weights_file
from uformer.weights.provenance import Provenance


def info(name: str, *, size: str = "256x256") -> None:
    """Show the configuration, parameters and multiply-adds of a network, and how they grow.

    Parameters
    ----------
    name
        A network (uformer_b), weights (uformer_t.denoise), a .safetensors file, or an .onnx file of `uformer
        export`.
    size
        Size of the image, HEIGHTxWIDTH in pixels.
    """
    height, width = parse_size(size)
    config, notes = _describe(name)
    here = multiply_adds(config, height, width)
    console = console_for()
    console.print(_facts(config, notes), "", _steps(here), "", _growth(here))
    console.print(
        "Scores + values cost O(M^2 H W C) with windows of M x M tokens, O(H^2 W^2 C) with global attention."
    )


def parse_size(size: str) -> tuple[int, int]:
    """(height, width) of "HEIGHTxWIDTH". Raises OptionError for anything else."""
    found = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", size.strip(), re.ASCII)
    if not found:
        raise OptionError(f"--size {size!r}: must be HEIGHTxWIDTH in pixels, such as 256x256")
    return int(found[1]), int(found[2])


def _describe(name: str) -> tuple[UformerConfig, dict[str, str]]:
    """A network's configuration, and further facts from its file, such as its licence."""
    if name in VARIANTS:
        return VARIANTS[name], {"network": name}
    path = weights_file(name)
    if onnx.is_onnx(path):
        config, facts = onnx.read_facts(path)
        return config, {"file": str(path), **{key: value for key, value in facts.items() if key != "config"}}
    said, about = checkpoint.describe(path), Provenance.of(path)
    notes = cast(dict[str, str], said["notes"])
    task = {"task": about.shipped.task} if about.shipped else {}
    known = {"name": about.name, **task, "licence": about.licence, "sha256": about.sha256}
    return about.config, {"weights": str(path), "dtype": str(said["dtype"]), **notes, **known}


def _facts(config: UformerConfig, notes: dict[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in notes.items():
        table.add_row(one_line(key, 30), one_line(value, 400))
    parameters = parameter_count(config)
    table.add_row("parameters", f"{parameters:,} ({parameters / 1e6:.2f} M)")
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        table.add_row(field.name, " ".join(map(str, value)) if isinstance(value, tuple) else str(value))
    return table


def _steps(here: Complexity) -> Table:
    title = f"multiply-adds for an image of {here.height}x{here.width}: {here.total:,} in total; in G:"
    table = _table(
        title,
        ["step", "map"],
        ["C", "attention\nprojections", "scores +\nvalues", "feed-\nforward", "convo-\nlutions", "total"],
    )
    for stage in here.stages:
        table.add_row(stage.name, f"{stage.height}x{stage.width}", str(stage.channels), *_parts(stage.cost))
    table.add_row("total", "", "", *_parts(here.cost))
    return table


def _growth(here: Complexity) -> Table:
    config, height, width = here.config, here.height, here.width
    side = config.window_size
    wider = dataclasses.replace(config, window_size=2 * side)
    rows = [
        (f"windows of {side}x{side}", here),
        ("  twice the height", multiply_adds(config, 2 * height, width)),
        ("  twice height and width", multiply_adds(config, 2 * height, 2 * width)),
        (f"windows of {2 * side}x{2 * side}", multiply_adds(wider, height, width)),
        ("global attention", multiply_adds(config, height, width, global_attention=True)),
        ("  twice the height", multiply_adds(config, 2 * height, width, global_attention=True)),
        ("  twice height and width", multiply_adds(config, 2 * height, 2 * width, global_attention=True)),
    ]
    table = _table(
        "how they grow (in G, and as a multiple of the first line)",
        ["", "image"],
        ["scores +\nvalues", "\ntimes", "\ntotal", "\ntimes"],
    )
    first = here.cost.scores_values
    for label, there in rows:
        scores = there.cost.scores_values
        times = f"{scores / first:,.2f}", f"{there.total / here.total:,.2f}"
        table.add_row(
            label, f"{there.height}x{there.width}", _giga(scores), times[0], _giga(there.total), times[1]
        )
    return table


def _table(title: str, names: list[str], numbers: list[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in names:
        table.add_column(column, no_wrap=True)
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _parts(cost: Cost) -> list[str]:
    parts = (
        cost.projections,
        cost.scores_values,
        cost.feed_forward,
        cost.resampling + cost.picture,
        cost.total,
    )
    return [_giga(part) if part else "" for part in parts]


def _giga(multiply_adds: int) -> str:
    return f"{multiply_adds / 1e9:,.3f}"
