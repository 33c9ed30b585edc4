"""`uformer info`."""

import dataclasses
import json
from typing import Annotated, cast

from cyclopts import Parameter
from rich.table import Table

from uformer.complexity import PAPER, Complexity, Cost, as_the_paper_counts, multiply_adds
from uformer.config import VARIANTS, UformerConfig, differences
from uformer.console import console_for
from uformer.files import one_line
from uformer.layout import parameter_count
from uformer.restore.backends import onnx
from uformer.values import parse_size
from uformer.weights import checkpoint
from uformer.weights.create import weights_file
from uformer.weights.provenance import Provenance


def info(
    name: str,
    *,
    size: str = "256x256",
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Show the configuration, parameters and multiply-adds of a network, and how they grow.

    Parameters
    ----------
    name
        A network (uformer_b), weights (uformer_t.denoise), a .safetensors file, or an .onnx file of `uformer
        export`.
    size
        Size of the image, HEIGHTxWIDTH in pixels.
    as_json
        Print JSON instead of tables.
    """
    height, width = parse_size(size, "--size")
    config, notes = _describe(name)
    here = multiply_adds(config, height, width)
    if as_json:
        print(json.dumps(_record(notes, here), indent=2))
        return
    console = console_for()
    console.print(_facts(config, notes), "", _steps(here), "", _growth(here))
    if _in_the_paper(config):
        console.print("", _papers(here))
    console.print(
        "Scores + values cost O(M^2 H W C) with windows of M x M tokens, O(H^2 W^2 C) with global attention."
    )


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


def _record(notes: dict[str, str], here: Complexity) -> dict[str, object]:
    """What the tables show, for programs. All counts are multiply-adds."""
    paper = {}
    if _in_the_paper(here.config):
        count = as_the_paper_counts(here)
        paper = {"as_the_paper_counts": {**dataclasses.asdict(count), "total": count.total}}
    return {
        **notes,
        "parameters": parameter_count(here.config),
        "config": dataclasses.asdict(here.config),
        "image": {"height": here.height, "width": here.width},
        "multiply_adds": {"total": here.total, **dataclasses.asdict(here.cost), **paper},
        "steps": [
            {**dataclasses.asdict(stage), "cost": dataclasses.asdict(stage.cost), "total": stage.cost.total}
            for stage in here.stages
        ],
    }


def _in_the_paper(config: UformerConfig) -> bool:
    """Whether the paper of 2022 has networks of this kind."""
    return config.skip == "concat" and not config.cross_modulator


def _papers(here: Complexity) -> Table:
    """The total as the paper counts it, and what the paper states."""
    count = as_the_paper_counts(here)
    table = _table("as the paper counts (in G)", [""], [""])
    table.add_row("total above", _giga(count.used))
    table.add_row("upsampling: all four weights for each token, which uses one", _giga(count.upsampling))
    table.add_row("norms: one for each value", _giga(count.norms))
    table.add_row("total", _giga(count.total))
    for name, stated in PAPER.items():
        if not differences(here.config, VARIANTS[name]) and (here.height, here.width) == (256, 256):
            table.add_row(f"stated for {name}", f"{stated:.1f}")
    return table


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
