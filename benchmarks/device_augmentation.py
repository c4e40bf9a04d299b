"""Augmentation on the training device: what it leaves to a loader's worker, and what reaches the device.

Two tables. The first is the processor time of one worker for a sample, from the files to a collated batch in shared
memory, of Ultralytics' YOLODataset and of our three ways: all on the processor, pixels on the device, and JPEG decoding
too. The second is end to end with real loaders: batches that arrive on the device, augmented there or before, by worker
processes; and the device's own time for them. All read the same JPEG files, in alternating rounds.

    python benchmarks/device_augmentation.py --device cuda --workers 4 --batch 64 --json result.json

On `--device cpu` the device's part runs on this processor: that shows that it works, and no speed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import aigp_lightning  # noqa: F401  (switches off network calls, so it comes first)

import cv2  # isort: skip
import numpy as np
import torch
from data_pipeline import make_photos, repeat
from torch import Tensor
from torch.utils.data import DataLoader
from ultralytics.cfg import get_cfg
from ultralytics.data import build_yolo_dataset
from ultralytics.utils import LOGGER

from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.augment.pipeline import TrainPipeline
from aigp_lightning.data.collate import collate
from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.dataset import TrainDataset
from aigp_lightning.data.device_side import finish_on_device, sample_class
from aigp_lightning.data.loaders import make_loader
from aigp_lightning.data.records import ImageRecord
from aigp_lightning.data.samplers import TrainBatchSampler
from aigp_lightning.data.scan import scan_split

THEIRS = "Ultralytics"
PLACES = {
    "all on the processor": ("cpu", "cpu"),
    "augment_on device": ("device", "cpu"),
    "augment_on and decode_on device": ("device", "device"),
}
"""Our ways: who augments, who decodes."""
BUFFERED = 8
"""Batches until buffers of decoded pictures are full, on both sides."""


def dataset_of(way: str, records: list[ImageRecord], args: argparse.Namespace) -> TrainDataset:
    """Make our training samples for one of `PLACES`."""
    config = AugmentConfig()
    return sample_class(*PLACES[way], config)(records, args.imgsz, TrainPipeline(args.imgsz, config), args.batch)


def sampler_of(records: list[ImageRecord], args: argparse.Namespace, workers: int) -> TrainBatchSampler:
    """Make the sampler of our training batches."""
    return TrainBatchSampler(len(records), args.batch, 0, 0, 1, workers, AugmentConfig().mosaic)


def our_batches(dataset: TrainDataset, sampler: TrainBatchSampler) -> Iterator[Any]:
    """Yield whole batches as a worker makes them, without end."""
    join = getattr(dataset, "collate", collate)
    for epoch in count():
        sampler.set_epoch(epoch)
        for requests in sampler:
            if len(requests) == sampler.batch_size:
                yield join(dataset.__getitems__(requests))


def their_dataset(args: argparse.Namespace, folder: Path) -> Any:
    """Make Ultralytics' training samples with its default settings."""
    config = get_cfg(overrides={"imgsz": args.imgsz, "task": "detect"})
    data = {"names": {i: str(i) for i in range(100)}, "nc": 100, "channels": 3}
    return build_yolo_dataset(config, str(folder / "images" / "train"), args.batch, data, mode="train")


def their_batches(dataset: Any, batch: int) -> Iterator[Any]:
    """Yield whole batches as a worker of Ultralytics makes them, without end."""
    rng = np.random.default_rng(0)
    while True:
        order = rng.permutation(len(dataset))
        for start in range(0, len(order) - batch + 1, batch):
            yield dataset.collate_fn([dataset[int(i)] for i in order[start : start + batch]])


def share(batch: Any) -> int:
    """Copy a batch's tensors into shared memory, as a worker does that hands them over; returns their bytes."""
    if isinstance(batch, Tensor):
        batch.share_memory_()
        return batch.nbytes
    return sum(share(value) for value in batch.values()) if isinstance(batch, dict) else 0


def worker_time(args: argparse.Namespace, folder: Path, records: list[ImageRecord]) -> dict[str, Any]:
    """Measure the processor time of one worker, one thread each, in alternating rounds.

    Returns:
        For each side milliseconds to make a sample and to copy it into shared memory, how many times faster than theirs
        that is without and with the copy (medians and ranges of the rounds' ratios), and megabytes handed over.
    """
    sides = {THEIRS: their_batches(their_dataset(args, folder), args.batch)}
    for way in PLACES:
        sides[way] = our_batches(dataset_of(way, records, args), sampler_of(records, args, 1))
    for batches in sides.values():
        for _ in range(BUFFERED):
            next(batches)
    made: dict[str, list[float]] = {name: [] for name in sides}
    both: dict[str, list[float]] = {name: [] for name in sides}
    sent = dict.fromkeys(sides, 0.0)
    samples = args.batches * args.batch
    for number in range(args.rounds):
        for name in sides if number % 2 else reversed(sides):
            start = time.process_time()
            batches = [next(sides[name]) for _ in range(args.batches)]
            middle = time.process_time()
            sent[name] += sum(map(share, batches)) / samples / args.rounds / 1e6
            made[name].append(1000 * (middle - start) / samples)
            both[name].append(1000 * (time.process_time() - start) / samples)
    return {
        name: {
            "made_ms": median(made[name]),
            "both_ms": median(both[name]),
            "mb": sent[name],
            "made_ratio": ratio(made[THEIRS], made[name]),
            "both_ratio": ratio(both[THEIRS], both[name]),
        }
        for name in sides
    }


def ratio(theirs: list[float], ours: list[float]) -> tuple[float, float, float]:
    """Return median, lowest and highest of the rounds' ratios."""
    ratios = [one / other for one, other in zip(theirs, ours, strict=True)]
    return median(ratios), min(ratios), max(ratios)


def mover(device: torch.device) -> Callable[[Any], Any]:
    """Return a function that moves the tensors of a batch to the device."""

    def move(batch: Any) -> Any:
        if isinstance(batch, Tensor):
            return batch.to(device, non_blocking=True)
        return {key: move(value) for key, value in batch.items()} if isinstance(batch, dict) else batch

    return move


def their_loader(args: argparse.Namespace, folder: Path) -> DataLoader[Any]:
    """Make a loader of Ultralytics' training batches."""
    dataset = their_dataset(args, folder)
    return DataLoader(
        dataset, args.batch, shuffle=True, drop_last=True, num_workers=args.workers, collate_fn=dataset.collate_fn,
        pin_memory=args.device == "cuda", persistent_workers=args.workers > 0,
    )  # fmt: skip


def end_to_end(args: argparse.Namespace, folder: Path, records: list[ImageRecord]) -> dict[str, Any]:
    """Count the samples that arrive on the device a second, and time the device's part.

    Returns:
        For each side samples a second, how many times theirs, and milliseconds of the device for a batch in memory.
    """
    device = torch.device(args.device)
    loaders = {THEIRS: their_loader(args, folder)}
    for way in PLACES:
        loaders[way] = make_loader(
            dataset_of(way, records, args), sampler_of(records, args, args.workers), workers=args.workers, seed=0,
            pin_memory=device.type == "cuda",
        )  # fmt: skip
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    speed: dict[str, float] = {}
    own: dict[str, list[float]] = {name: [] for name in loaders}
    for name, loader in loaders.items():
        batches = endless(loader)
        for _ in range(max(BUFFERED, 2 * args.workers)):
            kept = next(batches)
            finish_on_device(kept, device, mover(device))
        wait()
        start, arrived = time.perf_counter(), 0
        for _ in range(args.rounds * args.batches):
            arrived += len(finish_on_device(next(batches), device, mover(device))["img"])
        wait()
        speed[name] = arrived / (time.perf_counter() - start)
        for _ in range(args.rounds):
            wait()
            start = time.perf_counter()
            finish_on_device(kept, device, mover(device))
            wait()
            own[name].append(1000 * (time.perf_counter() - start))
        del batches, loader
    return {
        name: {
            "samples_per_s": speed[name],
            "ratio": speed[name] / speed[THEIRS],
            "device_ms_a_batch": median(own[name]),
        }
        for name in loaders
    }


def endless(loader: DataLoader[Any]) -> Iterator[Any]:
    """Yield the batches of a loader, epoch after epoch."""
    for epoch in count():
        if hasattr(loader.batch_sampler, "set_epoch"):
            loader.batch_sampler.set_epoch(epoch)
        yield from loader


def print_tables(result: dict[str, Any]) -> None:
    """Print a result as Markdown tables."""
    print(f"\n{result['files']} files, {result['imgsz']} px, batch {result['batch']}, {result['where']}")
    print("\n| one worker | made, ms a sample | times Ultralytics | and in shared memory | times Ultralytics | MB |")
    print("|---|---|---|---|---|---|")
    for name, row in result["worker"].items():
        made, both = ("{:.2f} ({:.2f} to {:.2f})".format(*row[f"{kind}_ratio"]) for kind in ("made", "both"))
        print(f"| {name} | {row['made_ms']:.2f} | {made} | {row['both_ms']:.2f} | {both} | {row['mb']:.2f} |")
    print(f"\n| {result['workers']} workers | samples/s on the device | times Ultralytics | device ms a batch |")
    print("|---|---|---|---|")
    for name, row in result["end_to_end"].items():
        print(f"| {name} | {row['samples_per_s']:.1f} | {row['ratio']:.2f} | {row['device_ms_a_batch']:.1f} |")


def main() -> None:
    """Run, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--images", type=Path, help="folder of images, labels beside it; default: 64 made-up photos")
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--files", type=int, default=512, help="number of files to repeat the images to")
    parser.add_argument("--batches", type=int, default=4, help="batches a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the result here")
    args = parser.parse_args()
    LOGGER.setLevel("ERROR")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temp:
        folder = Path(temp) / "data"
        if args.images is None:
            make_photos(Path(temp) / "photos", 64)
        repeat(args.images or Path(temp) / "photos" / "images", folder, args.files)
        records = list(scan_split(read_data_yaml(folder / "data.yaml"), "train", progress=False).records)
        cuda = args.device == "cuda"
        result = {
            **{name: getattr(args, name) for name in ("imgsz", "batch", "workers")},
            "files": len(records),
            "where": torch.cuda.get_device_name() if cuda else "the device is this processor",
            "worker": worker_time(args, folder, records),
            "end_to_end": end_to_end(args, folder, records),
        }
    print_tables(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
