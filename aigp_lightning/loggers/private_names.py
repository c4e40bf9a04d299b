"""Which names are those of secrets and persons, and what of a text would give one away."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

SECRET_WORDS = {
    *(
        "password",
        "passwords",
        "passwd",
        "passphrase",
        "passcode",
        "pwd",
        "pw",
        "psw",
        "secret",
        "secrets",
        "token",
        "key",
    ),
    *("keys", "email", "emails", "mail", "credential", "credentials", "creds", "auth", "authorization"),
    *("authentication", "oauth", "user", "users", "username", "login", "logins", "account", "cookie", "cookies"),
    *("bearer", "jwt", "otp", "totp", "mfa", "pincode", "apikey", "dsn", "webhook", "phone"),
}
ENDINGS = (
    *("password", "passwords", "passwd", "passphrase", "secret", "secrets", "credential", "credentials", "token"),
    *("apikey", "apikeys", "accesskey", "secretkey", "privatekey", "sshkey", "authkey", "email", "emails", "username"),
    *("userid", "login", "tokens"),
)
"""Of words that were joined without a sign between them: `dbpassword`."""
LAST_WORDS = frozenset({"pin", "pass"})
"""Harmless in front of another word: `pin_memory`, `pass_through`."""
COUNTS = frozenset({"num", "max", "min", "n", "total", "new", "per"})
"""With one of these `tokens` are counted: `max_tokens`."""
_JOINED = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z]+")

MASK = "***"
_USER = r"""(?<=://)(?:[^/\s'"]+|[^/\s'":@]+:(?!\d+/)[^\s'"]*)@(?=[\w\[])"""
USER_IN_ADDRESS, BYTES_USER_IN_ADDRESS = re.compile(_USER), re.compile(_USER.encode())
"""The second form is a password with a slash in it; a port is none."""
IN_QUERY = re.compile(r"(?<=[?&;])([\w.~%-]+)=([^&#;\s]*)")
ADDRESS = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+")
TOKEN = re.compile(
    r"^(gh[a-z]_|github_pat_|glpat-|hf_|sk-|xox[a-z]-|AKIA|ASIA|eyJ)\w"
    r"|(?<![A-Za-z0-9])(?=[A-Za-z0-9]*\d)(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z0-9]{16,}(?![A-Za-z0-9])"
)


def is_secret_name(name: str) -> bool:
    """True if an option of this name holds a secret, or says who somebody is.

    Example:
        >>> [is_secret_name(name) for name in ("apiKey", "db-password", "DBPASSWORD", "login", "max_token")]
        [True, True, True, True, True]
        >>> [is_secret_name(name) for name in ("keypoints", "monkey", "max_tokens", "pin_memory", "author")]
        [False, False, False, False, False]
    """
    plain = unicodedata.normalize("NFKC", name)
    words = [word.lower() for word in _JOINED.split(plain) if word]
    for number, word in enumerate(words):
        following = words[number + 1] if number + 1 < len(words) else ""
        if word in ("key", "keys") and following.startswith(("point", "frame")):
            continue
        if word == "tokens" and COUNTS & set(words[:number]):
            continue
        if word in SECRET_WORDS or word.endswith(ENDINGS) or (not following and word in LAST_WORDS):
            return True
    joined = "".join(words)  # `api_key` is found above; `pass_word`, `pass-wd` here
    return joined.endswith(("password", "passwords", "passwd", "passphrase", "passcode"))


def is_secret_text(text: str) -> bool:
    """True if a text holds an e-mail address, an address with a user in it, or looks like a token.

    Example:
        >>> [is_secret_text(text) for text in ("me@example.com", "https://me:x@host", "ghp_abc", "yolo11n-seg")]
        [True, True, True, False]
    """
    return bool(ADDRESS.search(text) or USER_IN_ADDRESS.search(text) or TOKEN.search(text))


def masked(text: str) -> str:
    """Replace users and passwords in addresses, and secrets in their queries.

    Example:
        >>> masked("see https://me:secret@host/a?page=1&token=abc")
        'see https://***@host/a?page=1&token=***'
    """
    text = USER_IN_ADDRESS.sub(f"{MASK}@", text)
    return IN_QUERY.sub(lambda found: f"{found[1]}={MASK if is_secret_name(found[1]) else found[2]}", text)


def masked_command(words: Sequence[str]) -> list[str]:
    """Replace in a command line the values of options that hold secrets.

    Example:
        >>> masked_command(["fit", "--db.password", "abc", "--apiKey=abc", "--data.imgsz", "640", "WANDB_TOKEN=a"])
        ['fit', '--db.password', '***', '--apiKey=***', '--data.imgsz', '640', 'WANDB_TOKEN=***']
    """
    result, secret = [], False
    for word in words:
        name, sign, _ = word.partition("=")
        option = word.startswith("-")
        if secret and not option:
            result.append(MASK)
        elif sign and re.fullmatch(r"[\w.+-]+", name) and is_secret_name(name):
            result.append(f"{name}={MASK}")
        else:
            result.append(masked(word))
        secret = option and not sign and is_secret_name(word)
    return result
