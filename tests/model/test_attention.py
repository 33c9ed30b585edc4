import math
from typing import TypeVar

import pytest
import torch
from torch import Tensor

from uformer.model.attention import (
    MOST_WINDOWS,
    GlobalAttention,
    WindowAttention,
    attend_fused,
    attend_plainly,
    fuses,
)
from uformer.model.windows import Windows
from uformer.structure import BlockPlan

Module = TypeVar("Module", bound=torch.nn.Module)


def randomised(module: Module) -> Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return module


def plan(dim: int, num_heads: int, *, interleaved_keys: bool = False, qkv_bias: bool = True) -> BlockPlan:
    return BlockPlan(
        name="block",
        dim=dim,
        num_heads=num_heads,
        window_size=2,
        interleaved_keys=interleaved_keys,
        qkv_bias=qkv_bias,
        hidden=dim,
    )


def by_hand(
    attention: WindowAttention, windows: Tensor, memory: Tensor | None, mask: Tensor | None
) -> Tensor:
    """A reference that loops over windows, heads and tokens."""
    batch, count, tokens, channels = windows.shape
    heads, side = attention.num_heads, math.isqrt(tokens)
    out = torch.zeros_like(windows)
    for b in range(batch):
        for n in range(count):
            q = attention.to_q(windows[b, n])
            if attention.memory_to_kv is not None and memory is not None:
                kv = torch.cat([attention.to_kv(windows[b, n]), attention.memory_to_kv(memory[b, n])])
            else:
                kv = attention.to_kv((windows if memory is None else memory)[b, n])
            k, v = kv[:, :channels], kv[:, channels:]
            for head in range(heads):
                part = slice(head * channels // heads, (head + 1) * channels // heads)
                for i in range(tokens):
                    scores = []
                    for key in range(len(k)):
                        j = key % tokens
                        if attention.interleaved_keys:
                            j = key // 2
                        offset = (i // side - j // side + side - 1, i % side - j % side + side - 1)
                        score = q[i, part] @ k[key, part] / math.sqrt(channels // heads)
                        score = (
                            score
                            + attention.relative_position_bias_table[
                                offset[0] * (2 * side - 1) + offset[1], head
                            ]
                        )
                        scores.append(score if mask is None else score + mask[n, i, j])
                    out[b, n, i, part] = torch.stack(scores).softmax(0) @ v[:, part]
    return attention.proj(out)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", ["self", "cross", "joint", "interleaved"])
def test_window_attention_is_its_definition(kind: str, masked: bool) -> None:
    torch.manual_seed(0)
    joint = kind in ("joint", "interleaved")
    attention = WindowAttention(plan(6, 2, interleaved_keys=kind == "interleaved"), joint=joint)
    randomised(attention).double()
    windows = torch.randn(2, 4, 4, 6, dtype=torch.float64)
    memory = None if kind == "self" else torch.randn_like(windows)
    mask = Windows(torch.empty(1, 4, 4, 6, dtype=torch.float64), side=2, shift=1).mask if masked else None
    with torch.no_grad():
        found, wanted = attention(windows, memory, mask), by_hand(attention, windows, memory, mask)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_interleaved_keys_matter() -> None:
    torch.manual_seed(0)
    plain = randomised(WindowAttention(plan(4, 1), joint=True))
    theirs = WindowAttention(plan(4, 1, interleaved_keys=True), joint=True)
    theirs.load_state_dict(plain.state_dict())
    windows, memory = torch.randn(2, 1, 1, 4, 4)
    assert not torch.allclose(plain(windows, memory), theirs(windows, memory))


@pytest.mark.parametrize("joint", [False, True])
def test_no_qkv_bias(joint: bool) -> None:
    names = {name for name, _ in WindowAttention(plan(4, 1, qkv_bias=False), joint=joint).named_parameters()}
    assert {name for name in names if name.endswith("bias")} == {"proj.bias"}


def test_tokens_of_one_window_do_not_see_another() -> None:
    torch.manual_seed(0)
    attention = randomised(WindowAttention(plan(4, 2)))
    windows = torch.randn(1, 3, 4, 4)
    changed = windows.clone()
    changed[:, 1] += 1
    before, after = attention(windows), attention(changed)
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.allclose(before[:, 1], after[:, 1])


def test_global_attention_is_its_definition() -> None:
    torch.manual_seed(0)
    attention = randomised(GlobalAttention(plan(6, 2))).double()
    tokens, memory = torch.randn(2, 3, 2, 6, dtype=torch.float64), torch.randn(5, 6, dtype=torch.float64)
    found = attention(tokens, memory)
    k, v = attention.to_kv(memory).chunk(2, dim=-1)
    q = attention.to_q(tokens)
    heads = [
        (q[..., part] @ k[:, part].T / math.sqrt(3)).softmax(-1) @ v[:, part]
        for part in (slice(0, 3), slice(3, 6))
    ]
    torch.testing.assert_close(found, attention.proj(torch.cat(heads, dim=-1)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("most", [MOST_WINDOWS, 5])
@pytest.mark.parametrize("masked", [False, True])
def test_the_fused_kernel_computes_the_same(
    monkeypatch: pytest.MonkeyPatch, most: int, *, masked: bool
) -> None:
    """In one call, or in several where there are more windows than a kernel takes."""
    monkeypatch.setattr("uformer.model.attention.MOST_WINDOWS", most)
    torch.manual_seed(0)
    b, n, heads, tokens, keys, d = 2, 3, 2, 4, 8, 5
    q = torch.randn(b * n, heads, tokens, d)
    k, v = torch.randn(2, b * n, heads, keys, d)
    bias = torch.randn(*(n, heads) if masked else (heads,), tokens, keys)
    plain, fused = (attend(q, k, v, bias, (b, n)) for attend in (attend_plainly, attend_fused))
    torch.testing.assert_close(fused, plain)


def test_only_inference_on_a_gpu_uses_the_fused_kernel() -> None:
    with torch.inference_mode():
        assert [fuses(device) for device in ("cpu", "meta", "cuda", "mps", "xpu")] == [False] * 2 + [True] * 3
    assert not fuses("cuda")
