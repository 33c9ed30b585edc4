import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from uformer.model.padding import reflect_to_multiple


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 16))
def test_reflects_as_numpy_does(height: int, width: int, multiple: int) -> None:
    image = torch.rand(2, 3, height, width)
    more = [(0, 0), (0, 0), (0, -height % multiple), (0, -width % multiple)]
    wanted = np.pad(image.numpy(), more, mode="reflect")
    assert np.array_equal(reflect_to_multiple(image, multiple).numpy(), wanted)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 16))
def test_multiples_are_not_padded(down: int, across: int, multiple: int) -> None:
    image = torch.rand(1, 3, down * multiple, across * multiple)
    assert torch.equal(reflect_to_multiple(image, multiple), image)
