"""The `keys` verb: makes a pair of Ed25519 keys, by which `fit --media.sign` signs the ledger."""

from __future__ import annotations

import argparse
from pathlib import Path

from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.terminal.output import print_line


def main(verb: str, arguments: list[str]) -> int:
    """Make a pair of keys for signing ledgers.

    Args:
        verb: `keys`.
        arguments: the words after it.

    Returns:
        0.

    Raises:
        ConfigError: one of the files exists, or cannot be written.
    """
    options = _parser(verb).parse_args(arguments)
    from aigp_lightning.media.ledger.keys import fingerprint, make_keys, public_path

    path = Path(options.out)
    public = make_keys(path)
    print_line(f"private key: {path}", f"public key: {public_path(path)}", f"fingerprint: {fingerprint(public)}")
    print_line(f"sign a run:  fit … --media.sign {path}", f"check a run: audit RUN --key {public_path(path)}")
    return 0


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = VerbParser(
        prog=f"python -m aigp_lightning {verb}",
        description="Make a pair of Ed25519 keys. The private one, readable by you alone, goes to `fit --media.sign`: "
        "the ledger is signed with it. The public one, OUT.pub, is for whoever wants to check: `audit RUN --key`. "
        "No file is ever overwritten. Exit status 0: made; 2: not made.",
        epilog="example: keys ~/aigp.key",
    )
    parser.add_argument("out", metavar="OUT", help="file for the private key; keep it out of run folders")
    return parser
