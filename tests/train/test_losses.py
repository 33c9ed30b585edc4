import pytest
import torch

from uformer.train.losses import charbonnier, squares


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
