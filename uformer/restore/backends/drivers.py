"""What is known about drivers without loading one: a text that changes with a driver, a card or a library."""

from __future__ import annotations

import contextlib
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

_PACKAGES = {
    "openvino": ("openvino",),
    "torch": ("torch",),
    "onnx": (
        "onnxruntime",
        "onnxruntime-gpu",
        "onnxruntime-directml",
        "onnxruntime-migraphx",
        "onnxruntime-qnn",
        "tensorrt",
    ),
}
"""The packages of each backend."""

_VERSION_FILES = ("/proc/driver/nvidia/version", "/sys/module/amdgpu/version")
_LIBRARIES = ("usr/lib/*/libze_intel_*.so.1", "usr/lib64/libze_intel_*.so.1", "usr/lib/libze_intel_*.so.1")
"""Intel's drivers for GPUs and NPUs. The file behind the link has the version in its name."""
_PCI_CLASSES = ("0x03", "0x12")
"""Display controllers and accelerators."""
_WINDOWS_CLASSES = ("{4d36e968-e325-11ce-bfc1-08002be10318}", "{f01a9d53-3ff6-48d2-9f97-c8a7004be10c}")
"""Display adapters and compute accelerators in the registry."""


def cpu_name() -> str:
    """Return the name of the processor, as far as the system tells it without a library."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def library_versions(backend: str) -> list[str]:
    """Return name and version of each installed package of a backend, without importing it."""
    from importlib import metadata  # noqa: PLC0415 - takes long to import, and most runs stay on the CPU

    found = []
    for name in _PACKAGES[backend]:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(f"{name} {metadata.version(name)}")
    return found


def driver_versions(root: Path = Path("/")) -> list[str]:
    """Return what identifies the system, its accelerators and their drivers.

    Reads files and the registry only, so a broken driver cannot crash it. It may miss a driver that leaves no
    trace there.
    """
    return [platform.platform(), *sorted(_on_windows() if sys.platform == "win32" else _on_linux(root))]


def _on_linux(root: Path) -> Iterator[str]:
    for name in _VERSION_FILES:
        with contextlib.suppress(OSError):
            yield " ".join((root / name[1:]).read_text(errors="replace").split())
    for pattern in _LIBRARIES:
        for library in root.glob(pattern):
            yield library.resolve().name
    for device in root.glob("sys/bus/pci/devices/*"):
        with contextlib.suppress(OSError):
            if (device / "class").read_text().startswith(_PCI_CLASSES):
                vendor, model = ((device / name).read_text().strip() for name in ("vendor", "device"))
                yield f"pci {device.name} {vendor} {model}"


def _on_windows() -> Iterator[str]:
    if sys.platform != "win32":
        return
    import winreg  # noqa: PLC0415 - exists on Windows only

    for group in _WINDOWS_CLASSES:
        place = rf"SYSTEM\CurrentControlSet\Control\Class\{group}"
        for number in range(32):
            with (
                contextlib.suppress(OSError),
                winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, rf"{place}\{number:04}") as key,
            ):
                name, version = (
                    winreg.QueryValueEx(key, field)[0] for field in ("DriverDesc", "DriverVersion")
                )
                yield f"{name} {version}"
