"""Hands a shipment over: noted in the ledger, signed, and told to the logger's summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aigp_lightning.errors import RunError, first_line
from aigp_lightning.media.ledger.anchor import HEAD, LINES
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Ledger
from aigp_lightning.media.ledger.signer import Signer
from aigp_lightning.media.sinks import KeepsSummary
from aigp_lightning.ship.deliver import LaterDelivery
from aigp_lightning.ship.shipment import Shipment, signing_key

if TYPE_CHECKING:
    from aigp_lightning.media.ledger.anchor import Anchor
    from aigp_lightning.media.ledger.signatures import Moment
    from aigp_lightning.media.types import MediaStatus
    from aigp_lightning.ship.scalars import ScalarRow


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
    key = signing_key(run, sign or shipment.rules.sign)
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
        gone, failed = status.kept + status.sent + status.waiting, getattr(shipment.destination.logger, "failed", False)
        return gone == len(shipment.going) and self.rows == len(shipment.scalars) and not failed

    def _sign(self, moment: Moment) -> None:
        """Sign after each epoch that is handed over, as a run does after each that it trains."""
        if self.signer is not None:
            self.signer.sign(moment, self.shipment.last_epoch)
