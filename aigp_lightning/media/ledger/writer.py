"""The ledger as a delivery writes it: lines that it cannot take now are owed, and written before anything is sent."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from aigp_lightning.errors import first_line
from aigp_lightning.media.ledger.ledger import Entry, Ledger, Outcome
from aigp_lightning.media.ledger.lines import RemoteEntry

if TYPE_CHECKING:
    from aigp_lightning.media.hand_over import Sink
    from aigp_lightning.media.types import RenderedImage, RenderGroup

NO_LEDGER = "the ledger could not be written"
"""Why a remote destination did not get a picture that it else might have had."""


def unfailing(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that says something if it can: a terminal that is gone costs no line of the ledger.

    Args:
        say: may fail.

    Example:
        >>> unfailing(print)("nothing to say")
        nothing to say
    """

    def said(text: str) -> None:
        with contextlib.suppress(Exception):
            say(text)

    return said


class LedgerWriter:
    """Writes what becomes of a run's pictures into its ledger, in order.

    Args:
        folder: the run folder.
        ledger: takes the lines.
        say: called once, should the ledger not take a line.

    Example:
        >>> import tempfile
        >>> from aigp_lightning.media.ledger.ledger import LEDGER_FILE
        >>> from aigp_lightning.media.types import RenderedImage, RenderGroup, RenderJob
        >>> job = RenderJob("results", "results.png", draw=lambda masked: None)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = LedgerWriter(Path(folder), Ledger(Path(folder) / LEDGER_FILE), say=print)
        ...     image = RenderedImage(job, Path(folder) / job.name, data=b"a picture's bytes")
        ...     writer.add(writer.entry(image, RenderGroup([job], epoch=0, step=0), "file", "written"))
        ...     writer.close()
        ...     writer.ledger.total("written")
        17
    """

    def __init__(self, folder: Path, ledger: Ledger, say: Callable[[str], None]) -> None:
        self.folder, self.ledger, self.say = folder, ledger, say
        self._owed: deque[Entry] = deque()
        self._told = ledger.failure is not None  # then it was said at the start

    def entry(
        self, image: RenderedImage, group: RenderGroup, to: Sink | str, outcome: Outcome, reason: str = ""
    ) -> Entry:
        """Make the entry of a picture.

        Args:
            image: the picture.
            group: says its epoch and step.
            to: the logger, or `file`.
            outcome: what became of it there.
            reason: why.
        """
        name, remote = (to, False) if isinstance(to, str) else (to.name, to.remote)
        entry = Entry(
            kind=image.job.kind,
            key=image.key,
            file=image.path.relative_to(self.folder).as_posix(),
            sha256=sha256(image.data).hexdigest(),
            bytes=len(image.data),
            step=group.step,
            epoch=group.epoch,
            sources=image.job.sources(image.hidden),
            destination=name,
            outcome=outcome,
            reason=reason,
        )
        return entry if entry.is_remote == remote else RemoteEntry(**asdict(entry), remote=remote)

    def entries(
        self, image: RenderedImage, group: RenderGroup, to: Sink | str, outcome: Outcome, reason: str = ""
    ) -> list[Entry]:
        """Make the entries of a picture and of the files that go with it; see `entry`."""
        entries = [first := self.entry(image, group, to, outcome, reason)]
        for key, path, data in image.attached():
            file = PurePosixPath(first.file).with_name(path.name).as_posix()
            digest, kind = sha256(data).hexdigest(), f"{first.kind}_boxes"
            entries.append(replace(first, kind=kind, key=key, file=file, sha256=digest, bytes=len(data)))
        return entries

    def add(self, *entries: Entry) -> None:
        """Add lines to the ledger, now or as soon as that is possible."""
        self._owed.extend(entries)
        try:
            self._catch_up()
        except Exception as error:  # memory that runs out too
            self._tell(error)

    def hand_over(self, stack: contextlib.ExitStack, entries: Sequence[Entry]) -> list[Entry] | None:
        """Note pictures that are about to be handed over; see `Ledger.hand_over`.

        Args:
            stack: ends the hand-over when it is closed.
            entries: of the pictures.

        Returns:
            The list that takes their outcomes; None if the ledger cannot be written.
        """
        try:
            self._catch_up()
            return stack.enter_context(self.ledger.hand_over(entries))
        except Exception as error:
            self._tell(error)
            return None

    def close(self) -> None:
        """Write what the ledger still lacks, if that is possible now, and close it. A second call does nothing."""
        with contextlib.suppress(Exception):  # it was said when the first line could not be written
            self._catch_up()
        self.ledger.close()

    def _catch_up(self) -> None:
        if self.ledger.failure is not None:
            self._owed.clear()  # it will not take them later either
            raise self.ledger.failure
        while self._owed:
            self.ledger.add(self._owed[0])
            self._owed.popleft()

    def _tell(self, error: Exception) -> None:
        if not self._told:
            self._told = True
            self.say(f"{NO_LEDGER} ({first_line(error)}): nothing goes to remote destinations until it can be")
