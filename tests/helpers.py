"""What tests call: easy pictures, and the options of a run that takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

REPO = Path(__file__).parent.parent
YAML_OF_LAUGHS = "l0: &l0 [a, a, a, a, a, a, a, a, a, a]\n" + "".join(
    f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
"""A YAML of 500 bytes whose last list, `*l8`, stands for a thousand million texts."""


def draw_squares(folder: Path, split: str, count: int, seed: int) -> None:
    """Pictures of bright squares (class 0) and discs (class 1) on dark noise, with their labels: easy to learn."""
    _draw(folder, split, count, seed, _squares)


def draw_corners(folder: Path, split: str, count: int, seed: int) -> None:
    """Pictures of bright gates on dark noise, with their corners as keypoints of every visibility; every fifth empty.

    The corners go round from the top left. One out of the picture has visibility 0; of the others some have 1.
    """
    _draw(folder, split, count, seed, _gates)


def draw_masks(folder: Path, split: str, count: int, seed: int) -> None:
    """Pictures of bright squares (class 0) and discs (class 1) on dark noise, with their outlines as labels."""
    _draw(folder, split, count, seed, _outlined)


def _draw(
    folder: Path, split: str, count: int, seed: int, draw: Callable[[np.ndarray, np.random.Generator, int], list[str]]
) -> None:
    """Write pictures of three shapes, of dark noise into which `draw` paints; it returns the rows of the labels."""
    import cv2

    random = np.random.default_rng(seed)
    images, labels = folder / "images" / split, folder / "labels" / split
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for number in range(count):
        height, width = [(96, 96), (64, 96), (96, 64)][number % 3]
        picture = random.integers(0, 60, (height, width, 3), dtype=np.uint8)
        rows = draw(picture, random, number)
        cv2.imwrite(str(images / f"{number:03d}.png"), picture)
        (labels / f"{number:03d}.txt").write_text("\n".join(rows), encoding="utf-8")


def _squares(picture: np.ndarray, random: np.random.Generator, number: int) -> list[str]:
    import cv2

    (height, width), rows = picture.shape[:2], []
    for kind, corner in enumerate(random.permutation(4)[:2]):
        side = int(random.integers(18, 30))
        x, y = int(corner % 2 * width / 2) + 1, int(corner // 2 * height / 2) + 1
        if kind == 0:
            cv2.rectangle(picture, (x, y), (x + side, y + side), (240, 60, 60), -1)
        else:
            cv2.circle(picture, (x + side // 2, y + side // 2), side // 2, (60, 240, 60), -1)
        centre_x, centre_y = (x + side / 2) / width, (y + side / 2) / height
        rows.append(f"{kind} {centre_x:.6f} {centre_y:.6f} {side / width:.6f} {side / height:.6f}")
    return rows


def _outlined(picture: np.ndarray, random: np.random.Generator, number: int) -> list[str]:
    rows = []
    for row in _squares(picture, random, number):
        kind, x, y, width, height = row.split()
        turns = np.arange(4) * np.pi / 2 + np.pi / 4 if kind == "0" else np.arange(24) * np.pi / 12
        reach = np.sqrt(0.5) if kind == "0" else 0.5
        middle, sides = np.array([float(x), float(y)]), np.array([float(width), float(height)])
        points = middle + np.column_stack((np.cos(turns), np.sin(turns))) * reach * sides
        rows.append(" ".join([kind, *(f"{value:.6f}" for value in points.clip(0, 1).ravel())]))
    return rows


def _gates(picture: np.ndarray, random: np.random.Generator, number: int) -> list[str]:
    import cv2

    (height, width), rows = picture.shape[:2], []
    for place in random.permutation(2)[: 0 if number % 5 == 4 else 1 + number % 2]:
        side, x = int(random.integers(22, 34)), int(random.integers(-4, 10)) + place * width // 2
        y = int(random.integers(4, height - 40))
        square = np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]])
        points = (square + random.integers(-4, 5, (4, 2))).clip([-9, 0], [999, height - 1])
        cv2.polylines(picture, [points.astype(np.int32)], True, (60, 60, 240), 3)
        inside = ((points >= 0) & (points < [width, height])).all(1)
        seen = np.where(inside, random.choice([1, 2], 4, p=[0.2, 0.8]), 0)
        low, high = points.min(0).clip(0), points.max(0).clip(max=[width, height])
        box = [*(low + high) / 2 / [width, height], *(high - low) / [width, height]]
        corners = np.column_stack((np.where(seen[:, None] > 0, points / [width, height], 0), seen))
        rows.append(" ".join(["0", *(f"{value:.6f}" for value in box), *(f"{v:.6g}" for v in corners.ravel())]))
    return rows


CORNERS_YAML = """train: images/train
val: images/val
names: {0: gate}
kpt_shape: [4, 3]
flip_idx: [1, 0, 3, 2]
kpt_names: {0: [tl, tr, br, bl]}
"""


def small(data_yaml: Path, root: Path) -> list[object]:
    """Options of a run that takes seconds, from random weights."""
    return ["--model.weights", "null", *tiny(data_yaml, root)]


def tiny(data_yaml: Path, root: Path) -> list[object]:
    """Options of a run that takes seconds, for a family that starts from no weights."""
    return [
        *("--data.data_yaml", data_yaml, "--run.root", root, "--data.imgsz", 96, "--data.batch_size", 8),
        *("--data.workers", 0, "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
        *("--data.leak_limit", 1),  # squares and discs on noise are much alike
    ]


UNDRAWN = ("--media.routes.everything", "[]")
"""Options of a run that draws no pictures, which take half of a tiny run's time."""


def tiny_network(folder: Path, pose: bool = False) -> list[object]:
    """Options of a network of three layers, described in a file of a folder; a run's time is halved once more."""
    import yaml
    from fuzz.generators import TINY

    path = folder / ("tiny-pose.yaml" if pose else "tiny.yaml")
    corners = {"kpt_shape": [4, 3], "head": [[[0, 1], 1, "Pose", ["nc", "kpt_shape"]]]}
    path.write_text(yaml.safe_dump(TINY | (corners if pose else {})), encoding="utf-8")
    return ["--model.variant", path]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes: a real error of the system's, as on a full disk."""
    resource = pytest.importorskip("resource")
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
