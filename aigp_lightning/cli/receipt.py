"""The `receipt` verb."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.cli.target import write_target
from aigp_lightning.errors import printable
from aigp_lightning.terminal.output import print_line, print_tables, print_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from aigp_lightning.store.checks import Checked

RECEIPT = "receipt.json"


def main(verb: str, arguments: list[str]) -> int:
    """Check a receipt.

    Args:
        verb: `receipt`.
        arguments: the words after it.

    Returns:
        1 if something is not as the receipt says, else 0.

    Raises:
        DataError: there is no receipt, or no such run.
        ConfigError: a file to write cannot be used.
    """
    options = _parser(verb).parse_args(arguments)
    from aigp_lightning.store.receipt_check import check_receipt

    given = Path(options.file)
    path = given / RECEIPT if given.is_dir() else given
    checks = check_receipt(path, None if options.run is None else Path(options.run), not options.no_data)
    wrong = sum(each.outcome == "wrong" for each in checks)
    content = json.dumps({"receipt": path.name, "right": not wrong, "checks": [each.as_dict() for each in checks]},
                         indent=2, ensure_ascii=False)  # fmt: skip
    if options.json == "-":
        print_text(content)
    else:
        _print(path, checks)
        if options.json is not None:
            write_target("--json", options.json, content)
    return int(wrong > 0)


def _print(path: Path, checks: Sequence[Checked]) -> None:
    from rich.table import Table

    table = Table("", "", "", title=f"receipt {printable(str(path))}", title_justify="left", show_header=False)
    for each in checks:
        table.add_row(*map(_cell, (each.name, each.outcome, each.message)))
    print_tables(table)
    count = Counter(each.outcome for each in checks)
    if count["wrong"]:
        print_line(f"{count['wrong']} of {len(checks)} checks found something wrong.")
    else:
        print_line(_conclusion([each.name for each in checks if each.outcome == "missing"], count["right"]))


def _conclusion(unseen: Sequence[str], right: int) -> str:
    """Say what was right, and what was not checked."""
    start = f"{right} {'check' if right == 1 else 'checks'}, and"
    if not unseen:
        return f"{start} all is as the receipt says."
    return f"{start} nothing is wrong; not checked: {', '.join(dict.fromkeys(map(printable, unseen)))}."


def _cell(text: str) -> Text:
    from rich.text import Text

    return Text(printable(text), overflow="fold")


def _parser(verb: str) -> VerbParser:
    parser = VerbParser(
        prog=f"python -m aigp_lightning {verb}",
        description="Check a receipt, made when a model was promoted: the files beside it and, with --run, the "
        "checkpoint, the configuration, the ledger and the data set of the run that they come from. What is not there "
        "any more is said to be not checked. Exit status 0: everything that is there is right; 1: something is wrong, "
        "or nothing could be checked; 2: there is no such receipt or run.",
        epilog="example: receipt verify models/latest/gates/receipt.json --run runs/detect/gates",
    )
    parser.add_argument("action", choices=("verify",), metavar="verify", help="the one thing to do with a receipt")
    parser.add_argument("file", metavar="FILE", help="the receipt, or the folder that it lies in")
    parser.add_argument("--run", metavar="RUN", help="folder of the run that the model comes from")
    parser.add_argument("--no-data", action="store_true", help="do not read the data set's pictures again")
    parser.add_argument(
        "--json", metavar="FILE", nargs="?", const="-",
        help="write the checks as JSON too; without a file, or with -, print that alone",
    )  # fmt: skip
    return parser
