"""A device is trusted after it restored the golden tile as the CPU does; the result is remembered."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.networks import TINY
from uformer.errors import OptionError, UformerError
from uformer.layout import parameter_shapes
from uformer.restore.backends import cache, drivers, elsewhere, pytorch, trust
from uformer.restore.backends.base import Weights
from uformer.restore.backends.choose import Choice, choose
from uformer.restore.backends.elsewhere import DeviceError, Run
from uformer.restore.backends.golden import Tile, golden_tile
from uformer.restore.backends.trust import reference, trusted
from uformer.restore.options import NetworkOptions

WEIGHTS = Weights(TINY, {key: np.zeros(shape, np.float32) for key, shape in parameter_shapes(TINY).items()})
"""A network that returns its input."""
NPU = NetworkOptions(device="npu")
COREML = NetworkOptions(device="coreml")
RIGHT = golden_tile(3)


class Device:
    """Stands in for a device; `checks` counts how often it was checked."""

    def __init__(self, answer: Tile | Exception) -> None:
        self.answer = answer
        self.checks = 0

    def __call__(self, _weights: Weights, options: NetworkOptions) -> Run:
        self.checks += 1
        self.options = options
        if isinstance(self.answer, Exception):
            raise self.answer
        return Run(self.answer, "fp16", None)


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UFORMER_CACHE", str(tmp_path))
    monkeypatch.setattr(trust, "reference", lambda *_: RIGHT)


def decide(
    monkeypatch: pytest.MonkeyPatch, device: Device, options: NetworkOptions = NPU, weights: Weights = WEIGHTS
) -> tuple[Choice, str | None]:
    monkeypatch.setattr(elsewhere, "restore_golden", device)
    return trusted(weights, options, choose(weights, options))


def test_a_device_that_is_right_is_checked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = Device(RIGHT + np.float32(0.5 / 255))
    for _ in range(2):
        choice, warning = decide(monkeypatch, device)
        assert (choice.name, choice.device, warning) == ("openvino", "npu", None)
    assert device.checks == 1
    assert [path.suffix for path in (tmp_path / "checked").iterdir()] == [".checked"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (RIGHT[:, ::-1], "it returned wrong values: "),
        (np.zeros_like(RIGHT), "it returned a black tile: "),
        (np.full_like(RIGHT, np.nan), "it returned non-finite values;"),
        (DeviceError("crashed (SIGSEGV)"), "it crashed (SIGSEGV);"),
        (DeviceError("did not answer within 300 s"), "it did not answer within 300 s;"),
    ],
)
def test_a_device_that_lies_crashes_or_hangs_is_replaced_by_the_cpu(
    monkeypatch: pytest.MonkeyPatch, answer: Tile | Exception, said: str
) -> None:
    device = Device(answer)
    for _ in range(2):
        choice, warning = decide(monkeypatch, device, dataclasses.replace(NPU, precision="fp16"))
        assert (choice.name, choice.device) == ("openvino", "cpu")
        assert warning is not None
        assert warning.startswith(f"the device npu failed its check: {said}")
        assert warning.endswith("; the CPU does the work")
        assert "\n" not in warning
    assert device.checks == 1, "a crash is remembered too, for a day"


def test_exported_weights_fall_back_to_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    exported = dataclasses.replace(WEIGHTS, exported=b"a graph")
    choice, warning = decide(monkeypatch, Device(RIGHT), COREML, exported)
    assert (choice.name, choice.device, warning) == ("onnx", "coreml", None)
    other = dataclasses.replace(exported, exported=b"a wrong graph")
    choice, warning = decide(monkeypatch, Device(-RIGHT), COREML, other)
    assert (choice.name, choice.device) == ("openvino", "cpu")
    assert (warning or "").startswith("the device coreml failed its check: it returned wrong values")


def test_whatever_changes_is_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(RIGHT)
    changed = Weights(TINY, {**WEIGHTS.state, "output_proj.conv.bias": np.ones(3, np.float32)})
    for options, weights in (
        (NPU, WEIGHTS),
        (dataclasses.replace(NPU, device="gpu"), WEIGHTS),
        (dataclasses.replace(NPU, precision="fp16"), WEIGHTS),
        (NPU, changed),
        (COREML, dataclasses.replace(WEIGHTS, exported=b"a graph")),
        (COREML, dataclasses.replace(WEIGHTS, exported=b"another graph")),
    ):
        decide(monkeypatch, device, options, weights)
    assert device.checks == 6
    for name in ("driver_versions", "library_versions"):
        monkeypatch.setattr(drivers, name, lambda *_: ["new"])
        decide(monkeypatch, device)
    assert device.checks == 8
    decide(monkeypatch, device)
    assert device.checks == 8


@pytest.mark.parametrize(("answer", "days"), [(RIGHT, 90), (-RIGHT, 1)])
def test_a_result_expires(monkeypatch: pytest.MonkeyPatch, answer: Tile, days: float) -> None:
    device, now = Device(answer), [1e9]
    monkeypatch.setattr(time, "time", lambda: now[0])
    decide(monkeypatch, device)
    for passed, checks in ((days - 0.1, 1), (0.2, 2)):
        now[0] += passed * 86400
        decide(monkeypatch, device)
        assert device.checks == checks


def test_without_a_cache_every_run_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(RIGHT)
    monkeypatch.setattr(cache, "default_cache_dir", lambda: None)
    for _ in range(2):
        assert decide(monkeypatch, device)[1] is None
    assert device.checks == 2


def test_a_device_that_is_not_there_and_an_interruption_are_errors_and_not_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for error in (OptionError("device: OpenVINO finds no npu"), UformerError("interrupted")):
        device = Device(error)
        for _ in range(2):
            with pytest.raises(UformerError, match=str(error)):
                decide(monkeypatch, device)
        assert device.checks == 2


@pytest.mark.parametrize("options", [{}, {"device": "cpu"}, {"backend": "torch"}])
def test_the_cpu_is_never_checked(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    device = Device(DeviceError("crashed"))
    monkeypatch.setattr(pytorch, "choose_device", lambda _: "cpu")
    assert decide(monkeypatch, device, NetworkOptions(**options))[1] is None
    assert device.checks == 0


def test_the_device_that_torch_chooses_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(RIGHT)
    monkeypatch.setattr(pytorch, "choose_device", lambda _: "cuda")
    assert decide(monkeypatch, device, NetworkOptions(backend="torch"))[1] is None
    assert device.options.device == "cuda"


def test_damaged_weights_are_not_the_fault_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "reference", lambda *_: np.full_like(RIGHT, np.nan))
    assert decide(monkeypatch, Device(np.full_like(RIGHT, np.nan)))[1] is None


def test_the_device_does_not_choose_the_size_of_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "reference", lambda weights, options: reference(weights, options, 32))
    monkeypatch.setattr(elsewhere, "restore_golden", Device(RIGHT[:, :7, :7]))
    assert trust.check(WEIGHTS, NPU) == "it returned shape (3, 7, 7) instead of (3, 32, 32)"


def test_the_reference_is_the_network_on_the_cpu() -> None:
    np.testing.assert_allclose(reference(WEIGHTS, NPU, 32), golden_tile(3, 32), atol=1e-6)
