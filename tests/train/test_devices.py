import pytest
import torch

from tests.train.runs import tiny
from uformer.errors import OptionError
from uformer.train import devices
from uformer.train.devices import choose_device, choose_precision, compiles, with_parts
from uformer.train.processes import Processes

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_precision_follows_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_precision(tiny(), CPU) == "fp32"
    for has, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=has: has)
        assert choose_precision(tiny(), GPU) == expected
    with pytest.raises(OptionError, match="fp16 needs a CUDA GPU"):
        choose_precision(tiny("precision=fp16"), CPU)


def test_it_compiles_on_a_gpu() -> None:
    choices = ("auto", "always", "never")
    assert [compiles(tiny(f"compile={choice}"), CPU) for choice in choices] == [False, True, False]
    assert [compiles(tiny(f"compile={choice}"), GPU) for choice in choices] == [True, True, False]


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


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(OptionError, match="--device cuda: .*; available: cpu"):
        choose_device("cuda", Processes())


def test_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, second = Processes(), Processes(index=1, local_index=1)
    second.count = 2
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert [choose_device(name, alone).type for name in ("auto", "cpu", "mps")] == ["mps", "cpu", "mps"]
    assert choose_device("auto", second) == CPU
    with pytest.raises(OptionError, match="--device mps: supports one process only"):
        choose_device("mps", second)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert choose_device("auto", alone) == GPU
    assert choose_device("auto", second) == torch.device("cuda", 1)
    assert chosen == [torch.device("cuda", 1)], "the GPU that this process computes on"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(OptionError, match="no GPU is left for process 2 .*; start at most 1"):
        choose_device("cuda", second)


@pytest.mark.parametrize("there", [False, True])
def test_bf16_on_a_cpu_that_only_emulates_it_becomes_fp32(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setattr(devices, "has_bf16", lambda: there)
    assert choose_precision(tiny("precision=bf16"), CPU) == ("bf16" if there else "fp32")
    assert choose_precision(tiny("precision=bf16"), GPU) == "bf16"
    assert choose_precision(tiny(), CPU) == "fp32"


def test_fp16_is_not_sharded() -> None:
    with pytest.raises(OptionError, match="sharding: full does not work with precision fp16"):
        choose_precision(tiny("precision=fp16", "sharding=full"), GPU)
