"""The `ship` verb."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.cli.target import check_target, write_target
from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.media.ledger.ledger import LEDGER_FILE
from aigp_lightning.media.routing import KINDS
from aigp_lightning.ranges import COUNT, NOT_NEGATIVE, check_range
from aigp_lightning.run.lock import lock_run_folder, writer_of
from aigp_lightning.ship.selection import Selection, parse_epochs
from aigp_lightning.terminal.output import console, has_live_terminal, print_line, print_text

if TYPE_CHECKING:
    from aigp_lightning.ship.sending import Shipped
    from aigp_lightning.ship.shipment import Shipment

TO = ("wandb", "tensorboard", "mlflow")


def main(verb: str, arguments: list[str]) -> int:
    """Hand over pictures and scalars that a run kept to itself.

    Args:
        verb: the word that stands on the command line.
        arguments: the words after it.

    Returns:
        1 if something that was to go was not taken, or has other bytes than the ledger says, else 0.

    Raises:
        ConfigError: an option, or the run's configuration, is wrong; or another process writes to the run folder.
        DataError: there is no such run.
        RunError: the destination cannot be opened.
    """
    options = _parser(verb).parse_args(arguments)
    run = Path(options.run)
    check_range("--every", options.every, COUNT)
    check_range("--max-mb", options.max_mb, NOT_NEGATIVE)
    check_target("--json", options.json)
    epochs = parse_epochs(options.epochs) if options.epochs else ()
    selection = Selection(options.select or (), options.kind or (), options.every, epochs)
    if not run.is_dir():
        raise DataError(f"{run}: there is no such folder. `ship` takes a run's, such as runs/detect/gates.")
    if not (run / LEDGER_FILE).is_file() and not (run / "config.yaml").is_file():
        raise DataError(f"{run} is no run's folder: it has neither {LEDGER_FILE} nor config.yaml.")
    return _plan(run, options, selection) if options.plan else _ship(run, options, selection)


def _plan(run: Path, options: Namespace, selection: Selection) -> int:
    """Print what would be handed over; nothing is written."""
    from aigp_lightning.ship.shipment import plan_shipment

    if (writer := writer_of(run)) is not None:
        raise ConfigError(f"{run} is in use: {writer} writes to it. Wait until that has ended.")
    _tell(options, plan_shipment(run, options.to, selection, options.max_mb, options.scalars))
    return 0


def _ship(run: Path, options: Namespace, selection: Selection) -> int:
    from aigp_lightning.loggers.tensorboard import quiet_writer
    from aigp_lightning.run.recovery import repair_run_folder
    from aigp_lightning.ship.printing import show
    from aigp_lightning.ship.sending import send_shipment
    from aigp_lightning.ship.shipment import check_shippable, plan_shipment

    with lock_run_folder(run, "ship"):
        check_shippable(run, options.to, options.sign)
        repair_run_folder(run)
        shipment = plan_shipment(run, options.to, selection, options.max_mb, options.scalars, write=True)
        if options.json != "-":
            show(shipment, options.max_mb)
        if not shipment.going and not shipment.scalars:
            if options.json:
                _tell(options, shipment)
            if options.json != "-":
                print_line("there is nothing to hand over.")
            return int(any(parcel.verdict == "changed" for parcel in shipment.parcels))
        with quiet_writer(), _progress(len(shipment.going), options.json != "-") as advance:
            shipped = send_shipment(shipment, options.sign, _warn, advance)
    _tell(options, shipment, shipped)
    return int(not shipped.complete or bool(shipped.changed) or any(x.verdict == "changed" for x in shipment.parcels))


def _tell(options: Namespace, shipment: Shipment, shipped: Shipped | None = None) -> None:
    """Print the plan or what came of it, and write either as JSON."""
    from aigp_lightning.ship.printing import as_json, show, show_outcome

    text = json.dumps(as_json(shipment, options.max_mb, shipped), indent=2)
    if options.json == "-":
        print_text(text)
        return
    if options.json:
        write_target("--json", options.json, text)
    if shipped is not None:
        show_outcome(shipment, shipped)
    elif options.plan:
        show(shipment, options.max_mb)


def _warn(text: str) -> None:
    print_line(f"warning: {text}", err=True)


@contextmanager
def _progress(total: int, wanted: bool) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal; yields the function that moves it."""
    if not wanted or not has_live_terminal():
        yield lambda count: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, transient=True, console=console()) as bar:
        task = bar.add_task("pictures", total=total)
        yield lambda count: bar.advance(task, count)


def _parser(verb: str) -> VerbParser:
    parser = VerbParser(
        prog=f"python -m aigp_lightning {verb}",
        description="Hand over later what a run kept to itself: the very files of its folder, by the rules of its "
        "configuration (media.routes, media.private, media.max_mb), each noted in its ledger. Doing it twice hands "
        "over nothing twice; broken off and repeated it completes. Exit status 0: done, or nothing to do; 1: something "
        "that was to go was not taken, or is not what the ledger says; 2: no such run, or a mistake in the options.",
        epilog="example: ship runs/detect/gates --to wandb --select 'val_*' --every 10 --plan",
    )
    parser.add_argument("run", metavar="RUN", help="folder of the run")
    parser.add_argument(
        "--to", choices=TO, required=True,
        help="the logger: the run's own of this kind where it had one (W&B's run of the same id), else a new one",
    )  # fmt: skip
    parser.add_argument(
        "--select", metavar="GLOB", nargs="+", action="extend",
        help="only pictures whose name fits, such as 'val_*'; quoted, so that the shell leaves it alone",
    )  # fmt: skip
    parser.add_argument(
        "--kind", choices=KINDS, nargs="+", action="extend", metavar="KIND",
        help=f"only pictures of these kinds: {', '.join(KINDS)}",
    )  # fmt: skip
    parser.add_argument(
        "--every", type=int, default=1, metavar="N",
        help="of validation mosaics, only each so many epochs, and the last one",
    )  # fmt: skip
    parser.add_argument("--epochs", metavar="RANGES", help="only these epochs, counted from 1: 1-50 or 10,20,90-")
    parser.add_argument("--plan", action="store_true", help="say what would be handed over, and change nothing")
    parser.add_argument(
        "--max-mb", type=float, metavar="MB", help="most megabytes in this call; the run's media.max_mb counts besides"
    )
    parser.add_argument(
        "--no-scalars", dest="scalars", action="store_false", help="leave out the losses and metrics that it lacks"
    )
    parser.add_argument("--scalars", dest="scalars", action="store_true", default=True, help="hand them over, too")
    parser.add_argument("--sign", metavar="KEY", help="private key of a signed run; default: what media.sign says")
    parser.add_argument(
        "--json", metavar="FILE", nargs="?", const="-",
        help="write everything as JSON too; without a file, or with -, print that alone",
    )  # fmt: skip
    return parser
