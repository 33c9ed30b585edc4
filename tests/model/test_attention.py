import math
from typing import TypeVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from uformer.model.attention import (
    MASKED,
    GlobalAttention,
    WindowAttention,
    merge_windows,
    partition_windows,
    relative_position_index,
    window_mask,
)

sides = st.integers(1, 5)
counts = st.integers(1, 3)


Module = TypeVar("Module", bound=torch.nn.Module)


def randomised(module: Module) -> Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return module


@given(sides, counts, counts, counts)
def test_merge_undoes_partition(side: int, down: int, across: int, batch: int) -> None:
    tokens = torch.randn(batch, down * side, across * side, 3)
    windows = partition_windows(tokens, side)
    assert windows.shape == (batch, down * across, side * side, 3)
    assert torch.equal(merge_windows(windows, side, down * side, across * side), tokens)


@given(sides, counts, counts)
def test_partition_takes_windows_row_by_row(side: int, down: int, across: int) -> None:
    tokens = torch.randn(1, down * side, across * side, 2)
    windows = partition_windows(tokens, side)
    for row in range(down):
        for column in range(across):
            window = tokens[0, row * side : (row + 1) * side, column * side : (column + 1) * side].reshape(side * side, 2)
            assert torch.equal(windows[0, row * across + column], window)


@given(st.integers(2, 4), st.integers(1, 10), st.integers(1, 10), st.data())
def test_mask_hides_what_only_the_shift_or_filling_up_brought_together(side: int, height: int, width: int, data: st.DataObject) -> None:
    shift = data.draw(st.integers(0, side - 1))
    down, across = -(-height // side), -(-width // side)
    places = torch.stack(torch.meshgrid(torch.arange(down * side), torch.arange(across * side), indexing="ij"), dim=-1)[None]
    shifted = partition_windows(torch.roll(places, (-shift, -shift), (1, 2)), side)[0]  # where each token of a window came from
    mask = window_mask(height, width, side, shift, device=torch.device("cpu"), dtype=torch.float32)
    assert mask.shape == (down * across, side**2, side**2)
    for window, found in zip(shifted.tolist(), mask.tolist(), strict=True):
        for i, (y, x) in enumerate(window):
            for j, (v, u) in enumerate(window):
                if y < height and x < width:  # what a token that fills up sees is of no use to anyone
                    neighbours = (y - v, x - u) == (i // side - j // side, i % side - j % side) and v < height and u < width
                    assert found[i][j] == (0 if neighbours else MASKED)


def test_mask_is_nothing_beside_a_score() -> None:
    assert math.exp(MASKED) < torch.finfo(torch.float32).tiny * 1e-4
    assert torch.tensor(2 * MASKED, dtype=torch.float16).isfinite()


@given(st.integers(1, 9))
def test_relative_position_index(side: int) -> None:
    index = relative_position_index(side).tolist()
    rows: dict[tuple[int, int], int] = {}
    for i in range(side**2):
        for j in range(side**2):
            offset = (i // side - j // side, i % side - j % side)
            assert index[i][j] == (offset[0] + side - 1) * (2 * side - 1) + offset[1] + side - 1
            assert rows.setdefault(offset, index[i][j]) == index[i][j]
    assert sorted(rows.values()) == list(range((2 * side - 1) ** 2))


def by_hand(attention: WindowAttention, windows: Tensor, memory: Tensor | None, mask: Tensor | None) -> Tensor:
    """One window, one head, one token after the other."""
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
                        score = score + attention.relative_position_bias_table[offset[0] * (2 * side - 1) + offset[1], head]
                        scores.append(score if mask is None else score + mask[n, i, j])
                    out[b, n, i, part] = torch.stack(scores).softmax(0) @ v[:, part]
    return attention.proj(out)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", ["self", "cross", "joint", "interleaved"])
def test_window_attention_is_its_definition(kind: str, masked: bool) -> None:
    torch.manual_seed(0)
    joint = kind in ("joint", "interleaved")
    attention = WindowAttention(6, num_heads=2, window_size=2, joint=joint, interleaved_keys=kind == "interleaved")
    randomised(attention).double()
    windows = torch.randn(2, 4, 4, 6, dtype=torch.float64)
    memory = None if kind == "self" else torch.randn_like(windows)
    mask = window_mask(4, 4, 2, 1, device=windows.device, dtype=windows.dtype) if masked else None
    with torch.no_grad():
        found, wanted = attention(windows, memory, mask), by_hand(attention, windows, memory, mask)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_interleaved_keys_matter() -> None:
    torch.manual_seed(0)
    plain = randomised(WindowAttention(4, num_heads=1, window_size=2, joint=True))
    theirs = WindowAttention(4, num_heads=1, window_size=2, joint=True, interleaved_keys=True)
    theirs.load_state_dict(plain.state_dict())
    windows, memory = torch.randn(2, 1, 1, 4, 4)
    assert not torch.allclose(plain(windows, memory), theirs(windows, memory))


@pytest.mark.parametrize("joint", [False, True])
def test_no_qkv_bias(joint: bool) -> None:
    names = {name for name, _ in WindowAttention(4, num_heads=1, window_size=2, qkv_bias=False, joint=joint).named_parameters()}
    assert {name for name in names if name.endswith("bias")} == {"proj.bias"}


def test_tokens_of_one_window_do_not_see_another() -> None:
    torch.manual_seed(0)
    attention = randomised(WindowAttention(4, num_heads=2, window_size=2))
    windows = torch.randn(1, 3, 4, 4)
    changed = windows.clone()
    changed[:, 1] += 1
    before, after = attention(windows), attention(changed)
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.allclose(before[:, 1], after[:, 1])


def test_global_attention_is_its_definition() -> None:
    torch.manual_seed(0)
    attention = randomised(GlobalAttention(6, num_heads=2)).double()
    tokens, memory = torch.randn(2, 3, 2, 6, dtype=torch.float64), torch.randn(5, 6, dtype=torch.float64)
    found = attention(tokens, memory)
    k, v = attention.to_kv(memory).chunk(2, dim=-1)
    q = attention.to_q(tokens)
    heads = [(q[..., part] @ k[:, part].T / math.sqrt(3)).softmax(-1) @ v[:, part] for part in (slice(0, 3), slice(3, 6))]
    torch.testing.assert_close(found, attention.proj(torch.cat(heads, dim=-1)), rtol=1e-12, atol=1e-12)
