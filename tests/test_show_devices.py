"""`uformer devices`, with stand-ins for the processes that ask the drivers."""

import dataclasses
import json
from typing import Any

import pytest

from tests.networks import TINY
from uformer import show_devices
from uformer.cli import main
from uformer.errors import OptionError
from uformer.restore.backends import elsewhere
from uformer.restore.backends.base import Weights
from uformer.restore.backends.elsewhere import DeviceError, Run
from uformer.restore.backends.golden import golden_tile
from uformer.restore.options import NetworkOptions

RIGHT = golden_tile(3)


def row(device: str, backend: str, name: str, **more: Any) -> dict[str, Any]:
    return {"device": device, "backend": backend, "name": name, "precisions": ["fp32"], "memory": None} | {
        "driver": None,
        **more,
    }


def list_devices(backend: str) -> list[dict[str, Any]]:
    if backend == "torch":
        raise OptionError("torch is not installed")
    if backend == "onnx":
        raise DeviceError("crashed (SIGSEGV)")
    card = row("gpu:1", "openvino", "A Card [tm]", memory=8 * 10**9, driver="1.2.3")
    return [row("cpu", "openvino", "A Processor"), card, row("npu", "openvino", "A Chip")]


def restore_golden(_weights: Weights, options: NetworkOptions, *, side: int, timed: bool) -> Run:
    assert (side, timed) == (512, True)
    if options.device == "npu":
        raise DeviceError("did not answer within 300 s")
    return Run(RIGHT if options.device == "cpu" else RIGHT[::-1], "fp32", 1.23456)


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "list_devices", list_devices)
    monkeypatch.setattr(elsewhere, "restore_golden", restore_golden)
    monkeypatch.setattr(show_devices, "read_weights", lambda _: Weights(TINY, {}))
    monkeypatch.setattr(show_devices, "reference", lambda *_: RIGHT)


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices"]) == 0
    out = capsys.readouterr().out
    for text in ("gpu:1", "A Card [tm]", "8.0 GB", "1.2.3", "A Processor"):
        assert text in out
    assert "torch: torch is not installed\n" in out
    assert "onnx: listing its devices crashed (SIGSEGV); its driver may be broken\n" in out
    assert "check" not in out


def test_times_and_checks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "--time", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["notes"]) == 2
    cpu, card, npu = printed["devices"]
    assert cpu == row("cpu", "openvino", "A Processor") | {
        "precision": "fp32",
        "seconds_per_megapixel": 1.2346,
        "check": "passed",
    }
    assert card["check"].startswith("it returned wrong values: ")
    assert (npu["seconds_per_megapixel"], npu["check"]) == (None, "it did not answer within 300 s")
    assert main(["devices", "--time"]) == 0
    assert "1.23" in capsys.readouterr().out


def test_weights_are_for_timing_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "--weights", "uformer_t.denoise"]) == 2
    assert capsys.readouterr().err == "uformer: error: --weights: works only with --time; add --time\n"


def test_an_exported_file_is_for_the_devices_of_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    found = [row("cpu", "openvino", "A"), row("cuda", "onnx", "B")]
    show_devices._time_all(found, Weights(TINY, {}, Path("a.onnx")), NetworkOptions(weights="a.onnx"))
    assert found[0]["check"] == "not run: only onnxruntime runs .onnx files"
    assert found[1]["check"].startswith("it returned wrong values")


def test_other_weights_are_exported_once_for_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bytes | None] = []

    def with_exported(weights: Weights, precision: str, _notify: object) -> Weights:
        assert precision == "auto"
        calls.append(weights.exported)
        return dataclasses.replace(weights, exported=b"a graph")

    used = {}

    def restore(weights: Weights, options: NetworkOptions, **_: object) -> Run:
        used[options.backend, options.device] = weights.exported
        return Run(RIGHT, "fp32", None)

    monkeypatch.setattr(show_devices, "with_exported", with_exported)
    monkeypatch.setattr(elsewhere, "restore_golden", restore)
    found = [row("cpu", "onnx", "A"), row("cpu", "openvino", "A"), row("qnn", "onnx", "B")]
    show_devices._time_all(found, Weights(TINY, {}), NetworkOptions())
    assert [each["check"] for each in found] == ["passed"] * 3
    assert used == {("onnx", "cpu"): b"a graph", ("openvino", "cpu"): None, ("onnx", "qnn"): b"a graph"}
    assert calls == [None, b"a graph"], "the second call exports nothing"


def test_an_export_that_is_not_possible_is_the_check_of_its_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_exported(*_: object) -> Weights:
        raise OptionError("torch is not installed")

    monkeypatch.setattr(show_devices, "with_exported", with_exported)
    found = [row("qnn", "onnx", "B"), row("cpu", "openvino", "A")]
    show_devices._time_all(found, Weights(TINY, {}), NetworkOptions())
    assert [each["check"] for each in found] == ["torch is not installed", "passed"]
