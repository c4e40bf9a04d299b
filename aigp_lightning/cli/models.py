"""The `models` verb: the versions in the store, and whether they are whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.cli.promote import add_store, store_error
from aigp_lightning.cli.target import check_target, write_target
from aigp_lightning.terminal.output import print_line, print_tables, print_text


def main(verb: str, arguments: list[str]) -> int:
    """List the versions in a store, or check them.

    Args:
        verb: `models`.
        arguments: the words after it.

    Returns:
        1 if a check found something, else 0.

    Raises:
        DataError: there is no store.
        ConfigError: the file for the JSON cannot be written, or a promotion has not ended for too long.
    """
    options = _parser(verb).parse_args(arguments)
    check_target("--json", options.json)
    store = Path(options.store)
    try:
        return _verify(store, options.json) if options.action else _list(store, options.json)
    except OSError as error:
        raise store_error(error, store) from error


def _list(store: Path, target: str | None) -> int:
    from aigp_lightning.store.listing import unlisted_warnings, versions_of
    from aigp_lightning.store.places import StorePlaces
    from aigp_lightning.store.tables import version_table

    places = StorePlaces(store)
    rows = versions_of(places)
    if target != "-":
        print_tables(version_table(rows))
        print_line(*unlisted_warnings(places, rows), err=True)
    _write_json(target, {"store": store.name, "versions": rows})
    return 0


def _verify(store: Path, target: str | None) -> int:
    from aigp_lightning.store.places import StorePlaces
    from aigp_lightning.store.verify import verify_store

    found = verify_store(StorePlaces(store))
    if target != "-":
        print_line(*(f"{store / problem.file}: {problem.message}" for problem in found.problems))
        print_line(*(f"note: {note}" for note in found.notes))
        count = len(found.problems)
        told = f"{count} problem{'s' * (count != 1)}" if count else "everything is as it was written"
        print_line(
            f"{store}: {found.versions} versions, {found.files} files, {found.lines} lines of the journal "
            f"checked: {told}"
        )
    _write_json(target, asdict(found))
    return int(bool(found.problems))


def _write_json(target: str | None, content: dict[str, Any]) -> None:
    if target is None:
        return
    text = json.dumps(content, indent=2)
    if target == "-":
        print_text(text)
        return
    write_target("--json", target, text)


def _parser(verb: str) -> VerbParser:
    parser = VerbParser(
        prog=f"python -m aigp_lightning {verb}",
        description="List the versions in the store: name, version, when, metrics, size, run, latest or backup. "
        "`models verify` checks every file against its receipt, the receipts against the journal, the journal and the "
        "links. Exit status 0: listed, or all is as it was written; 1: something is not, and is named; 2: "
        "there is no store.",
        epilog="example: models verify --store models",
    )
    parser.add_argument("action", metavar="verify", nargs="?", choices=("verify",), help="check everything")
    add_store(parser)
    parser.add_argument(
        "--json", metavar="FILE", nargs="?", const="-",
        help="write everything as JSON too; without a file, or with -, print that alone",
    )  # fmt: skip
    return parser
