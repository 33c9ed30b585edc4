import copy
import dataclasses
import shutil
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.export import Dim

from tests.networks import KINDS, TINY, build, configs
from uformer.config import UformerConfig
from uformer.errors import OptionError
from uformer.model.attention import WindowAttention
from uformer.model.blocks import DropPath
from uformer.model.padding import reflect_to_multiple
from uformer.model.uformer import Stage, Uformer

MODELS = {name: build(config) for name, config in KINDS.items()}
ODD_SIZES = [(1, 1), (1, 9), (13, 1), (3, 2), (8, 8), (7, 8), (17, 30)]


def picture(config: UformerConfig, height: int, width: int, *, batch: int = 1) -> Tensor:
    return torch.rand(batch, config.in_channels, height, width, generator=torch.Generator().manual_seed(1))


@settings(max_examples=40)
@given(st.sampled_from(sorted(KINDS)), st.integers(1, 40), st.integers(1, 40), st.integers(1, 3))
def test_any_size_and_batch(kind: str, height: int, width: int, batch: int) -> None:
    image = picture(KINDS[kind], height, width, batch=batch)
    with torch.inference_mode():
        restored = MODELS[kind](image)
    assert restored.shape == image.shape
    assert restored.isfinite().all()
    assert not torch.equal(restored, image)


@settings(max_examples=15)
@given(configs(), st.integers(1, 20), st.integers(1, 20))
def test_any_configuration(config: UformerConfig, height: int, width: int) -> None:
    with torch.inference_mode():
        restored = Uformer(config)(picture(config, height, width))
    assert restored.shape == (1, config.out_channels, height, width)
    assert restored.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_a_batch_do_not_see_each_other(kind: str) -> None:
    image = picture(KINDS[kind], 11, 14, batch=3)
    with torch.inference_mode():
        together = MODELS[kind](image)
        alone = torch.cat([MODELS[kind](one[None]) for one in image])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_input_is_left_as_it_was() -> None:
    image = picture(TINY, 9, 9)
    before = image.clone()
    MODELS["2022"](image)
    assert torch.equal(image, before)


# Padding


@pytest.mark.parametrize(("height", "width"), ODD_SIZES)
def test_is_the_network_on_the_padded_picture_cropped(height: int, width: int) -> None:
    image = picture(TINY, height, width)
    with torch.inference_mode():
        padded = MODELS["2022"](reflect_to_multiple(image, TINY.multiple))
        assert torch.equal(MODELS["2022"](image), padded[:, :, :height, :width])


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_that_pad_windows_are_never_seen(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, image = build(KINDS[kind]), torch.rand(1, 3, 20, 12)
    pad = torch.nn.functional.pad

    def pad_with_noise(x: Tensor, amounts: tuple[int, ...]) -> Tensor:
        return pad(x, amounts, value=3.0 if x.is_floating_point() else 0)

    with torch.inference_mode():
        expected = model(image, multiple=model.config.stride)
        monkeypatch.setattr("uformer.model.windows.pad", pad_with_noise)
        found = model(image, multiple=model.config.stride)
    assert expected.shape == image.shape
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_where_windows_fit_nothing_is_padded(kind: str) -> None:
    model, image = build(KINDS[kind]), torch.rand(2, 3, 24, 16)
    with torch.inference_mode():
        assert torch.equal(model(image, multiple=model.config.stride), model(image))


# What the configuration says


@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_residual_where_channels_are_equal(channels: int) -> None:
    model = build(dataclasses.replace(TINY, in_channels=channels, out_channels=channels))
    with torch.no_grad():
        for parameter in model.output_proj.parameters():
            parameter.zero_()
    image = picture(model.config, 10, 7)
    assert torch.equal(model(image), image)


@pytest.mark.parametrize(("channels_in", "channels_out"), [(6, 3), (1, 3), (4, 3), (3, 1)])
def test_no_residual_where_they_are_not(channels_in: int, channels_out: int) -> None:
    model = build(dataclasses.replace(TINY, in_channels=channels_in, out_channels=channels_out))
    with torch.no_grad():
        for parameter in model.output_proj.parameters():
            parameter.zero_()
    restored = model(picture(model.config, 10, 7))
    assert torch.equal(restored, torch.zeros(1, channels_out, 10, 7))


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_matters_but_the_authors_unused_norm(kind: str) -> None:
    model = copy.deepcopy(MODELS[kind])
    model(picture(model.config, 16, 16)).square().sum().backward()
    idle = {
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    assert all(".norm_cross_modulator." in name for name in idle), sorted(idle)
    assert bool(idle) == model.config.cross_modulator


@pytest.mark.parametrize("kind", ["cross", "cross first", "concat_cross"])
def test_decoder_sees_the_encoder_through_the_skip(kind: str) -> None:
    model = copy.deepcopy(MODELS[kind])
    image = picture(model.config, 16, 16)
    before = model(image)
    with torch.no_grad():
        for parameter in model.upsample.parameters():  # block the path through the bottleneck
            parameter.zero_()
    cut = model(image)
    with torch.no_grad():
        next(model.encoder.parameters()).add_(1)
    assert not torch.allclose(cut, before)
    assert not torch.allclose(model(image), cut)


@pytest.mark.parametrize(
    ("kind", "crossed"),
    [("cross", [True, True]), ("cross first", [True, False]), ("concat_cross", [False, False])],
)
def test_blocks_with_a_second_attention(kind: str, crossed: list[bool]) -> None:
    (stage,) = MODELS[kind].decoder
    assert isinstance(stage, Stage)
    assert [isinstance(block.cross_attn, WindowAttention) for block in stage.blocks] == crossed


def test_interleaved_keys_change_the_output_and_no_parameter() -> None:
    plain = build(KINDS["concat_cross"])
    theirs = Uformer(KINDS["concat_cross interleaved"]).eval()
    theirs.load_state_dict(plain.state_dict())
    image = picture(TINY, 16, 16)
    assert not torch.allclose(plain(image), theirs(image))


def test_bottleneck_shift_is_the_configuration_s() -> None:
    shifts = build(TINY)
    still = Uformer(dataclasses.replace(TINY, bottleneck_shift=False)).eval()
    still.load_state_dict(shifts.state_dict())
    image = picture(TINY, 16, 16)
    assert not torch.allclose(shifts(image), still(image))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4])
def test_drop_path_rises_to_the_bottleneck_and_falls_again(rate: float) -> None:
    config = dataclasses.replace(KINDS["two levels"], drop_path_rate=rate)
    model = Uformer(config)
    stages = [*model.encoder, model.bottleneck, *model.decoder]
    order = [module.rate for stage in stages for module in stage.modules() if isinstance(module, DropPath)]
    assert order == pytest.approx([0, rate / 2, rate, rate, rate, rate, rate / 2, 0])


# Precision


@pytest.mark.parametrize("kind", ["2022", "cross", "concat_cross", "cross-modulator"])
@pytest.mark.parametrize(("dtype", "close"), [(torch.bfloat16, 0.15), (torch.float16, 0.02)])
def test_half_precision(kind: str, dtype: torch.dtype, close: float) -> None:
    image = picture(TINY, 13, 18, batch=2)
    with torch.inference_mode():
        wanted = MODELS[kind](image)
        whole = copy.deepcopy(MODELS[kind]).to(dtype)(image.to(dtype))
        with torch.autocast("cpu", dtype):
            mixed = MODELS[kind](image)
    assert whole.dtype == dtype
    scale = wanted.abs().max()
    for restored in (whole, mixed):
        assert restored.isfinite().all()
        assert (restored.float() - wanted).abs().max() < close * scale


def test_double_precision_is_close_to_single() -> None:
    image = picture(TINY, 13, 18)
    with torch.inference_mode():
        double = copy.deepcopy(MODELS["2022"]).double()(image.double())
        torch.testing.assert_close(MODELS["2022"](image).double(), double, rtol=1e-4, atol=1e-4)


# Training


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("drop_path_rate", [0.0, 0.5])
def test_gradient_checkpointing_changes_nothing(kind: str, drop_path_rate: float) -> None:
    outcome = []
    for checkpointing in (False, True):
        model = build(
            dataclasses.replace(
                KINDS[kind], gradient_checkpointing=checkpointing, drop_path_rate=drop_path_rate
            )
        ).train()
        torch.manual_seed(3)
        loss = model(picture(model.config, 9, 17, batch=4)).square().mean()
        loss.backward()
        outcome.append(
            (loss.detach(), {name: parameter.grad for name, parameter in model.named_parameters()})
        )
    (loss, grads), (loss_again, grads_again) = outcome
    assert torch.equal(loss, loss_again)
    assert grads.keys() == grads_again.keys()
    torch.testing.assert_close(grads, grads_again, rtol=0, atol=0)


def test_gradient_checkpointing_keeps_less() -> None:
    def kept(checkpointing: bool) -> int:
        seen = 0

        def pack(tensor: Tensor) -> Tensor:
            nonlocal seen
            seen += tensor.numel()
            return tensor

        model = build(
            dataclasses.replace(TINY, depths=(2, 2, 2), gradient_checkpointing=checkpointing)
        ).train()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(picture(TINY, 16, 16))
        return seen

    assert kept(True) < kept(False) / 3


def test_learns() -> None:
    torch.manual_seed(0)
    model = Uformer(KINDS["2022"]).train()
    clean = picture(TINY, 16, 16, batch=2)
    degraded = clean + 0.2 * torch.randn_like(clean)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = (model(degraded) - clean).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_moves_and_copies_as_any_module() -> None:
    model = MODELS["2022"]
    other = Uformer(model.config).eval()
    other.load_state_dict(model.state_dict())
    image = picture(TINY, 9, 9)
    assert torch.equal(model(image), other(image))
    with torch.device("meta"):
        assert Uformer(model.config)(torch.empty(1, 3, 9, 20)).shape == (1, 3, 9, 20)


# Compilation and export


def free(*axes: int) -> dict[int, Dim]:
    """Let these axes have any length from 1."""
    return {axis: Dim(f"axis{axis}", min=1) for axis in axes}


NEAR_OTHERS = {
    "2021",
    "2022",
    "two levels",
    "cross first",
    "concat_cross",
    "cross-modulator",
    "mlp",
    "no shift",
    "cross",
}
"""Kinds that treat sizes, windows and masks (the difficulties of export) like another kind.

tests/export exports the kind 2022.
"""

EACH_KIND = [pytest.param(kind, marks=pytest.mark.slow if kind in NEAR_OTHERS else ()) for kind in KINDS]


@pytest.mark.parametrize("kind", EACH_KIND)
def test_exports_with_free_batch_height_and_width(kind: str) -> None:
    model = MODELS[kind]
    size = (32, 32) if kind == "2022" else (19, 30)  # tests/export exports this kind with the other size
    program = torch.export.export(
        model, (picture(model.config, *size, batch=2),), dynamic_shapes=(free(0, 2, 3),)
    )
    assert "pad" not in str(program.graph)  # no masks either, because windows are known to fit
    exported = program.module()
    for batch, (height, width) in enumerate(ODD_SIZES, 1):
        image = picture(model.config, height, width, batch=batch)
        with torch.no_grad():
            torch.testing.assert_close(exported(image), model(image), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "strict"), [((32, 32), False), ((8, 24), False), ((31, 9), True)])
def test_exports_whatever_the_example(size: tuple[int, int], strict: bool) -> None:
    """For a multiple, one window and neither, the graph does not depend on the example's size."""
    model = MODELS["2022"]
    program = torch.export.export(model, (picture(TINY, *size),), dynamic_shapes=(free(2, 3),), strict=strict)
    exported = program.module()
    for height, width in ODD_SIZES:
        image = picture(TINY, height, width)
        with torch.no_grad():
            torch.testing.assert_close(exported(image), model(image), rtol=0, atol=1e-5)


def test_exports_with_a_fixed_size_without_free_ones() -> None:
    program = torch.export.export(MODELS["2022"], (picture(TINY, 13, 16),))
    assert not program.range_constraints
    image = picture(TINY, 13, 16)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(image), MODELS["2022"](image), rtol=0, atol=1e-5)


needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch.compile on a CPU needs a C++ compiler"
)


def test_compiles_whole_for_training() -> None:
    """Trace forward and backward without compiling them to C++ (minutes on a small machine)."""
    image = picture(TINY, 13, 16, batch=2)
    outcome = []
    for compiled in (False, True):
        model = build(KINDS["2022"]).train()
        run = torch.compile(model, fullgraph=True, dynamic=False, backend="aot_eager") if compiled else model
        restored = run(image)
        restored.square().mean().backward()
        outcome.append(
            (restored.detach(), {name: parameter.grad for name, parameter in model.named_parameters()})
        )
    torch.testing.assert_close(*outcome, rtol=1e-4, atol=1e-5)


@pytest.mark.timeout(900)
@needs_compiler
@pytest.mark.slow
def test_compiles_whole() -> None:
    """Compile masks, modulators and shifts to machine code."""
    model = MODELS["2022"]
    image = picture(TINY, 13, 16)
    with torch.no_grad():
        torch.testing.assert_close(
            torch.compile(model, fullgraph=True, dynamic=False)(image), model(image), rtol=0, atol=1e-5
        )


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_compiler
def test_compiles_whole_with_free_height_and_width() -> None:
    model = build(dataclasses.replace(TINY, depths=(1, 1, 1)))
    compiled = torch.compile(model, fullgraph=True, dynamic=True)
    for height, width in ((16, 20), (21, 30)):
        image = picture(TINY, height, width)
        with torch.no_grad():
            torch.testing.assert_close(compiled(image), model(image), rtol=0, atol=1e-5)


@torch.inference_mode()
def test_a_jit_trace_computes_the_same_at_every_size() -> None:
    model = build(KINDS["2022"])
    for example in ((1, 3, 8, 8), (2, 3, 11, 13)):
        with warnings.catch_warnings():
            # A warning would mean that the graph holds a size as a constant.
            warnings.simplefilter("error", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            warnings.simplefilter("ignore", DeprecationWarning)
            traced = torch.jit.trace(model, torch.rand(example), check_trace=False)
        for size in ((1, 3, 8, 8), (2, 3, 17, 5), (1, 3, 1, 1)):
            image = torch.rand(size)
            assert torch.equal(traced(image), model(image))


def test_a_jit_trace_pads_by_whole_windows_only() -> None:
    class Other(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = build(TINY)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.network(image, multiple=2)
            return found

    with pytest.raises(OptionError, match="^multiple: 2 cannot be traced by torch.jit; leave it out$"):
        torch.jit.trace(Other(), torch.rand(1, 3, 8, 8))
