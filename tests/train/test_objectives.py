"""The losses without clean images, and that each of their recipes learns from noisy images."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.pictures import noisy, photo, save
from tests.networks import KINDS, build
from tests.train.runs import as_options, tiny
from uformer.cli import main
from uformer.data.targets import neighbor2neighbor, noise2void
from uformer.train.folder import RunFolder
from uformer.train.losses import charbonnier, squares
from uformer.train.objectives import neighbor_loss, objective, sub_image
from uformer.train.recipe import override
from uformer.train.recipes import find


def batch(*patches: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(patches).transpose(0, 3, 1, 2).copy())


def test_each_recipe_minimises_its_loss() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((16, 16, 3), np.float32)
    model = build(KINDS["2022"])
    for name in ("noise2noise", "noise2void"):
        seen, target = noise2void(image, image, rng)
        one, other = batch(seen), batch(target)
        assert objective(model, one, other, find(name), done=0.5) == squares(model(one), other)
    seen, picks = neighbor2neighbor(image, image, rng)
    found = objective(model, batch(seen), batch(picks), find("neighbor2neighbor"), done=0.5)
    assert found == neighbor_loss(model, batch(seen), batch(picks).long(), gamma=1.0)
    one = batch(image)
    assert objective(model, one, one / 2, tiny(), done=0.5) == charbonnier(model(one), one / 2)


@pytest.mark.parametrize("kind", ["2022", "cross-modulator", "cross", "concat_cross", "mlp"])
def test_a_prediction_does_not_depend_on_the_noisy_value_it_is_compared_with(kind: str) -> None:
    """Not through modulators, LeFF, skips or the added input: the gradient of the prediction is zero."""
    rng = np.random.default_rng(0)
    image = rng.random((16, 16, 3), np.float32)
    model = build(KINDS[kind])
    noisy_image = batch(image).requires_grad_()
    _, target = noise2void(image, image, np.random.default_rng(3))
    blind = ~batch(target).isnan()
    seen = batch(noise2void(image, image, np.random.default_rng(3))[0])
    # What the input takes over from the noisy image as it is; the medians are tested with the targets.
    restored = model(torch.where(blind, seen, noisy_image))
    restored[blind].sum().backward()
    assert noisy_image.grad is not None
    assert torch.all(noisy_image.grad[blind] == 0)
    assert torch.any(noisy_image.grad[~blind] != 0)


def test_sub_images_are_the_picked_pixels() -> None:
    rng = np.random.default_rng(0)
    image, picks = neighbor2neighbor(rng.random((6, 8, 3), np.float32), np.empty(0, np.float32), rng)
    first, second = (sub_image(batch(image), batch(picks).long()[:, k])[0] for k in (0, 1))
    for row, column in np.ndindex(3, 4):
        for found, pick in ((first, picks[row, column, 0]), (second, picks[row, column, 1])):
            down, right = divmod(int(pick), 2)
            assert np.array_equal(found[:, row, column], image[2 * row + down, 2 * column + right])
    assert torch.all(first != second)


def test_the_regularisation_term_is_the_paper_s() -> None:
    rng = np.random.default_rng(0)
    image, picks = neighbor2neighbor(rng.random((16, 16, 3), np.float32), np.empty(0, np.float32), rng)
    y, picked = batch(image), batch(picks).long()

    def f(x: torch.Tensor) -> torch.Tensor:
        return weight * x**2

    def g(k: int, x: torch.Tensor) -> torch.Tensor:
        return sub_image(x, picked[:, k])

    weight = torch.tensor(0.8, requires_grad=True)
    loss = neighbor_loss(f, y, picked, gamma=3.0)
    difference = f(g(0, y)) - g(1, y)
    whole = (0.8 * y**2).detach()
    expected = (difference**2).mean() + 3 * ((difference - (g(0, whole) - g(1, whole))) ** 2).mean()
    assert loss.item() == pytest.approx(expected.item())
    found, wanted = (torch.autograd.grad(value, weight)[0].item() for value in (loss, expected))
    assert found == pytest.approx(wanted)
    assert neighbor_loss(f, y, picked, gamma=0.0).item() == pytest.approx((difference**2).mean().item())


def make_noisy(folder: Path, count: int, *, first: int = 0, sigma: float = 25) -> Path:
    """Write gray images: one take, another take, and the clean image, into three folders."""
    for index in range(first, first + count):
        clean = photo(96, 96, seed=index)[..., :1]
        save(folder / "clean" / f"{index}.png", clean)
        save(folder / "one" / f"{index}.png", noisy(clean, seed=2 * index, sigma=sigma))
        save(folder / "other" / f"{index}.png", noisy(clean, seed=2 * index + 1, sigma=sigma))
    return folder


SMALL = (
    *("network.embed_dim=8", "network.depths=1,1,1", "network.num_heads=1,1,1", "network.window_size=4"),
    *("patch=32", "batch=4", "lr=0.005", "warmup=10", "ema=0.9", "validation_side=96", "workers=0"),
)


def train(name: str, data: Path, out: Path, *options: str) -> int:
    folders = (
        ["--degraded", f"{data}/one", "--clean", f"{data}/other"]
        if name == "noise2noise"
        else ["--data", f"{data}/one"]
    )
    return main(["train", name, *folders, "--out", str(out), "--device", "cpu", *as_options(SMALL), *options])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "steps"), [("noise2noise", 80), ("noise2void", 250), ("neighbor2neighbor", 80)]
)
def test_it_learns_to_beat_its_noisy_input_by_4_db(name: str, steps: int, tmp_path: Path) -> None:
    data, apart = make_noisy(tmp_path / "set", 12), make_noisy(tmp_path / "apart", 3, first=100)
    (apart / "one").rename(apart / "degraded")
    options = ["--validation", str(apart), *as_options([f"steps={steps}", f"validate_every={steps}"])]
    assert train(name, data, tmp_path / "run", *options) == 0
    (psnr,) = [line["psnr"] for line in RunFolder(tmp_path / "run").read_log() if "psnr" in line]
    assert psnr > 20.2 + 4  # noise of sigma 25 is at 20.2 dB


@pytest.mark.parametrize("name", ["noise2noise", "noise2void", "neighbor2neighbor"])
def test_a_run_without_clean_images_is_scored_by_its_loss_and_restores(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_noisy(tmp_path / "set", 4)
    options = as_options(["steps=2", "validate_every=1", "log_every=1", "patch=16", "validation_side=31"])
    assert train(name, data, tmp_path / "run", *options) == 0
    told = capsys.readouterr().err
    kind = "noisy pairs" if name == "noise2noise" else "noisy images"
    assert f"images: 3 {kind} to learn from (0.0 megapixels), 1 held out\n" in told
    assert "step 2/2  held-out loss 0.0" in told
    run = RunFolder(tmp_path / "run")
    scores = [line["held_out_loss"] for line in run.read_log() if "held_out_loss" in line]
    assert len(scores) == 2
    photo_file = next((data / "one").iterdir())
    restored = tmp_path / "restored.png"
    words = ["restore", str(photo_file), "--weights", str(run.best), "-o", str(restored)]
    assert main([*words, "--backend", "torch"]) == 0
    assert restored.exists()


def test_it_scores_with_clean_partners_if_there_are_any(tmp_path: Path) -> None:
    data = make_noisy(tmp_path / "set", 4)
    (data / "one").rename(data / "degraded")
    words = ["train", "noise2void", "--data", str(data), "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main([*words, *as_options((*SMALL, "steps=1"))]) == 0
    assert any("psnr" in line for line in RunFolder(tmp_path / "run").read_log())


def test_settings_that_contradict_are_refused() -> None:
    for name, setting, said in (
        ("noise2void", "degradation=noise", "must be none"),
        ("noise2noise", "drawn=0.1", "must be 0"),
        ("neighbor2neighbor", "mirrored=0.1", "must be 0, because a mirrored pixel"),
        ("noise2void", "loss=decibels", "must be squares, which leaves out"),
    ):
        with pytest.raises(Exception, match=said):
            override(find(name), [setting])
