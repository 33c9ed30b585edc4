import pytest
import torch

from uformer.train.muon import Muon, orthogonalize

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@pytest.mark.parametrize("shape", [(8, 8), (24, 6), (6, 24), (1, 5)])
def test_an_update_is_nearly_orthogonal_in_float32(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    update = orthogonalize(matrix, COEFFICIENTS, 5)
    assert update.dtype == torch.float32
    assert update.shape == shape
    values = torch.linalg.svdvals(update)
    assert values.min() > 0.5
    assert values.max() < 1.5
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    assert torch.nn.functional.cosine_similarity(update.flatten(), (left @ right).flatten(), dim=0) > 0.95


def test_it_takes_the_steps_of_torch_s_muon() -> None:
    """Updates are equal up to the rounding of torch's bfloat16."""
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(12, 20, generator=generator)
    mine, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    optimizers = [
        Muon([mine], lr=0.1, weight_decay=0.1),
        torch.optim.Muon([theirs], lr=0.1, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(3):
        gradient = torch.randn(12, 20, generator=generator)
        for parameter, optimizer in zip((mine, theirs), optimizers, strict=True):
            parameter.grad = gradient.clone()
            optimizer.step()
    moved = (theirs - start).norm()
    assert moved > 0.1
    assert (mine - theirs).norm() < 0.05 * moved
    torch.testing.assert_close(
        optimizers[0].state[mine]["momentum_buffer"], optimizers[1].state[theirs]["momentum_buffer"]
    )


def test_a_matrix_without_gradient_stays() -> None:
    matrix = torch.nn.Parameter(torch.ones(2, 2))
    Muon([matrix], lr=1.0).step()
    assert torch.equal(matrix, torch.ones(2, 2))


def test_a_closure_is_refused() -> None:
    with pytest.raises(ValueError, match="does not support a closure"):
        Muon([torch.nn.Parameter(torch.ones(2, 2))], lr=1.0).step(lambda: 0.0)
