"""The conclusion of an audit: which pictures left, wait to be synced, stayed or were held back, in a few sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from aigp_lightning.audit.findings import LARGEST, Audit
from aigp_lightning.audit.images import Appearances
from aigp_lightning.audit.places import MASKED
from aigp_lightning.media.ledger.ledger import BOXES_FILE, UNCHANGED, Line
from aigp_lightning.terminal.words import epochs_text, pictures_text

State = Literal["left", "unknown", "waits", "stayed", "unchanged", "withheld", "failed"]
SAID: dict[State, str] = {
    "left": "Left this machine",
    "unknown": "Left it or not, nobody can tell",
    "waits": "Waiting on this disk to be synced",
    "stayed": "Stayed here",
    "unchanged": "Not sent again",
    "withheld": "Held back",
    "failed": "Failed",
}
OF_AN_IMAGE: dict[State, str] = {
    **SAID,
    "left": "It left this machine in",
    "unknown": "It left this machine or not, nobody can tell, in",
    "waits": "It waits on this disk to be synced in",
    "stayed": "It stayed here in",
    "unchanged": "It was not sent again with",
    "withheld": "It was held back with",
    "failed": "It failed with",
}


@dataclass(frozen=True)
class Share:
    """The pictures of one destination that ended alike.

    Attributes:
        state: `left` this machine; `unknown` whether they did; `waits` on this disk to be synced; `stayed`;
            `unchanged`, so not sent again; `withheld` for privacy or budget; `failed`.
        destination: name of the logger in the ledger, or `file`.
        pictures: how many.
        bytes: of all of them.
        masked: how many of them have masked cells.
        epochs: of the pictures, from 0.
        reasons: of what was withheld or not sent again.
        boxes: files of boxes that go with pictures.
    """

    state: State
    destination: str
    pictures: int
    bytes: int
    masked: int
    epochs: list[int]
    reasons: list[str]
    boxes: int = 0

    def __str__(self) -> str:
        """Say it in a few words."""
        to = {"left": " to ", "unknown": " to ", "unchanged": " to ", "withheld": " from ", "failed": " of "}.get(
            self.state, " with "
        )
        where = " in files" if self.destination == "file" else f"{to}{self.destination}"
        boxes = f" with {self.boxes} file{'s' * (self.boxes > 1)} of boxes" if self.boxes else ""
        text = f"{pictures_text(self.pictures, self.bytes)}{boxes}{where}, {epochs_text(self.epochs)}"
        if self.masked:
            text += f", {'all' if self.masked == self.pictures else self.masked} of them masked"
        return f"{text} ({', '.join(self.reasons)})" if self.reasons else text


def shares_of(audit: Audit, lines: Iterable[Line]) -> list[Share]:
    """Sum up lines of the ledger by state and destination.

    Args:
        audit: of the run; it knows what waits to be synced.
        lines: those to sum up.
    """
    groups: dict[tuple[State, str], list[Line]] = {}
    for line in lines:
        if line.number not in audit.settled:
            groups.setdefault((_state(audit, line), line.destination), []).append(line)
    return [
        Share(
            state,
            destination,
            len(some) - (boxes := sum(line.file.endswith(BOXES_FILE) for line in some)),
            sum(min(max(line.bytes, 0), LARGEST) for line in some),
            sum(line.file.startswith(MASKED) for line in some),
            sorted({line.epoch for line in some}),
            sorted({line.reason for line in some}) if state in ("withheld", "unchanged") else [],
            boxes,
        )
        for (state, destination), some in sorted(groups.items(), key=lambda item: list(SAID).index(item[0][0]))
    ]


def _state(audit: Audit, line: Line) -> State:
    if line.outcome in ("withheld", "failed"):
        skipped = line.outcome == "withheld" and line.reason.startswith(UNCHANGED)
        return "unchanged" if skipped else "withheld" if line.outcome == "withheld" else "failed"
    if not line.is_remote:
        return "stayed"
    if line.number in audit.waiting:
        return "waits"
    return "left" if line.outcome == "sent" else "unknown"


def conclusion_of(audit: Audit) -> list[str]:
    """Say of a run in a few sentences what left, waits, stayed and was held back."""
    if audit.ledger is None:
        return ["There is no ledger: which pictures were drawn, and which of them left, is not known.", *_beside(audit)]
    shares = shares_of(audit, audit.ledger)
    said = list(_sentences(shares, SAID, ": "))
    if not any(share.state in ("left", "unknown") for share in shares):
        said.insert(0, "No picture left this machine." if audit.beside_left else "Nothing left this machine.")
    return [*said, *_beside(audit), *_reservation(audit)]


def conclusion_of_image(audit: Audit, found: Appearances) -> list[str]:
    """Say of an image in a few sentences whether pictures with it left, wait, stayed or were held back.

    Args:
        audit: of the run.
        found: the pictures that show the image.
    """
    if not found.lines:
        return ["No picture of this run shows it: it was never drawn.", *_reservation(audit)]
    shares, masked = shares_of(audit, found.lines), shares_of(audit, found.masked)
    said = list(_sentences(shares, OF_AN_IMAGE, " "))
    if not any(share.state in ("left", "unknown") for share in shares):
        said.insert(0, "It has not left this machine.")
    plain = [str(replace(share, masked=0)) for share in masked]  # all of them are
    said += [f"It is masked in {'; '.join(plain)}."] if masked else []
    return [*said, *_reservation(audit)]


def _sentences(shares: Sequence[Share], words: dict[State, str], colon: str) -> Iterator[str]:
    for state, said in words.items():
        if some := [str(share) for share in shares if share.state == state]:
            yield f"{said}{colon}{'; '.join(some)}."


def _beside(audit: Audit) -> Iterator[str]:
    """Say where scalars and the rest went."""
    if audit.beside_left:
        yield f"Beside pictures, what left: {'; '.join(audit.beside_left)}."
    if audit.beside_waiting:
        yield f"Beside pictures, what waits to be synced: {'; '.join(audit.beside_waiting)}."


def _reservation(audit: Audit) -> Iterator[str]:
    if not audit.clean:
        count = f"{len(audit.findings)} difference{'s' * (len(audit.findings) > 1)}"
        yield f"This is what the ledger says, and what is there differs from it ({count})."


def as_dict(audit: Audit, found: Appearances | None = None) -> dict[str, Any]:
    """Return the conclusion for JSON: its sentences, and the numbers that they are made of.

    Args:
        audit: of the run.
        found: the pictures that show an image, for the conclusion about that; None: about the run.
    """
    lines = (audit.ledger or ()) if found is None else found.lines
    content: dict[str, Any] = {
        "text": " ".join(conclusion_of(audit) if found is None else conclusion_of_image(audit, found)),
        "pictures": [asdict(share) for share in shares_of(audit, lines)],
    }
    if found is not None:
        states = {share["state"] for share in content["pictures"]}
        content |= {"left": not states.isdisjoint({"left", "unknown"}), "waits": "waits" in states}
        content["masked"] = [asdict(share) for share in shares_of(audit, found.masked)]
    return content
