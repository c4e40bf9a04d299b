"""Cores and memory that a run may use, also in a container."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from aigp_lightning.run.cores import cores, free_memory


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity on this system")
def test_all_allowed_cores_count_where_nothing_limits_them(tmp_path: Path) -> None:
    assert cores(tmp_path) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "6400000 100000\n"}, None),
        ({"cpu.max": "nonsense"}, None),
    ],
)
def test_a_container_has_its_share(files: dict[str, str], expected: int | None, tmp_path: Path) -> None:
    _write(tmp_path, files)
    assert cores(tmp_path) == (expected or cores(tmp_path / "nothing"))


def test_a_container_has_its_own_memory(tmp_path: Path) -> None:
    _write(tmp_path, {"memory.max": str(3 * 2**20), "memory.current": str(2**20)})
    assert free_memory(tmp_path) == 2 * 2**20
    _write(tmp_path, {"memory.max": "max"})
    assert free_memory(tmp_path) > 2**24


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="control groups are Linux's")
def test_a_full_container_has_no_memory(tmp_path: Path) -> None:
    _write(tmp_path, {"memory/memory.limit_in_bytes": "1000", "memory/memory.usage_in_bytes": "2000"})
    assert free_memory(tmp_path) == 0


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
