import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.pictures import make_pairs, save
from tests.data.stand_in import Halve, Identity
from tests.networks import TINY, build
from tests.train.runs import tiny
from uformer.data.captions import HEIGHT
from uformer.data.pairs import find, find_clean
from uformer.data.pictures import load
from uformer.metrics import psnr
from uformer.train.processes import Processes
from uformer.train.recipes import find as find_recipe
from uformer.train.setup import HeldOut
from uformer.train.validate import MOST, baseline_scores, input_score, mean_score, restore, sample, score


@pytest.fixture
def held(tmp_path: Path) -> HeldOut:
    return HeldOut(
        load(find(make_pairs(tmp_path)), smallest=1, memory=10**9)[0], None, tiny("validation_side=32")
    )


def test_scores_are_sums_over_pictures(held: HeldOut) -> None:
    pairs = list(held.pairs(range(3)))
    assert pairs[0][0].shape == (32, 32, 3)
    assert input_score(held, range(3)) == pytest.approx(
        sum(psnr(degraded, clean) for degraded, clean in pairs)
    )
    model = build(TINY)
    whole = score(model, held, range(3))
    assert whole == pytest.approx(score(model, held, [0]) + score(model, held, [1, 2]))
    assert mean_score(model, held, Processes()) == pytest.approx(whole / 3)
    assert whole == pytest.approx(sum(psnr(restore(model, degraded), clean) for degraded, clean in pairs))


def test_restoring_is_the_network_clipped() -> None:
    model = build(TINY)
    picture = np.random.default_rng(0).random((9, 7, 3), np.float32)
    with torch.inference_mode():
        expected = model(torch.from_numpy(picture.transpose(2, 0, 1))[None])[0].clamp(0, 1)
    assert np.allclose(restore(model, picture), expected.permute(1, 2, 0).numpy(), atol=1e-6)


def test_a_sample_is_rows_of_degraded_restored_clean(held: HeldOut) -> None:
    image = sample(build(TINY), held)
    assert image.pixels.shape == (3 * (HEIGHT + 32) + 2 * 4, 3 * 150 + 2 * 4, 3)
    degraded, clean = next(held.pairs([0]))
    assert np.allclose(image.pixels[HEIGHT : HEIGHT + 32, :32], degraded)
    assert np.allclose(image.pixels[HEIGHT : HEIGHT + 32, 308:340], clean)


def test_clean_pictures_are_degraded_the_same_way_each_time(tmp_path: Path) -> None:
    pictures = load(find_clean(make_pairs(tmp_path) / "clean"), smallest=1, memory=10**9)[0]
    held = HeldOut(pictures, Halve(), tiny())
    assert input_score(held, range(3)) == input_score(held, range(3))


def test_a_picture_that_is_not_degraded_leaves_the_mean_finite(tmp_path: Path) -> None:
    pictures = load(find_clean(make_pairs(tmp_path) / "clean"), smallest=1, memory=10**9)[0]
    assert input_score(HeldOut(pictures, Identity(), tiny()), range(3)) == 180


def test_sixteen_bits_are_scored_at_full_depth(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).integers(0, 65536, (32, 32, 3), np.uint16)
    for name in ("degraded", "clean"):
        save(tmp_path / name / "0.png", counts)
    pictures = load(find(tmp_path), smallest=1, memory=10**9)[0]
    assert input_score(HeldOut(pictures, None, tiny("validation_side=32")), [0]) == MOST[16]


def test_without_clean_images_the_input_is_scored_where_that_is_fair(tmp_path: Path) -> None:
    pictures = load(find(make_pairs(tmp_path)), smallest=1, memory=10**9)[0]
    for name, fair in (("noise2noise", True), ("noise2void", False), ("neighbor2neighbor", False)):
        recipe = dataclasses.replace(find_recipe(name), validation_side=32)
        held = HeldOut(pictures, None, recipe, truth=False)
        assert ("input_held_out_loss" in baseline_scores(held, None, Processes())) == fair
