from typing import Any

import pytest
import torch
import torch.nn.functional as F

from uformer.model.blocks import DropPath, LeFF, LeWinBlock, Mlp
from uformer.model.windows import Windows
from uformer.structure import BlockPlan


def windows_of(tokens: torch.Tensor, *, shift: int = 0) -> Windows:
    return Windows(tokens, side=4, shift=shift)


def block(**options: object) -> LeWinBlock:
    torch.manual_seed(0)
    values: dict[str, Any] = {"dim": 4, "num_heads": 2, "window_size": 4, "hidden": 16} | options
    made = LeWinBlock(BlockPlan(name="block", **values))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made.eval()


def test_drop_path_keeps_the_mean_and_drops_whole_samples() -> None:
    torch.manual_seed(0)
    drop = DropPath(0.3)
    x = torch.rand(20_000, 2, 3) + 1
    y = drop(x)
    dropped = (y == 0).flatten(1)
    assert torch.equal(dropped.all(1), dropped.any(1))
    assert dropped.all(1).float().mean().item() == pytest.approx(0.3, abs=0.015)
    kept = ~dropped.all(1)
    torch.testing.assert_close(y[kept], x[kept] / 0.7)
    torch.testing.assert_close(y.mean(), x.mean(), rtol=0.02, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_drop_path_keeps_the_dtype(dtype: torch.dtype) -> None:
    assert DropPath(0.5)(torch.ones(4, 2, dtype=dtype)).dtype == dtype


def test_drop_path_does_nothing_when_not_training_or_at_zero() -> None:
    x = torch.rand(64, 2)
    assert torch.equal(DropPath(0.9).eval()(x), x)
    assert torch.equal(DropPath(0.0).train()(x), x)


def test_leff_is_its_definition() -> None:
    torch.manual_seed(0)
    leff = LeFF(3, 5)
    tokens = torch.randn(2, 6, 7, 3)
    hidden = F.gelu(tokens @ leff.linear1.weight.T + leff.linear1.bias)
    around = F.pad(hidden, (0, 0, 1, 1, 1, 1))
    mixed = torch.zeros_like(hidden)
    for i in range(3):
        for j in range(3):
            mixed += around[:, i : i + 6, j : j + 7] * leff.dwconv.weight[:, 0, i, j]
    wanted = (
        F.gelu(mixed + dict(leff.named_parameters())["dwconv.bias"]) @ leff.linear2.weight.T
        + leff.linear2.bias
    )
    torch.testing.assert_close(leff(tokens), wanted, rtol=1e-5, atol=1e-6)


def test_mlp_mixes_no_tokens() -> None:
    torch.manual_seed(0)
    mlp, tokens = Mlp(3, 5), torch.randn(1, 4, 4, 3)
    torch.testing.assert_close(mlp(tokens)[:, 1:2, 2:3], mlp(tokens[:, 1:2, 2:3]))


@pytest.mark.parametrize("kind", ["leff", "mlp"])
def test_hidden_channels_are_the_plan_s(kind: str) -> None:
    parameters = dict(block(feed_forward=kind, hidden=10).named_parameters())
    assert parameters["feed_forward.linear1.weight"].shape == (10, 4)


def seen_by(
    made: LeWinBlock, size: int, at: tuple[int, int], *, memory: torch.Tensor | None = None
) -> torch.Tensor:
    """(H, W) bool: the input tokens on which the output at `at` depends."""
    tokens = torch.randn(1, size, size, 4, requires_grad=True)
    made(tokens, windows_of(tokens, shift=made.shift), memory)[0, at[0], at[1]].sum().backward()
    assert tokens.grad is not None
    return tokens.grad[0].abs().amax(-1) > 1e-9


def box(size: int, rows: slice, columns: slice) -> torch.Tensor:
    seen = torch.zeros(size, size, dtype=torch.bool)
    seen[rows, columns] = True
    return seen


def test_a_token_sees_its_window_and_no_more() -> None:
    assert torch.equal(seen_by(block(feed_forward="mlp"), 12, (5, 9)), box(12, slice(4, 8), slice(8, 12)))


def test_shifted_windows_straddle_those_before_and_stop_at_the_border() -> None:
    made = block(feed_forward="mlp", shift=2)
    assert torch.equal(seen_by(made, 12, (5, 9)), box(12, slice(2, 6), slice(6, 10)))
    assert torch.equal(seen_by(made, 12, (0, 5)), box(12, slice(0, 2), slice(2, 6)))
    assert torch.equal(seen_by(made, 12, (11, 0)), box(12, slice(10, 12), slice(0, 2)))


def test_leff_lets_neighbours_in() -> None:
    assert torch.equal(seen_by(block(), 12, (5, 7)), box(12, slice(4, 8), slice(4, 12)))


def test_every_token_sees_the_cross_modulator_alone() -> None:
    made = block(feed_forward="mlp", cross_modulator=True)
    assert torch.equal(seen_by(made, 8, (0, 0)), box(8, slice(0, 4), slice(0, 4)))
    tokens = torch.zeros(1, 4, 4, 4)
    before = made(tokens, windows_of(tokens))
    with torch.no_grad():
        dict(made.named_parameters())["cross_modulator"].add_(1)
    assert not torch.allclose(made(tokens, windows_of(tokens)), before)


def test_cross_modulator_s_norm_is_without_effect() -> None:
    made, tokens = block(cross_modulator=True), torch.randn(1, 4, 4, 4)
    before = made(tokens, windows_of(tokens))
    with torch.no_grad():
        made.norm_cross_modulator.weight.fill_(7)
        made.norm_cross_modulator.bias.fill_(7)
    assert torch.equal(made(tokens, windows_of(tokens)), before)


def test_modulator_is_added_to_every_window() -> None:
    made = block(modulator=True)
    modulator = made.modulator
    assert modulator is not None
    tokens = torch.randn(1, 4, 4, 4).repeat(1, 2, 2, 1)  # four equal windows
    windows = windows_of(tokens)
    with torch.no_grad():
        attended = made.attn(windows.cut(made.norm_attn(tokens)) + modulator)
        wanted = tokens + windows.merge(attended)
        wanted = wanted + made.feed_forward(made.norm_ff(wanted))
    torch.testing.assert_close(made(tokens, windows), wanted)


@pytest.mark.parametrize("memory", ["cross", "joint"])
def test_memory_matters_and_is_seen_through_the_same_windows(memory: str) -> None:
    made = block(memory=memory, feed_forward="mlp")
    tokens = torch.randn(1, 8, 8, 4)
    encoder = torch.randn(1, 8, 8, 4, requires_grad=True)
    made(tokens, windows_of(tokens), encoder)[0, 1, 6].sum().backward()
    assert encoder.grad is not None
    assert torch.equal(encoder.grad[0].abs().amax(-1) > 1e-9, box(8, slice(0, 4), slice(4, 8)))


def test_training_drops_branches() -> None:
    made = block(drop_path=0.999).train()
    tokens = torch.randn(8, 4, 4, 4)
    assert torch.equal(made(tokens, windows_of(tokens)), tokens)
