"""Available processors are those of the affinity, or fewer in a container."""

import os
from pathlib import Path

import pytest

from uformer import processors


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the control groups of a process on eight processors."""
    monkeypatch.setattr(processors, "CGROUP", tmp_path)
    monkeypatch.setattr(processors, "OWN_GROUP", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    return tmp_path


def test_without_a_limit_all_are_available(group: Path) -> None:
    assert processors.available_processors() == 8
    assert processors.thread_limit() is None
    (group / "cpu.max").write_text("max 100000\n")
    assert processors.available_processors() == 8


@pytest.mark.parametrize(
    ("quota", "expected"), [("200000 100000", 2), ("250000 100000", 2), ("50000 100000", 1), ("nonsense", 8)]
)
def test_a_containers_limit_counts(group: Path, quota: str, expected: int) -> None:
    (group / "cpu.max").write_text(quota + "\n")
    assert processors.available_processors() == expected


def test_the_lowest_limit_of_the_groups_counts(group: Path) -> None:
    (group / "own").write_text("1:name=systemd:/\n0::/user.slice/job.scope\n")
    (group / "user.slice/job.scope").mkdir(parents=True)
    (group / "user.slice/job.scope/cpu.max").write_text("max 100000")
    (group / "user.slice/cpu.max").write_text("300000 100000")
    (group / "cpu.max").write_text("600000 100000")
    assert processors.available_processors() == 3
    assert processors.thread_limit() == 3


def test_version_1(group: Path) -> None:
    (group / "cpu").mkdir()
    (group / "cpu/cpu.cfs_period_us").write_text("100000\n")
    (group / "cpu/cpu.cfs_quota_us").write_text("-1\n")
    assert processors.available_processors() == 8
    (group / "cpu/cpu.cfs_quota_us").write_text("400000\n")
    assert processors.available_processors() == 4


@pytest.mark.usefixtures("group")
def test_the_affinity_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5}, raising=False)
    assert processors.available_processors() == 2
    assert processors.thread_limit() == 2


@pytest.mark.usefixtures("group")
def test_systems_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert processors.available_processors() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors.available_processors() == 1


@pytest.mark.parametrize(
    ("limit", "environment", "threads"),
    [(None, {}, 2), (1, {}, 1), (4, {}, 2), (1, {"OMP_NUM_THREADS": "2"}, 2)],
)
def test_torch_keeps_to_the_available_processors(
    monkeypatch: pytest.MonkeyPatch, limit: int | None, environment: dict[str, str], threads: int
) -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(processors, "thread_limit", lambda: limit)
    try:
        torch.set_num_threads(2)
        processors.limit_torch(torch)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("lines", "there", "faster"),
    [
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx avx2 fma f16c", False, False),
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx512f avx512_bf16", True, True),
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx512f avx512_bf16", True, False),
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx512_bf16 amx_bf16 amx_tile", True, True),
        ("Features\t: fp asimd i8mm bf16", True, True),
        ("Features\t: fp asimd", False, False),
    ],
)
def test_bf16(tmp_path: Path, lines: str, there: bool, faster: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{lines}\n")
    assert processors.has_bf16(tmp_path / "cpuinfo") == there
    assert processors.bf16_is_faster(tmp_path / "cpuinfo") == faster


def test_where_the_system_does_not_tell_bf16_counts_as_fast(tmp_path: Path) -> None:
    assert processors.has_bf16(tmp_path / "nowhere")
    assert processors.bf16_is_faster(tmp_path / "nowhere")
