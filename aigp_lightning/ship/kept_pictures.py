"""The pictures that a run has kept: each with its line in the ledger, and with its bytes if they are still there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Literal

from aigp_lightning.files import is_plain_name, read_regular
from aigp_lightning.logfiles.stored_pictures import LOGGERS
from aigp_lightning.media.ledger.ledger import Line
from aigp_lightning.media.ledger.lines import BOXES_FILE, PRIVATE_IMAGE
from aigp_lightning.media.renderer import MASKED
from aigp_lightning.media.routing import ATTACHED, KINDS
from aigp_lightning.paths import HISTORY

Trouble = Literal["", "gone", "changed"]


@dataclass(frozen=True)
class KeptPicture:
    """A picture of one epoch.

    Attributes:
        line: by which its file was written.
        read: returns its bytes, from wherever they are kept; None if they are not there.
        trouble: `gone` if nobody has its bytes any more, `changed` if its file has other ones than the ledger says.
    """

    line: Line
    read: Callable[[], bytes] | None
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
    """Finds a run's pictures by their hashes. Each file is read once, and no picture's bytes are held.

    The files of the run's loggers are looked through only for what the run folder lacks. A remote one may have got a
    picture with masked cells, which is another picture: it has another hash, by which the ledger knows it.

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
        """Find the bytes that a line is about.

        They may be in `history/`, in the run folder's file if that still is the epoch's, or in a logger's files.

        Args:
            line: by which the picture was written.
        """
        kept, current = self.run / HISTORY / f"epoch{line.epoch:04d}" / line.file, self.run / line.file
        for path in (kept, current):
            if self._digest(path) == line.sha256:
                return KeptPicture(line, partial(read_regular, path))
        if (read := self._of_loggers.get(line.sha256)) is not None:
            return KeptPicture(line, read)
        replaced = self._newest.get(line.file) != line.sha256
        if self._digest(kept) is not None or (self._digest(current) is not None and not replaced):
            return KeptPicture(line, None, "changed")
        return KeptPicture(line, None, "gone")

    def attached_to(self, line: Line) -> list[KeptPicture]:
        """Find the files that go with a picture.

        Args:
            line: by which the picture was written.
        """
        mine = [each for each in self._attached.get(line.epoch, []) if each.key.startswith(f"{line.key}.")]
        last = {each.key: each for each in mine if each.file == f"{each.key}{BOXES_FILE}"}
        return [self.find(each) for each in last.values()]

    def find_masked(self, line: Line) -> KeptPicture | None:
        """Find the version of a picture with masked cells that the run made for remote destinations; None without one.

        Args:
            line: by which the picture was written.
        """
        path = self.run / MASKED / line.file
        for each in reversed(self._masked.get((line.key, line.epoch), [])):
            if each.file != f"{MASKED}/{line.file}":
                continue
            if self._digest(path) == each.sha256:
                return KeptPicture(each, partial(read_regular, path))
            if (read := self._of_loggers.get(each.sha256)) is not None:
                return KeptPicture(each, read)
        return None

    def was_private(self, line: Line) -> bool:
        """True if the run itself masked or withheld a picture for a private image.

        Args:
            line: by which the picture was written.
        """
        return (line.key, line.epoch) in self._masked or (line.key, line.epoch) in self._withheld

    @cached_property
    def _attached(self) -> dict[int, list[Line]]:
        """The lines about files that go with pictures, by epoch."""
        found: dict[int, list[Line]] = {}
        for line in self.lines:
            if line.kind in ATTACHED and (line.destination, line.outcome) == ("file", "written"):
                found.setdefault(line.epoch, []).append(line)
        return found

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
        private = (x for x in self.lines if x.outcome == "withheld" and x.reason.startswith(PRIVATE_IMAGE))
        return frozenset((line.key, line.epoch) for line in private)

    @cached_property
    def _of_loggers(self) -> dict[str, Callable[[], bytes]]:
        """Where loggers on this disk keep pictures of the run, by hash; nothing further is read once all are found."""
        wanted = {line.sha256 for line in self.lines if line.sha256}
        found: dict[str, Callable[[], bytes]] = {}
        for pictures in LOGGERS.values():
            for picture in pictures(self.run, []):  # what is damaged there is for `audit` to tell
                if picture.sha256 in wanted:
                    found.setdefault(picture.sha256, picture.read)
            if len(found) == len(wanted):
                break
        return found

    def _digest(self, path: Path) -> str | None:
        """Return a file's SHA-256; None if it cannot be read."""
        if path not in self._digests:
            try:
                self._digests[path] = sha256(read_regular(path)).hexdigest()
            except (OSError, ValueError):
                self._digests[path] = None
        return self._digests[path]
