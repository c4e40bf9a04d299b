"""A run folder with pictures, a ledger and its signatures, as a run leaves them; and a forger's tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aigp_lightning.media.ledger.ledger import LEDGER_FILE, START, Entry, Ledger
from aigp_lightning.media.ledger.signatures import SIGNATURE_FILE, encode_signature, sign
from aigp_lightning.media.ledger.signer import Signer, read_signatures

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NAMES = ("a.png", "b.png", "c.png")
PER_EPOCH = 2 * len(NAMES)
EPOCHS = 3


def public_file(folder: Path, key: Ed25519PrivateKey = KEY) -> Path:
    path = folder / f"{key.private_bytes_raw()[1]}.pub"
    form = forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(key.public_key().public_bytes(*form))
    return path


class Run:
    """Writes a run's pictures, ledger and signatures, epoch by epoch.

    Line 1 to 6 are of epoch 0, 7 to 12 of epoch 1, 13 to 18 of epoch 2, and 19 is the closing picture.
    """

    def __init__(self, folder: Path, key: Ed25519PrivateKey | None = KEY) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.csv").write_text("epoch\n", encoding="utf-8")
        self.folder, self.ledger = folder, Ledger(folder / LEDGER_FILE)
        self.signer = Signer(self.ledger, folder, key, print) if key is not None else None
        self.sign("start", -1)

    def sign(self, moment: Any, epoch: int) -> None:
        if self.signer is not None:
            self.signer.sign(moment, epoch)

    def draw(self, name: str, epoch: int) -> None:
        """Write a picture; the file gets it, and a remote destination does not."""
        data = f"{name} {epoch}".encode()
        (self.folder / name).write_bytes(data)
        facts = sha256(data).hexdigest(), len(data), epoch * 10, epoch, [f"data/{name}"]
        self.ledger.add(Entry("val_pred", name[0], name, *facts, "file", "written"))
        self.ledger.add(Entry("val_pred", name[0], name, *facts, "other:Board", "withheld", "private image"))

    def epoch(self, epoch: int) -> None:
        for name in NAMES:
            self.draw(name, epoch)
        self.sign("epoch", epoch)

    def close(self) -> None:
        """Close without a signature, as a kill does."""
        self.ledger.close()


def complete(folder: Path, key: Ed25519PrivateKey | None = KEY) -> Path:
    run = Run(folder, key)
    for epoch in range(EPOCHS):
        run.epoch(epoch)
    run.draw("results.png", EPOCHS - 1)
    run.sign("end", EPOCHS - 1)
    run.close()
    return folder


# ---- the forger ------------------------------------------------------------------------------------------------------


def rewrite(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the ledger's lines and chain all of them anew, so that the chain is whole."""
    lines = [json.loads(raw) for raw in (folder / LEDGER_FILE).read_bytes().splitlines()]
    change(lines)
    prev, rows = START, []
    for number, line in enumerate(lines):
        raw = json.dumps({**line, "n": number, "prev": prev}, ensure_ascii=False).encode()
        rows.append(raw + b"\n")
        prev = sha256(raw).hexdigest()
    (folder / LEDGER_FILE).write_bytes(b"".join(rows))


def sign_anew(folder: Path, key: Ed25519PrivateKey) -> None:
    """Sign the ledger as it is now with another key, at the same moments as before."""
    before = read_signatures(folder / SIGNATURE_FILE)
    heads = [START, *(sha256(raw).hexdigest() for raw in (folder / LEDGER_FILE).read_bytes().splitlines())]
    prev, rows = START, []
    for one in before:
        content = {**vars(one), "key": key.public_key().public_bytes_raw().hex(), "prev": prev, "signature": ""}
        signature = sign(type(one)(**{**content, "head": heads[one.lines]}), key)
        rows.append(encode_signature(signature) + b"\n")
        prev = signature.hash
    (folder / SIGNATURE_FILE).write_bytes(b"".join(rows))


def keep(path: Path, chosen: Callable[[list[bytes]], list[bytes]]) -> None:
    """Rewrite a file with some of its lines."""
    path.write_bytes(b"".join(chosen(path.read_bytes().splitlines(keepends=True))))
