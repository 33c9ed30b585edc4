"""Available memory is what the system has free, or less in a container."""

from pathlib import Path

import psutil
import pytest

from uformer import system_memory


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(system_memory, "CGROUP", tmp_path)
    return tmp_path


def test_a_containers_limit_counts(group: Path) -> None:
    (group / "memory.max").write_text("3000000\n")
    (group / "memory.current").write_text("1000000\n")
    (group / "memory.stat").write_text("anon 100\ninactive_file 0\n")
    assert system_memory.available_memory() == 2000000
    (group / "memory.stat").write_text("anon 100\ninactive_file 400000\n")  # reclaimable
    assert system_memory.available_memory() == 2400000


def test_a_full_container_leaves_nothing(group: Path) -> None:
    (group / "memory.max").write_text("3000000\n")
    (group / "memory.current").write_text("4000000\n")
    (group / "memory.stat").write_text("")
    assert system_memory.available_memory() == 0


@pytest.mark.parametrize("limit", [None, "max\n", "what?\n"])
def test_without_a_limit_the_system_decides(group: Path, limit: str | None) -> None:
    if limit is not None:
        (group / "memory.max").write_text(limit)
        (group / "memory.current").write_text("1000000\n")
    assert system_memory.available_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.2)
