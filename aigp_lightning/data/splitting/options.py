"""Options of the `split` verb."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aigp_lightning.data.limits import LEAK_LIMIT
from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import SEED, SHARE, Range, check_range

WAYS = ("block", "group", "random")
FOLDER, SESSION = "folder", "session"
GAP = re.compile(r"(\d+(?:\.\d+)?) ?(s?)")
"""A number of frames, or of seconds with an s behind it."""


@dataclass
class SplitOptions:
    """Options of the split of a data set.

    Args:
        by: block (contiguous blocks of each recording, with gaps), group (whole folders, sessions or matches of a
            pattern) or random (picture by picture)
        val: share of the pictures that becomes the validation split
        test: share that becomes the test split; 0 for none
        gap: frames between two blocks that are in no split, such as 15, or seconds, such as 0.5s, where the names have
            times; null measures how long frames look alike
        group: what goes together, with --by group, into one split: folder, session (names that differ in their last
            number alone) or a regular expression with one group, matched in the path
        seed: the same seed and pictures give the same split
        out: the data.yaml to write, with its lists beside it; null: data.yaml in the folder, or data-BY.yaml where
            that is there already
        force: replace the data.yaml and lists that are there
        leak_limit: share of a split's pictures that may have a near neighbour in another split before it is warned

    Example:
        >>> options = SplitOptions(by="group", val=0.2, test=0.1)
        >>> options.check()
        >>> options.shares()
        {'train': 0.7, 'val': 0.2, 'test': 0.1}
    """

    by: str = "block"
    val: float = 0.2
    test: float = 0.0
    gap: str | None = None
    group: str = FOLDER
    seed: int = 0
    out: str | None = None
    force: bool = False
    leak_limit: float = LEAK_LIMIT

    def shares(self) -> dict[str, float]:
        """Return the share of the pictures by split, the test split only where it has one."""
        shares = {"train": round(1 - self.val - self.test, 9), "val": self.val, "test": self.test}
        return {split: share for split, share in shares.items() if share > 0}

    def gap_in(self) -> tuple[float, bool] | None:
        """Return the gap, and whether it is in seconds; None where it is to be measured."""
        found = None if self.gap is None else GAP.fullmatch(str(self.gap).strip())
        return None if found is None else (float(found[1]), bool(found[2]))

    def pattern(self) -> re.Pattern[str] | None:
        """Return the pattern of groups; None for folders and sessions.

        Raises:
            ConfigError: it is no pattern with one group.
        """
        if self.group in (FOLDER, SESSION):
            return None
        try:
            pattern = re.compile(self.group)
        except re.error as error:
            raise ConfigError(
                f"--group {self.group}: neither {FOLDER} nor {SESSION}, and no pattern ({error})."
            ) from error
        if pattern.groups != 1:
            raise ConfigError(
                f"--group {self.group}: {FOLDER}, {SESSION}, or a pattern with one group in brackets, such as "
                r"'flight_(\d+)'."
            )
        return pattern

    def check(self) -> None:
        """Refuse values that make no split.

        Raises:
            ConfigError: naming the option and what it may be.
        """
        if self.by not in WAYS:
            raise ConfigError(f"--by {self.by}: one of {', '.join(WAYS)}.")
        check_range("--val", self.val, Range(0, 1, above=True, below=True))
        check_range("--test", self.test, Range(0, 1, below=True))
        check_range("--seed", self.seed, SEED)
        check_range("--leak-limit", self.leak_limit, SHARE)
        if self.val + self.test >= 1:
            raise ConfigError(
                f"--val {self.val:g} and --test {self.test:g}: nothing is left for training; together below 1."
            )
        if self.gap is not None and self.gap_in() is None:
            raise ConfigError(f"--gap {self.gap}: frames such as 15, or seconds such as 0.5s.")
        if self.gap is not None and self.by != "block":
            raise ConfigError(f"--gap {self.gap}: only --by block has gaps.")
        if self.group != FOLDER and self.by != "group":
            raise ConfigError(f"--group {self.group}: add --by group.")
        self.pattern()
