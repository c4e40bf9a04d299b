"""The `fetch` verb: downloads published weights. It is the one verb that opens a connection of its own."""

from __future__ import annotations

import argparse
import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aigp_lightning.checkpoints.weight_places import HERE, PUBLISHED, located, user_folder
from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.errors import ConfigError, WeightsError, printable
from aigp_lightning.fetching.address import check_address, offline_switch, proxy_of, public
from aigp_lightning.fetching.place import LONGEST, is_there, make_folder, tell_there
from aigp_lightning.fetching.record import FILE, Record, read_record, write_record
from aigp_lightning.files import is_plain_name, shell_quoted
from aigp_lightning.paths import expand_home
from aigp_lightning.terminal.output import print_line

if TYPE_CHECKING:
    from aigp_lightning.fetching.download import Downloaded
    from aigp_lightning.modules.families import WeightsFile
    from aigp_lightning.modules.published import Published

DIGEST = re.compile(r"[0-9a-fA-F]{64}")
SHOWN = 3


def main(verb: str, arguments: list[str]) -> int:
    """Download a weights file, check it, and record its hash.

    Args:
        verb: `fetch`.
        arguments: the words after it.

    Returns:
        0.

    Raises:
        ConfigError: an option is wrong, or this machine is told to stay offline.
        WeightsError: there is no such file, or what came is not what it should be; nothing stands under its name then.
        RunError: the connection failed or was cut.
    """
    options = _parser(verb).parse_args(arguments)
    name, folder, asked = options.name, Path(expand_home(options.out)), (options.sha256 or "").lower()
    _check(name, asked)
    target = folder / name
    if is_there(target):
        tell_there(target, asked)
        return 0
    switch = offline_switch()
    if switch is not None and not options.dry_run:
        raise ConfigError(f"{switch} says that this machine stays offline, so nothing is fetched. Unset it to fetch.")
    kind = _kind(name)
    found = _address(name, options.url, kind)
    _tell_whom(found.url, target, kind)
    if options.dry_run:
        print_line("a dry run: no connection was opened")
        return 0
    recorded = read_record(folder, name)
    size, digest = _get(found, target, asked, recorded, kind)
    write_record(folder, name, public(found.url), size, digest)
    print_line(f"{target}  {size / 1e6:.1f} MB", f"sha256 {digest}, recorded in {folder / FILE}")
    value = name if located(name) is not None and folder in (HERE, user_folder()) else str(target)
    print_line(f"start from it: fit … --model.weights {shell_quoted(value)}")
    return 0


def _check(name: str, asked: str) -> None:
    """Refuse a name that is no file's, and a hash that is none.

    Raises:
        ConfigError: it is.
    """
    if "://" in name:
        raise ConfigError(f"fetch takes a file's name; its address is another option: fetch NAME --url {public(name)}")
    if not is_plain_name(name) or Path(name).suffix not in PUBLISHED:
        raise ConfigError(f"fetch {printable(name)}: name a file that ends in {' or '.join(PUBLISHED)}; --out FOLDER.")
    if len(os.fsencode(name)) > LONGEST:
        raise ConfigError(f"fetch {printable(name[: LONGEST // 4])}…: a file's name has at most {LONGEST} bytes.")
    if asked and not DIGEST.fullmatch(asked):
        raise ConfigError(f"--sha256 {printable(asked)}: a SHA-256 has 64 hexadecimal digits.")


def _kind(name: str) -> WeightsFile:
    from aigp_lightning.modules.families import FILES

    return FILES[Path(name).suffix]


def _address(name: str, url: str | None, kind: WeightsFile) -> Published:
    """Return where a file is: the address that is given, or that of the family's makers.

    Raises:
        ConfigError: nobody publishes a file of this name, or the address is not one to fetch from.
    """
    from aigp_lightning.modules.published import Published

    if url is not None:
        check_address(url)
        return Published(url)
    if (found := kind.published(name)) is None:
        near = get_close_matches(name, kind.published_names(), n=SHOWN, cutoff=0.6)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(f"{name} is no published file that this version knows.{meant} --url names another address.")
    return found


def _tell_whom(url: str, target: Path, kind: WeightsFile) -> None:
    """Say to whom a connection is opened, before it is."""
    proxy = proxy_of(url)
    through = f" through the proxy {proxy}" if proxy else ""
    print_line(f"fetching {target.name} ({kind.kind}) from {urlsplit(url).hostname}{through}", f"  {public(url)}")
    print_line(f"  to {target}")


def _get(found: Published, target: Path, asked: str, recorded: Record | None, kind: WeightsFile) -> tuple[int, str]:
    """Download a file, check it, and only then give it its name; returns its size and SHA-256.

    Raises:
        ConfigError: another process is fetching it.
        WeightsError: it is not the file that is meant, or no file of weights.
        RunError: the connection failed.
    """
    from aigp_lightning.fetching.download import download
    from aigp_lightning.fetching.partial import forget
    from aigp_lightning.run.file_lock import FileLock
    from aigp_lightning.terminal.progress import byte_bar

    part = target.with_name(f".{target.name}.part")
    make_folder(part.parent)
    lock = FileLock(part.with_name(f"{part.name}.lock"))
    if not lock.acquire():
        raise ConfigError(f"another process is fetching {target} just now.")
    try:
        sizes: list[int] = []
        with byte_bar(target.name) as progress:

            def tell_size(done: int, total: int | None) -> None:
                if not sizes:
                    sizes.append(done)
                    went_on = f", of which {done / 1e6:.1f} MB are here from last time" if done else ""
                    print_line(f"  {total / 1e6:.1f} MB{went_on}" if total is not None else "  of unknown size")
                progress(done, total)

            came = download(found.url, part, lambda line: print_line(f"  {line}"), tell_size)
        try:
            _compare(came, found, asked, recorded, target)
            _open_as_data(part, target, kind)
        except WeightsError:
            forget(part)
            raise
        os.replace(part, target)
        forget(part)
    finally:
        lock.release()
    return came.size, came.sha256


def _compare(came: Downloaded, found: Published, asked: str, recorded: Record | None, target: Path) -> None:
    """Hold the hashes of what came against those that are known.

    Raises:
        WeightsError: it is another file.
    """
    if asked and asked != came.sha256:
        raise WeightsError(f"what came is not the file given by --sha256: {came.sha256}, not {asked}. It is removed.")
    if not asked and recorded is not None and recorded.sha256 != came.sha256:
        raise WeightsError(
            f"{target.name} is another file than on {recorded.fetched}: SHA-256 {came.sha256}, not {recorded.sha256}. "
            f"It is removed. If the change is meant: --sha256 {came.sha256}"
        )
    if found.md5 is not None and found.md5 != came.md5 and not asked:
        raise WeightsError(
            f"what came is not the file that its makers' package names: MD5 {came.md5}, not {found.md5}. It is removed."
        )


def _open_as_data(part: Path, target: Path, kind: WeightsFile) -> None:
    """Open a file by the reader that runs no code in it.

    Raises:
        WeightsError: it is no file of weights.
    """
    try:
        kind.check(part)  # imports torch, which takes seconds
    except WeightsError as error:
        raise WeightsError(f"what came is no weights file: {str(error).replace(str(part), target.name)}") from error


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = VerbParser(
        prog=f"python -m aigp_lightning {verb}",
        description="Download a published weights file: Ultralytics' .pt from the address that the installed package "
        "has, RF-DETR's .pth likewise. It is the one verb that opens a connection of its own, and says to whom. The "
        "file is checked (length, SHA-256 if it is given or recorded, MD5 where its makers tell it), opened as data "
        f"without running code in it, and only then gets its name; {FILE} beside it records address, size, SHA-256 and "
        "time. A cut download goes on where it ended. Proxies of the environment (https_proxy) are used. With "
        "AIGP_OFFLINE=1, YOLO_OFFLINE or HF_HUB_OFFLINE set, nothing is fetched. Exit status 0: the file is there; "
        "1: the connection failed; 2: it is not the file that is meant, or there is none.",
        epilog="example: fetch yolo11n.pt",
    )
    parser.add_argument("name", metavar="NAME", help="yolo11n.pt, yolo11s-pose.pt, rf-detr-nano.pth, …")
    parser.add_argument(
        "--out", metavar="FOLDER", default=str(HERE),
        help=f"where to; {HERE} without it. For all projects of this user: {user_folder()}".replace("%", "%%"),
    )  # fmt: skip
    parser.add_argument("--sha256", metavar="HEX", help="the SHA-256 that the file must have")
    parser.add_argument("--url", metavar="URL", help="another address, https, or http on this machine")
    parser.add_argument("--dry-run", action="store_true", help="say from where and to where, and open no connection")
    return parser
