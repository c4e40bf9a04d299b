"""The `report` verb."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.cli.audit_target import check_run_folder, has_parts_of_a_run
from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.cli.target import check_target
from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.files import DISK_FULL, disk_full
from aigp_lightning.logfiles.run_config import CONFIG_FILE
from aigp_lightning.media.ledger.ledger import LEDGER_FILE
from aigp_lightning.ranges import COUNT_OR_NONE, POSITIVE, check_range
from aigp_lightning.run.marker import RUN_FILE
from aigp_lightning.terminal.output import console, print_line

if TYPE_CHECKING:
    from aigp_lightning.modules.metrics.image_results import ImageResults
    from aigp_lightning.report.fitting import Advance
    from aigp_lightning.report.payload import Report

REPORT_FILE = "report.html"
POLICY_FILES = ("versions.json", "last/model.zip", "best/model.zip")
"""Files of a policy's run, by which it is told."""


def main(verb: str, arguments: list[str]) -> int:
    """Write a report of one or several runs.

    Args:
        verb: `report`.
        arguments: the words after it.

    Returns:
        0.

    Raises:
        DataError: none of the folders is a run's.
        ConfigError: an option is wrong, or the page cannot be written.
    """
    options = _parser(verb).parse_args(arguments)
    check_target("--out", options.out)
    check_range("--max-mb", options.max_mb, POSITIVE)
    check_range("--max-pictures", options.max_pictures, COUNT_OR_NONE)
    if options.out and not Path(options.out).absolute().parent.is_dir():
        raise ConfigError(f"--out {options.out}: there is no folder {Path(options.out).parent}; make it first.")
    runs, left_out = _chosen([Path(run) for run in dict.fromkeys(options.runs)])
    out = Path(options.out) if options.out else (runs[0] if len(runs) == 1 else Path()) / REPORT_FILE
    with _progress() as advance:
        report = _build(runs, options, advance)
        report.payload["notes"] += left_out
        said = list(_lines_about(report))
        _write(out, report)
    print_line(f"report: {out} ({out.stat().st_size / 1e6:.1f} MB)", *said)
    return 0


def _chosen(runs: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the folders that are runs, and a line about each that is none; a single one has to be."""
    chosen, told = [], []
    for run in runs:
        try:
            check_run_folder(run, "report")
            if not has_parts_of_a_run(run):
                raise DataError(
                    f"{run} is no run's folder: it has neither {LEDGER_FILE}, {RUN_FILE} or {CONFIG_FILE}, nor weights "
                    "or loggers' files."
                )
            if any((run / name).is_file() for name in POLICY_FILES):
                raise DataError(f"{run} is a policy's run; `report` shows those of detectors and keypoint models.")
            chosen.append(run)
        except DataError as error:
            if len(runs) == 1:
                raise
            told.append(f"{run.name} is left out: it is no run of a detector or a keypoint model.")
            print_line(f"warning: left out: {error}")
    if not chosen:
        raise DataError("none of these folders is a run of a detector or a keypoint model.")
    return chosen, told


def _build(runs: Sequence[Path], options: Namespace, advance: Advance) -> Report:
    from aigp_lightning.report.payload import ReportOptions, build_report

    chosen = ReportOptions(
        include_private=options.include_private,
        max_mb=options.max_mb,
        max_pictures=options.max_pictures,
        evaluate=_evaluate,
        advance=advance,
    )
    return build_report(runs, chosen)


def _evaluate(model: Path) -> ImageResults:
    """Measure a checkpoint whose run kept no results, on what it was validated on."""
    from aigp_lightning.cli.console import quiet_lightning
    from aigp_lightning.evaluation.evaluate import EvaluationData, evaluate

    quiet_lightning()
    print_line(f"{model.parent.parent}: the run kept no results image by image; measuring {model.name} …")
    return evaluate(model, EvaluationData())


def _write(out: Path, report: Report) -> None:
    from aigp_lightning.report.page.render import write_page

    try:
        write_page(out, report.payload, report.files())
    except OSError as error:
        if error.errno in DISK_FULL:
            raise ConfigError(disk_full(error, out)) from error
        raise ConfigError(f"--out {out} cannot be written: {error.strerror}.") from error


def _lines_about(report: Report) -> Iterator[str]:
    """Yield what there is to know about a report."""
    payload = report.payload
    for run in payload["runs"]:
        images, epochs = run["pictures"], {epoch for one in run["mosaics"] for epoch in one["epochs"]}
        parts = [
            _counted(run["epochs"], "epoch"),
            f"{_counted(len(run['mosaics']), 'mosaic')} over {_counted(len(epochs), 'epoch')}",
            _counted(len(images["items"]), "validation image") if images is not None else "no images one by one",
        ]
        yield f"  {run['name']}: {', '.join(parts)}"
        yield from (f"  warning: {text}" for text in run["warnings"])
    yield from (f"  {note}" for note in payload["notes"])
    yield f"  {payload['private']['text']}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


@contextmanager
def _progress() -> Iterator[Advance]:
    """Draw a progress bar on a terminal, and nothing elsewhere; yields what moves it."""
    screen = console()
    if not screen.is_interactive:
        yield lambda what, done, of: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, transient=True, console=screen) as bar:
        tasks: dict[str, Any] = {}

        def advance(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], completed=done, total=of)

        yield advance


def _parser(verb: str) -> VerbParser:
    parser = VerbParser(
        prog=f"python -m aigp_lightning {verb}",
        description="Write one run, or several beside each other, as one HTML file that opens from disk in any "
        "browser, loads nothing from anywhere and can be mailed: the mosaics of every epoch, curves, tables, each "
        "validation image, the ledger and the configuration. Private images are not in it unless that is asked for. "
        "Exit status 0: it was written; 2: a folder or an option cannot be used.",
        epilog="example: report runs/detect/gates runs/detect/gates-2 --out gates.html",
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folder of a run")
    parser.add_argument(
        "--out", metavar="FILE",
        help=f"the file to write; {REPORT_FILE} in the run's folder without it, of several runs in the current one",
    )  # fmt: skip
    parser.add_argument("--include-private", action="store_true", help="show private images, and name them")
    parser.add_argument(
        "--max-mb", metavar="MB", type=float, default=20.0,
        help="largest size of the file, 10⁶ bytes; pictures are scaled to fit, the originals stay as they are; "
        "20 without it",
    )  # fmt: skip
    parser.add_argument(
        "--max-pictures", metavar="N", type=int, default=1000,
        help="validation images of a run that are embedded, those with most errors first; 1000 without it",
    )  # fmt: skip
    return parser
