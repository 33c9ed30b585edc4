import pytest
import torch

from uformer.train.losses import charbonnier, decibels, squares


def test_charbonnier_is_the_papers_formula() -> None:
    restored, clean = torch.tensor([0.5, 0.2, 0.0]), torch.tensor([0.5, 0.5, 1.0])
    expected = sum((d**2 + 1e-6) ** 0.5 for d in (0.0, 0.3, 1.0)) / 3
    assert abs(charbonnier(restored, clean).item() - expected) < 1e-6


def test_it_is_smooth_where_pictures_are_equal() -> None:
    x = torch.zeros(4, requires_grad=True)
    charbonnier(x, torch.zeros(4), eps=1e-2).backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros(4))


def test_squares_leave_out_what_has_no_target() -> None:
    restored = torch.tensor([0.5, 0.2, 0.0], requires_grad=True)
    loss = squares(restored, torch.tensor([0.5, float("nan"), 0.6]))
    loss.backward()
    assert loss.item() == pytest.approx(0.36 / 2)
    assert restored.grad is not None
    assert restored.grad.tolist() == pytest.approx([0, 0, -0.6])


def test_decibels_are_the_mean_psnr_of_the_patches() -> None:
    clean = torch.zeros(2, 3, 4, 4)
    restored = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), 0.001)])
    assert decibels(restored, clean, eps=1e-9).item() == pytest.approx(-(20 + 60) / 2, abs=1e-3)


def test_decibels_weigh_patches_alike_up_to_eps() -> None:
    """The gradient with respect to a relative change of the error is the same for weak and strong noise."""
    errors = torch.tensor([0.1, 0.01, 0.0001], requires_grad=True)
    decibels(errors[:, None, None, None], torch.zeros(3, 1, 1, 1), eps=1e-3).backward()
    assert errors.grad is not None
    strong, weak, tiny = (errors.grad * errors.detach()).tolist()
    assert weak == pytest.approx(strong, rel=0.02)
    assert tiny < strong / 50
