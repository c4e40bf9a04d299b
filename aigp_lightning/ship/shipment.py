"""A shipment: what of a run is to be handed over to one destination, and how that is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.callbacks.anchor import check_ledger
from aigp_lightning.checkpoints.load import read_ledger_anchor
from aigp_lightning.checkpoints.paths import BEST, LAST
from aigp_lightning.errors import ConfigError, RunError, WeightsError, first_line
from aigp_lightning.files import read_regular
from aigp_lightning.media.hand_over import reach_of
from aigp_lightning.media.ledger.anchor import HEAD, LINES
from aigp_lightning.media.ledger.chain import parse_lines
from aigp_lightning.media.ledger.keys import read_private_key
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Ledger, Line, settled
from aigp_lightning.media.ledger.signatures import SIGNATURE_FILE
from aigp_lightning.media.ledger.signer import Signer, check_same_key
from aigp_lightning.media.sinks import KeepsSummary
from aigp_lightning.ship.decide import REASONS, Parcel, decide
from aigp_lightning.ship.deliver import LaterDelivery
from aigp_lightning.ship.destinations import Destination, build_destination
from aigp_lightning.ship.rules import RunRules, read_rules, read_run_config
from aigp_lightning.ship.scalars import ScalarRow, missing_scalars, read_scalars
from aigp_lightning.ship.selection import Selection

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from aigp_lightning.media.hand_over import Reach
    from aigp_lightning.media.ledger.anchor import Anchor
    from aigp_lightning.media.ledger.ledger import Lines
    from aigp_lightning.media.ledger.signatures import Moment
    from aigp_lightning.media.types import MediaStatus


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


@dataclass(frozen=True)
class Shipped:
    """The outcome of a shipment.

    Attributes:
        status: pictures by what became of them.
        scalars: rows that were handed over.
        changed: files that had other bytes than the ledger says when they were due.
        anchor: of the ledger afterwards.
        complete: whether all that was to go has gone.
    """

    status: MediaStatus
    scalars: int
    changed: Sequence[str]
    anchor: Anchor
    complete: bool


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
            it is signed and the key is not at hand, or the destination is switched off.
    """
    config = read_run_config(run)
    read_run_ledger(run)
    _check_anchors(run)
    rules = read_rules(run, config, ())
    _key(run, sign or rules.sign)
    _ = build_destination(to, run, rules).sink


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
    rows, note = list[ScalarRow](), ""
    if scalars:
        rows, note = missing_scalars(read_scalars(run, rules.config, lines), destination)
    left = sum(line.bytes for line in _counted(lines))
    last = max((line.epoch for line in lines), default=0)
    return Shipment(run, rules, destination, parcels, rows, left, last, [note] if note else [])


def _counted(lines: Lines) -> list[Line]:
    return [line for line in settled(lines) if line.left]


def send_shipment(
    shipment: Shipment,
    sign: str | None,
    say: Callable[[str], None],
    advance: Callable[[int], None] = lambda count: None,
) -> Shipped:
    """Hand a shipment over. The run folder is locked, checked and in order; see `repair_run_folder`.

    Args:
        shipment: what is handed over.
        sign: file of the private key; None takes the configuration's.
        say: called with what the user should know.
        advance: called with the number of pictures that are done.

    Raises:
        ConfigError: the ledger is signed, and the key is not at hand.
        RunError: the destination or the ledger cannot be opened.
    """
    run, destination = shipment.run, shipment.destination
    key = _key(run, sign or shipment.rules.sign)
    try:
        ledger = Ledger(run / LEDGER_FILE)
    except OSError as error:
        raise RunError(f"{run / LEDGER_FILE} cannot be opened ({first_line(error)}); nothing was sent.") from error
    try:
        destination.begin()
    except BaseException:
        ledger.close()
        raise
    signer = None if key is None else Signer(ledger, run, key, say)
    return _Sending(shipment, ledger, signer, say, advance).send()


class _Sending:
    """A shipment on its way."""

    def __init__(
        self, shipment: Shipment, ledger: Ledger, signer: Signer | None, say: Callable[[str], None],
        advance: Callable[[int], None],
    ) -> None:  # fmt: skip
        self.shipment, self.ledger, self.signer, self.say, self.advance = shipment, ledger, signer, say, advance
        sink = shipment.destination.sink
        self.delivery = LaterDelivery(shipment.run, ledger, shipment.rules.routes, sink, say)
        self.rows = 0

    def send(self) -> Shipped:
        """Send everything, in rising epochs; what was begun is noted and signed whatever happens."""
        complete = False
        self._sign("start")
        try:
            for row, parcels in self.shipment.moments():
                if row is not None:
                    self._log(row)
                self.delivery.hand_over(parcels)
                if parcels:
                    self._sign("epoch")
                self.advance(sum(parcel.verdict == "send" for parcel in parcels))
            complete = True
        finally:
            anchor = self._finish(complete)
        return Shipped(self.delivery.status, self.rows, self.delivery.changed, anchor, self._is_complete())

    def _log(self, row: ScalarRow) -> None:
        logger = self.shipment.destination.logger
        logger.log_metrics({"epoch": row.epoch, **row.values}, row.step)
        self.rows += not getattr(logger, "failed", False)

    def _finish(self, complete: bool) -> Anchor:
        self._sign("end" if complete else "stop")
        anchor, sink = self.ledger.anchor(), self.delivery.sink
        if isinstance(sink, KeepsSummary):
            try:
                sink.summarize({HEAD: anchor.head, LINES: anchor.lines})
            except Exception as error:  # the server, or W&B's process
                self.say(f"the summary of {sink.name} lacks the ledger's head: {first_line(error)}")
        self.delivery.record.close()
        self.shipment.destination.close(complete)
        return anchor

    def _is_complete(self) -> bool:
        status, shipment = self.delivery.status, self.shipment
        gone = status.kept + status.sent + status.waiting
        return gone == len(shipment.going) and self.rows == len(shipment.scalars)

    def _sign(self, moment: Moment) -> None:
        """Sign after each epoch that is handed over, as a run does after each that it trains."""
        if self.signer is not None:
            self.signer.sign(moment, self.shipment.last_epoch)


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


def _key(run: Path, sign: str | None) -> Ed25519PrivateKey | None:
    """Read the key by which a run is signed, which its further lines need too."""
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
