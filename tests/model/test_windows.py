import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uformer.model.windows import Windows
from uformer.structure import MASKED

sides = st.integers(1, 5)
lengths = st.integers(1, 12)
counts = st.integers(1, 3)


@given(sides, lengths, lengths, counts, st.data())
def test_merge_undoes_cut(side: int, height: int, width: int, batch: int, data: st.DataObject) -> None:
    tokens = torch.randn(batch, height, width, 3)
    windows = Windows(tokens, side=side, shift=data.draw(st.integers(0, side - 1)))
    down, across = -(-height // side), -(-width // side)
    assert windows.cut(tokens).shape == (batch, down * across, side * side, 3)
    assert torch.equal(windows.merge(windows.cut(tokens)), tokens)


@given(sides, counts, counts)
def test_cut_takes_windows_row_by_row(side: int, down: int, across: int) -> None:
    tokens = torch.randn(1, down * side, across * side, 2)
    cut = Windows(tokens, side=side).cut(tokens)
    for row in range(down):
        for column in range(across):
            window = tokens[0, row * side : (row + 1) * side, column * side : (column + 1) * side]
            assert torch.equal(cut[0, row * across + column], window.reshape(side * side, 2))


@given(st.integers(2, 4), st.integers(1, 10), st.integers(1, 10), st.data())
def test_mask_hides_what_shift_or_padding_brought_together(
    side: int,
    height: int,
    width: int,
    data: st.DataObject,
) -> None:
    shift = data.draw(st.integers(0, side - 1))
    down, across = -(-height // side), -(-width // side)
    windows = Windows(torch.empty(1, height, width, 1), side=side, shift=shift)
    mask = windows.mask
    if mask is None:
        assert shift == 0
        assert height % side == width % side == 0
        return
    axes = torch.arange(down * side), torch.arange(across * side)
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)[None]  # positions in the padded map
    shifted = Windows(places, side=side, shift=shift).cut(places)[
        0
    ]  # (n, N, 2): original positions of the tokens
    assert mask.shape == (down * across, side**2, side**2)
    for window, found in zip(shifted.tolist(), mask.tolist(), strict=True):
        for i, (y, x) in enumerate(window):
            if y >= height or x >= width:
                continue  # the rows of padding tokens are never used
            for j, (v, u) in enumerate(window):
                neighbours = (y - v, x - u) == (i // side - j // side, i % side - j % side)
                seen = neighbours and v < height and u < width
                assert found[i][j] == (0 if seen else MASKED)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_mask_has_the_dtype_of_the_tokens(dtype: torch.dtype) -> None:
    mask = Windows(torch.empty(1, 8, 8, 2, dtype=dtype), side=4, shift=2).mask
    assert mask is not None
    assert mask.dtype == dtype


def test_masked_is_nothing_beside_a_score() -> None:
    assert math.exp(MASKED) < torch.finfo(torch.float32).tiny * 1e-4
    assert torch.tensor(2 * MASKED, dtype=torch.float16).isfinite()
