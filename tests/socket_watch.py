"""Run a command and see whether it, or anything it starts, reaches for the network."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from helpers import REPO

HOOK = """
import atexit, os, sys

def watch(event, args):
    named = event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
    to = args[-1] if event in ("socket.connect", "socket.sendto") else ""
    if named or isinstance(to, tuple):  # Unix sockets have a path, a string
        with open(os.environ["SOCKET_LOG"], "a") as file:
            file.write(f"{event} {args!r}\\n")

def note_modules():
    with open(os.environ["SOCKET_LOG"] + ".modules", "a") as file:
        file.write("\\n".join(sorted(sys.modules)) + "\\n")

open(os.environ["SOCKET_LOG"], "a").write("watching\\n")
sys.addaudithook(watch)
atexit.register(note_modules)
"""
STRACE = shutil.which("strace")
ADDRESS = re.compile(r'\b(?:connect|sendto|sendmsg|sendmmsg)\(.*?sin6?_port=htons\((\d+)\).*?"([0-9a-fA-F.:]+)"')
DNS_PORT = 53


def outside(trace: str) -> list[str]:
    """Lines of a system-call trace that reach for another machine, or for a name server anywhere."""
    found = []
    for line in trace.splitlines():
        match = ADDRESS.search(line)
        if match and (int(match[1]) == DNS_PORT or not (match[2].startswith("127.") or match[2] == "::1")):
            found.append(line)
    return found


class Traced(NamedTuple):
    """What one run left: its output, the system calls (None without strace), Python's own socket events, modules."""

    output: str
    status: int
    calls: str | None
    events: list[str]
    modules: set[str]
    folder: Path


def watched_once(made_once: Callable[..., Path], name: str, run: Callable[[Path], Traced]) -> Traced:
    """`run(folder)`, by one of pytest's processes for all."""

    def make(folder: Path) -> None:
        (folder / name).mkdir()
        (folder / "traced").write_bytes(pickle.dumps(run(folder / name)))

    return pickle.loads((made_once(name, make) / "traced").read_bytes())


RUN = """
import os, sys
from aigp_lightning.cli.main import main
before, status = dict(os.environ), 0
for variables, words in {commands!r}:
    os.environ.clear()
    os.environ.update(before | variables)
    status = max(status, main(words))
sys.exit(status)
"""


def run_watched(
    words: Sequence[object],
    folder: Path,
    environment: Mapping[str, str],
    *more: Sequence[object],
    variables: Sequence[Mapping[str, str]] = (),
) -> Traced:
    """Run the command line in `folder`, watched by strace where it is installed, and from within.

    Args:
        words: of the command.
        folder: where it is run, and where the watchers write.
        environment: variables of the process.
        more: further commands, in the same process.
        variables: further ones of each command, if it needs any.
    """
    (folder / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    log = folder / "sockets.txt"
    every_variable = {**environment, "PYTHONPATH": f"{folder}{os.pathsep}{REPO}", "SOCKET_LOG": str(log)}
    command = [sys.executable, "-m", "aigp_lightning", *map(str, words)]
    if more:
        lines = [[str(word) for word in line] for line in (words, *more)]
        commands = list(zip(map(dict, variables) if variables else [{} for _ in lines], lines, strict=True))
        command = [sys.executable, "-c", RUN.format(commands=commands)]
    if STRACE:
        command = [
            STRACE,
            "--seccomp-bpf",
            "-f",
            "-qq",
            "-e",
            "trace=network",
            "-o",
            str(folder / "trace.txt"),
            *command,
        ]
    done = subprocess.run(
        command, cwd=folder, env=every_variable, capture_output=True, text=True, timeout=600, check=False
    )  # fmt: skip
    calls = (folder / "trace.txt").read_text() if STRACE else None
    modules = set(Path(f"{log}.modules").read_text().split()) if Path(f"{log}.modules").is_file() else set()
    return Traced(done.stdout + done.stderr, done.returncode, calls, log.read_text().splitlines(), modules, folder)
