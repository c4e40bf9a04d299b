"""What becomes of each picture that is asked for: handed over, or not, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aigp_lightning.errors import ConfigError
from aigp_lightning.media.budget import MEGA
from aigp_lightning.media.ledger.counts import LedgerCounts
from aigp_lightning.media.ledger.ledger import Line, settled
from aigp_lightning.media.ledger.lines import PRIVATE_IMAGE
from aigp_lightning.media.routing import CLOSING, FIRST_GIVEN_UP, PER_EPOCH
from aigp_lightning.ship.kept_pictures import KeptPicture, PictureFiles, written_lines
from aigp_lightning.ship.selection import Selection, nothing_selected

if TYPE_CHECKING:
    from aigp_lightning.media.hand_over import Sink
    from aigp_lightning.ship.rules import RunRules

Verdict = Literal["send", "has", "unchanged", "unknown", "route", "private", "budget", "limit", "gone", "changed"]
REASONS: dict[Verdict, str] = {"private": PRIVATE_IMAGE, "budget": "budget"}
"""Reasons of `withheld` in the ledger, as a run writes them."""
MOSAICS = ("batch", "errors", "table")
"""Pictures of a validation, in the order in which they are important."""
MOSAIC = re.compile(rf"val_({'|'.join(MOSAICS)})(\d+)")


@dataclass(frozen=True)
class Parcel:
    """A picture, and what becomes of it at one destination.

    Attributes:
        line: of the ledger, about the very bytes that are meant: the picture's, or those of its masked version.
        read: returns these bytes, from wherever they are kept; None where there are none.
        verdict: `send`; `has` it; `unchanged`, so it has the same bytes from an epoch before; nobody can tell
            (`unknown`); or why it stays: the routes, a `private` image, the run's `budget`, the `limit` of this call,
            bytes that are `gone` or `changed`.
        attached: the files that go with it.
    """

    line: Line
    read: Callable[[], bytes] | None = field(repr=False)
    verdict: Verdict
    attached: Sequence[KeptPicture] = ()

    @property
    def size(self) -> int:
        """Bytes of the picture and of the files that go with it."""
        return self.line.bytes + sum(each.line.bytes for each in self.attached)

    @property
    def mosaic(self) -> int:
        """Number among the mosaics of its kind."""
        found = MOSAIC.match(self.line.key)
        return int(found[2]) + FIRST_GIVEN_UP * MOSAICS.index(found[1]) if found else 0

    @property
    def masked(self) -> bool:
        """True if it is a version with masked cells."""
        return "/" in self.line.file

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        line = self.line
        return {
            "file": line.file, "kind": line.kind, "key": line.key, "epoch": line.epoch, "step": line.step,
            "sha256": line.sha256, "bytes": self.size, "verdict": self.verdict,
        }  # fmt: skip


def decide(
    run: Path, lines: Sequence[Line], selection: Selection, rules: RunRules, sink: Sink, limit: float | None
) -> list[Parcel]:
    """Decide what becomes of each picture that is asked for. Nothing is written.

    Args:
        run: the run folder.
        lines: of its ledger.
        selection: what is asked for.
        rules: of the run.
        sink: the destination.
        limit: most megabytes in this call; None: no limit of its own.

    Returns:
        The pictures, in the order of their epochs and steps.

    Raises:
        ConfigError: nothing is asked for that there is, or pictures would leave and it is in doubt what is private.
    """
    if sink.remote:
        rules.check_private()
    written = written_lines(lines)
    last = max((line.epoch for line in written), default=0)
    asked = [line for line in written if selection.takes(line.kind, line.file, line.epoch, last)]
    if not asked:
        raise ConfigError(f"{run}: {nothing_selected(written)}")
    files, known = PictureFiles(run, lines), _known(lines, sink.name)
    parcels = [_decide(line, files, known, rules, sink) for line in asked]
    if rules.skip_unchanged:
        parcels = _without_repeats(parcels, lines, sink.name)
    if sink.remote and rules.max_mb is not None:
        counts = LedgerCounts()
        for line in lines:
            counts.count(line)
        parcels = _cut(parcels, rules.max_mb * MEGA - counts.left, "budget")
    return parcels if limit is None else _cut(parcels, limit * MEGA, "limit")


def _known(lines: Iterable[Line], destination: str) -> dict[tuple[str, int], Verdict]:
    """Return the pictures that a destination has, or may have."""
    known: dict[tuple[str, int], Verdict] = {}
    for line in settled(lines):
        if line.destination == destination and line.outcome in ("sent", "unknown"):
            which = line.key, line.epoch
            known[which] = "has" if line.outcome == "sent" or known.get(which) == "has" else "unknown"
    return known


def _decide(
    line: Line, files: PictureFiles, known: dict[tuple[str, int], Verdict], rules: RunRules, sink: Sink
) -> Parcel:
    """Decide about one picture, before limits."""
    if (had := known.get((line.key, line.epoch))) is not None:
        return Parcel(line, None, had)
    if sink.destination not in rules.routes.destinations(line.kind):
        return Parcel(line, None, "route")
    picture = files.find(line)
    if sink.remote and (rules.shows_private(line.sources) or files.was_private(line)):
        masked = files.find_masked(line) if rules.masks else None
        if masked is None or rules.shows_private(masked.line.sources):
            return Parcel(line, picture.read, picture.trouble or "private")
        return Parcel(masked.line, masked.read, masked.trouble or "send")
    attached = files.attached_to(line)
    troubles = [each.trouble for each in (picture, *attached) if each.trouble]
    return Parcel(picture.line, picture.read, troubles[0] if troubles else "send", attached)


def _without_repeats(parcels: Sequence[Parcel], lines: Iterable[Line], destination: str) -> list[Parcel]:
    """Take out validation pictures whose very bytes a destination has from the epoch before, or is about to get."""
    has: dict[str, dict[int, str]] = {}
    for line in settled(lines):
        if line.destination == destination and line.outcome == "sent":
            has.setdefault(line.key, {})[line.epoch] = line.sha256
    kept = []
    for parcel in parcels:
        line, mine = parcel.line, has.setdefault(parcel.line.key, {})
        if parcel.verdict == "send" and line.kind in PER_EPOCH:
            files = [line, *(each.line for each in parcel.attached)]
            before = max((epoch for epoch in mine if epoch < line.epoch), default=None)
            if before is not None and all(has.get(each.key, {}).get(before) == each.sha256 for each in files):
                kept.append(replace(parcel, verdict="unchanged"))
                continue
            for each in files:
                has.setdefault(each.key, {})[line.epoch] = each.sha256
        kept.append(parcel)
    return kept


def _cut(parcels: Sequence[Parcel], room: float, verdict: Verdict) -> list[Parcel]:
    """Take out what is beyond a limit.

    Given up first, as a run does: validation mosaics from the last number on, of each number the earliest epochs; then
    what is drawn when training begins; then the closing pictures.
    """
    order = sorted((parcel for parcel in parcels if parcel.verdict == "send"), key=_importance)
    out = set()
    for parcel in order:
        if parcel.size <= room:
            room -= parcel.size
        else:
            out.add(parcel.line.number)
    return [replace(each, verdict=verdict) if each.line.number in out else each for each in parcels]


def _importance(parcel: Parcel) -> tuple[int, int, int]:
    kind = parcel.line.kind
    group = 0 if kind in CLOSING else 2 if kind in PER_EPOCH else 1
    return group, parcel.mosaic, -parcel.line.epoch
