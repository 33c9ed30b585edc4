import math

import pytest

from uformer.config import variant
from uformer.errors import OptionError
from uformer.train.recipes import RECIPES, find


@pytest.mark.parametrize(
    ("name", "patch"),
    [("sidd_denoise", 128), ("gopro_deblur", 256), ("dpdd_defocus", 256), ("spad_derain", 128)],
)
def test_the_paper_s(name: str, patch: int) -> None:
    recipe = find(name)
    assert (recipe.optimizer, recipe.betas, recipe.weight_decay, recipe.lr, recipe.lr_min) == (
        "adamw",
        (0.9, 0.999),
        0.02,
        2e-4,
        1e-6,
    )
    assert (recipe.charbonnier_eps, recipe.augment, recipe.patch, recipe.degradation) == (
        1e-3,
        True,
        patch,
        "none",
    )
    assert (recipe.ema, recipe.clip, recipe.drawn, recipe.gray) == (0, 0, 0, 0)
    epochs = {128: 250, 256: 3000}[patch]
    assert recipe.steps == epochs * math.ceil({128: 96_000, 256: 2103}[patch] / recipe.batch)
    assert recipe.warmup == 3 * recipe.steps / epochs
    assert recipe.network.depths == variant("uformer_b").depths
    assert recipe.network.bottleneck_shift == (patch == 256)


@pytest.mark.parametrize(
    ("name", "degradation"), [("denoise", "noise"), ("derain", "rain"), ("deblur", "blur"), ("pairs", "none")]
)
def test_ours(name: str, degradation: str) -> None:
    recipe = find(name)
    assert recipe.degradation == degradation
    assert (recipe.optimizer, recipe.network.drop_path_rate) == ("muon", 0)
    assert recipe.ema > 0.9
    assert recipe.network.embed_dim == variant("uformer_t").embed_dim


@pytest.mark.parametrize("name", ["noise2noise", "noise2void", "neighbor2neighbor"])
def test_those_without_clean_images_minimise_squares_and_fine_tune(name: str) -> None:
    recipe = find(name)
    assert recipe.supervision == name
    assert (recipe.degradation, recipe.loss, recipe.start) == ("none", "squares", "uformer_t.denoise")
    assert recipe.network == find("pairs").network


@pytest.mark.parametrize("name", RECIPES)
def test_each_is_called_by_its_name_and_says_what_it_is_in_a_line(name: str) -> None:
    assert find(name).name == name
    summary = (RECIPES[name].__doc__ or "").partition("\n")[0]
    assert 10 < len(summary) < 80


def test_an_unknown_one_lists_the_known() -> None:
    with pytest.raises(OptionError, match="unknown recipe 'sharpen'; choose one of pairs, denoise"):
        find("sharpen")
