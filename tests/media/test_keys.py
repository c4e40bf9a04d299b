"""Keys for signing: made once and never overwritten, and every file that is none is refused in a line."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aigp_lightning.errors import ConfigError
from aigp_lightning.media.ledger.keys import (
    LARGEST,
    check_signing_key,
    fingerprint,
    make_keys,
    read_private_key,
    read_public_key,
)

NO_PASSPHRASE = forms.NoEncryption()


def pem(key: object, passphrase: bytes = b"") -> bytes:
    how = forms.BestAvailableEncryption(passphrase) if passphrase else NO_PASSPHRASE
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, how)  # type: ignore[attr-defined]


def test_a_pair_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        public = make_keys(tmp_path / "signing key")
    finally:
        os.umask(before)
    secret, shown = (tmp_path / name for name in ("signing key", "signing key.pub"))
    assert secret.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert shown.read_bytes().startswith(b"-----BEGIN PUBLIC KEY-----\n")
    if os.name == "posix":
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert fingerprint(read_private_key(secret).public_key()) == fingerprint(read_public_key(shown))
    assert fingerprint(public).startswith("SHA256:")
    signed = read_private_key(secret).sign(b"x")
    read_public_key(shown).verify(signed, b"x")


@pytest.mark.parametrize("there", ["key", "key.pub", "link"])
def test_no_key_is_ever_overwritten(there: str, tmp_path: Path) -> None:
    """Neither half; no file is made elsewhere through a dangling link; what was there stays, and nothing is added."""
    if there == "link":
        if sys.platform == "win32":
            pytest.skip("links need a privilege on Windows")
        (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / there).write_bytes(b"precious")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ConfigError, match="exists, and no key is ever overwritten"):
        make_keys(tmp_path / "key")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert there == "link" or (tmp_path / there).read_bytes() == b"precious"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write"):
        make_keys(tmp_path / "no" / "key")


NAME = "SHA256:lbmsoA0yIEcEiVDRnMWuzm+nV+3ZEEpVIURqFoeSspg"
"""What `ssh-keygen -l` prints for the key below."""


def openssh(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.OpenSSH, NO_PASSPHRASE)


def test_openssh_keys_are_taken_and_named_as_ssh_keygen_names_them(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    (tmp_path / "id").write_bytes(openssh(key))
    line = key.public_key().public_bytes(forms.Encoding.OpenSSH, forms.PublicFormat.OpenSSH)
    (tmp_path / "id.pub").write_bytes(line + b" somebody@somewhere\n")
    assert fingerprint(read_private_key(tmp_path / "id").public_key()) == NAME
    assert fingerprint(read_public_key(tmp_path / "id.pub")) == NAME


def public(key: object) -> bytes:
    return key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]


ED = Ed25519PrivateKey.from_private_bytes(bytes(32))
NOT_PRIVATE: dict[str, tuple[Callable[[], bytes], str]] = {
    "rsa": (lambda: pem(rsa.generate_private_key(65537, 1024)), r"of another kind \(RSA\)"),
    "elliptic": (lambda: pem(ec.generate_private_key(ec.SECP256R1())), r"of another kind \(E.*\), and ledgers are"),
    "ed448": (lambda: pem(ed448.Ed448PrivateKey.generate()), r"of another kind \(Ed448\)"),
    "passphrase": (lambda: pem(ED, b"secret"), "protected by a passphrase"),
    "public": (lambda: public(ED), "is a public key"),
    "openssh public": (lambda: b"ssh-ed25519 AAAAC3Nz somebody", "is a public key"),
    "empty": (lambda: b"", "no private key that can be read"),
    "noise": (lambda: bytes(range(256)), "no private key that can be read"),
    "cut off": (lambda: pem(ED)[:60], "no private key that can be read"),
    "long": (lambda: bytes(LARGEST + 1), "is 65537 bytes long; that is no key"),
}


@pytest.mark.parametrize("kind", NOT_PRIVATE)
def test_what_cannot_sign_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    make, told = NOT_PRIVATE[kind]
    (tmp_path / "key").write_bytes(make())
    with pytest.raises(ConfigError, match=told) as caught:
        check_signing_key(tmp_path / "key")
    text = str(caught.value)
    assert text.startswith(f"--media.sign {tmp_path / 'key'}")
    assert "\n" not in text


NOT_PUBLIC: dict[str, tuple[Callable[[], bytes], str]] = {
    "private": (lambda: pem(ED), "is a private key"),
    "openssh private": (lambda: openssh(ED), "is a private key"),
    "rsa": (lambda: public(rsa.generate_private_key(65537, 1024)), r"of another kind \(RSA\)"),
    "noise": (lambda: bytes(range(256)), "no public key that can be read"),
}


@pytest.mark.parametrize("kind", NOT_PUBLIC)
def test_what_cannot_check_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    make, told = NOT_PUBLIC[kind]
    (tmp_path / "key").write_bytes(make())
    with pytest.raises(ConfigError, match=told) as caught:
        read_public_key(tmp_path / "key")
    assert "\n" not in str(caught.value)


def test_folders_pipes_and_files_that_may_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no file"):
        read_private_key(tmp_path)
    if sys.platform == "win32":
        return
    os.mkfifo(tmp_path / "pipe")  # nobody writes there: reading it would wait for ever
    with pytest.raises(ConfigError, match="is no file"):
        read_private_key(tmp_path / "pipe")
    if os.geteuid():
        make_keys(tmp_path / "key")
        (tmp_path / "key").chmod(0)
        with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
            read_private_key(tmp_path / "key")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_key_that_others_can_read_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import logging

    from lightning_utilities.core.rank_zero import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 0, raising=False)  # as Lightning's import does
    logger = logging.getLogger("lightning_utilities.core.rank_zero")
    logger.addHandler(caplog.handler)
    try:
        make_keys(tmp_path / "key")
        check_signing_key(tmp_path / "key")
        assert not caplog.messages
        (tmp_path / "key").chmod(0o640)
        check_signing_key(tmp_path / "key")
    finally:
        logger.removeHandler(caplog.handler)
    assert [text for text in caplog.messages if "can be read by other users" in text]
