"""`uformer models`."""

from rich.console import Console
from rich.table import Table

from uformer.config import VARIANTS
from uformer.layout import parameter_count
from uformer.weights.registry import WEIGHTS


def models() -> None:
    """List the networks and the weights that ship."""
    console = Console()
    networks = Table("network", "parameters", "skip", "modulators", title="networks")
    for name, config in VARIANTS.items():
        networks.add_row(
            name, f"{parameter_count(config) / 1e6:.2f} M", config.skip, "yes" if config.modulator else "no"
        )
    console.print(networks)
    shipped = Table("weights", "task", "licence", "scores (dB)", title="weights that ship")
    for weights in WEIGHTS.values():
        scores = "\n".join(f"{name}: {score:.2f}" for name, score in weights.scores.items())
        shipped.add_row(weights.name, weights.task, weights.licence, scores)
    console.print(shipped)
