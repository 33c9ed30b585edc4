"""The recipes, functions that return the complete configuration of a run: the paper's, and our own.

The paper (Wang et al., CVPR 2022, section 4.1) uses AdamW with betas 0.9 and 0.999 and weight decay 0.02, a
learning rate that falls along a cosine from 2e-4 to 1e-6, the Charbonnier loss with eps 1e-3, flips and
rotations. The sizes of patches, batches and epochs and the warm-up of three epochs come from the training
scripts in the authors' repository (July 2022), which has scripts for SIDD and GoPro only.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping

from uformer.config import UformerConfig, variant
from uformer.errors import OptionError
from uformer.train.recipe import Recipe, Supervision

_UFORMER_B = variant("uformer_b")


def sidd_denoise() -> Recipe:
    """The paper's denoising recipe, for pairs of SIDD Medium (uformer_b).

    The authors cut 96,000 squares from the 320 pairs; 250 epochs of them are 750,000 steps of 32. As in their
    network for patches of 128, the windows of the bottleneck are not shifted. From the sixth epoch on, their
    script mixes pairs with each other (MixUp). The paper does not mention MixUp, and this recipe omits it.
    """
    network = dataclasses.replace(_UFORMER_B, bottleneck_shift=False)
    return Recipe(name="sidd_denoise", network=network, patch=128, batch=32, steps=750_000, warmup=9_000)


def gopro_deblur() -> Recipe:
    """The paper's motion deblurring recipe, for pairs of GoPro (uformer_b).

    3000 epochs of 2103 pairs, each 263 batches of 8, the batch size of the authors' script (for two GPUs).
    """
    return Recipe(name="gopro_deblur", network=_UFORMER_B, patch=256, batch=8, steps=789_000, warmup=789)


def dpdd_defocus() -> Recipe:
    """The paper's defocus deblurring recipe, for pairs of DPDD (uformer_b).

    The sizes of patches, batches and epochs were not published; those of gopro_deblur take their place.
    """
    return dataclasses.replace(gopro_deblur(), name="dpdd_defocus")


def spad_derain() -> Recipe:
    """The paper's deraining recipe, for pairs of SPAD (uformer_b).

    The sizes of patches, batches and epochs were not published; those of sidd_denoise take their place.
    """
    return dataclasses.replace(sidd_denoise(), name="spad_derain")


def _ours(name: str, **changes: object) -> Recipe:
    """Return our base recipe, with changes.

    Muon for the matrices learns more per step. The moving average restores better than the last weights. Drop
    path is off because a short run underfits anyway. Mirrored borders match the padding of `uformer restore`.
    """
    recipe = Recipe(
        name=name,
        network=dataclasses.replace(variant("uformer_t"), bottleneck_shift=False, drop_path_rate=0.0),
        patch=128,
        batch=32,
        steps=100_000,
        optimizer="muon",
        lr=1e-3,
        warmup=200,
        betas=(0.9, 0.99),
        weight_decay=0.0,
        ema=0.999,
        clip=1.0,
        mirrored=0.15,
    )
    return dataclasses.replace(recipe, **changes)  # type: ignore[arg-type]


def pairs() -> Recipe:
    """Train on your own pairs, whatever their degradation (uformer_t)."""
    return _ours("pairs")


EVENING: Mapping[str, str] = types.MappingProxyType(
    {
        "pairs": "uformer_t.denoise",
        "denoise": "uformer_t.denoise",
        "derain": "uformer_t.derain",
        "deblur": "uformer_t.deblur",
    }
)
"""The recipes that `evening` shortens, and the weights that they then start from."""


def evening(recipe: Recipe, *, bf16: bool) -> Recipe:
    """Return one of our recipes for an evening on a CPU: three hours, fine-tuning with small batches.

    All steps would take a CPU weeks. Patches have 128 pixels a side, because uformer_t pads smaller ones.
    """
    return dataclasses.replace(
        recipe,
        start=EVENING[recipe.name],
        minutes=180,
        patch=128,
        batch=8,
        lr=5e-4,
        warmup=50,
        ema=0.99,
        precision="bf16" if bf16 else "auto",
    )


def denoise() -> Recipe:
    """Train denoising on clean images (uformer_t).

    Some patches are smooth drawings, half of them left clean, and some patches are gray, so that the network
    learns to preserve both.
    """
    return _ours("denoise", degradation="noise", drawn=0.06, gray=0.06)


def derain() -> Recipe:
    """Train deraining on clean images (uformer_t).

    Bars, fences and cables are drawn over some patches, and some patches stay dry, so that the network does
    not mistake such structures for rain.
    """
    return _ours("derain", degradation="rain", drawn=0.03, structured=0.2, dry=0.08, gray=0.03)


def deblur() -> Recipe:
    """Train deblurring (shake, motion, defocus) on clean images (uformer_t).

    Patches have 256 pixels a side, so that long strokes of blur fit in. Bars, fences and cables are drawn
    over some patches, so that the network learns not to ring at their edges.
    """
    network = dataclasses.replace(variant("uformer_t"), drop_path_rate=0.0)
    return _ours(
        "deblur",
        degradation="blur",
        network=network,
        drawn=0.03,
        structured=0.08,
        gray=0.03,
        patch=256,
        batch=8,
    )


def _from_noisy_images(name: Supervision, **changes: object) -> Recipe:
    """Return our recipe for learning without clean images, with changes.

    It is short, because it fine-tunes: photographs start from the denoiser that ships with the package. The
    papers minimise squares. A smaller loss for large differences would learn the median of the noise, which
    is not its mean in dark images. The batch is small to leave more steps in the time that a CPU has.
    """
    common = {"steps": 2_000, "batch": 8, "lr": 5e-4, "warmup": 100, "ema": 0.99, "validate_every": 200}
    return _ours(
        name, supervision=name, loss="squares", start="uformer_t.denoise", save_every=200, **common, **changes
    )


def noise2noise() -> Recipe:
    """Train denoising on pairs of two noisy takes of the same scene (uformer_t).

    Noise2Noise (Lehtinen et al., ICML 2018, section 2, equation 6); see `uformer.data.targets.noise2noise`.
    """
    return _from_noisy_images("noise2noise")


def noise2void() -> Recipe:
    """Train denoising on single noisy images, with blind spots (uformer_t).

    Noise2Void (Krull et al., CVPR 2019, section 3.4) with the median of N2V2 (Hoeck et al., ECCV workshops
    2022); see `uformer.data.targets.noise2void`. The noise of a pixel must not depend on its neighbours'.
    """
    return _from_noisy_images("noise2void")


def neighbor2neighbor() -> Recipe:
    """Train denoising on single noisy images, with neighbours as targets (uformer_t).

    Neighbor2Neighbor (Huang et al., CVPR 2021, sections 4.1 and 4.2); see
    `uformer.data.targets.neighbor2neighbor` and `uformer.train.objectives.neighbor_loss`. The noise of a
    pixel must not depend on its neighbours'. A patch is the sub-image that the network sees, so the images
    must be at least twice as large.
    """
    return _from_noisy_images("neighbor2neighbor", mirrored=0.0)


def debug() -> Recipe:
    """Check the installation: ten steps of a tiny network on drawings."""
    network = UformerConfig(
        embed_dim=4, depths=(1, 1, 1), num_heads=(1, 1, 1), window_size=4, drop_path_rate=0.0, modulator=True
    )
    return _ours(
        "debug",
        network=network,
        degradation="noise",
        drawn=1.0,
        patch=32,
        batch=4,
        steps=10,
        warmup=2,
        log_every=5,
        validate_every=5,
        held_out=2,
        validation_side=64,
        workers=0,
    )


RECIPES: Mapping[str, Callable[[], Recipe]] = types.MappingProxyType(
    {
        make.__name__: make
        for make in (
            pairs,
            denoise,
            derain,
            deblur,
            noise2noise,
            noise2void,
            neighbor2neighbor,
            sidd_denoise,
            gopro_deblur,
            dpdd_defocus,
            spad_derain,
            debug,
        )
    }
)


def find(name: str) -> Recipe:
    """Return the recipe of that name. Raises OptionError, listing the names, for an unknown one."""
    if name not in RECIPES:
        raise OptionError(
            f"unknown recipe {name!r}; choose one of {', '.join(RECIPES)}, or give a run's config.yaml"
        )
    return RECIPES[name]()
