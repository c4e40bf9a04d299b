"""What a run keeps of its splits: measured once, as long as no picture changes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import lightning.pytorch  # noqa: F401  sets the rank, by which one process alone prints
import pytest

from aigp_lightning.data import file_stamps
from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.leaks import leak_report
from aigp_lightning.data.leaks.leak_report import leak_warning, measure_leak
from aigp_lightning.data.scan import scan_split
from aigp_lightning.errors import DataError


@pytest.fixture
def data_yaml(flights: Path, tmp_path: Path) -> Path:
    """Frames of one flight, of which a fifth is for validation."""
    shutil.copytree(flights / "images" / "flight_001", tmp_path / "images" / "a")
    shutil.copytree(
        flights / "labels" / "flight_001", tmp_path / "labels" / "a", ignore=shutil.ignore_patterns("*.npz")
    )
    for name, numbers in (("val", range(0, 80, 5)), ("train", [n for n in range(80) if n % 5])):
        text = "".join(f"./images/a/{number:06d}.jpg\n" for number in numbers)
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    (tmp_path / "data.yaml").write_text("train: train.txt\nval: val.txt\nnames: [gate, banner]\n", encoding="utf-8")
    return tmp_path / "data.yaml"


def test_it_is_measured_once_until_a_picture_changes(
    data_yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_stamps, "FRESH_NS", -(10**12))  # all files count as long unchanged
    spec = read_data_yaml(data_yaml)
    scans = {split: scan_split(spec, split, progress=False) for split in ("train", "val")}
    times: list[int] = []
    find = leak_report.find_leaks

    def counted(*args: object, **options: object) -> object:
        times.append(1)
        return find(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(leak_report, "find_leaks", counted)
    first = measure_leak(scans, spec, 0.05, tmp_path, workers=1)
    assert (first["near"], first["pictures"], first["cut_recordings"]) == (16, 16, 1)
    again = measure_leak(scans, spec, 1.0, tmp_path, workers=1)
    assert again == {**first, "limit": 1.0}
    assert len(times) == 1
    assert leak_warning(first) and not leak_warning(again)
    frame = tmp_path / "images" / "a" / "000000.jpg"
    frame.write_bytes(frame.read_bytes() + b"\0")
    measure_leak(scans, spec, 0.05, tmp_path, workers=1)
    assert len(times) == 2
    with pytest.raises(DataError, match=r"strict is set and 16 of 16 val pictures \(100 %\)"):
        measure_leak(scans, spec, 0.05, tmp_path, strict=True, workers=1)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs folders that this user cannot write to")
def test_a_data_set_that_cannot_be_written_to(data_yaml: Path, tmp_path: Path) -> None:
    """The run folder keeps what is found."""
    spec, run = read_data_yaml(data_yaml), tmp_path / "run"
    run.mkdir()
    scans = {split: scan_split(spec, split, progress=False, cache_dir=run) for split in ("train", "val")}
    (tmp_path / "labels" / "a").chmod(0o555)
    try:
        measure_leak(scans, spec, 0.05, run, workers=1)
    finally:
        (tmp_path / "labels" / "a").chmod(0o755)
    assert list(run.glob("thumbnails*"))
