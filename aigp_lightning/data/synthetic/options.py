"""Options of a synthetic data set, and the classes of each task."""

from __future__ import annotations

from dataclasses import dataclass

from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import COUNT_OR_NONE, SEED, SHARE, Range, check_range

CLASSES: dict[str, tuple[str, ...]] = {
    "detect": ("gate",),
    "pose": ("gate",),
    "segment": ("gate",),
    "obstacle": ("pillar", "net", "box", "tree"),
}
SPLITS = ("train", "val", "test")
SIDES = Range(64, 16384)
MOST = 10_000_000
"""Pictures of a split: their names count them."""
RANGES = {
    "train": Range(1, MOST),
    "val": Range(1, MOST),
    "test": Range(0, MOST),
    "backgrounds": SHARE,
    "seed": SEED,
    "workers": COUNT_OR_NONE,
}


@dataclass
class MakeDataOptions:
    """A synthetic data set of racing gates and obstacles.

    Args:
        out: folder to write; it must not exist yet, or be empty, unless force is set
        task: detect (boxes of gates), pose (gates with their four inner corners), segment (outlines of what is seen of
            gates) or obstacle (boxes of pillars, nets, boxes and trees)
        train: number of training pictures
        val: number of validation pictures
        test: number of test pictures; with 0 there is no test split
        imgsz: width and height of the pictures in pixels
        backgrounds: share of the pictures in which nothing is labelled, 0 to 1
        seed: the same seed and options give the same files, byte for byte
        workers: processes that draw; 0 = as many as there are cores
        force: replace a data set that make-data wrote there before

    Example:
        >>> options = MakeDataOptions(out="datasets/corners", task="pose", train=32, val=8, test=0)
        >>> options.check()
        >>> options.counts()
        {'train': 32, 'val': 8}
    """

    out: str = "datasets/gates"
    task: str = "detect"
    train: int = 512
    val: int = 128
    test: int = 64
    imgsz: tuple[int, int] = (640, 360)
    backgrounds: float = 0.25
    seed: int = 0
    workers: int = 0
    force: bool = False

    def counts(self) -> dict[str, int]:
        """Return the number of pictures by split, the empty splits left out."""
        return {split: n for split in SPLITS if (n := int(getattr(self, split))) > 0}

    def check(self, prefix: str = "--") -> None:
        """Refuse values that make no data set.

        Args:
            prefix: what goes before an option's name on the command line.

        Raises:
            ConfigError: naming the option and what it may be.
        """
        if self.task not in CLASSES:
            raise ConfigError(f"{prefix}task is {self.task!r}; choose one of {', '.join(CLASSES)}")
        if not str(self.out).strip():
            raise ConfigError(f"{prefix}out is empty; name the folder to write")
        if len(tuple(self.imgsz)) != len(("width", "height")) or not all(side in SIDES for side in self.imgsz):
            raise ConfigError(f"{prefix}imgsz is {list(self.imgsz)}; give width and height in pixels, each {SIDES}")
        for name, allowed in RANGES.items():
            check_range(f"{prefix}{name}", getattr(self, name), allowed)
