"""Comparison with the original networks: four stored outputs, and more cases with a reference."""

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.golden import reference, weights
from uformer.config import UformerConfig
from uformer.layout import parameter_count, parameter_shapes
from uformer.model.uformer import Uformer
from uformer.weights.official import from_original, to_original

Array = NDArray[np.floating]

CLOSE = 1e-4

SMALL = UformerConfig(
    embed_dim=4,
    depths=(1, 2, 1, 1, 2, 1, 1, 2, 1),
    num_heads=(1, 2, 4, 8, 16, 16, 8, 4, 2),
    window_size=4,
    bottleneck_shift=False,
)
NARROW = dataclasses.replace(SMALL, num_heads=(1, 2, 4, 8, 16, 8, 4, 2, 1))


def ours(
    state: dict[str, weights.Array],
    image: weights.Array,
    *,
    train_size: int,
    shift: bool = True,
    double: bool = False,
) -> Array:
    """The output of this package's network with the authors' weights."""
    config, tensors = from_original(state, train_size=train_size, shift=shift)
    model = Uformer(config).eval()
    model.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in tensors.items()})
    dtype = torch.float64 if double else torch.float32
    with torch.no_grad():
        restored: Array = model.to(dtype)(torch.from_numpy(image).to(dtype)).numpy()
    return restored


@pytest.mark.parametrize("name", weights.CASES)
def test_as_the_original(name: str) -> None:
    state = weights.state_dict(name)
    assert np.abs(ours(state, weights.image(name), train_size=128) - weights.output(name)).max() <= CLOSE


@pytest.mark.parametrize("name", weights.CASES)
def test_there_and_back(name: str) -> None:
    state = weights.state_dict(name)
    config, tensors = from_original(state, train_size=128)
    assert parameter_count(config) == weights.CASES[name]["n"]
    back = to_original(config, tensors)
    assert {key for key in back if not key.endswith("relative_position_index")} == state.keys()
    for key, value in state.items():
        np.testing.assert_array_equal(back[key], value)


@pytest.mark.parametrize("name", weights.CASES)
def test_reference_is_the_original(name: str) -> None:
    found = reference.original(weights.state_dict(name), weights.image(name), train_size=128)
    assert np.abs(found - weights.output(name)).max() < 2e-6


@dataclasses.dataclass(frozen=True)
class Case:
    config: UformerConfig
    train_size: int = 64
    size: tuple[int, int] = (64, 64)
    batch: int = 1


FURTHER = {
    "window 4": Case(SMALL),
    "2022": Case(dataclasses.replace(SMALL, modulator=True)),
    "wider, other depths": Case(
        dataclasses.replace(SMALL, embed_dim=12, depths=(2, 1, 2, 1, 1, 1, 1, 2, 2), modulator=True)
    ),
    "other heads": Case(dataclasses.replace(SMALL, num_heads=(2, 2, 2, 2, 2, 4, 4, 4, 4))),
    "mlp": Case(dataclasses.replace(SMALL, feed_forward="mlp", modulator=True)),
    "mlp_ratio 2.5": Case(dataclasses.replace(SMALL, mlp_ratio=2.5)),
    "no qkv bias": Case(dataclasses.replace(SMALL, qkv_bias=False)),
    "no shift": Case(dataclasses.replace(SMALL, shift=False, modulator=True)),
    "cross-modulators": Case(dataclasses.replace(SMALL, cross_modulator=True)),
    "both modulators": Case(dataclasses.replace(SMALL, modulator=True, cross_modulator=True)),
    "six channels in": Case(dataclasses.replace(SMALL, in_channels=6, modulator=True)),
    "six channels in and out": Case(dataclasses.replace(SMALL, in_channels=6, out_channels=6)),
    "one channel": Case(dataclasses.replace(SMALL, in_channels=1, out_channels=1)),
    "trained larger": Case(dataclasses.replace(SMALL, bottleneck_shift=True), train_size=128),
    "trained larger, at that size": Case(
        dataclasses.replace(SMALL, bottleneck_shift=True), train_size=128, size=(128, 128)
    ),
    "trained smaller": Case(SMALL, size=(128, 128)),
    "trained at 256": Case(
        dataclasses.replace(
            SMALL,
            embed_dim=4,
            depths=(1, 1, 1, 1, 2, 1, 1, 1, 1),
            num_heads=(1,) * 9,
            window_size=8,
            modulator=True,
            bottleneck_shift=True,
        ),
        train_size=256,
        size=(256, 256),
    ),
    "batch": Case(dataclasses.replace(SMALL, modulator=True), batch=2),
    "not square": Case(dataclasses.replace(SMALL, modulator=True), size=(64, 128)),
    "cross": Case(dataclasses.replace(NARROW, skip="cross"), batch=2),
    "cross, mlp": Case(dataclasses.replace(NARROW, skip="cross", feed_forward="mlp", qkv_bias=False)),
    "concat_cross": Case(
        dataclasses.replace(NARROW, skip="concat_cross", interleaved_keys=True), size=(64, 128)
    ),
    "concat_cross, no shift": Case(
        dataclasses.replace(NARROW, skip="concat_cross", interleaved_keys=True, shift=False)
    ),
}


@pytest.mark.parametrize("name", FURTHER)
def test_as_the_reference(name: str) -> None:
    case = FURTHER[name]
    empty = {key: np.empty(shape, np.float32) for key, shape in parameter_shapes(case.config).items()}
    shapes = {
        key: value.shape
        for key, value in to_original(case.config, empty).items()
        if not key.endswith("relative_position_index")
    }
    state = weights.draw(shapes)
    config, _ = from_original(state, train_size=case.train_size, shift=case.config.shift)
    if case.config.shift:
        assert config == case.config
    image = np.random.default_rng(7).random(
        (case.batch, case.config.in_channels, *case.size), dtype=np.float32
    )
    wanted = reference.original(state, image, train_size=case.train_size, shift=case.config.shift)
    assert np.abs(wanted).max() > 1  # outputs large enough to show a difference
    for double, close in ((False, CLOSE), (True, 1e-10)):
        found = ours(state, image, train_size=case.train_size, shift=case.config.shift, double=double)
        assert np.abs(found - wanted).max() <= close
