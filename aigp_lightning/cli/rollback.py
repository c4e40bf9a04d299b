"""The `rollback` verb."""

from __future__ import annotations

from pathlib import Path

from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.cli.promote import add_store, store_error
from aigp_lightning.terminal.output import print_line


def main(verb: str, arguments: list[str]) -> int:
    """Make an earlier version the latest again.

    Args:
        verb: `rollback`.
        arguments: the words after it.

    Returns:
        0.

    Raises:
        ConfigError: there is no such version, or none before the latest, or the disk is full.
        DataError: there is no store, or the version is damaged.
    """
    options = _parser(verb).parse_args(arguments)
    from aigp_lightning.store.places import StorePlaces
    from aigp_lightning.store.rollback import rollback

    store = Path(options.store)
    try:
        done = rollback(StorePlaces(store), options.name, options.to)
    except OSError as error:
        raise store_error(error, store) from error
    print_line(f"{store / 'latest' / done.name}: version {done.version}; {done.before} is a backup now")
    return 0


def _parser(verb: str) -> VerbParser:
    parser = VerbParser(
        prog=f"python -m aigp_lightning {verb}",
        description="Make an earlier version the latest again, after its files have been checked. Nothing is removed, "
        "and the journal says so. Exit status 0: done; 2: there is no such version, or it is damaged.",
        epilog="example: rollback --name gates --to 3f2a",
    )
    parser.add_argument("--name", metavar="NAME", help="of the model; not needed where the store has one alone")
    parser.add_argument("--to", metavar="VERSION", help="the version or its beginning; by default the one before")
    add_store(parser)
    return parser
