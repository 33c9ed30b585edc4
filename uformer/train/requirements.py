"""What a recipe needs: arithmetic, time and memory, computed from its network and from measured throughput.

A training step costs about three times the multiply-adds of the network's answer: once forward, and once each
for the gradients of the inputs and of the weights. The times assume that all networks reach the multiply-adds
per second that uformer_t reached where it was measured.
"""

import types
from collections.abc import Mapping
from dataclasses import dataclass

from uformer.complexity import multiply_adds
from uformer.config import variant
from uformer.layout import parameter_count
from uformer.train.duration import spoken
from uformer.train.recipe import Recipe
from uformer.weights import registry


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine on which uformer_t was trained, and how fast."""

    name: str
    patches_per_s: float
    """Patches of 128 x 128 that uformer_t learned from, per second."""
    source: str
    """The run that was measured. `uformer train` shows the patches per second of any run."""

    def seconds(self, recipe: Recipe) -> float:
        """Return how long all steps of a recipe would take; its own time limit if that ends first."""
        rate = self.patches_per_s * 3 * multiply_adds(variant("uformer_t"), 128, 128).total
        whole = work(recipe) / rate
        return min(whole, 60 * recipe.minutes) if recipe.minutes else whole


CPU = Machine(
    name="two free cores of an AMD EPYC (fp32)",
    patches_per_s=2 * 8 / 6.3,  # a core took 6.3 s for a step of 8 patches
    source="from processor time: docs/training.md, On a CPU",
)
GPU = Machine(
    name="one NVIDIA H200 (bf16, not compiled)",
    patches_per_s=403 * 64 / 66,  # 403 steps of 64 patches in 66 seconds
    source="the last run of docs/models/uformer_t.deblur.md",
)


def _score(task: str, row: str) -> str:
    return f"{registry.for_task(task).scores[row]:.2f}"


RESULTS: Mapping[str, str] = types.MappingProxyType(
    {
        "denoise": f"CBSD68, sigma 25: 20.54 to {_score('denoise', 'CBSD68 sigma 25')} dB (bundled weights)",
        "derain": f"Rain100L, on Y: 26.84 to {_score('derain', 'rain100l')} dB (bundled weights)",
        "deblur": f"GoPro, 2 images: 32.30 to {_score('deblur', 'gopro')} dB (bundled weights)",
        "noise2noise": "few photons, tiny network: 28.49 to 38.60 dB",
        "noise2void": "few photons, tiny network: 28.49 to 36.36 dB",
        "neighbor2neighbor": "few photons, tiny network: 28.49 to 32.93 dB",
        "sidd_denoise": "SIDD: 39.89 dB (published)",
        "gopro_deblur": "GoPro: 33.06 dB (published)",
        "dpdd_defocus": "DPDD: 26.28 dB (published, from both dual-pixel views)",
        "spad_derain": "SPAD: 47.84 dB (published)",
    }
)
"""PSNR before and after weights of a similar recipe. The bundled weights took other numbers of steps."""

RESULTS_BY = (
    "results: bundled weights by benchmarks/quality.py, few photons by benchmarks/self_supervised.py; "
    "published ones are those of the paper"
)
"""The commands that repeat the results."""

FEATURE_MAPS: Mapping[tuple[int, tuple[int, ...]], float] = types.MappingProxyType(
    {
        (variant(name).embed_dim, variant(name).depths): per_pixel
        for name, per_pixel in (("uformer_t", 11_164), ("uformer_s", 21_990), ("uformer_b", 31_879))
    }
)
"""Bytes per pixel that autograd keeps in bf16, by width and depths (benchmarks/feature_maps.py)."""

UNPUBLISHED: Mapping[str, str] = types.MappingProxyType(
    {
        "sidd_denoise": "not in the paper: MixUp, which the authors' script applies and this recipe does not",
        "gopro_deblur": "not in the paper: patch, batch, epochs and warm-up, which the authors' script has",
        "dpdd_defocus": "not published: patch, batch, epochs and warm-up; those of gopro_deblur stand in",
        "spad_derain": "not published: patch, batch, epochs and warm-up; those of sidd_denoise stand in",
    }
)
"""What was not published about the paper's recipes."""


def work(recipe: Recipe) -> float:
    """Return the multiply-adds of all steps of a recipe."""
    forward = multiply_adds(recipe.network, recipe.patch, recipe.patch).total
    # neighbor2neighbor also restores the whole patch, four times as large, without gradients.
    passes = 3 + 4 if recipe.supervision == "neighbor2neighbor" else 3
    return float(passes * forward * recipe.batch * recipe.steps)


def memory(recipe: Recipe) -> float | None:
    """Return the bytes that training needs on one GPU in bf16; None for networks that were not measured.

    These are weights, gradients, optimizer state and the feature maps of the batch, or of one part of it
    (`accumulate`), which are kept for the gradients.
    """
    per_pixel = FEATURE_MAPS.get((recipe.network.embed_dim, recipe.network.depths))
    if per_pixel is None:
        return None
    states = 4 * (5 if recipe.ema else 4)  # weights, gradients, two moments, the moving average: float32
    pixels = recipe.batch / max(recipe.accumulate, 1) * recipe.patch**2
    return states * parameter_count(recipe.network) + per_pixel * pixels


def needs_line(recipe: Recipe) -> str:
    """Return what a recipe of the paper needs, and what was not published about it, in one line."""
    needed = memory(recipe)
    room = f" and about {needed / 1e9:.0f} GB of its memory" if needed is not None else ""
    return (
        f"needs: about {GPU.seconds(recipe) / 3600:,.0f} hours ({spoken(GPU.seconds(recipe))}) of {GPU.name}"
        f"{room}, computed from multiply-adds and measured throughput; {UNPUBLISHED[recipe.name]}"
    )
