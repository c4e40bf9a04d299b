"""Prints a forecast as tables, and turns it into JSON for scripts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aigp_lightning.errors import printable
from aigp_lightning.media.routing import KINDS
from aigp_lightning.terminal.output import print_line, print_tables
from aigp_lightning.terminal.words import epochs_text, pictures_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aigp_lightning.loggers.wandb_options import SideChannel
    from aigp_lightning.media.hand_over import Reach
    from aigp_lightning.plan.planned import Forecast

MEGA = 1e6
REACH: dict[Reach, str] = {"stays": "stays here", "waits": "waits for sync", "leaves": "leaves"}


def as_json(forecast: Forecast, channels: Sequence[SideChannel], max_mb: float | None) -> dict[str, Any]:
    """Turn a forecast into plain values: every file, every destination, every side channel."""
    return {
        "files": [
            {key: value for key, value in asdict(file).items() if key not in ("mosaic", "known")}
            for file in forecast.files
        ],
        "validations": list(forecast.epochs),
        "destinations": [asdict(total) for total in forecast.totals()],
        "side_channels": [channel._asdict() for channel in channels],
        "resumes": str(forecast.earlier.folder) if forecast.earlier.folder is not None else None,
        "left_out": list(forecast.left_out),
        "scalars_only": list(forecast.scalars_only),
        "left_megabytes": forecast.left_bytes / MEGA,
        "left_waiting_megabytes": forecast.earlier.waiting / MEGA,
        "unchanged": dict(zip(("pictures", "bytes", "skipped"), forecast.repeats(), strict=True)),
        "remote_megabytes": forecast.remote_bytes / MEGA,
        "leaves_megabytes": forecast.bytes_that("leaves") / MEGA,
        "waits_megabytes": forecast.bytes_that("waits") / MEGA,
        "max_mb": max_mb,
        "over_budget": over(forecast, max_mb),
        "held_back": [{**asdict(row), "epochs": list(row.epochs)} for row in forecast.held_back],
        "withheld": forecast.withheld,
    }


def over(forecast: Forecast, max_mb: float | None) -> bool:
    """True if more would leave the machine than allowed, with what has left in earlier starts of the run."""
    to_come = forecast.remote_bytes
    return max_mb is not None and to_come > 0 and forecast.left_bytes + to_come > max_mb * MEGA


def show(forecast: Forecast, channels: Sequence[SideChannel], max_mb: float | None) -> None:
    """Print the tables."""
    print_tables(_pictures(forecast))
    if channels:
        print_tables(_channels(channels))
    for line in _lines(forecast, max_mb):
        print_line(line)


def _pictures(forecast: Forecast) -> Any:
    from rich.table import Table

    totals, earlier = forecast.totals(), forecast.earlier
    title = f"Pictures from epoch {earlier.epoch + 1} on" if earlier.epoch else "Pictures of the whole run"
    table = Table(title=f"{title}, and who gets them", title_justify="left")
    table.add_column("kind", no_wrap=True)
    table.add_column("pixels", justify="right")
    table.add_column("kB each", justify="right")
    for total in totals:
        where = "run folder" if total.name == "file" else total.name
        table.add_column(f"{where}\n{REACH[total.reach]}\npictures / MB", justify="right")
    for kind in KINDS:
        files = [file for file in forecast.files if file.kind == kind]
        if not files:
            table.add_row(kind, "–", "–", *("none" for _ in totals), style="dim")
            continue
        cells = []
        for total in totals:
            count = sum(file.pictures(total.name, total.remote) for file in files)
            size = sum(file.size(total.name, total.remote) for file in files)
            cells.append(f"{count} / {size / MEGA:.1f}" if count else "none")
        largest = max(files, key=lambda file: file.width * file.height)
        each = sum(file.bytes for file in files) / len(files) / 1e3
        table.add_row(kind, f"{largest.width}×{largest.height}", f"{each:.0f}", *cells)
    table.add_section()
    table.add_row("total", "", "", *(f"{total.pictures} / {total.bytes / MEGA:.1f}" for total in totals), style="bold")
    return table


def _channels(channels: Sequence[SideChannel]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="W&B's side channels", title_justify="left")
    for column in ("channel", "", "sends"):
        table.add_column(column)
    for channel in channels:
        sends = Text(printable(channel.sends), overflow="fold")  # words of the user's, which are no markup
        table.add_row(channel.name, "on" if channel.on else "off", sends, style=None if channel.on else "dim")
    return table


def _lines(forecast: Forecast, max_mb: float | None) -> list[str]:
    lines = [
        f"validation pictures after {len(forecast.epochs)} epochs, fewer if the run stops early. Predictions, curves "
        "and results are weighed by stand-ins; all else is drawn from the data."
    ]
    private = [file for file in forecast.files if file.private]
    if private:
        lines.append(f"private images are in {len(private)} of the files: " + ", ".join(file.file for file in private))
    if forecast.left_out:
        lines.append(f"left out, so they get nothing: {', '.join(forecast.left_out)}")
    lines += [*_from_earlier(forecast), *_repeats(forecast), *_whereto(forecast)]
    if any(total.remote for total in forecast.totals()):
        lines.append(_limit(forecast, max_mb))
    return [*lines, *_held_back(forecast)]


def _from_earlier(forecast: Forecast) -> Iterator[str]:
    waits, left = forecast.earlier.waiting / MEGA, (forecast.left_bytes - forecast.earlier.waiting) / MEGA
    if left:
        yield f"{left:.1f} MB have left this machine already, or may have, as the ledger of the run says."
    if waits:
        yield f"{waits:.1f} MB of earlier starts wait on this disk to be synced."


def _repeats(forecast: Forecast) -> Iterator[str]:
    """Say how much is, or would not be, sent again without having changed."""
    count, size, skipped = forecast.repeats()
    if count and skipped:
        yield f"not sent again, being unchanged: {pictures_text(count, size)} (media.unchanged skip)."
    elif count:
        what = pictures_text(count, size)
        yield f"sent again unchanged: {what} of these; with --media.unchanged skip loggers get them once."


def _whereto(forecast: Forecast) -> Iterator[str]:
    """Say what leaves, waits and stays."""
    more = "more " if forecast.left_bytes else ""
    by_reach: dict[Reach, list[str]] = {"leaves": [], "waits": [], "stays": []}
    for total in forecast.totals():
        by_reach[total.reach].append("the run folder" if total.name == "file" else total.name)
    if names := forecast.scalars_only:
        yield f"{', '.join(names)} gets scalars and no pictures; where it keeps them is not known here."
    if not by_reach["leaves"]:
        other = "no remote destination is configured" if not by_reach["waits"] else "no destination is online"
        yield f"{'No picture' if names else 'Nothing'} leaves this machine: {other}."
    for reach, said in (("leaves", "leaves this machine at once"), ("waits", "waits on this disk until it is synced")):
        if places := by_reach[reach]:  # type: ignore[index]
            size = forecast.bytes_that(reach) / MEGA  # type: ignore[arg-type]
            yield f"{said}: {size:.1f} MB {more}of pictures, with {', '.join(places)}."
    yield f"stays on this machine: what {' and '.join(by_reach['stays'])} get{'s' * (len(by_reach['stays']) == 1)}."


def _limit(forecast: Forecast, max_mb: float | None) -> str:
    left, size = forecast.left_bytes / MEGA, forecast.remote_bytes / MEGA
    if max_mb is None:
        return "No limit is set (media.max_mb)."
    whole = f"{size:.1f} MB" + (f" more, {left + size:.1f} MB in all," if left else "")
    if over(forecast, max_mb):
        return f"over budget: {whole} would leave or wait to be synced, media.max_mb is {max_mb:g}."
    return f"{whole} leave or wait to be synced, within media.max_mb {max_mb:g}."


def _held_back(forecast: Forecast) -> Iterator[str]:
    """Name the pictures that the limit would hold back."""
    rows = forecast.held_back
    if not rows:
        return
    size = sum(row.bytes for row in rows)
    go = (forecast.remote_bytes - size) / MEGA
    count = sum(row.pictures for row in rows)
    what = pictures_text(count, size)
    yield f"held back from remote destinations: {what}; {go:.1f} MB would go. Files stay complete."
    for row in rows:
        epochs = epochs_text(epoch + 1 for epoch in row.epochs)
        yield f"  {row.kind} to {row.destination}: {pictures_text(row.pictures, row.bytes)}, {epochs}"
    yield from (f"  {line}" for line in forecast.withheld)
