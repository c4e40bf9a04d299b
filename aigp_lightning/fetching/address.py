"""Addresses that a file may come from, and the switches by which a machine stays offline."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from aigp_lightning.errors import ConfigError, WeightsError, printable

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that are this machine."""
OFFLINE = ("AIGP_OFFLINE", "YOLO_OFFLINE", "HF_HUB_OFFLINE")
"""Variables by which a user says that nothing is to be fetched; W&B's own are about W&B alone."""
SET_BY_US = "AIGP_HAS_SET"
"""Names those of them that this package has set itself, see `aigp_lightning/__init__.py`."""
FALSE = ("", "0", "false", "no", "off")
ADDRESS = re.compile(r"[!-~]+")
"""Characters that an address is written with; others are written as %-escapes, and in a host's name as `xn--…`."""
MOST_SHOWN = 200
"""Characters of an address that nothing is fetched from, in a message."""


def offline_switch(environment: Mapping[str, str] | None = None) -> str | None:
    """Return the variable by which the user told this machine to stay offline, with its value; None without one.

    Args:
        environment: variables; None takes those of the process.

    Example:
        >>> offline_switch({"AIGP_OFFLINE": "1"}), offline_switch({"YOLO_OFFLINE": "true", SET_BY_US: "YOLO_OFFLINE"})
        ('AIGP_OFFLINE=1', None)
    """
    variables = os.environ if environment is None else environment
    ours = variables.get(SET_BY_US, "").split()
    for name in OFFLINE:
        value = variables.get(name, "")
        if name not in ours and value.strip().lower() not in FALSE:
            return f"{name}={printable(value)}"
    return None


def check_address(address: str, before: str | None = None) -> None:
    """Refuse an address that is neither https nor one of this machine.

    Args:
        address: of the file.
        before: the one that it was redirected from.

    Raises:
        ConfigError: nobody could say who answers there.
        WeightsError: the same, after a redirect.

    Example:
        >>> check_address("http://example.com/yolo11n.pt")
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: http://example.com/yolo11n.pt: a file is fetched by https only, or from \
this machine itself.
    """
    refusal = ConfigError if before is None else WeightsError
    which = _shown(address) if before is None else f"{public(before)} is redirected to {_shown(address)}"
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise refusal(f"{which}: this is no address.") from error
    own = is_loopback(address) and (before is None or is_loopback(before))
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and own)):
        raise refusal(f"{which}: a file is fetched by https only, or from this machine itself.")
    if not ADDRESS.fullmatch(address):
        raise refusal(f"{which}: blanks and letters beyond ASCII are written as %-escapes, in a host's name as xn--….")
    if before is not None and "@" in parts.netloc:
        raise refusal(f"{which}, with a user's name; nothing is fetched as a user that a server names.")


def is_loopback(address: str) -> bool:
    """True if an address is one of this machine.

    Args:
        address: of a file.

    Example:
        >>> is_loopback("http://127.0.0.1:8000/a.pt"), is_loopback("http://127.0.0.1.example.com/a.pt")
        (True, False)
    """
    return urlsplit(address).hostname in LOOPBACK


def public(address: str) -> str:
    """Return an address without user, password and query, which can hold a key.

    Args:
        address: of a file.

    Example:
        >>> public("https://me:secret@example.com:8443/a.pt?token=1")
        'https://example.com:8443/a.pt'
    """
    parts = urlsplit(address)
    return printable(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))


def without_user(address: str) -> tuple[str, str | None]:
    """Return an address without user and password, and the header by which a server is told them; None without any.

    Args:
        address: of a file.

    Example:
        >>> without_user("https://me:secret@example.com/a.pt?token=1")
        ('https://example.com/a.pt?token=1', 'Basic bWU6c2VjcmV0')
    """
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    header = f"Basic {b64encode(unquote(user).encode()).decode('ascii')}" if at else None
    return urlunsplit(parts._replace(netloc=host)), header


def _shown(address: str) -> str:
    """Return an address that is refused as far as it can be shown: without user, password and query, and cut."""
    try:
        shown = public(address)
    except ValueError:
        shown = printable(re.sub(r"//[^/]*@", "//", address).partition("?")[0])
    return shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}…"


def proxy_of(address: str) -> str | None:
    """Return the host of the proxy by which an address is asked; None where it is asked directly.

    Args:
        address: of a file.
    """
    parts = urlsplit(address)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return printable(proxy.rpartition("@")[2].rpartition("//")[2].rstrip("/"))
