"""Images that were there when the data set was scanned, and cannot be read now."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from aigp_lightning.data.labels import printable
from aigp_lightning.errors import RunError, warn_user

LIST = "lost_files.txt"
SAID = 5
"""Files that are named on the terminal; the list has all."""
WHAT = {
    "train": "another takes its place",
    "val": "the metrics are of the others",
    "test": "the metrics are of the others",
}


class Lost(NamedTuple):
    """An image that could not be read: what a loader's worker puts beside the samples of its batch.

    Attributes:
        im_file: the image, as the scan found it.
        why: what is wrong with it.
    """

    im_file: str
    why: str


class LostFiles:
    """Counts, names and lists the images of a split that a run has lost, and ends it when they become too many.

    Args:
        split: which.
        images: how many it has.
        limit: share of them that may be lost; at least one may, unless it is 0.
        folder: where `lost_files.txt` goes.
    """

    def __init__(self, split: str, images: int, limit: float, folder: Path) -> None:
        self.split, self.images, self.folder = split, images, folder
        self.limit = limit
        self.allowed = max(1, int(limit * images)) if limit > 0 else 0
        self.files: dict[str, str] = {}

    def take(self, lost: list[Lost]) -> None:
        """Note what a batch lost.

        Raises:
            RunError: these were too many.
        """
        new = {each.im_file: each.why for each in map(Lost._make, lost) if each.im_file not in self.files}
        if not new:
            return
        self.files |= new
        self._list(new)
        for number, why in enumerate(new.values(), len(self.files) - len(new) + 1):
            if number <= SAID:
                where = f"; {self.folder / LIST} has all" if number == SAID else ""
                warn_user(
                    f"{printable(why)}. It was there at the start. Set aside, {WHAT[self.split]} "
                    f"({number} of {self.images} {self.split} images so far{where}).",
                    everywhere=True,
                )
        if len(self.files) > self.allowed:
            raise RunError(
                f"{len(self.files)} of {self.images} {self.split} images cannot be read any more, the last: "
                f"{printable(next(reversed(self.files.values())))}. That is more than --data.lost_limit {self.limit:g} "
                f"allows ({self.allowed}). Is the disk with the data still there? {self.folder / LIST} names them; "
                "what was trained so far is in --ckpt_path last."
            )

    def _list(self, new: dict[str, str]) -> None:
        text = "".join(f"{self.split} {printable(why)}\n" for why in new.values())
        try:
            with (self.folder / LIST).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            warn_user(f"{self.folder / LIST} could not be written: {error.strerror}", everywhere=True)
