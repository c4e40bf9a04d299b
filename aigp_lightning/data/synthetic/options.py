"""Options of a synthetic data set, and the classes of each task."""

from __future__ import annotations

from dataclasses import dataclass

from aigp_lightning.data.camera_profiles import PROFILES
from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import COUNT_OR_NONE, SEED, SHARE, Range, check_range

CLASSES: dict[str, tuple[str, ...]] = {
    "detect": ("gate",),
    "pose": ("gate",),
    "segment": ("gate",),
    "obstacle": ("pillar", "net", "box", "tree"),
}
SPLITS = ("train", "val", "test")
KEYPOINTS = {"inner": "gate-4", "rings": "gate-8", "rings-rows": "gate-8-rows"}
"""By the value of `keypoints`, the built-in target that says where they are on a gate."""
VAL_SHARE = 5
"""Of so many flights one is for validation."""
MOST_FLIGHTS = 1000
EMPTY = "empty_"
"""Begins the names of flights without gates."""
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
    "sequences": Range(0, MOST_FLIGHTS),
    "empty_flights": Range(0, MOST_FLIGHTS),
    "frames": Range(1, 999_999),
    "fps": Range(1, 1000),
}
OF_PICTURES, OF_FLIGHTS = ("train", "val", "test", "backgrounds"), ("empty_flights", "frames", "fps")
"""Options that count single pictures, and those of flights: where the others hold, they must be left as they are."""


@dataclass
class MakeDataOptions:
    """A synthetic data set of racing gates and obstacles.

    Args:
        out: folder to write; it must not exist yet, or be empty, unless force is set
        task: detect (boxes of gates), pose (gates with corners, see keypoints), segment (outlines of what is seen
            of gates) or obstacle (boxes of pillars, nets, boxes and trees)
        train: number of training pictures
        val: number of validation pictures
        test: number of test pictures; with 0 there is no test split
        imgsz: width and height of the pictures in pixels
        backgrounds: share of the pictures in which nothing is labelled, 0 to 1
        seed: the same seed and options give the same files, byte for byte
        workers: processes that draw; 0 = as many as there are cores
        force: replace a data set that make-data wrote there before
        profile: ts-002 (virtual rounds: 90° across, gates 0.26 m deep, in any paint) or ts-005 (physical qualifier:
            74°, rolling shutter and motion blur, orange gates 0.08 m deep in a hall with banners of that orange)
        keypoints: of task pose: inner (four corners of the opening), rings (four of the frame, then four of the
            opening, each clockwise) or rings-rows (opening, then frame, each top left and right, bottom left and right)
        sequences: number of flights along the profile's course, as frames with truth; 0 = single pictures
        empty_flights: number of further flights through the same place without its gates: frames on which false alarms
            can be counted
        frames: of each flight
        fps: frames a second of flights

    Example:
        >>> options = MakeDataOptions(out="datasets/corners", task="pose", train=32, val=8, test=0)
        >>> options.check()
        >>> options.counts(), options.total()
        ({'train': 32, 'val': 8}, 40)
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
    profile: str = "ts-002"
    keypoints: str = "inner"
    sequences: int = 0
    empty_flights: int = 0
    frames: int = 300
    fps: float = 30.0

    def counts(self) -> dict[str, int]:
        """Return the number of pictures by split, the empty splits left out."""
        return {split: n for split in SPLITS if (n := int(getattr(self, split))) > 0}

    def flights(self) -> dict[str, list[str]]:
        """Return the names of the flights by split, whole flights each: the last fifth, at least one, validates.

        A single flight is in both splits, since a data set has both: nothing can be learnt from its validation then.
        Flights without gates are divided likewise; a single one validates.

        Example:
            >>> MakeDataOptions(sequences=3, empty_flights=1).flights()
            {'train': ['flight_000', 'flight_001'], 'val': ['flight_002', 'empty_000']}
        """
        if not self.sequences:
            return {}
        names = [f"flight_{number:03d}" for number in range(self.sequences)]
        empty = [f"{EMPTY}{number:03d}" for number in range(self.empty_flights)]
        held, held_empty = (max(1, len(each) // VAL_SHARE) for each in (names, empty))
        train = (names[:-held] or names) + empty[:-held_empty]
        return {"train": train, "val": names[-held:] + empty[-held_empty:]}

    def total(self) -> int:
        """Return the number of pictures."""
        return (self.sequences + self.empty_flights) * self.frames or sum(self.counts().values())

    def check(self, prefix: str = "--") -> None:
        """Refuse values that make no data set.

        Args:
            prefix: what goes before an option's name on the command line.

        Raises:
            ConfigError: naming the option and what it may be.
        """
        if self.task not in CLASSES:
            raise ConfigError(f"{prefix}task is {self.task!r}; choose one of {', '.join(CLASSES)}")
        for name, known in (("profile", PROFILES), ("keypoints", KEYPOINTS)):
            if getattr(self, name) not in known:
                raise ConfigError(f"{prefix}{name} is {getattr(self, name)!r}; choose one of {', '.join(known)}")
        if self.keypoints != "inner" and self.task != "pose":
            raise ConfigError(f"{prefix}keypoints {self.keypoints}: only {prefix}task pose has keypoints")
        if not str(self.out).strip():
            raise ConfigError(f"{prefix}out is empty; name the folder to write")
        if len(tuple(self.imgsz)) != len(("width", "height")) or not all(side in SIDES for side in self.imgsz):
            raise ConfigError(f"{prefix}imgsz is {list(self.imgsz)}; give width and height in pixels, each {SIDES}")
        for name, allowed in RANGES.items():
            check_range(f"{prefix}{name}", getattr(self, name), allowed)
        self._check_kind(prefix)

    def _check_kind(self, prefix: str) -> None:
        """Refuse options of single pictures with flights, and those of flights without."""
        if self.sequences and self.task == "obstacle":
            raise ConfigError(f"{prefix}sequences fly past gates: choose {prefix}task detect, pose or segment")
        usual = MakeDataOptions()
        for name in OF_PICTURES if self.sequences else OF_FLIGHTS:
            if (value := getattr(self, name)) != getattr(usual, name):
                why = f"with {prefix}sequences {prefix}frames counts" if self.sequences else f"for {prefix}sequences"
                raise ConfigError(f"{prefix}{name} {value}: {why}; leave it out")
