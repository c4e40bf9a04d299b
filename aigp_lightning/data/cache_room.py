"""Memory and disk space that a cache of pictures may take."""

from __future__ import annotations

from pathlib import Path

from aigp_lightning.errors import ConfigError
from aigp_lightning.files import free_bytes

SPARE = 10**9
"""Bytes that stay free: as many as the cache takes, and never more than so many."""
GROUPS = Path("/sys/fs/cgroup")
"""Linux's limits for containers and services."""
LIMITS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
"""Files with the limit and the memory in use, of versions 2 and 1."""


def check_room(kind: str, size: int, pictures: int, folder: Path | None = None) -> None:
    """Refuse a cache that leaves too little memory, or disk space, for everything else.

    Args:
        kind: `ram` or `disk`.
        size: bytes of the cache.
        pictures: how many it holds.
        folder: of the file, for `disk`.

    Raises:
        ConfigError: there is not enough.

    Example:
        >>> check_room("ram", 1000, 1)
        >>> try:
        ...     check_room("ram", 10**18, 2)
        ... except ConfigError as error:
        ...     print(str(error).partition(" and ")[0])
        --data.cache ram takes 1,000,000,000.0 GB for 2 pictures
    """
    free = available_memory() if kind == "ram" else free_bytes(folder)
    if free is None or size + min(size, SPARE) <= free:
        return
    other, where = ("disk", "of memory") if kind == "ram" else ("ram", f"in {folder}")
    raise ConfigError(
        f"--data.cache {kind} takes {told_size(size)} for {pictures:,} pictures and leaves too little: "
        f"{told_size(free)} {where} are free. Use --data.cache {other}, a smaller --data.imgsz, or no cache (null)."
    )


def told_size(size: int) -> str:
    """Write a number of bytes for people.

    Example:
        >>> told_size(2_764_800), told_size(12_345_678_900)
        ('2.8 MB', '12.3 GB')
    """
    return f"{size / 1e9:,.1f} GB" if size >= SPARE else f"{size / 1e6:.1f} MB"


def available_memory() -> int:
    """Return the bytes of memory that can be had, by the system and by the limit of its container.

    Example:
        >>> available_memory() > 0
        True
    """
    import psutil  # type: ignore[import-untyped,unused-ignore]

    return min([int(psutil.virtual_memory().available), *group_rooms(GROUPS, Path("/proc/self/cgroup"))])


def group_rooms(root: Path, membership: Path) -> list[int]:
    """Return the bytes left to each control group of this process that has a limit.

    Args:
        root: folder of the groups.
        membership: file that names those of this process.

    Example:
        >>> group_rooms(Path("nowhere"), Path("nowhere/cgroup"))
        []
    """
    try:
        lines = membership.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, names, path = line.split(":", 2) if line.count(":") > 1 else ("", "none", "")
        if names not in ("", "memory"):
            continue
        top = root / names if names else root
        group = top / path.lstrip("/")
        found += [_room(folder) for folder in (group, *group.parents) if folder.is_relative_to(top)]
    return [room for room in found if room is not None]


def _room(group: Path) -> int | None:
    """Return the bytes left to a group; None where it has no limit. Pages of files can be given up."""
    for limit_name, used_name in LIMITS:
        try:
            limit, used = (int((group / name).read_text(encoding="ascii")) for name in (limit_name, used_name))
            stat = (group / "memory.stat").read_text(encoding="ascii").split()
        except (OSError, ValueError):  # without a limit it says max
            continue
        values = dict(zip(stat[::2], stat[1::2], strict=False))
        return max(limit - used + int(values.get("inactive_file", 0)) + int(values.get("active_file", 0)), 0)
    return None
