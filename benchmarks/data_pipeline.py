"""Training samples per second of one core: our data path against Ultralytics' YOLODataset.

Both read the same JPEG files and do the same augmentations with the same settings (mosaic, scale and translation, Blur,
MedianBlur, ToGray and CLAHE at 1 % each, HSV, flip), then collate batches to tensors: from files of two sizes, from
files of 1280×720 alone, and from a cache in memory, each side its own. One process, one thread each, in alternating
rounds, by processor time, so that other programs on the machine hardly count. The images are repeated under other names
until there are many more than a buffer holds, so that each side decodes about one image a sample; the table shows how
many it really was.

    python benchmarks/data_pipeline.py --json result.json
    python benchmarks/data_pipeline.py --images photos/images
    python benchmarks/data_pipeline.py --augment '{"mixup": 0.5, "perspective": 0.001}'

With `--augment` both get these strengths and probabilities, not their defaults; for `copy_paste` the made-up labels
are polygons.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import aigp_lightning  # noqa: F401  (switches off network calls, so it comes first)

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import lightning.pytorch  # noqa: F401  (sets the rank, by which one process alone prints)
import numpy as np
import torch
from ultralytics.cfg import get_cfg
from ultralytics.data import build_yolo_dataset
from ultralytics.utils import LOGGER

from aigp_lightning.data.augment import AugmentConfig
from aigp_lightning.data.augment.instances import Instances
from aigp_lightning.data.augment.pipeline import TrainPipeline
from aigp_lightning.data.cache_fill import Pictures, cache_in_memory
from aigp_lightning.data.collate import collate
from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.dataset import TrainDataset
from aigp_lightning.data.images import label_path
from aigp_lightning.data.records import ImageRecord
from aigp_lightning.data.requests import Mixing
from aigp_lightning.data.samplers import TrainBatchSampler
from aigp_lightning.data.scan import scan_split
from aigp_lightning.data.training_images import read_training_image

SHAPES = ((720, 1280), (480, 640))
FILES, LARGE, CACHED = "from files", "from files, 1280×720 sources", "from the cache"
BATCH = 16
TILES = 4


class Decodes:
    """A counter of calls of `cv2.imdecode`, which both sides read files with."""

    def __init__(self) -> None:
        self.count = 0
        self._decode = cv2.imdecode

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Count, and decode."""
        self.count += 1
        return self._decode(*args, **options)

    def __enter__(self) -> Decodes:
        cv2.imdecode = self
        return self

    def __exit__(self, *_: object) -> None:
        cv2.imdecode = self._decode


def make_photos(
    folder: Path, number: int, shapes: tuple[tuple[int, int], ...] = SHAPES, polygons: bool = False
) -> None:  # fmt: skip
    """Write JPEG files with the detail of photos (shades, edges, grain), and labels of eight boxes each.

    Args:
        folder: Gets `images` and `labels`.
        number: How many.
        shapes: Heights and widths in turn, pixels.
        polygons: The labels are polygons, of five corners.
    """
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for index in range(number):
        height, width = shapes[index % len(shapes)]
        image = np.zeros((height, width, 3), np.float32)
        for cells, weight in ((4, 110.0), (20, 60.0), (90, 30.0), (300, 20.0)):
            noise = rng.random((cells, cells, 3)).astype(np.float32) * weight
            image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        for _ in range(12):
            corner = rng.integers(0, (width, height))
            cv2.rectangle(image, corner.tolist(), (corner + 60).tolist(), rng.integers(0, 256, 3).tolist(), -1)
        cv2.imwrite(
            str(folder / "images" / f"{index:04}.jpg"),
            image.clip(0, 255).astype(np.uint8),
            [cv2.IMWRITE_JPEG_QUALITY, 92],
        )
        boxes = np.column_stack((np.zeros(8), rng.uniform(0.2, 0.8, (8, 2)), rng.uniform(0.05, 0.35, (8, 2))))
        if polygons:
            corners = np.array(((-1, -1), (0, -0.7), (1, -1), (1, 1), (-1, 1))) / 2
            boxes = np.column_stack((boxes[:, 0], (boxes[:, None, 1:3] + corners * boxes[:, None, 3:]).reshape(8, -1)))
        np.savetxt(folder / "labels" / f"{index:04}.txt", boxes, fmt="%.6g")


def repeat(images: Path, folder: Path, number: int) -> None:
    """Copy images and labels over and over, until there are enough files.

    Args:
        images: Folder of the originals.
        folder: Gets `images/train`, `labels/train` and `data.yaml`.
        number: How many images at least.
    """
    found = sorted(p for p in images.iterdir() if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not found:
        raise SystemExit(f"No .jpg or .png images in {images}.")
    places = {kind: folder / kind / "train" for kind in ("images", "labels")}
    for place in places.values():
        place.mkdir(parents=True)
    for copy in range(-(-number // len(found))):
        for image in found:
            shutil.copy(image, places["images"] / f"{copy:03}_{image.name}")
            if (label := Path(label_path(str(image)))).exists():
                shutil.copy(label, places["labels"] / f"{copy:03}_{image.stem}.txt")
    yaml = f"path: {json.dumps(str(folder))}\ntrain: images/train\nval: images/train\nnc: 100\n"
    (folder / "data.yaml").write_text(yaml, encoding="utf-8")


def our_batches(
    records: list[ImageRecord], imgsz: int, batch: int, cached: bool, augment: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield batches of our data path, without end."""
    config = AugmentConfig(**augment)
    cache = cache_in_memory(Pictures(records, imgsz), threads=1) if cached else None
    dataset = TrainDataset(records, imgsz, TrainPipeline(imgsz, config), batch, cache)
    sampler = TrainBatchSampler(len(records), batch, 0, 0, 1, 0, config.mosaic, mixing=Mixing.of(config))
    epoch = 0
    while True:
        sampler.set_epoch(epoch)
        for requests in sampler:
            if len(requests) == batch:
                yield collate([dataset[request] for request in requests])  # type: ignore[misc]
        epoch += 1


def their_batches(
    folder: Path, imgsz: int, batch: int, cached: bool, augment: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield batches of Ultralytics' YOLODataset, without end."""
    config = get_cfg(overrides={"imgsz": imgsz, "task": "detect", "cache": cached, **augment})
    data = {"names": {i: str(i) for i in range(100)}, "nc": 100, "channels": 3}
    dataset = build_yolo_dataset(config, str(folder / "images" / "train"), batch, data, mode="train")
    rng = np.random.default_rng(0)
    while True:
        order = rng.permutation(len(dataset))
        for start in range(0, len(order) - batch + 1, batch):
            yield dataset.collate_fn([dataset[int(i)] for i in order[start : start + batch]])


def stages(records: list[ImageRecord], imgsz: int, rounds: int) -> dict[str, float]:
    """Return the mean milliseconds a sample of every stage of ours; `collate` is a batch's, divided."""
    spent: dict[str, float] = {}

    def clock(name: str, start: float) -> float:
        now = time.process_time()
        spent[name] = spent.get(name, 0.0) + now - start
        return now

    steps = TrainPipeline(imgsz, AugmentConfig()).transforms
    recent: list[Any] = []
    items: list[Any] = []
    rng = np.random.default_rng(0)
    done = 0
    for number in range(rounds):
        record = records[number % len(records)]
        start = time.process_time()
        image = read_training_image(record.im_file, record.shape, imgsz)
        clock("read, decode, resize", start)
        boxes = np.zeros((len(record.cls), 4), np.float32)
        size = np.tile(image.shape[1::-1], 2)
        boxes[:, :2], boxes[:, 2:] = (record.bboxes[:, :2] - record.bboxes[:, 2:] / 2, record.bboxes[:, :2])
        sample = {"image": image, "bboxes": boxes * size, "cls": record.cls, "keypoints": None, "im_file": ""}
        recent = [*recent[-63:], sample]
        if len(recent) < TILES:
            continue
        done += 1
        data = {
            "image": image,
            "instances": Instances(sample["bboxes"], record.cls, None),
            "partners": [recent[i] for i in rng.integers(0, len(recent), 3)],
        }
        seed_start = time.process_time()
        state = np.random.default_rng(number), random.Random(number)
        clock("random state", seed_start)
        for step in steps:
            start = time.process_time()
            step.set_random_state(*state)
            data = step(**data)
            clock(type(step).__name__, start)
        labels = data["instances"]
        extra = {"im_file": "", "ori_shape": (1, 1), "ratio_pad": ((1.0, 1.0), (0.0, 0.0)), "sources": ()}
        items.append({"image": data["image"], "bboxes": labels.bboxes, "cls": labels.cls, "keypoints": None, **extra})
        if len(items) == BATCH:
            start = time.process_time()
            collate(items)
            clock("collate", start)
            items = []
    return {name: 1000 * seconds / done for name, seconds in spent.items()}


def main() -> None:
    """Run, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--images", type=Path, help="folder of images, labels beside it, instead of 64 made-up photos of each kind"
    )
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--files", type=int, default=512, help="number of files to repeat the images to")
    parser.add_argument("--batches", type=int, default=6, help="batches a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--augment", type=json.loads, default={}, help="strengths and probabilities of both, as JSON")
    parser.add_argument("--json", type=Path, help="write the result here")
    args = parser.parse_args()

    LOGGER.setLevel("ERROR")
    result: dict[str, Any] = {"imgsz": args.imgsz, "batch": args.batch, "augment": args.augment, "rows": {}}
    pasted = args.augment.get("copy_paste", 0) > 0
    with tempfile.TemporaryDirectory() as temp:
        large = (LARGE, [SHAPES[0]]) if args.images is None else None
        for name, shapes in filter(None, ((FILES, SHAPES), large, (CACHED, SHAPES))):
            folder = Path(temp) / str(len(result["rows"]))
            images = args.images or folder / "photos" / "images"
            if args.images is None:
                make_photos(folder / "photos", 64, tuple(shapes), polygons=pasted)
            repeat(images, folder / "data", args.files)
            spec, outlines = read_data_yaml(folder / "data" / "data.yaml"), "any" if pasted else None
            records = list(scan_split(spec, "train", outlines=outlines, progress=False).records)
            cv2.setNumThreads(1)
            torch.set_num_threads(1)
            result["rows"][name] = compare(args, folder / "data", records, cached=name == CACHED)
            if name == FILES:
                result["stages_ms"] = stages(records, args.imgsz, 200)
            shutil.rmtree(folder)
    print_tables(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2), encoding="utf-8")


def compare(args: argparse.Namespace, folder: Path, records: list[ImageRecord], cached: bool) -> dict[str, Any]:
    """Time both sides in alternating rounds.

    Returns:
        Medians over the rounds: samples a second of processor time and decodes a sample of each, and the ratio of each
        round's pair.
    """
    sides = {
        "ours": our_batches(records, args.imgsz, args.batch, cached, args.augment),
        "ultralytics": their_batches(folder, args.imgsz, args.batch, cached, args.augment),
    }
    speed: dict[str, list[float]] = {name: [] for name in sides}
    decoded: dict[str, list[float]] = {name: [] for name in sides}
    with Decodes() as decodes:
        for batches in sides.values():
            for _ in range(1 if cached else 10):  # fills the buffers, which hold eight batches
                next(batches)
        for number in range(args.rounds):
            for name in sides if number % 2 else reversed(sides):
                before, start = decodes.count, time.process_time()
                for _ in range(args.batches):
                    next(sides[name])
                samples = args.batches * args.batch
                speed[name].append(samples / (time.process_time() - start))
                decoded[name].append((decodes.count - before) / samples)
    ratios = [ours / theirs for ours, theirs in zip(*speed.values(), strict=True)]
    return {
        "files": len(records),
        "samples_per_s": {name: median(values) for name, values in speed.items()},
        "decodes_per_sample": {name: sum(values) / len(values) for name, values in decoded.items()},
        "ratio": median(ratios),
        "ratio_range": (min(ratios), max(ratios)),
    }


def print_tables(result: dict[str, Any]) -> None:
    """Print a result as two Markdown tables."""
    print(
        "\n| samples a second of one core | ours | decodes | Ultralytics | decodes | ratio |\n|---|---|---|---|---|---|"
    )
    for name, row in result["rows"].items():
        cells = [f"{row[what][side]:.{digits}f}" for side in ("ours", "ultralytics")
                 for what, digits in (("samples_per_s", 1), ("decodes_per_sample", 2))]  # fmt: skip
        low, high = row["ratio_range"]
        print(f"| {name} | {' | '.join(cells)} | {row['ratio']:.2f} ({low:.2f} to {high:.2f}) |")
    print(f"\n| stage of ours, {FILES} | ms a sample |\n|---|---|")
    for name, value in result["stages_ms"].items():
        print(f"| {name} | {value:.3f} |")
    print(f"| sum | {sum(result['stages_ms'].values()):.2f} |")


if __name__ == "__main__":
    main()
