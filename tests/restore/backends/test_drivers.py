"""Drivers are recognised by files, without loading them."""

from pathlib import Path

from uformer.restore.backends.drivers import _on_linux, cpu_name, driver_versions, library_versions


def test_a_changed_driver_or_card_changes_the_text(tmp_path: Path) -> None:
    def write(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert list(_on_linux(tmp_path)) == []
    write("proc/driver/nvidia/version", "NVRM version: 570.1\nGCC version: 13\n")
    write("usr/lib/x86_64-linux-gnu/libze_intel_npu.so.1.19.0", "")
    (tmp_path / "usr/lib/x86_64-linux-gnu/libze_intel_npu.so.1").symlink_to("libze_intel_npu.so.1.19.0")
    for place, kind in (("00:02.0", "0x030000"), ("00:0b.0", "0x120000"), ("00:1f.0", "0x060100")):
        for name, text in (("class", kind), ("vendor", "0x8086"), ("device", f"0x{place[-3]}")):
            write(f"sys/bus/pci/devices/{place}/{name}", f"{text}\n")
    assert sorted(_on_linux(tmp_path)) == [
        "NVRM version: 570.1 GCC version: 13",
        "libze_intel_npu.so.1.19.0",
        "pci 00:02.0 0x8086 0x2",
        "pci 00:0b.0 0x8086 0xb",
    ]


def test_this_machine() -> None:
    assert driver_versions() == driver_versions()
    assert cpu_name()
    assert library_versions("openvino")[0].startswith("openvino 20")
    assert any(text.startswith("onnxruntime ") for text in library_versions("onnx"))
