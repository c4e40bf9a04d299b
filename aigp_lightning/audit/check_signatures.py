"""Comparison of a ledger with the signatures that were made while it grew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.audit.findings import Audit, Finding
from aigp_lightning.logfiles.paths import is_file, reason_of
from aigp_lightning.logfiles.run_config import CONFIG_FILE, read_config
from aigp_lightning.media.ledger.anchor import anchor_of, differing_totals
from aigp_lightning.media.ledger.keys import fingerprint, raw_public_key
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, START, Lines
from aigp_lightning.media.ledger.signatures import OVER, SIGNATURE_FILE, Signature, is_valid, parse_signature

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def check_signatures(result: Audit, key: Ed25519PublicKey | None = None) -> None:
    """Check every signature of a run's ledger, and that they cover it to its last line.

    Args:
        result: the audit; differences and remarks are added.
        key: the public key of whoever is to have signed; None takes the one that the signatures name.

    Raises:
        ConfigError: the `cryptography` package is not installed.
    """
    path = result.run / SIGNATURE_FILE
    if not is_file(path):
        if key is not None or is_signing_asked(result.run):
            reason = "" if key is not None else f", and {CONFIG_FILE} says that the run signs (media.sign)"
            _add(result, SIGNATURE_FILE, f"it is not there{reason}: no line of this ledger is signed.")
        return
    try:
        *rows, rest = path.read_bytes().split(b"\n")
    except OSError as error:
        _add(result, SIGNATURE_FILE, f"it cannot be read ({reason_of(error)}): no line of this ledger is signed.")
        return
    if rest:
        _add(result, SIGNATURE_FILE, f"line {len(rows) + 1} is cut off: the run was killed while writing it.")
    signatures = _valid(result, rows, raw_public_key(key).hex() if key is not None else None)
    if not signatures:
        _add(result, SIGNATURE_FILE, "no signature in it is valid: no line of this ledger is signed.")
        return
    covered = _covered(result, signatures)
    _check_gaps(result, signatures, covered, key is not None)
    _check_rest(result, signatures[-1], covered, key is not None)
    _note(result, signatures, covered, key is not None)


def _valid(result: Audit, rows: Sequence[bytes], key: str | None) -> list[Signature]:
    """Return the signatures that are what their key signed, in their order; the others are differences."""
    valid: list[Signature] = []
    prev, run = START, ""
    for number, raw in enumerate(rows, 1):
        signature = parse_signature(raw)
        if signature is None:
            _add(result, SIGNATURE_FILE, f"line {number} is no signature.")
            prev = ""
            continue
        key, run = key or signature.key, run or signature.id
        where = f"line {number} ({_when(signature)})"
        if signature.key != key:
            names = [fingerprint(bytes.fromhex(each)) for each in (signature.key, key)]
            _add(result, SIGNATURE_FILE, f"{where} is signed by {names[0]}, not by {names[1]}.")
        elif not is_valid(signature):
            _add(result, SIGNATURE_FILE, f"{where} was changed after it was signed: the signature does not fit it.")
        elif signature.id != run:
            _add(result, SIGNATURE_FILE, f"{where} is of another run ({signature.run}).")
        else:
            valid.append(signature)
        if signature.n != number - 1 or signature.prev != prev:
            _add(result, SIGNATURE_FILE, f"before {where} signatures were changed, removed, added or put elsewhere.")
        prev = signature.hash
    return valid


def _covered(result: Audit, signatures: Sequence[Signature]) -> int:
    """Compare what was signed with the ledger; returns the number of lines, from the first, that are as signed."""
    lines = result.ledger
    if not isinstance(lines, Lines):
        if last := max(signature.lines for signature in signatures):
            _add(result, SIGNATURE_FILE, f"it covers a ledger of {last} lines, and there is no {LEDGER_FILE}.")
        return 0
    covered, count = 0, len(lines.heads) - 1
    for signature in signatures:
        where = f"the signature of {_when(signature)}"
        if signature.lines > count:
            message = f"{where} covers {signature.lines} lines, and there are {count}: lines were removed from its end."
            _add(result, LEDGER_FILE, message, count)
            break
        if lines.heads[signature.lines] != signature.head:
            which = _range("line", "one of lines", covered + 1, signature.lines)
            message = f"{which} was changed after it was signed: {where} does not fit it."
            if signature.lines <= covered:
                message = f"{where} is of another ledger: its line {signature.lines} was not this one."
            _add(result, LEDGER_FILE, message, min(covered + 1, signature.lines))
            break
        for sentence in differing_totals(anchor_of(lines, signature.lines).totals or {}, signature.totals):
            _add(result, LEDGER_FILE, f"{where} says other totals: {sentence}.")
        covered = max(covered, signature.lines)
    return covered


def _check_gaps(result: Audit, signatures: Sequence[Signature], covered: int, strict: bool) -> None:
    """Report lines that nobody signed while they were written, but only a further start of the run.

    A kill leaves lines of one epoch so; of more, the signatures in between were removed before the run was resumed, or
    it went on without signing.
    """
    before, epoch = 0, -1
    for number, signature in enumerate(signatures):
        first, last = before + 1, min(signature.lines, covered)
        if signature.moment == "start" and last >= first:
            epochs = {line.epoch for line in result.ledger or () if first <= line.number <= last}
            which = f"{_range('line', 'lines', first, last)} {'was' if last == first else 'were'}"
            late = f"{which} signed only when the run was started again, {signature.time}"
            if number and len(epochs) <= 1 and max(epochs, default=0) <= epoch + 1:
                result.notes.append(f"{late[0].upper()}{late[1:]}: it was killed in between.")
            elif number or strict:
                _add(result, LEDGER_FILE, f"{late}: no signature was made while they were written.", first)
            else:
                result.notes.append(f"{late[0].upper()}{late[1:]}: no signature was made while they were written.")
        before, epoch = max(before, signature.lines), signature.epoch if signature.epoch >= 0 else epoch


def _check_rest(result: Audit, last: Signature, covered: int, strict: bool) -> None:
    """Report the lines after those that are signed: a difference, unless a kill may explain them and nobody asked."""
    count = len(result.ledger.heads) - 1 if isinstance(result.ledger, Lines) else 0
    if last.lines != covered or covered >= count:
        return
    which = _range("line", "lines", covered + 1, count)
    verb = "are" if count > covered + 1 else "is"
    if last.moment in OVER:
        _add(result, LEDGER_FILE, f"{which} {verb} not signed, and the run was over before: added later.", covered + 1)
        return
    message = (
        f"{which} {verb} not covered by a signature: the run was killed or still runs, or the end of {SIGNATURE_FILE} "
        "was removed. Resumed with the same key, it signs them"
    )
    if strict:
        _add(result, LEDGER_FILE, f"{message}.", covered + 1)
    else:
        result.notes.append(f"{message[0].upper()}{message[1:]}.")


def _note(result: Audit, signatures: Sequence[Signature], covered: int, asked: bool) -> None:
    last = signatures[-1]
    name = fingerprint(bytes.fromhex(last.key))
    said = f"{len(signatures)} signatures by {name} cover {covered} lines; the last is of {_when(last)}, {last.time}."
    result.notes.append(said if asked else f"{said} Give --key to check that this is the key you expect.")
    if last.moment not in OVER:
        result.notes.append(
            f"No signature says that this run was over: it was killed, still runs, or ledger and {SIGNATURE_FILE} were "
            "cut off alike. What was noted elsewhere tells (--head, --expect)."
        )
    if last.run != result.run.resolve().name:
        result.notes.append(f"It was signed as run {last.run}; this folder has another name.")


def is_signing_asked(run: Path) -> bool:
    """True if the configuration in a run folder says that its ledger is signed."""
    config, _ = read_config(run)
    media = (config or {}).get("media")
    return isinstance(media, dict) and bool(media.get("sign"))


def _when(signature: Signature) -> str:
    after = f" after epoch {signature.epoch}" if signature.epoch >= 0 else ""
    moments = {"start": "a start", "epoch": f"epoch {signature.epoch}", "stop": f"a stop{after}", "end": "the end"}
    return moments.get(signature.moment, repr(signature.moment))


def _range(one: str, many: str, first: int, last: int) -> str:
    return f"{one} {first}" if last <= first else f"{many} {first} to {last}"


def _add(result: Audit, place: str, message: str, line: int | None = None) -> None:
    result.findings.append(Finding("signature", "ledger", place, message, line=line or None))
