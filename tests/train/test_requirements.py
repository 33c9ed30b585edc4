import dataclasses

import pytest

from uformer.complexity import multiply_adds
from uformer.config import variant
from uformer.train.recipes import RECIPES, find
from uformer.train.requirements import CPU, GPU, UNPUBLISHED, memory, needs_line, work


def test_time_is_arithmetic_by_measured_throughput() -> None:
    recipe = dataclasses.replace(find("denoise"), network=variant("uformer_t"), steps=1000, batch=32)
    assert work(recipe) == 3 * 32_000 * multiply_adds(recipe.network, 128, 128).total
    for machine in (CPU, GPU):
        assert machine.seconds(recipe) == pytest.approx(32_000 / machine.patches_per_s)
    assert CPU.seconds(dataclasses.replace(recipe, minutes=5)) == 300
    assert GPU.seconds(dataclasses.replace(recipe, minutes=1e6)) == pytest.approx(32_000 / GPU.patches_per_s)
    assert work(find("neighbor2neighbor")) == pytest.approx(7 / 3 * work(find("noise2void")))


def test_memory_follows_the_batch_and_its_parts() -> None:
    recipe = find("sidd_denoise")
    whole, half = memory(recipe), memory(dataclasses.replace(recipe, accumulate=2))
    assert whole is not None
    assert half is not None
    assert half < whole < 2 * half
    assert memory(find("debug")) is None


def test_each_recipe_of_the_paper_says_what_it_needs() -> None:
    of_the_paper = {
        name for name in RECIPES if find(name).network.embed_dim == variant("uformer_b").embed_dim
    }
    assert set(UNPUBLISHED) == of_the_paper
    for name in of_the_paper:
        line = needs_line(find(name))
        assert line.startswith("needs: about 1")
        assert "of one NVIDIA H200" in line
        assert "GB of its memory" in line
        assert UNPUBLISHED[name] in line
