"""Prints a shipment before it is sent and what came of it, and turns both into JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aigp_lightning.logfiles.run_config import CONFIG_FILE
from aigp_lightning.media.budget import MEGA
from aigp_lightning.media.routing import KINDS
from aigp_lightning.plan.report import REACH
from aigp_lightning.terminal.output import print_line, print_tables
from aigp_lightning.terminal.words import epochs_text, pictures_text

if TYPE_CHECKING:
    from aigp_lightning.ship.decide import Parcel, Verdict
    from aigp_lightning.ship.sending import Shipped
    from aigp_lightning.ship.shipment import Shipment

FILES_SHOWN = 5


def as_json(shipment: Shipment, limit: float | None, shipped: Shipped | None = None) -> dict[str, Any]:
    """Turn a shipment into plain values.

    Args:
        shipment: what is to be handed over.
        limit: most megabytes in this call; None: no limit of its own.
        shipped: what came of it; None for a plan.
    """
    destination, status = shipment.destination, None if shipped is None else shipped.status
    return {
        "run": str(shipment.run),
        "to": destination.name,
        "reach": shipment.reach,
        "goes_on": destination.known,
        "wandb_id": destination.wandb_id or None,
        "address": destination.address or None,
        "pictures": [parcel.as_dict() for parcel in shipment.parcels],
        "verdicts": dict(Counter(parcel.verdict for parcel in shipment.parcels)),
        "megabytes": sum(parcel.size for parcel in shipment.going) / MEGA,
        "scalar_rows": len(shipment.scalars),
        "left_megabytes": shipment.left / MEGA,
        "max_mb": shipment.rules.max_mb,
        "limit_mb": limit,
        "notes": [*_whereto(shipment), *_held(shipment, limit)],
        "outcome": None if shipped is None or status is None else {
            "handed_over": status.kept + status.sent + status.waiting, "unknown": status.unknown,
            "failed": status.failed, "withheld": status.withheld, "changed": list(shipped.changed),
            "scalar_rows": shipped.scalars, "complete": shipped.complete, "anchor": shipped.anchor.as_dict(),
        },
    }  # fmt: skip


def show(shipment: Shipment, limit: float | None) -> None:
    """Print what would be handed over, to whom, and what stays and why."""
    print_tables(_table(shipment))
    for line in (*_whereto(shipment), *_held(shipment, limit)):
        print_line(line)


def show_outcome(shipment: Shipment, shipped: Shipped) -> None:
    """Print what came of a shipment."""
    name, status, anchor = shipment.destination.sink.name, shipped.status, shipped.anchor
    done = {"stays": "handed over to", "waits": "recorded for", "leaves": "sent to"}[shipment.reach]
    parts = [f"{done} {name}: {status.kept + status.sent + status.waiting} pictures, {shipped.scalars} rows of scalars"]
    parts += [f"{count} {what}" for count, what in ((status.withheld, "withheld"), (status.failed, "failed")) if count]
    parts += [f"{status.unknown} of which nobody can tell whether it arrived"] if status.unknown else []
    print_line("; ".join(parts))
    if shipped.changed:
        print_line(f"changed since, and not handed over: {', '.join(shipped.changed[:FILES_SHOWN])}")
    print_line(str(anchor))
    if not shipped.complete:
        print_line("not all of it was taken; the same command goes on from here.")


def _table(shipment: Shipment) -> Any:
    from rich.table import Table

    name, reach = shipment.destination.sink.name, REACH[shipment.reach]
    table = Table(title=f"Pictures of {shipment.run} for {name}", title_justify="left")
    table.add_column("kind", no_wrap=True)
    for heading in ("asked for\n\npictures", f"{name}\n{reach}\npictures / MB", "has it\n\npictures"):
        table.add_column(heading, justify="right")
    table.add_column("stays\n\npictures", justify="right")
    kinds = [kind for kind in KINDS if any(parcel.line.kind == kind for parcel in shipment.parcels)]
    for kind in kinds:
        table.add_row(kind, *_cells([parcel for parcel in shipment.parcels if parcel.line.kind == kind]))
    table.add_section()
    table.add_row("total", *_cells(shipment.parcels), style="bold")
    return table


def _cells(parcels: list[Parcel]) -> Iterator[str]:
    going = [parcel for parcel in parcels if parcel.verdict == "send"]
    has = sum(parcel.verdict in ("has", "unchanged", "unknown") for parcel in parcels)
    stays = len(parcels) - len(going) - has
    yield str(len(parcels))
    yield f"{len(going)} / {sum(parcel.size for parcel in going) / MEGA:.1f}" if going else "none"
    yield from (str(count) if count else "none" for count in (has, stays))


def _whereto(shipment: Shipment) -> Iterator[str]:
    """Say what leaves, waits or stays, and with which logger."""
    destination, going = shipment.destination, shipment.going
    size = sum(parcel.size for parcel in going)
    masked = sum(parcel.masked for parcel in going)
    words = {"leaves": "leaves this machine at once", "waits": "waits on this disk until it is synced"}
    said = words.get(shipment.reach, "stays on this machine")
    text = f"{said}: {pictures_text(len(going), size)}, {len(shipment.scalars)} rows of scalars"
    yield f"{text}, with {destination.sink.name}{f'; {masked} of them masked' if masked else ''}."
    if destination.name == "wandb":
        run_id = destination.wandb_id
        yield f"W&B: goes on with the run {run_id}." if run_id else "W&B: a new run, as this one has none there."
    if destination.name == "mlflow":
        yield f"MLflow: {'goes on with the run' if destination.known else 'a new run'} in {destination.address}."
    yield from shipment.notes
    if shipment.reach != "stays":
        before = f"{shipment.left / MEGA:.1f} MB have left before, or wait; " if shipment.left else ""
        limit = shipment.rules.max_mb
        yield f"{before}{'no limit is set (media.max_mb)' if limit is None else f'media.max_mb is {limit:g}'}."


def _held(shipment: Shipment, limit: float | None) -> Iterator[str]:
    """Say what stays, why, and how it could go all the same."""
    name, config = shipment.destination.sink.destination, shipment.run / CONFIG_FILE
    used = f", {shipment.left / MEGA:.1f} MB of it used" if shipment.left else ""
    words: dict[Verdict, str] = {
        "route": f"media.routes of this run does not let {name} have them; to allow it, name {name} there in {config}",
        "private": f"they show private images, and no masked version of them was made (media.private in {config})",
        "budget": f"media.max_mb is {shipment.rules.max_mb or 0:g}{used}; to allow more, raise it in {config}",
        "limit": f"--max-mb is {limit or 0:g}; the same command hands over the rest",
        "gone": "their bytes are neither in this folder nor in its loggers' files on this disk, as a later one's file "
        "has replaced them (media.keep_history keeps all)",
        "changed": "their files have other bytes than the ledger says",
        "unchanged": "it has, or gets, the same bytes of an epoch before (media.unchanged skip)",
        "unknown": "nobody can tell whether it has them from before; they are not sent again",
    }
    for verdict, why in words.items():
        rows = [parcel for parcel in shipment.parcels if parcel.verdict == verdict]
        if rows:
            size = sum(parcel.size for parcel in rows)
            epochs = epochs_text(parcel.line.epoch + 1 for parcel in rows)
            files = list(dict.fromkeys(parcel.line.file for parcel in rows))
            more = f" and {len(files) - FILES_SHOWN} more" if len(files) > FILES_SHOWN else ""
            yield f"stays: {pictures_text(len(rows), size)}, {epochs} ({', '.join(files[:FILES_SHOWN])}{more}): {why}."
