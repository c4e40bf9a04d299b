"""Gives one logger pictures that a run wrote before, each noted in the ledger as the run itself would have done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from aigp_lightning.errors import RunError
from aigp_lightning.media.budget import Budget
from aigp_lightning.media.delivery import Delivery
from aigp_lightning.media.ledger.lines import RemoteEntry
from aigp_lightning.media.ledger.writer import LedgerWriter
from aigp_lightning.media.routing import Routing
from aigp_lightning.media.types import RenderedImage, RenderGroup, RenderJob
from aigp_lightning.ship.decide import REASONS, Parcel
from aigp_lightning.ship.kept_pictures import KeptPicture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aigp_lightning.media.hand_over import Sink
    from aigp_lightning.media.ledger.ledger import Entry, Ledger, Outcome
    from aigp_lightning.media.routing import Routes


class LaterWriter(LedgerWriter):
    """Names a picture by its file in the run folder, also where its bytes come from elsewhere."""

    def __init__(self, folder: Path, ledger: Ledger, say: Callable[[str], None]) -> None:
        super().__init__(folder, ledger, say)
        self.files: dict[Path, str] = {}  # names in the run folder, by the path of what is handed over

    def entry(
        self, image: RenderedImage, group: RenderGroup, to: Sink | str, outcome: Outcome, reason: str = ""
    ) -> Entry:
        """Make the entry of a picture; see `LedgerWriter.entry`."""
        return super().entry(replace(image, path=self.folder / self.files[image.path]), group, to, outcome, reason)


class LaterDelivery(Delivery):
    """Hands over pictures that are there; it draws nothing, and writes no picture.

    Args:
        folder: the run folder.
        ledger: the record.
        routes: of the run.
        sink: the logger.
        say: called with what the user should know.
    """

    def __init__(self, folder: Path, ledger: Ledger, routes: Routes, sink: Sink, say: Callable[[str], None]) -> None:
        budget = Budget(None, ledger.left, say)  # what goes beyond the limit was decided with all of it known
        super().__init__(folder, ledger, Routing(routes, [sink]), budget, say)
        self.record: LaterWriter = LaterWriter(folder, ledger, self.say)
        self.sink, self.changed = sink, list[str]()

    def hand_over(self, parcels: Sequence[Parcel]) -> None:
        """Hand over the pictures of one moment, and note those that are withheld.

        Args:
            parcels: of one epoch and step.
        """
        for parcel in parcels:
            if self.sink.remote and (reason := REASONS.get(parcel.verdict)):
                self._note_withheld(parcel, reason)
        with TemporaryDirectory(prefix="ship-") as place:
            sent = [parcel for parcel in parcels if parcel.verdict == "send"]
            images = [image for each in sent if (image := self._load(each, Path(place))) is not None]
            if images:
                line = parcels[0].line
                self._send(images, self.sink, RenderGroup([image.job for image in images], line.epoch, line.step))
            self.record.files.clear()

    def _load(self, parcel: Parcel, place: Path) -> RenderedImage | None:
        """Read a picture into a file for the logger; one that is not what the ledger says any more is left out.

        Its own file may have another epoch's bytes by now, and W&B reads files.
        """
        line = parcel.line
        kept = [KeptPicture(line, parcel.read), *parcel.attached]
        data, *attached = [_bytes_of(each) for each in kept]
        for each, mine in zip(kept, (data, *attached), strict=True):
            if sha256(mine).hexdigest() != each.line.sha256:
                self.changed.append(each.line.file)
                return None
        path = place / line.file
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            for each, mine in zip(parcel.attached, attached, strict=True):
                path.with_name(Path(each.line.file).name).write_bytes(mine)
        except OSError as error:
            raise RunError(f"{path} cannot be written ({error.strerror}), which the logger is to read.") from error
        self.record.files[path] = line.file
        job = RenderJob(line.kind, path.name, _undrawn, tuple((source,) for source in line.sources), parcel.mosaic)
        names = (each.line.key.rpartition(".")[2] for each in parcel.attached)
        return RenderedImage(job, path, data, attachments=dict(zip(names, attached, strict=True)))

    def _note_withheld(self, parcel: Parcel, reason: str) -> None:
        """Add a line about a picture that must not leave, unless its last one says that already."""
        line, name = parcel.line, self.sink.name
        entry: Entry = replace(parcel.line.entry, destination=name, outcome="withheld", reason=reason)
        if entry.is_remote != self.sink.remote:
            entry = RemoteEntry(**{**asdict(entry), "remote": self.sink.remote})
        self.status.withheld += 1
        if not self.ledger.has(name, line.key, line.epoch, line.sha256):
            self.record.add(entry)


def _bytes_of(picture: KeptPicture) -> bytes:
    """Return what is kept of a picture; nothing if that is gone by now."""
    try:
        return picture.read() if picture.read is not None else b""
    except OSError:
        return b""


def _undrawn(masked: frozenset[int]) -> NDArray[np.uint8]:
    raise NotImplementedError("it was drawn before, and its bytes are handed over")
