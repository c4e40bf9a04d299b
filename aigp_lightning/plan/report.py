"""Prints a forecast as tables, and turns it into JSON for scripts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aigp_lightning.media.routing import KINDS
from aigp_lightning.terminal.output import print_line, print_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aigp_lightning.loggers.wandb_options import SideChannel
    from aigp_lightning.plan.planned import Forecast

MEGA = 1e6


def as_json(forecast: Forecast, channels: Sequence[SideChannel], max_mb: float | None) -> dict[str, Any]:
    """Turn a forecast into plain values: every file, every destination, every side channel."""
    return {
        "files": [asdict(file) for file in forecast.files],
        "validations": list(forecast.epochs),
        "destinations": [asdict(total) for total in forecast.totals()],
        "side_channels": [channel._asdict() for channel in channels],
        "resumes": str(forecast.earlier.folder) if forecast.earlier.folder is not None else None,
        "left_megabytes": forecast.left_bytes / MEGA,
        "remote_megabytes": forecast.remote_bytes / MEGA,
        "max_mb": max_mb,
        "over_budget": over(forecast, max_mb),
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
        table.add_column(f"{where}{' ↑' if total.remote else ''}\npictures / MB", justify="right")
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

    table = Table(title="W&B's side channels", title_justify="left")
    for column in ("channel", "", "sends"):
        table.add_column(column)
    for channel in channels:
        table.add_row(channel.name, "on" if channel.on else "off", channel.sends, style=None if channel.on else "dim")
    return table


def _lines(forecast: Forecast, max_mb: float | None) -> list[str]:
    remote, size = [total.name for total in forecast.totals() if total.remote], forecast.remote_bytes / MEGA
    lines = [
        f"validation pictures after {len(forecast.epochs)} epochs, fewer if the run stops early. Predictions, curves "
        "and results are weighed by stand-ins; all else is drawn from the data."
    ]
    private = [file for file in forecast.files if file.private]
    if private:
        lines.append(f"private images are in {len(private)} of the files: " + ", ".join(file.file for file in private))
    left = forecast.left_bytes / MEGA
    if left:
        lines.append(f"{left:.1f} MB have left this machine already, or may have, as the ledger of the run says.")
    more, all_of_it = ("more ", f", {left + size:.1f} MB in all") if left else ("", "")
    if not remote:
        lines.append("Nothing leaves this machine: no remote destination is configured.")
    elif max_mb is None:
        limit = "No limit is set (media.max_mb)."
        lines.append(f"↑ leaves this machine, at once or when synced: {size:.1f} MB {more}of pictures. {limit}")
    elif over(forecast, max_mb):
        would = f"{size:.1f} MB {more}would leave this machine{all_of_it}"
        lines.append(f"over budget: {would}, media.max_mb is {max_mb:g}.")
        lines += [f"  {line}" for line in forecast.withheld]
    else:
        lines.append(
            f"↑ leaves this machine: {size:.1f} MB {more}of pictures{all_of_it}, within media.max_mb {max_mb:g}."
        )
    return lines
