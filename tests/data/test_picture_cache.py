"""Decoded training pictures in memory or on a disk: the samples are the same, and what is stale is not believed."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from helpers import REPO

from aigp_lightning.data import cache_room, training_images
from aigp_lightning.data.cache_file import PERIOD, cache_on_disk, places, read_tail
from aigp_lightning.data.cache_fill import Pictures, cache_in_memory
from aigp_lightning.data.cache_room import check_room, group_rooms
from aigp_lightning.data.data_yaml import DataSpec
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.data.picture_cache import Block, PictureCache
from aigp_lightning.data.records import ScanResult
from aigp_lightning.data.scan import scan_split
from aigp_lightning.data.shared_cache import shared_cache
from aigp_lightning.data.training_images import read_training_image
from aigp_lightning.errors import ConfigError
from aigp_lightning.run.file_lock import FileLock

SIDE = 64
IN_MEMORY = pytest.mark.skipif(sys.platform not in ("linux", "win32"), reason="memory without a name")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten training pictures of several sizes and kinds, larger and smaller than needed; returns their data.yaml."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for number in range(10):
        height, width = ((90, 160), (33, 47), (300, 200), (64, 64), (128, 96))[number % 5]
        pixels = cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(tmp_path / "images" / f"{number}.{('jpg', 'png')[number % 2]}"), pixels)
        (tmp_path / "labels" / f"{number}.txt").write_text("0 0.5 0.5 0.4 0.6\n")
    yaml = tmp_path / "data.yaml"
    yaml.write_text("train: images\nval: images\nnames: [gate]\n", encoding="utf-8")
    return yaml


def scanned(yaml: Path) -> ScanResult:
    spec = DataSpec(yaml, yaml.parent, {0: "gate"}, {"train": (str(yaml.parent / "images"),)})
    return scan_split(spec, "train", progress=False)


def pictures(yaml: Path, imgsz: int = SIDE) -> Pictures:
    return Pictures(scanned(yaml).records, imgsz)


def on_disk(yaml: Path, imgsz: int = SIDE) -> PictureCache:
    return cache_on_disk(pictures(yaml, imgsz), [yaml.parent / "labels"], threads=2)


def no_reading(*_: Any) -> np.ndarray:
    raise AssertionError("a picture is read again")


def batches(yaml: Path, cache: Any, workers: int = 0) -> list[dict[str, Any]]:
    data = YoloDataModule(str(yaml), imgsz=SIDE, batch_size=4, workers=workers, cache=cache)
    data.setup("fit")
    loader = data.train_dataloader()
    found = []
    for epoch in range(2):
        loader.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]
        found += list(loader)
    return found


def same(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> bool:
    assert len(some) == len(others) == 6
    return all(
        torch.equal(one[key], other[key]) if isinstance(one[key], torch.Tensor) else one[key] == other[key]
        for one, other in zip(some, others, strict=True)
        for key in other
    )


@pytest.mark.parametrize("cache", [pytest.param("ram", marks=IN_MEMORY), "disk"])
def test_samples_are_the_same(photos: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = batches(photos, None)
    cached = batches(photos, cache)
    assert same(plain, cached)
    if cache == "disk":
        monkeypatch.setattr(training_images, "read_training_image", no_reading)
        assert same(plain, batches(photos, cache))


@IN_MEMORY
def test_workers_read_the_same_memory(photos: Path) -> None:
    assert same(batches(photos, None, workers=1), batches(photos, "ram", workers=1))


@pytest.mark.parametrize("kind", [pytest.param("ram", marks=IN_MEMORY), "disk"])
def test_pictures_are_those_of_training(photos: Path, kind: str) -> None:
    wanted = pictures(photos)
    cache = cache_in_memory(wanted, threads=3) if kind == "ram" else on_disk(photos)
    for number, record in enumerate(wanted.records):
        found = cache.get(number)
        assert found is not None
        assert (found == read_training_image(record.im_file, record.shape, SIDE)).all()
        assert not found.flags.writeable
    assert cache.missing() == 0


@IN_MEMORY
@pytest.mark.skipif(sys.platform != "linux", reason="the address is one of Linux's")
def test_memory_has_no_name_and_another_program_finds_it(photos: Path, tmp_path: Path) -> None:
    cache = cache_in_memory(pictures(photos), threads=2)
    assert cache.address.startswith(f"fd:/proc/{os.getpid()}/fd/")
    assert "memfd" in os.readlink(cache.address.removeprefix("fd:"))
    (tmp_path / "cache").write_bytes(pickle.dumps(cache))
    code = f"import pickle; print(int(pickle.load(open({str(tmp_path / 'cache')!r}, 'rb')).get(3).sum()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    found = cache.get(3)
    assert found is not None
    assert int(done.stdout) == int(found.sum())


@pytest.mark.parametrize("change", ["picture", "size", "list"])
def test_stale_file_is_made_anew(photos: Path, change: str, capfd: pytest.CaptureFixture[str]) -> None:
    before = on_disk(photos).get(0)
    assert before is not None
    if change == "picture":
        cv2.imwrite(str(photos.parent / "images" / "0.jpg"), np.zeros((90, 160, 3), np.uint8))
    if change == "list":
        (photos.parent / "images" / "0.jpg").unlink()
    capfd.readouterr()
    after = on_disk(photos, 32 if change == "size" else SIDE).get(0)
    assert after is not None
    assert after.shape != before.shape if change in ("size", "list") else not after.any()


def test_changed_labels_leave_the_pictures(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(photos)
    (photos.parent / "labels" / "0.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    monkeypatch.setattr(training_images, "read_training_image", no_reading)
    assert on_disk(photos).missing() == 0


def test_a_change_within_a_grain_of_the_clock_is_seen(photos: Path) -> None:
    """Another picture of as many bytes, with the times of the first."""
    file = photos.parent / "images" / "1.png"
    flat = [cv2.imencode(".bmp", np.full((33, 47, 3), level, np.uint8))[1].tobytes() for level in (10, 200)]
    file.write_bytes(flat[0])
    times = os.stat(file)
    before = on_disk(photos).get(1)
    file.write_bytes(flat[1])
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = on_disk(photos).get(1)
    assert before is not None
    assert after is not None
    assert (int(before.max()), int(after.max())) == (10, 200)


@pytest.mark.parametrize("left", ["cut", "damaged", "pipe"])
def test_file_that_is_not_whole_is_not_believed(photos: Path, left: str) -> None:
    cache = on_disk(photos)
    file, size = Path(cache.address.removeprefix("file:")), cache.layout.size
    del cache
    data = file.read_bytes()
    assert read_tail(file, size) is not None
    file.unlink()
    if left == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("there are none here")
        os.mkfifo(file)
    else:
        file.write_bytes(data[:-1] if left == "cut" else data[:size] + b"{[}" + data[-16:])
    assert read_tail(file, size) is None
    assert on_disk(photos).missing() == 0
    assert file.read_bytes() == data


def test_nothing_is_left_of_a_filling_that_is_interrupted(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> np.ndarray:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training_images, "read_training_image", interrupted)
        on_disk(photos)
    assert not [name for name in os.listdir(photos.parent / "labels") if "pictures" in name]


def test_what_a_kill_has_left_is_replaced_and_a_link_is_not_followed(photos: Path) -> None:
    labels, precious = photos.parent / "labels", photos.parent / "precious"
    precious.write_text("mine")
    (labels / f"train-{SIDE}.aigp-pictures.partial").symlink_to(precious)
    assert on_disk(photos).missing() == 0
    assert precious.read_text() == "mine"
    assert sorted(name for name in os.listdir(labels) if "pictures" in name) == [f"train-{SIDE}.aigp-pictures"]


def test_waits_for_another_run_that_fills_the_file(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = photos.parent / "labels"
    lock = FileLock(labels / f"train-{SIDE}.aigp-pictures.lock")
    assert lock.acquire()
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        lock.release()

    monkeypatch.setattr("aigp_lightning.data.cache_file.time", SimpleNamespace(sleep=sleep))
    assert on_disk(photos).missing() == 0
    assert waited == [PERIOD]


def test_folder_that_cannot_be_written_to_is_passed_over(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    cache = cache_on_disk(pictures(photos), [tmp_path / "nowhere", tmp_path / "run"], threads=1)
    assert cache.address == f"file:{tmp_path / 'run' / f'train-{SIDE}.aigp-pictures'}"
    with pytest.raises(ConfigError, match=r"--data\.cache disk: .*nowhere.* cannot be written .*--data\.cache ram"):
        cache_on_disk(pictures(photos), [tmp_path / "nowhere"], threads=1)


def test_file_lies_beside_the_scans(photos: Path, tmp_path: Path) -> None:
    scan = scanned(photos)
    assert scan.cache_file is not None
    assert places(scan, tmp_path / "run")[0] == scan.cache_file.parent == photos.parent / "labels"


@pytest.mark.parametrize("cache", [pytest.param("ram", marks=IN_MEMORY), "disk"])
def test_picture_that_cannot_be_read_is_lost_as_ever(photos: Path, cache: str) -> None:
    """Its file breaks after the scan: another takes its place, and it is named with its batch."""
    scanned(photos)
    data = YoloDataModule(str(photos), imgsz=SIDE, batch_size=5, workers=0, cache=cache)  # type: ignore[arg-type]
    data.scan("train")
    (photos.parent / "images" / "3.png").write_bytes(b"broken")
    data.setup("fit")
    lost = [each.im_file for batch in data.train_dataloader() for each in batch.get("lost", ())]
    assert {Path(file).name for file in lost} == {"3.png"}
    assert data._pictures is not None
    assert data._pictures.missing() == 1


@pytest.mark.parametrize(("kind", "other"), [("ram", "disk"), ("disk", "ram")])
def test_no_room_is_said(photos: Path, kind: Any, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_room, "available_memory", lambda: 20_000)
    monkeypatch.setattr(cache_room, "free_bytes", lambda _: 20_000)
    with pytest.raises(ConfigError) as raised:
        shared_cache(kind, scanned(photos), SIDE, SimpleNamespace(local_rank=0, world_size=1, folder=photos.parent))  # type: ignore[arg-type]
    assert str(raised.value).startswith(f"--data.cache {kind} takes 0.1 MB for 10 pictures and leaves too little: ")
    assert f"Use --data.cache {other}, a smaller --data.imgsz" in str(raised.value)
    assert not [name for name in os.listdir(photos.parent / "labels") if "pictures" in name]


def test_room_for_as_much_again_stays_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_room, "available_memory", lambda: 5 * 10**9)
    check_room("ram", 4 * 10**9, 1)
    with pytest.raises(ConfigError):
        check_room("ram", 4 * 10**9 + 1, 1)


def test_limits_of_containers_count(tmp_path: Path) -> None:
    def group(folder: str, **files: object) -> None:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, value in files.items():
            (tmp_path / folder / name.replace("__", ".")).write_text(f"{value}\n")

    stat = "anon 5\ninactive_file 30\nactive_file 20"
    group("a/b", memory__max=1000, memory__current=700, memory__stat=stat)
    group("a", memory__max="max", memory__current=900, memory__stat=stat)
    group("memory/c", memory__limit_in_bytes=500, memory__usage_in_bytes=600, memory__stat="cache 1")
    (tmp_path / "mine").write_text("9:pids:/x\n4:memory:/c\n0::/a/b\n")
    assert group_rooms(tmp_path, tmp_path / "mine") == [0, 350]


def test_option_is_checked_and_a_plan_fills_nothing(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--data\.cache yes: it is ram or disk, or null for none\."):
        YoloDataModule(str(photos), cache="yes")  # type: ignore[arg-type]
    data = YoloDataModule(str(photos), imgsz=SIDE, batch_size=4, workers=0, cache="disk")
    data.trainer = pl.Trainer(accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_checkpointing=False)
    data.setup("fit")  # as `plan` does, without `trainer.fit`
    assert data._pictures is None


def _one_of_two(rank: int, kind: Any, scan: ScanResult, store: str, room: int, answers: Any) -> None:
    torch.distributed.init_process_group("gloo", f"file://{store}", rank=rank, world_size=2)
    cache_room.available_memory = lambda: room  # type: ignore[assignment]
    run: Any = SimpleNamespace(local_rank=rank, world_size=2, folder=Path(store).parent)
    try:
        cache = shared_cache(kind, scan, SIDE, run)
        answers.put((rank, cache.address, hashlib.sha256(cache.get(4)).hexdigest()))  # type: ignore[arg-type]
        torch.distributed.barrier()  # the first one's memory is gone with it
    except ConfigError as error:
        answers.put((rank, str(error), str(error.shared)))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize(("kind", "room"), [("ram", 10**9), ("disk", 10**9), ("ram", 5)])
def test_processes_share_one_cache_or_all_are_refused(photos: Path, tmp_path: Path, kind: str, room: int) -> None:
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    scan = scanned(photos)
    processes = [
        context.Process(target=_one_of_two, args=(rank, kind, scan, str(tmp_path / "store"), room, answers))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    (one, other) = sorted(answers.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(60)
    assert one[1:] == other[1:]
    if room == 5:
        assert one[1].startswith("--data.cache ram takes")
        assert one[2] == "True"
    else:
        assert one[1].startswith("fd:/proc/" if kind == "ram" else f"file:{photos.parent / 'labels'}")


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is mapped cannot be replaced there")
def test_a_file_that_another_run_has_replaced_is_not_taken_for_it(tmp_path: Path) -> None:
    """As a worker finds it that was started, not forked."""
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_bytes(b"one")
    block = Block(f"file:{file}", 3)
    other.write_bytes(b"two")
    other.replace(file)
    assert bytes(block.read()) == b"one"
    with pytest.raises(OSError, match="another run has replaced it"):
        pickle.loads(pickle.dumps(block))
