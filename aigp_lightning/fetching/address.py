"""Addresses that a file may come from, and the switches by which a machine stays offline."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from aigp_lightning.errors import ConfigError, WeightsError, printable

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that are this machine."""
OFFLINE = ("AIGP_OFFLINE", "YOLO_OFFLINE", "HF_HUB_OFFLINE")
"""Variables by which a user says that nothing is to be fetched; W&B's own are about W&B alone."""
SET_BY_US = "AIGP_HAS_SET"
"""Names those of them that this package has set itself, see `aigp_lightning/__init__.py`."""
FALSE = ("", "0", "false", "no", "off")


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

    Example:
        >>> check_address("http://example.com/yolo11n.pt")
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: http://example.com/yolo11n.pt: a file is fetched by https only, or from \
this machine itself.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{printable(address)} is no address: {error}.") from error
    own = is_loopback(address) and (before is None or is_loopback(before))
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and own)):
        told = "is redirected to" if before is not None else ""
        shown = public(address) if host else printable(address)
        which = f"{public(before)} {told} {shown}" if before is not None else shown
        raise (ConfigError if before is None else WeightsError)(
            f"{which}: a file is fetched by https only, or from this machine itself."
        )


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
