"""The pictures that a run has kept: each with its line in the ledger, and with its bytes if they are still there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Literal

from aigp_lightning.files import is_plain_name, read_regular
from aigp_lightning.media.delivery import HISTORY
from aigp_lightning.media.ledger.ledger import Line
from aigp_lightning.media.renderer import MASKED
from aigp_lightning.media.routing import KINDS

Trouble = Literal["", "gone", "changed"]
REASON = "private image"
"""Beginning of the reason for which a run has withheld a picture."""


@dataclass(frozen=True)
class KeptPicture:
    """A picture of one epoch.

    Attributes:
        line: by which its file was written.
        path: of its bytes; None if they are not there.
        trouble: `gone` if nobody has its bytes any more, `changed` if its file has other ones than the ledger says.
    """

    line: Line
    path: Path | None
    trouble: Trouble = ""


def written_lines(lines: Iterable[Line]) -> list[Line]:
    """Return the line by which each picture of each epoch was written last, in the order of epochs and steps.

    A line that names anything but a file in the run folder, or no kind of picture, is none of a run's.

    Args:
        lines: of the ledger.
    """
    last = {
        (line.key, line.epoch): line
        for line in lines
        if (line.destination, line.outcome) == ("file", "written") and line.kind in KINDS and is_plain_name(line.file)
        if Path(line.file).stem == line.key
    }
    return sorted(last.values(), key=lambda line: (line.epoch, line.step, line.number))


@dataclass
class PictureFiles:
    """Finds a run's pictures by their hashes. Each file is read once.

    Attributes:
        run: the run folder.
        lines: of the ledger.
    """

    run: Path
    lines: Sequence[Line]
    _digests: dict[Path, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note which line wrote each file last."""
        self._newest = {line.file: line.sha256 for line in self.lines if line.destination == "file" and line.sha256}

    def find(self, line: Line) -> KeptPicture:
        """Find the bytes that a line is about: in `history/`, else the run folder's file if it still is that epoch's.

        Args:
            line: by which the picture was written.
        """
        kept, current = self.run / HISTORY / f"epoch{line.epoch:04d}" / line.file, self.run / line.file
        for path in (kept, current):
            if self._digest(path) == line.sha256:
                return KeptPicture(line, path)
        replaced = self._newest.get(line.file) != line.sha256
        if self._digest(kept) is not None or (self._digest(current) is not None and not replaced):
            return KeptPicture(line, None, "changed")
        return KeptPicture(line, None, "gone")

    def find_masked(self, line: Line) -> KeptPicture | None:
        """Find the version of a picture with masked cells that the run made for remote destinations; None without one.

        Args:
            line: by which the picture was written.
        """
        file = f"{MASKED}/{line.file}"
        made = self._masked.get((line.key, line.epoch), [])
        digest = self._digest(self.run / file) if made else None
        found = next((each for each in reversed(made) if (each.file, each.sha256) == (file, digest)), None)
        return None if found is None else KeptPicture(found, self.run / file)

    def was_private(self, line: Line) -> bool:
        """True if the run itself masked or withheld a picture for a private image.

        Args:
            line: by which the picture was written.
        """
        return (line.key, line.epoch) in self._masked or (line.key, line.epoch) in self._withheld

    @cached_property
    def _masked(self) -> dict[tuple[str, int], list[Line]]:
        """The lines about versions with masked cells, by key and epoch."""
        found: dict[tuple[str, int], list[Line]] = {}
        for line in self.lines:
            if line.file.startswith(f"{MASKED}/"):
                found.setdefault((line.key, line.epoch), []).append(line)
        return found

    @cached_property
    def _withheld(self) -> frozenset[tuple[str, int]]:
        private = (x for x in self.lines if x.outcome == "withheld" and x.reason.startswith(REASON))
        return frozenset((line.key, line.epoch) for line in private)

    def _digest(self, path: Path) -> str | None:
        """Return a file's SHA-256; None if it cannot be read."""
        if path not in self._digests:
            try:
                self._digests[path] = sha256(read_regular(path)).hexdigest()
            except (OSError, ValueError):
                self._digests[path] = None
        return self._digests[path]
