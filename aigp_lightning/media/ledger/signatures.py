"""The format of `media.sig.jsonl`: signatures of a ledger's head, one a line, each with the hash of the one before.

What is signed are the bytes of `signed_bytes`: a name that no other use of a key has, and the line itself without its
signature. It holds the head, and thus every line of the ledger up to it; the run; and the hash of the signature before
it, so that none can be left out or put elsewhere.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from aigp_lightning.media.ledger.anchor import HASH, Anchor, parse_anchor
from aigp_lightning.media.ledger.keys import public_key_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE_FILE = "media.sig.jsonl"
DOMAIN = b"aigp_lightning ledger signature 1\n"
Moment = Literal["start", "epoch", "stop", "end"]
OVER: tuple[Moment, ...] = ("stop", "end")
"""Moments after which a start of a run writes no more lines."""


@dataclass(frozen=True)
class Signature:
    """A signed anchor.

    Attributes:
        n: number of the signature, from 0.
        time: when it was made, UTC.
        run: name of the run folder.
        id: of the run: 32 random hexadecimal digits, the same in all of its signatures.
        moment: `start` of the run or of a resumed one, the end of an `epoch`, or that of the run: `end` if it is
            complete, `stop` if it was stopped or failed.
        epoch: complete by then, from 0; -1 for none.
        lines: of the ledger by then.
        head: SHA-256 of the last of them.
        totals: of them, see `Anchor`.
        key: the public key, 32 bytes in hexadecimal.
        prev: SHA-256 of the line before, with its signature; 64 zeros in the first.
        signature: 64 bytes in hexadecimal.

    Example:
        >>> parse_signature(b"{}") is None
        True
    """

    n: int
    time: str
    run: str
    id: str
    moment: Moment
    epoch: int
    lines: int
    head: str
    totals: dict[str, dict[str, dict[str, int]]]
    key: str
    prev: str
    signature: str = ""

    @property
    def anchor(self) -> Anchor:
        """What is signed of the ledger."""
        return Anchor(self.head, self.lines, self.totals)

    @property
    def hash(self) -> str:
        """SHA-256 of its line, which the next one carries."""
        return sha256(encode_signature(self)).hexdigest()


def encode_signature(signature: Signature) -> bytes:
    """Encode a signature as a line of JSON, without its line end; there is one such line for each signature.

    Example:
        >>> signature = Signature(0, "2025-01-01T00:00:00Z", "gates", "0" * 32, "end", 1, 0, "0" * 64, {}, "", "0" * 64)
        >>> encode_signature(signature)[:24]
        b'{"epoch":1,"head":"00000'
    """
    return _canonical(asdict(signature))


def signed_bytes(signature: Signature) -> bytes:
    r"""Return what a signature signs: its line without the signature itself, after a name that only this use has.

    Example:
        >>> signature = Signature(0, "2025-01-01T00:00:00Z", "gates", "0" * 32, "end", 1, 0, "0" * 64, {}, "", "0" * 64)
        >>> signed_bytes(signature)[:46]
        b'aigp_lightning ledger signature 1\n{"epoch":1,"'
    """
    content = asdict(signature)
    del content["signature"]
    return DOMAIN + _canonical(content)


def sign(signature: Signature, key: Ed25519PrivateKey) -> Signature:
    """Return a signature with its bytes.

    Args:
        signature: without them.
        key: the private key of its public key.

    Example:
        >>> from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        >>> key = Ed25519PrivateKey.from_private_bytes(bytes(32))
        >>> raw = key.public_key().public_bytes_raw().hex()
        >>> one = Signature(0, "2025-01-01T00:00:00Z", "gates", "0" * 32, "end", 1, 0, "0" * 64, {}, raw, "0" * 64)
        >>> is_valid(sign(one, key)), is_valid(one)
        (True, False)
    """
    return replace(signature, signature=key.sign(signed_bytes(signature)).hex())


def is_valid(signature: Signature) -> bool:
    """True if a signature is that of its own public key.

    Raises:
        ConfigError: the `cryptography` package is not installed.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        public_key_of(bytes.fromhex(signature.key)).verify(bytes.fromhex(signature.signature), signed_bytes(signature))
    except (InvalidSignature, ValueError):
        return False
    return True


def parse_signature(raw: bytes) -> Signature | None:
    """Read a line; None if it is none that `encode_signature` writes, byte by byte.

    Args:
        raw: its bytes, without the line end.
    """
    try:
        content: Any = json.loads(raw)
        signature = Signature(**content)
        same = encode_signature(signature) == raw
    except (ValueError, TypeError, RecursionError):
        return None
    fine = all(type(getattr(signature, name)) is kind for name, kind in _KINDS.items())
    if not same or not fine or parse_anchor(content) is None or not HASH.fullmatch(signature.key):
        return None
    return signature


def _canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")


_NUMBERS = ("n", "epoch", "lines")
_KINDS: dict[str, type] = {
    field.name: int if field.name in _NUMBERS else dict if field.name == "totals" else str
    for field in fields(Signature)
}
