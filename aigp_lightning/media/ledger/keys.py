"""Keys that ledgers are signed with: made, read and named. Ed25519, by the `cryptography` package."""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.errors import ConfigError, first_line, warn_user
from aigp_lightning.paths import expand_home

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LARGEST = 1 << 16
"""Bytes of a file that can be a key."""
ALGORITHM = b"ssh-ed25519"
OURS, OTHERS = 0o600, 0o077


def make_keys(path: Path) -> Ed25519PublicKey:
    """Make a pair of keys: the private one in a file that only its owner can read, the public one beside it in `.pub`.

    Args:
        path: the private key's file.

    Returns:
        The public key.

    Raises:
        ConfigError: one of the files exists, or cannot be written; then neither was changed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     public = make_keys(Path(folder) / "signing.key")
        ...     fingerprint(public) == fingerprint(read_public_key(Path(folder) / "signing.key.pub"))
        True
    """
    _need_cryptography()
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    secret = private.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    shown = public.public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    if os.path.lexists(public_path(path)):
        raise ConfigError(f"{public_path(path)} exists, and no key is ever overwritten. Choose another name.")
    _write_new(path, secret, OURS)
    try:
        _write_new(public_path(path), shown, 0o644)
    except BaseException:
        path.unlink()
        raise
    return public


def public_path(path: Path) -> Path:
    """Return where the public key of a private one lies.

    Example:
        >>> public_path(Path("signing.key")).name
        'signing.key.pub'
    """
    return path.with_name(f"{path.name}.pub")


def read_private_key(path: str | Path, option: str = "--media.sign") -> Ed25519PrivateKey:
    """Read a private key: PEM, as `keys` writes it, or OpenSSH's form.

    Args:
        path: of its file.
        option: that named it, for errors.

    Raises:
        ConfigError: there is no such file, it cannot be read, or is another kind of key.

    Example:
        >>> read_private_key("nowhere.key")
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --media.sign nowhere.key: there is no such file. \
`python -m aigp_lightning keys nowhere.key` makes one.
    """
    _need_cryptography()
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    what = f"{option} {path}"
    data = _read(path, what, f" `python -m aigp_lightning keys {path}` makes one.")
    if data.lstrip().startswith((b"ssh-", b"ecdsa-", b"sk-")) or b"PUBLIC KEY" in data:
        raise ConfigError(f"{what} is a public key; a ledger is signed with the private one.")
    load: Any = forms.load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else forms.load_pem_private_key
    try:
        key = load(data, None)
    except Exception as error:  # half a dozen types, for what is no key at all
        if b"ENCRYPTED" in data or "password" in str(error).lower():
            raise ConfigError(
                f"{what} is protected by a passphrase, which nobody could type when a run ends. Use a key without one."
            ) from None
        raise ConfigError(f"{what} is no private key that can be read: {first_line(error)}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{what} is {_kind(key)}, and ledgers are signed by Ed25519. `keys` makes such a pair.")
    return key


def read_public_key(path: str | Path, option: str = "--key") -> Ed25519PublicKey:
    """Read a public key: PEM, as `keys` writes it, or OpenSSH's form.

    Args:
        path: of its file.
        option: that named it, for errors.

    Raises:
        ConfigError: there is no such file, it cannot be read, or is another kind of key.

    Example:
        >>> read_public_key("nowhere.pub")
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --key nowhere.pub: there is no such file.
    """
    _need_cryptography()
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    what = f"{option} {path}"
    data = _read(path, what)
    if b"PRIVATE KEY" in data:
        raise ConfigError(f"{what} is a private key, which stays with whoever signs; give the public one ({path}.pub).")
    load: Any = forms.load_pem_public_key if data.lstrip().startswith(b"-----BEGIN") else forms.load_ssh_public_key
    try:
        key = load(data)
    except Exception as error:
        raise ConfigError(f"{what} is no public key that can be read: {first_line(error)}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{what} is {_kind(key)}, and ledgers are signed by Ed25519.")
    return key


def check_signing_key(path: str | Path) -> None:
    """Check that a file holds a key to sign with, and warn if others can read it.

    Raises:
        ConfigError: see `read_private_key`.
    """
    read_private_key(path)
    place = Path(expand_home(path))
    if os.name == "posix" and place.stat().st_mode & OTHERS:
        warn_user(f"--media.sign {path} can be read by other users of this machine: chmod 600 {path}")


def raw_public_key(key: Ed25519PublicKey) -> bytes:
    """Return the 32 bytes of a public key.

    Example:
        >>> len(raw_public_key(public_key_of(bytes(32))))
        32
    """
    return key.public_bytes_raw()


def public_key_of(raw: bytes) -> Ed25519PublicKey:
    """Return the public key of 32 bytes.

    Raises:
        ConfigError: the `cryptography` package is not installed.
    """
    _need_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(raw)


def fingerprint(key: Ed25519PublicKey | bytes) -> str:
    """Return the name by which people compare keys, as `ssh-keygen -l` prints it.

    Args:
        key: a public key, or its 32 bytes.

    Example:
        >>> fingerprint(bytes(32))
        'SHA256:kmYcvdi2GkPeWxB6XLjrZB8JHsy2Hm8luHMFp9GMvqk'
    """
    raw = key if isinstance(key, bytes) else raw_public_key(key)
    wire = b"".join(len(part).to_bytes(4, "big") + part for part in (ALGORITHM, raw))
    return "SHA256:" + b64encode(sha256(wire).digest()).decode().rstrip("=")


def _kind(key: object) -> str:
    name = type(key).__name__.strip("_").removesuffix("PrivateKey").removesuffix("PublicKey")
    return f"of another kind ({name})"


def _read(path: str | Path, what: str, advice: str = "") -> bytes:
    place = Path(expand_home(path))
    try:
        if not place.exists():
            raise ConfigError(f"{what}: there is no such file.{advice}")
        if not place.is_file():
            raise ConfigError(f"{what} is no file.")
        if place.stat().st_size > LARGEST:
            raise ConfigError(f"{what} is {place.stat().st_size} bytes long; that is no key.")
        return place.read_bytes()
    except OSError as error:
        raise ConfigError(f"{what} cannot be read: {error.strerror}.") from None


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that was not there, also not as a link."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    except FileExistsError:
        raise ConfigError(f"{path} exists, and no key is ever overwritten. Choose another name.") from None
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}.") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError as error:
        path.unlink()
        raise ConfigError(f"cannot write {path}: {error.strerror}.") from None


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise ConfigError("signatures need the package `cryptography`: python -m pip install cryptography") from None
