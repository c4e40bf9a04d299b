"""Signs a ledger's head, again and again while it grows, into `media.sig.jsonl` beside it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.errors import ConfigError, first_line
from aigp_lightning.files import open_regular, read_regular
from aigp_lightning.media.ledger.keys import fingerprint, raw_public_key
from aigp_lightning.media.ledger.lines import START
from aigp_lightning.media.ledger.signatures import (
    SIGNATURE_FILE,
    Moment,
    Signature,
    encode_signature,
    parse_signature,
    sign,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from aigp_lightning.media.ledger.ledger import Ledger


class Signer:
    """Signs what a ledger holds; a resumed run goes on in the same file.

    A signature that cannot be written is a warning, and the next one covers its lines too.

    Args:
        ledger: of the run.
        folder: the run folder.
        key: the private key.
        say: called with what the user should know.

    Raises:
        OSError: the file cannot be read or repaired.

    Example:
        >>> import tempfile
        >>> from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        >>> from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Ledger
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ledger = Ledger(Path(folder) / LEDGER_FILE)
        ...     signer = Signer(ledger, Path(folder), Ed25519PrivateKey.generate(), say=print)
        ...     signer.sign("start", epoch=-1)
        ...     ledger.close()
        ...     [(each.n, each.moment, each.lines) for each in read_signatures(Path(folder) / SIGNATURE_FILE)]
        [(0, 'start', 0)]
    """

    def __init__(self, ledger: Ledger, folder: Path, key: Ed25519PrivateKey, say: Callable[[str], None]) -> None:
        self._ledger, self._key, self._say = ledger, key, say
        self._path, self._run = folder / SIGNATURE_FILE, folder.resolve().name
        self._public = raw_public_key(key.public_key()).hex()
        data = _trim(self._path)
        before = [signature for raw in data.split(b"\n") if (signature := parse_signature(raw)) is not None]
        self._id = before[0].id if before else secrets.token_hex(16)
        self._next = before[-1].n + 1 if before else 0
        self._prev = before[-1].hash if before else START

    def sign(self, moment: Moment, epoch: int) -> None:
        """Sign all lines up to now; the signature is with the operating system when this returns.

        Args:
            moment: of the run.
            epoch: the last complete one, from 0; -1 for none.
        """
        self._ledger.sync()  # no power cut leaves less than is signed
        anchor = self._ledger.anchor()
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        unsigned = Signature(
            self._next, now, self._run, self._id, moment, epoch, anchor.lines, anchor.head, anchor.totals or {},
            self._public, self._prev,
        )  # fmt: skip
        signature = sign(unsigned, self._key)
        try:
            _append(self._path, encode_signature(signature) + b"\n")
        except OSError as error:
            self._say(f"the ledger could not be signed: {first_line(error)}")
            return
        self._prev, self._next = signature.hash, self._next + 1


def check_same_key(folder: Path, key: Ed25519PrivateKey) -> None:
    """Check that a run's signatures so far, if there are any, are by the same key.

    Args:
        folder: the run folder.
        key: the one to go on with.

    Raises:
        ConfigError: they are by another: the whole could be checked with neither.

    Example:
        >>> from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        >>> check_same_key(Path("a run that is not signed"), Ed25519PrivateKey.generate())
    """
    ours = raw_public_key(key.public_key())
    for signature in read_signatures(folder / SIGNATURE_FILE):
        if signature.key != ours.hex():
            raise ConfigError(
                f"--media.sign: {folder / SIGNATURE_FILE} is signed by {fingerprint(bytes.fromhex(signature.key))}, "
                f"and this key is {fingerprint(ours)}. A run is signed by one key: go on with that one, or without."
            )


def read_signatures(path: Path) -> list[Signature]:
    """Read the signatures of a file, as far as they can be read; none where there is no file.

    Example:
        >>> read_signatures(Path("nowhere"))
        []
    """
    try:
        rows = read_regular(path).split(b"\n")
    except OSError:
        return []
    return [signature for raw in rows if (signature := parse_signature(raw)) is not None]


def _append(path: Path, line: bytes) -> None:
    """Add a line whole, or leave the file as it was."""
    with os.fdopen(open_regular(path, os.O_RDWR | os.O_CREAT), "r+b", buffering=0) as file:
        size, done = file.seek(0, 2), 0
        try:
            while done < len(line):
                done += file.write(line[done:])
        except OSError:
            file.truncate(size)
            raise


def _trim(path: Path) -> bytes:
    """Remove a last line that a kill cut off, so that the next one does not go on in it; returns the rest."""
    data = b""
    with contextlib.suppress(FileNotFoundError):
        data = read_regular(path)
    tail = data.rpartition(b"\n")[2]
    if tail:
        with path.open("r+b") as file:
            file.truncate(len(data) - len(tail))
    return data[: len(data) - len(tail)]
