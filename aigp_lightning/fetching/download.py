"""One file over HTTP into a partial file beside its place; a cut download is taken up where it ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import md5, sha256
from http.client import BadStatusLine, HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

from aigp_lightning.errors import RunError, WeightsError, first_line, printable
from aigp_lightning.fetching.address import check_address, public, without_user
from aigp_lightning.fetching.partial import Begun, forget, note, read_begun
from aigp_lightning.fetching.redirects import CODES, Redirects
from aigp_lightning.files import DISK_FULL, disk_full, free_bytes

TIMEOUT = 30.0
"""Seconds without an answer, or without a byte."""
BYTES = 1 << 18
"""Bytes that are read at a time."""
LARGEST = 4 << 30
"""Most bytes of a file; the largest published weights have half a gigabyte."""
NOT_FOUND, RANGE_REFUSED, PARTIAL = (404, 410), 416, 206
"""Answers of a server."""
SHOWN = 60
"""Characters of a server's own words in a message."""
MOST_DIGITS = 19
"""Digits of a length; a longer one is no length, and Python refuses to read some thousand."""
AGENT = "aigp_lightning"
Progress = Callable[[int, int | None], None]
"""Told the bytes that are there, and all of them where the server says how many."""


@dataclass(frozen=True)
class Downloaded:
    """A file that has arrived.

    Attributes:
        size: bytes.
        sha256: hexadecimal.
        md5: the same, for those who publish it.
    """

    size: int
    sha256: str
    md5: str


def download(address: str, part: Path, tell: Callable[[str], None], progress: Progress) -> Downloaded:
    """Get a file, or the rest of it.

    Args:
        address: of the file, see `check_address`. Proxies of the environment are used.
        part: where to; what an interrupted download of the same address left there is taken up.
        tell: told each redirect to another host.
        progress: told how far it is.

    Returns:
        Size and hashes. The file is at `part`, on the disk.

    Raises:
        WeightsError: there is no such file, it is a web page or too large.
        RunError: the connection failed or was cut; what has arrived stays at `part`.
    """
    check_address(address)
    part.parent.mkdir(parents=True, exist_ok=True)
    begun = read_begun(part, address)
    with _told(address, part):
        try:
            response = _open(address, begun, tell)
        except HTTPError as error:
            if error.code != RANGE_REFUSED or not begun.size:
                raise
            forget(part)
            response = _open(address, begun := Begun(), tell)
        with response:
            begun = begun if _continues(response, begun) else Begun()
            total = _total(response, begun.size)
            _check(response, total, begun.size, address, part)
            note(part, address, response.headers)
            came = _receive(response, part, begun.size, total, progress)
    if not came.size:
        forget(part)
        raise WeightsError(f"{_host(address)} sent an empty file: {public(address)}. --url names another address.")
    return came


def _open(address: str, begun: Begun, tell: Callable[[str], None]) -> HTTPResponse:
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if begun.size:
        headers |= {"Range": f"bytes={begun.size}-", "If-Range": begun.validator}
    plain, user = without_user(address)
    request = Request(plain, headers=headers)
    if user is not None:
        request.add_unredirected_header("Authorization", user)  # for this server alone
    response: HTTPResponse = build_opener(Redirects(tell)).open(request, timeout=TIMEOUT)
    return response


def _continues(response: HTTPResponse, begun: Begun) -> bool:
    """True if the server sends the rest of the same file from the byte that was asked for."""
    headers = response.headers
    same = begun.validator in (headers.get("ETag", begun.validator), headers.get("Last-Modified"))
    rest = headers.get("Content-Range", "").startswith(f"bytes {begun.size}-")
    return bool(begun.size) and response.status == PARTIAL and rest and same


def _total(response: HTTPResponse, before: int) -> int | None:
    """Return the bytes of the whole file; None where the server does not say."""
    length = response.headers.get("Content-Length", "").strip()
    told = response.length is not None and length.isascii() and length.isdigit() and len(length) <= MOST_DIGITS
    return int(length) + before if told else None  # of a body in chunks no length counts


def _check(response: HTTPResponse, total: int | None, before: int, address: str, part: Path) -> None:
    """Refuse what is no file of weights by what the server says of it, before a byte is read."""
    if response.status == PARTIAL and not before:
        raise WeightsError(f"{_host(address)} sent another part of the file than the one asked for.")
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        forget(part)
        raise WeightsError(
            f"{_host(address)} answered with a web page in place of the file, as a login or a proxy does: "
            f"{public(response.url)}"
        )
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        forget(part)
        raise WeightsError(
            f"{_host(address)} sent the file in another encoding ({printable(encoding)[:SHOWN]}), not as it is: "
            f"{public(response.url)}"
        )
    if total is not None and total > LARGEST:
        raise WeightsError(f"{public(address)} has {total / 1e9:.1f} GB; no file of weights is so large.")
    room = free_bytes(part)
    if total is not None and room is not None and total - before > room:
        raise RunError(f"{(total - before) / 1e6:.1f} MB are to come, and {room / 1e6:.1f} MB are free: {part.parent}")


def _receive(response: HTTPResponse, part: Path, before: int, total: int | None, progress: Progress) -> Downloaded:
    """Write what comes behind what is there, and return the hashes of all of it.

    Raises:
        RunError: the connection ended too early.
        WeightsError: more came than a file of weights has.
    """
    digest, other, size = sha256(), md5(usedforsecurity=False), before
    with part.open("r+b" if before else "wb") as file:
        left = before
        while left and (chunk := file.read(min(BYTES, left))):
            digest.update(chunk)
            other.update(chunk)
            left -= len(chunk)
        progress(size, total)
        while chunk := response.read(BYTES):
            file.write(chunk)
            digest.update(chunk)
            other.update(chunk)
            size += len(chunk)
            if size > LARGEST:
                forget(part)
                raise WeightsError(f"over {LARGEST / 1e9:.1f} GB came; no file of weights is so large.")
            progress(size, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and size != total:
        raise HTTPException(f"{size / 1e6:.1f} of {total / 1e6:.1f} MB came")
    return Downloaded(size, digest.hexdigest(), other.hexdigest())


@contextmanager
def _told(address: str, part: Path) -> Iterator[None]:
    """Tell what goes wrong between here and the server in a line.

    Raises:
        WeightsError: there is no such file.
        RunError: anything else, with whether the same command goes on from there.
    """
    try:
        yield
    except HTTPError as error:
        error.close()
        if error.code in CODES:
            raise RunError(f"{_host(address)} redirects without end: {public(address)}") from error
        address = error.url or address  # perhaps redirected
        if error.code in NOT_FOUND:
            forget(part)
            raise WeightsError(
                f"{_host(address)} has no such file ({error.code}): {public(address)}. --url names another address."
            ) from error
        raise RunError(
            f"{_host(address)} answers {error.code} {printable(error.reason)[:SHOWN]}: {public(address)}"
        ) from error
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise RunError(f"{_host(address)}: {_why(error)}. {_kept(part, address)}") from error
    except OSError as error:
        if error.errno in DISK_FULL:
            raise RunError(disk_full(error, part)) from error
        if error.filename is not None:
            raise
        raise RunError(f"{_host(address)}: {first_line(error)}. {_kept(part, address)}") from error


def _why(error: Exception) -> str:
    """Return the cause of a failed connection in words for the user."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, ConnectionError):  # also where it is a BadStatusLine at the same time
        return "the connection was closed" if not cause.errno else first_line(cause)
    if isinstance(cause, TimeoutError):
        return f"nothing came for {TIMEOUT:.0f} s"
    if isinstance(cause, BadStatusLine):
        return "what answers there is no web server"
    if isinstance(cause, IncompleteRead):
        return "the connection ended before the file"
    return printable(first_line(cause))


def _kept(part: Path, address: str) -> str:
    """Say what the same command does next."""
    kept = read_begun(part, address).size
    if kept:
        return f"{kept / 1e6:.1f} MB are kept: the same command goes on from there."
    return "The same command tries again from the beginning."


def _host(address: str) -> str:
    return str(urlsplit(address).hostname)
