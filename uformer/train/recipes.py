"""The recipes: functions that return a complete configuration of a run. The paper's, as published, and ours.

The paper (Wang et al., CVPR 2022, section 4.1): AdamW with betas 0.9 and 0.999 and weight decay 0.02, the learning rate along a cosine
from 2e-4 to 1e-6, the Charbonnier loss with eps 1e-3, flips and turns. Sizes of patches, batches and epochs, and the warm-up of three
epochs, are those of the training scripts in the authors' repository (July 2022), which has them for SIDD and GoPro only.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping

from uformer.config import UformerConfig, variant
from uformer.errors import OptionError
from uformer.train.recipe import Recipe

_UFORMER_B = variant("uformer_b")


def sidd_denoise() -> Recipe:
    """The paper's denoising, on pairs of SIDD Medium: uformer_b.

    The authors cut 96,000 squares from the 320 pairs, of which 250 epochs are 750,000 steps of 32. A network built for 128 does
    not shift the windows of its bottleneck, as theirs. Their script mixes pairs with each other (MixUp) from the sixth epoch on,
    which the paper does not have, nor this recipe.
    """
    network = dataclasses.replace(_UFORMER_B, bottleneck_shift=False)
    return Recipe(name="sidd_denoise", network=network, patch=128, batch=32, steps=750_000, warmup=9_000)


def gopro_deblur() -> Recipe:
    """The paper's motion deblurring, on pairs of GoPro: uformer_b.

    3000 epochs of 2103 pairs, 263 batches of 8 each, that of the authors' script (for two GPUs).
    """
    return Recipe(name="gopro_deblur", network=_UFORMER_B, patch=256, batch=8, steps=789_000, warmup=789)


def dpdd_defocus() -> Recipe:
    """The paper's defocus deblurring, on pairs of DPDD: uformer_b.

    Patches, batches and epochs are not published; they are gopro_deblur's here.
    """
    return dataclasses.replace(gopro_deblur(), name="dpdd_defocus")


def spad_derain() -> Recipe:
    """The paper's deraining, on pairs of SPAD: uformer_b.

    Patches, batches and epochs are not published; they are sidd_denoise's here.
    """
    return dataclasses.replace(sidd_denoise(), name="spad_derain")


def _ours(name: str, **changes: object) -> Recipe:
    """Muon for the matrices, which learns more in a step; a moving average; no drop path, as a short run underfits; borders."""
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
    """Pairs of your own, whatever was done to them: uformer_t."""
    return _ours("pairs")


def denoise() -> Recipe:
    """Denoising, from clean pictures: uformer_t.

    Some patches are smooth drawings, left clean or not, and some are gray, so that the network learns to leave both as they are.
    """
    return _ours("denoise", degradation="noise", drawn=0.06, gray=0.06)


def derain() -> Recipe:
    """Deraining, from clean pictures: uformer_t.

    Bars, fences and cables are drawn over some patches, and some patches stay dry, so that the network does not take such
    structures for rain.
    """
    return _ours("derain", degradation="rain", drawn=0.03, structured=0.2, dry=0.08, gray=0.03)


def deblur() -> Recipe:
    """Deblurring (camera shake, motion, defocus), from clean pictures: uformer_t.

    Patches of 256, so that long strokes fit in. Bars, fences and cables are drawn over some patches: edges that must not ring.
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


def debug() -> Recipe:
    """To see that all works: a tiny network, ten steps on drawings."""
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
            sidd_denoise,
            gopro_deblur,
            dpdd_defocus,
            spad_derain,
            debug,
        )
    }
)


def find(name: str) -> Recipe:
    """A recipe by name. Raises OptionError, which lists the names, for an unknown one."""
    if name not in RECIPES:
        raise OptionError(
            f"unknown recipe {name!r}; known: {', '.join(RECIPES)}; or the path of a run's config.yaml"
        )
    return RECIPES[name]()
