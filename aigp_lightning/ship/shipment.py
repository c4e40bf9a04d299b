"""A shipment: what of a run is to be handed over to one destination."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.callbacks.anchor import check_ledger
from aigp_lightning.checkpoints.load import read_ledger_anchor
from aigp_lightning.checkpoints.paths import BEST, LAST
from aigp_lightning.errors import ConfigError, WeightsError
from aigp_lightning.files import read_regular
from aigp_lightning.media.hand_over import reach_of
from aigp_lightning.media.ledger.chain import parse_lines
from aigp_lightning.media.ledger.keys import read_private_key
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Line, settled
from aigp_lightning.media.ledger.signatures import SIGNATURE_FILE
from aigp_lightning.media.ledger.signer import check_same_key
from aigp_lightning.ship.decide import REASONS, Parcel, decide
from aigp_lightning.ship.destinations import Destination, build_destination
from aigp_lightning.ship.rules import RunRules, read_rules, read_run_config
from aigp_lightning.ship.scalars import ScalarRow, missing_scalars, read_scalars
from aigp_lightning.ship.selection import Selection

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from aigp_lightning.media.hand_over import Reach
    from aigp_lightning.media.ledger.ledger import Lines


@dataclass
class Shipment:
    """The pictures and scalars of a run that are to go to one destination.

    Attributes:
        run: the run folder.
        rules: of the run.
        destination: the logger.
        parcels: every picture that is asked for, with what becomes of it.
        scalars: of each epoch, those that the logger lacks.
        left: bytes that have left this machine before, or may have, to whatever destination.
        last_epoch: of the run, from 0.
        notes: what there is to know besides.
    """

    run: Path
    rules: RunRules
    destination: Destination
    parcels: list[Parcel]
    scalars: list[ScalarRow]
    left: int
    last_epoch: int
    notes: list[str] = field(default_factory=list)

    @property
    def reach(self) -> Reach:
        """How far it goes."""
        return reach_of(self.destination.sink)

    @property
    def going(self) -> list[Parcel]:
        """The pictures that are handed over."""
        return [parcel for parcel in self.parcels if parcel.verdict == "send"]

    def moments(self) -> Iterator[tuple[ScalarRow | None, list[Parcel]]]:
        """Yield what is handed over together, in rising epochs: the scalars of one, or the pictures of one step."""
        rows = {row.epoch: row for row in self.scalars}
        parcels = [each for each in self.parcels if each.verdict == "send" or each.verdict in REASONS]
        moments = [(at[0], list(some)) for at, some in groupby(parcels, lambda x: (x.line.epoch, x.line.step))]
        for epoch in sorted({*rows, *(epoch for epoch, _ in moments)}):
            yield rows.get(epoch), []
            yield from ((None, some) for each, some in moments if each == epoch)


def read_run_ledger(run: Path) -> Lines:
    """Read the ledger of a run by which its pictures are known.

    Raises:
        ConfigError: there is none, it cannot be read, or it was changed after it was written.
    """
    path = run / LEDGER_FILE
    try:
        data = read_regular(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): `ship` needs the ledger of a run.") from error
    lines = parse_lines(data[: data.rfind(b"\n") + 1])  # half a line is what a kill leaves
    if lines.problems:
        raise ConfigError(f"{path} was changed after it was written: {lines.problems[0]} `audit {run}` tells more.")
    return lines


def check_shippable(run: Path, to: str, sign: str | None) -> None:
    """Refuse what cannot be shipped, before anything in the run folder is changed.

    Args:
        run: the run folder.
        to: the destination.
        sign: file of the private key; None takes the configuration's.

    Raises:
        ConfigError: the configuration or the ledger cannot be used, the ledger is not the one that is known elsewhere,
            it is signed and the key is not at hand, the destination is switched off, or pictures would leave and it is
            in doubt what is private.
    """
    config = read_run_config(run)
    lines = read_run_ledger(run)
    _check_anchors(run)
    rules = read_rules(run, config, {source for line in lines for source in line.sources})
    signing_key(run, sign or rules.sign)
    if build_destination(to, run, rules).sink.remote:
        rules.check_private()


def plan_shipment(
    run: Path, to: str, selection: Selection, limit: float | None = None, scalars: bool = True, write: bool = False
) -> Shipment:
    """Decide what of a run goes to a destination.

    Args:
        run: the run folder.
        to: the destination.
        selection: the pictures that are asked for.
        limit: most megabytes in this call; None: no limit of its own.
        scalars: losses and metrics go, too.
        write: it is about to be sent; else nothing in the folder is changed.

    Raises:
        ConfigError: the run cannot be shipped, W&B is switched off, or nothing is asked for that there is.
        DataError: the scalars cannot be read.
    """
    config = read_run_config(run)
    lines = read_run_ledger(run)
    rules = read_rules(run, config, {source for line in lines for source in line.sources})
    destination = build_destination(to, run, rules, write)
    parcels = decide(run, lines, selection, rules, destination.sink, limit)
    rows, notes = list[ScalarRow](), list[str]()
    if scalars:
        known, aside = read_scalars(run, rules.config, lines)
        rows, why = missing_scalars(known, destination)
        notes = [note for note in (aside, why) if note]
    left = sum(line.bytes for line in _counted(lines))
    last = max((line.epoch for line in lines), default=0)
    return Shipment(run, rules, destination, parcels, rows, left, last, notes)


def _counted(lines: Lines) -> list[Line]:
    return [line for line in settled(lines) if line.left]


def _check_anchors(run: Path) -> None:
    """Refuse to go on with a ledger that lacks what checkpoints or signatures know of it."""
    kept: dict[str, object] = {}
    for path in (LAST, BEST):
        if (run / path).is_file():
            try:
                kept[path.as_posix()] = read_ledger_anchor(run / path)
            except WeightsError:
                continue  # whoever audits is told
    told: list[str] = []
    check_ledger(run, kept, remote=False, say=told.append)
    if told:
        raise ConfigError(f"nothing was sent: {told[0]}")


def signing_key(run: Path, sign: str | None) -> Ed25519PrivateKey | None:
    """Read the key by which a run is signed, which its further lines need too; None if it is not signed.

    Args:
        run: the run folder.
        sign: file of the private key; None: none is given.

    Raises:
        ConfigError: the run is signed, and this is not its key.
    """
    if sign is None:
        if (run / SIGNATURE_FILE).exists():
            raise ConfigError(
                f"{run} is signed: give its private key, --sign KEY, so that what is added is signed too."
            )
        return None
    try:
        key = read_private_key(sign)
        check_same_key(run, key)
    except ConfigError as error:
        raise ConfigError(f"the key that signs {run} is needed, --sign KEY names it: {error}") from None
    return key
