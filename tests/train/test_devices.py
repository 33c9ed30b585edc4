import pytest
import torch

from tests.train.runs import tiny
from uformer.errors import OptionError
from uformer.train.devices import choose_precision, compiles, make_accelerator, with_parts

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_precision_follows_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_precision(tiny(), CPU) == "fp32"
    for has, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=has: has)
        assert choose_precision(tiny(), GPU) == expected
    assert choose_precision(tiny("precision=bf16"), CPU) == "bf16"
    with pytest.raises(OptionError, match="fp16 needs a GPU"):
        choose_precision(tiny("precision=fp16"), CPU)


def test_it_compiles_on_a_gpu() -> None:
    assert [compiles(tiny(f"compile={when}"), device) for when in ("auto", "always", "never") for device in (CPU, GPU)] == [
        False, True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "device", "processes", "parts"),
    [
        (("batch=32", "patch=128"), CPU, 1, 16),
        (("batch=32", "patch=128"), CPU, 2, 8),
        (("batch=32", "patch=256"), CPU, 1, 32),
        (("batch=32", "patch=64"), CPU, 1, 4),
        (("batch=6", "patch=16"), CPU, 1, 1),
        (("batch=32", "patch=128"), GPU, 1, 1),
        (("batch=32", "patch=128", "accumulate=4"), CPU, 1, 4),
    ],
)
def test_a_cpu_takes_a_batch_in_parts_that_fit_its_caches(
    settings: tuple[str, ...], device: torch.device, processes: int, parts: int
) -> None:
    assert with_parts(tiny("accumulate=0", *settings), device, processes=processes).accumulate == parts


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_process_can_train_more_than_once(precision: str) -> None:
    accelerator = make_accelerator(tiny(f"precision={precision}"), "cpu")
    assert accelerator.device == CPU
    assert accelerator.mixed_precision == {"fp32": "no"}.get(precision, precision)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(OptionError, match="device: 'cuda' is not here; here are: cpu"):
        make_accelerator(tiny(), "cuda")


def test_accelerate_s_own_sharding_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(OptionError, match="--set sharding=full"):
        make_accelerator(tiny(), "cpu")
