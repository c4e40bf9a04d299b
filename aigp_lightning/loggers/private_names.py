"""Which names are those of secrets and persons, and what of a text would give one away."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

PARTS = (
    *("key", "token", "secret", "passw", "passphrase", "passcode", "pswd", "pwd", "credential", "creds", "mail"),
    *("authen", "authori", "authkey", "oauth", "login", "logon", "user", "session", "cookie", "bearer", "account"),
    *("mnemonic", "phrase", "licen", "crypt", "webhook", "phone", "private", "access", "signature", "address"),
    *("passwd", "pincode", "otpcode", "kennwort", "geheim", "schluessel", "contrasen", "motdepasse", "username"),
)
"""Anywhere in a name, across its words too: `pass_word`."""
WORDS = re.compile(
    r"auth|hook|hooks|\w*code|\w*codes|jwt|dsn|salt|nonce|cvv|cvc|ssn|iban|dob|pw|psw|pat|pem|sid|uid|url|uri|"
    r"cert\w*|cred\w*|[th]?otp\d*|mfa|\w*pass|\w*pin|\w*url|\w*uri|\w*pw|\w*hash"
)
"""Alone, or as the name says; within other words they are harmless: `uncertainty`, `footprint`."""
HARMLESS_WORDS = frozenset(
    {
        *("keypoint", "keypoints", "keyframe", "keyframes", "monkey", "bypass", "compass", "lowpass", "highpass"),
        *("bandpass", "spin", "passthrough", "author", "encode", "decode", "barcode"),
    }
)
HARMLESS = frozenset(
    {
        *("key_points", "key_frames", "pin_memory", "max_tokens", "min_tokens", "num_tokens", "n_tokens", "new_tokens"),
        *("max_new_tokens", "total_tokens"),
    }
)
"""Names that hold such a part and no secret. Nothing else does: what only sounds like a secret is left out, too."""
_JOINED = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
_LIKE_LETTERS = str.maketrans("013457", "oieast")

MASK = "***"
_USER = r"""(?<=://)(?:[^/\s'"]+|[^/\s'":@]+:(?!\d+/)[^\s'"]*)@(?=[\w\[])"""
USER_IN_ADDRESS, BYTES_USER_IN_ADDRESS = re.compile(_USER), re.compile(_USER.encode())
"""The second form is a password with a slash in it; a port is none."""
ADDRESS = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+")
PEOPLE = re.compile(r"[^\s/@:='\",{}]+(:[^\s@]*)?@(?=[\w\[])")
"""A user, maybe with a password, in front of a host without a scheme."""
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:/{2,})([^\s'\"]*)")
HOST = re.compile(r"(?:[^/?#]*@)?([A-Za-z0-9._-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?)(?=$|[/?#])")
TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(gh[a-z]_|github_pat_|glpat-|hf_|sk-|[prs]k_(live|test)_|xox[a-z]-|xapp-|AKIA|ASIA|AIza|ya29\.|"
    r"eyJ|npm_|pypi-|wandb_v\d|dckr_pat_|nvapi-|whsec_|SG\.)[\w.+/=-]+"
    r"|(?<![A-Za-z0-9])(?=[A-Za-z0-9]*\d)(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z0-9]{16,}(?![A-Za-z0-9])"
)
"""By how they begin; or long, of letters and digits."""
_NAMED = re.compile(r"([\w+-][\w.+-]*)[\"']?\s*[:=]")
_NAMED_AS_YAML = re.compile(r"([\w+-][\w.+-]*)[\"']?\s*:")
_GAPS, _QUOTES = re.compile(r"(\s+)"), "'\"([{"
_QUERY = re.compile(r"\?[^\s?]*=\S*")


def is_secret_name(name: str) -> bool:
    """True if an option of this name holds a secret, or says who somebody is.

    Example:
        >>> [is_secret_name(name) for name in ("apiKey", "db-password", "DBPASSWORD", "login", "max_token")]
        [True, True, True, True, True]
        >>> [is_secret_name(name) for name in ("keypoints", "monkey", "max_tokens", "pin_memory", "author")]
        [False, False, False, False, False]
    """
    if not (plain := unicodedata.normalize("NFKC", name)).isascii():
        return True  # letters that look like others
    for form in (plain, plain.lower()):  # `apiKey` has two words, `kEY` one
        if form.lower().strip("-_.") in HARMLESS:
            return False
        words = [word.lower() for word in _JOINED.split(form) if word]
        words = [word for word in words if word not in HARMLESS_WORDS]
        joined = "".join(words)
        if any(part in text for part in PARTS for text in (joined, joined.translate(_LIKE_LETTERS))):
            return True
        spelt = "".join(word if len(word) == 1 else f" {word} " for word in words).split()  # `p_i_n`
        if any(WORDS.fullmatch(word) for word in (*words, *spelt)):
            return True
    return False


def is_secret_text(text: str) -> bool:
    """True if a text holds an e-mail address, an address with a user in it, or looks like a token.

    Example:
        >>> [is_secret_text(text) for text in ("me@example.com", "https://me:x@host", "ghp_abc", "yolo11n-seg")]
        [True, True, True, False]
    """
    return bool(ADDRESS.search(text) or USER_IN_ADDRESS.search(text) or TOKEN.search(text))


def masked(text: str) -> str:
    """Replace users and passwords, what looks like a token, and in an address all that follows the host.

    Example:
        >>> masked("see https://me:secret@host/a?page=1&token=abc"), masked("me:secret@host")
        ('see https://host/***', '***@host')
    """
    text = URL.sub(lambda found: found[1] + _host(found[2]), text)
    if "://" not in text:
        text = PEOPLE.sub(f"{MASK}@", text)
    return TOKEN.sub(MASK, _QUERY.sub(f"?{MASK}", text))


def _host(rest: str) -> str:
    """Return the host of an address without its scheme, and whether something follows."""
    found = HOST.match(rest)
    if found is None or ("@" in rest[found.end() :] and ":" in found[1]):
        return MASK  # a password with a slash in it, or no address
    return found[1] + (f"/{MASK}" if rest[found.end() :] not in ("", "/") else "")


def masked_command(words: Sequence[str]) -> list[str]:
    """Replace in a command line the values of options that hold secrets.

    Example:
        >>> masked_command(["fit", "--db.password", "abc", "--apiKey=abc", "--data.imgsz", "640", "WANDB_TOKEN=a"])
        ['fit', '--db.password', '***', '--apiKey=***', '--data.imgsz', '640', 'WANDB_TOKEN=***']
    """
    result, secret = [], False
    for word in words:
        option = word.startswith("--")
        name, sign, value = word.partition("=")
        if secret and not option:
            result.append(MASK)
            continue  # an option may have several values
        if not (sign and re.fullmatch(r"[\w.+-]+", name)):
            result.append(word if option and not sign else _masked_value(word))
        else:
            result.append(f"{name}={MASK if is_secret_name(name) else _masked_value(value)}")
        secret = word.startswith("-") and not sign and is_secret_name(word)
    return result


def masked_text(text: str) -> str:
    """Replace what gives a secret away in any text, such as a command line in one piece.

    Example:
        >>> masked_text("train --token abc --imgsz 640"), masked_text("sh -c 'login --api-key=abc'")
        ('train --token *** --imgsz 640', "sh -c 'login --api-key=***")
        >>> masked_text('{"password": "a b"}'), masked_text("a plain  text: it stays")
        ('***', 'a plain  text: it stays')
    """
    if any(is_secret_name(found[1]) for found in _NAMED_AS_YAML.finditer(URL.sub("", text))):
        return MASK
    parts = _GAPS.split(text)
    words = [word.lstrip(_QUOTES) for word in parts[::2]]
    quotes = [word[: len(word) - len(bare)] for word, bare in zip(parts[::2], words, strict=True)]
    parts[::2] = [quote + word for quote, word in zip(quotes, masked_command(words), strict=True)]
    return masked("".join(parts))


def _masked_value(text: str) -> str:
    """Mask all of a text that gives a secret a name, as JSON and YAML do; else what of it looks like one."""
    named = any(is_secret_name(found[1]) for found in _NAMED.finditer(URL.sub("", text)))
    return MASK if named else masked(text)
