"""Options of a synthetic data set, and the classes of each task."""

from __future__ import annotations

from dataclasses import dataclass

from aigp_lightning.errors import ConfigError

CLASSES: dict[str, tuple[str, ...]] = {
    "detect": ("gate",),
    "pose": ("gate",),
    "obstacle": ("pillar", "net", "box", "tree"),
}
SPLITS = ("train", "val", "test")
MIN_SIDE = 64


@dataclass
class MakeDataOptions:
    """A synthetic data set of racing gates and obstacles.

    Args:
        out: folder to write; it must not exist yet, or be empty, unless force is set
        task: detect (boxes of gates), pose (gates with their four inner corners) or obstacle (boxes of pillars, nets,
            boxes and trees)
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

    def check(self) -> None:
        """Refuse values that make no data set.

        Raises:
            ConfigError: naming the option and what it may be.
        """
        if self.task not in CLASSES:
            raise ConfigError(f"make-data: task is {self.task!r}; choose one of {', '.join(CLASSES)}")
        if not str(self.out).strip():
            raise ConfigError("make-data: out is empty; name the folder to write")
        if self.train < 1 or self.val < 1 or self.test < 0:
            raise ConfigError(
                f"make-data: train={self.train}, val={self.val}, test={self.test}; "
                "train and val need at least 1 picture, test at least 0"
            )
        if len(tuple(self.imgsz)) != len(("width", "height")) or min(self.imgsz) < MIN_SIDE:
            raise ConfigError(
                f"make-data: imgsz is {tuple(self.imgsz)}; give width and height, at least {MIN_SIDE} pixels each"
            )
        if not 0.0 <= self.backgrounds <= 1.0:
            raise ConfigError(f"make-data: backgrounds is {self.backgrounds}; give a share between 0 and 1")
        if self.seed < 0 or self.workers < 0:
            raise ConfigError(f"make-data: seed={self.seed}, workers={self.workers}; neither can be negative")
