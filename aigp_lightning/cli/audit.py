"""The `audit` verb."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.cli.audit_image import look_for
from aigp_lightning.cli.audit_target import check_run_folder
from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.cli.target import check_target, write_target
from aigp_lightning.errors import DataError, UserError, first_line
from aigp_lightning.terminal.output import print_text

if TYPE_CHECKING:
    from aigp_lightning.audit.findings import Audit
    from aigp_lightning.run.lock import Holder


def main(verb: str, arguments: list[str]) -> int:
    """Audit a run.

    Args:
        verb: `audit`.
        arguments: the words after it.

    Returns:
        1 if there are differences, else 0.

    Raises:
        DataError: there is no such run, it cannot be audited, or it has no such image, or no ledger to find it in.
        ConfigError: a hash, a file or a key to compare with cannot be used.
    """
    options = _parser(verb).parse_args(arguments)
    check_target("--json", options.json)
    check_run_folder(Path(options.run))
    try:
        return _audit(options)
    except (UserError, MemoryError):
        raise
    except Exception as error:  # the status must not be 1, which says that the audit was made and found differences
        raise DataError(f"{options.run} cannot be audited: {type(error).__name__}: {first_line(error)}") from error


def _lasting(first: Audit, second: Audit, writer: Holder) -> Audit:
    """Return the second audit of a run that goes on, with the differences that the first one found as well.

    A ledger that is read a moment before a logger's file lacks what was added in between.
    """
    second.findings = [finding for finding in second.findings if finding in first.findings]
    second.notes.append(
        f"{writer} writes to it. It was read twice, and what only one reading shows is left out: audit it again when "
        "that has ended."
    )
    return second


def _audit(options: Namespace) -> int:
    from aigp_lightning.audit.check import audit
    from aigp_lightning.audit.check_anchor import check_expected, check_head
    from aigp_lightning.audit.conclusion import as_dict
    from aigp_lightning.audit.report import print_appearances, print_audit
    from aigp_lightning.media.ledger.keys import read_public_key
    from aigp_lightning.run.lock import writer_of

    key = None if options.key is None else read_public_key(options.key)
    run = Path(options.run)
    result = audit(run, key)
    if (writer := writer_of(run)) is not None:
        result = _lasting(result, audit(run, key), writer)
    if options.head is not None:
        check_head(result, options.head)
    if options.expect is not None:
        check_expected(result, Path(options.expect))
    content = {**result.as_dict(), "conclusion": as_dict(result)}
    found = None
    if options.image is not None:
        if result.ledger is None:
            raise DataError(f"{options.run} has no ledger (media.jsonl): which images its pictures show is unknown.")
        found = look_for(run, result.ledger, options.image)
        content["image"] = {**found.as_dict(), "conclusion": as_dict(result, found)}
    if options.json == "-":
        print_text(json.dumps(content, indent=2))
    else:
        if found is not None:
            print_appearances(found, result)
        else:
            print_audit(result)
        if options.json:
            write_target("--json", options.json, json.dumps(content, indent=2, ensure_ascii=False))
    return int(not result.clean)


def _parser(verb: str) -> VerbParser:
    parser = VerbParser(
        prog=f"python -m aigp_lightning {verb}",
        description="What a run drew and handed over: the ledger, the files and the loggers' own files held against "
        "each other, byte by byte. Exit status 0: everything matches; 1: there are differences; 2: no such run, or one "
        "that cannot be audited, or a hash, file or key that cannot be used.",
        epilog="example: audit runs/detect/gates --image datasets/gates/images/val/000003.jpg",
    )
    parser.add_argument("run", metavar="RUN", help="folder of the run")
    parser.add_argument(
        "--json", metavar="FILE", nargs="?", const="-",
        help="write everything as JSON too; without a file, or with -, print that alone",
    )  # fmt: skip
    parser.add_argument("--image", metavar="PATH", help="list every picture that shows this image, and where it went")
    parser.add_argument(
        "--head", metavar="HASH", help="the hash that the ledger's head is to be, as `fit` printed it at the end"
    )
    parser.add_argument(
        "--expect", metavar="FILE", help="compare head and totals with what --json wrote to this file before"
    )
    parser.add_argument(
        "--key", metavar="PUBFILE", help="public key (of `keys`, or OpenSSH's) that every line is to be signed with"
    )
    return parser
