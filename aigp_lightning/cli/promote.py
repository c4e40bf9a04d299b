"""The `promote` verb."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.checkpoints.paths import BEST
from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.deploy.options import FORMATS
from aigp_lightning.errors import ConfigError
from aigp_lightning.files import DISK_FULL, disk_full, typed_command
from aigp_lightning.store.places import LATEST
from aigp_lightning.terminal.output import print_line, print_tables

if TYPE_CHECKING:
    from aigp_lightning.store.promote import Outcome

STORE = "models"


def main(verb: str, arguments: list[str]) -> int:
    """Promote a run's model.

    Args:
        verb: `promote`.
        arguments: the words after it.

    Returns:
        1 if the gates refuse it, else 0.

    Raises:
        ConfigError: an option is wrong, the run is still being written, or the disk is full.
        WeightsError: the run has no model, or one that cannot be read.
        DataError: there is no such run, or a data set to compare on is missing.
    """
    words = _parser(verb).parse_args(arguments)
    from aigp_lightning.store.promote import PromoteOptions, promote

    options = PromoteOptions(
        run=Path(words.run),
        store=Path(words.store),
        name=words.name,
        formats=words.format or (),
        gates=words.gate or (),
        keep=words.keep,
        force=words.force,
        draws=words.draws,
    )
    if (options.run / BEST).is_file():  # what is evaluated is no policy
        from aigp_lightning.cli.console import quiet_lightning

        quiet_lightning()
    try:
        outcome = promote(options)
    except OSError as error:  # the status must not be 1, which says that the gates have refused
        raise store_error(error, options.store) from error
    _tell(outcome, options.store)
    return int(outcome.promoted is None)


def store_error(error: OSError, store: Path) -> ConfigError:
    """Describe why a store could not be changed, in a line.

    Args:
        error: of the system's.
        store: its folder.
    """
    if error.errno in DISK_FULL:
        return ConfigError(disk_full(error, error.filename, folder=store))
    return ConfigError(f"{store} was left as it was: {error.filename or ''}: {error.strerror or error}.")


def _tell(outcome: Outcome, store: Path) -> None:
    from aigp_lightning.store.tables import gate_table

    decision, promoted, name = outcome.decision, outcome.promoted, outcome.name
    print_tables(gate_table(decision.judgement.rows))
    for row in decision.judgement.rows:
        if row["message"]:
            print_line(f"{row['metric'] or name}: {row['message']}")
    print_line(*(f"warning: {note}" for note in outcome.candidate.notes))
    print_line(*(f"note: {note}" for note in decision.notes))
    if promoted is None:
        stays = (
            f"{decision.against} stays the latest version of {name}" if decision.against else f"{name} has no version"
        )
        print_line(f"refused: {stays}. Nothing was changed.")
        return
    if not decision.judgement.passed:
        print_line("promoted by --force, against the gates; the reason stands in the receipt")
    there = " (the store had it already)" if promoted.was_there else ""
    print_line(f"{store / LATEST / name}: version {promoted.version}{there}: {', '.join(outcome.candidate.files)}")
    if promoted.before not in (None, promoted.version):
        undo = typed_command("rollback", "--name", name, *(("--store", store) if str(store) != STORE else ()))
        print_line(f"before: {promoted.before}, a backup now; to go back: {undo}")
    if promoted.removed:
        print_line(f"no longer kept: {', '.join(promoted.removed)}")


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the store.

    Args:
        parser: of a verb.
    """
    parser.add_argument("--store", metavar="FOLDER", default=STORE, help=f"folder of the store ({STORE})")


def _parser(verb: str) -> VerbParser:
    parser = VerbParser(
        prog=f"python -m aigp_lightning {verb}",
        description="Put a run's model into the store, with a receipt, and make it the latest of its name, if all "
        "gates let it. Whoever reads models/latest/NAME sees the old version whole or the new one whole, at any time. "
        "Exit status 0: promoted; 1: refused by a gate, and nothing was changed; 2: it cannot be promoted.",
        epilog="example: promote runs/detect/gates --gate 'metrics/mAP50-95(B) >= latest - 0.002'",
    )
    parser.add_argument("run", metavar="RUN", help="folder of the run, such as runs/detect/gates or output/apex_policy")
    parser.add_argument("--name", metavar="NAME", help="of the model in the store; by default the run's")
    add_store(parser)
    parser.add_argument(
        "--format", metavar="FORMAT", nargs="+", choices=FORMATS,
        help=f"make these exports anew and promote them too; of {', '.join(FORMATS)}",
    )  # fmt: skip
    parser.add_argument(
        "--gate", metavar="GATE", action="append",
        help="a condition, such as 'metrics/mAP50-95(B) >= latest - 0.002' or 'success_rate >= 0.9'; may be given "
        "several times, and all have to hold. By default: not worse than the latest within the noise, on the same "
        "pictures",
    )  # fmt: skip
    parser.add_argument("--keep", metavar="N", type=int, default=5, help="backups that stay, at least 1 (5)")
    parser.add_argument("--force", metavar="REASON", help="promote whatever the gates say; written into the receipt")
    parser.add_argument("--draws", metavar="N", type=int, default=1000, help="of the bootstrap over pictures (1000)")
    return parser
