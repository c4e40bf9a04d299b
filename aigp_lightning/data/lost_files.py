"""Images that were there when the data set was scanned, and cannot be read now."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

from aigp_lightning.errors import RunError, printable, warn_user

LIST = "lost_files.txt"
WARNED = 5
"""Files that are named on the terminal; the list has all."""
CONSEQUENCE = {
    "train": "another takes its place",
    "val": "the metrics are of the others",
    "test": "the metrics are of the others",
}


class Lost(NamedTuple):
    """An image that could not be read, as a loader's worker puts it beside the samples of its batch.

    Attributes:
        im_file: the image, as the scan found it.
        why: the reason.

    Example:
        >>> Lost("000.jpg", "000.jpg: cannot be read: No such file or directory").im_file
        '000.jpg'
    """

    im_file: str
    why: str


class LostFiles:
    """The images of a split that a run has lost: counted, listed, and the end of the run when they are too many.

    Args:
        split: name of the split.
        images: number of its images.
        limit: share of them that may be lost; at least one may, unless it is 0.
        folder: the run folder, which gets a `lost_files.txt`.
        private: images that only this list names: what is printed may leave by a logger's console.

    Example:
        >>> import tempfile
        >>> lost = LostFiles("train", images=100, limit=0.02, folder=Path(tempfile.mkdtemp(dir=".")))
        >>> lost.allowed
        2
    """

    def __init__(
        self, split: str, images: int, limit: float, folder: Path, private: Container[object] = ()
    ) -> None:  # fmt: skip
        self.split, self.images, self.folder, self.private = split, images, folder, private
        self.limit = limit
        self.allowed = max(1, int(limit * images)) if limit > 0 else 0
        self.files: dict[str, str] = {}

    def add(self, lost: list[Lost]) -> None:
        """Note the images that a batch lost, warn of the first few and list all.

        Args:
            lost: the images, some of which may be noted already.

        Raises:
            RunError: more are lost than the run allows.
        """
        new = {each.im_file: each.why for each in map(Lost._make, lost) if each.im_file not in self.files}
        if not new:
            return
        self.files |= new
        self._list(new)
        for number, file in enumerate(new, len(self.files) - len(new) + 1):
            if number <= WARNED:
                where = f"; {self.folder / LIST} has all" if number == WARNED else ""
                warn_user(
                    f"{self._told(file)}. It was there at the start. Set aside, {CONSEQUENCE[self.split]} "
                    f"({number} of {self.images} {self.split} images so far{where}).",
                    everywhere=True,
                )
        if len(self.files) > self.allowed:
            raise RunError(
                f"{len(self.files)} of {self.images} {self.split} images cannot be read any more, the last: "
                f"{self._told(next(reversed(self.files)))}. That is more than --data.lost_limit {self.limit:g} "
                f"allows ({self.allowed}). Is the disk with the data still there? {self.folder / LIST} names them; "
                "what was trained so far is in the run folder, weights/last.ckpt."
            )

    def _told(self, file: str) -> str:
        """Say why an image is lost; of a private one not which."""
        if file in self.private:
            return f"a private image cannot be read ({LIST} names it)"
        return printable(self.files[file])

    def _list(self, new: dict[str, str]) -> None:
        """Append to the list in the run folder; a list that cannot be written is a warning."""
        text = "".join(f"{self.split} {printable(why)}\n" for why in new.values())
        try:
            with (self.folder / LIST).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            warn_user(f"{self.folder / LIST} could not be written: {error.strerror}", everywhere=True)
