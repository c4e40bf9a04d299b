"""A whole training run, TensorBoard and loader workers included, never asks for the network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import REPO, small

HOOK = """
import os, sys

def watch(event, args):
    named = event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
    to = args[-1] if event in ("socket.connect", "socket.sendto") else ""
    if named or isinstance(to, tuple):  # Unix sockets have a path, a string
        with open(os.environ["SOCKET_LOG"], "a") as file:
            file.write(f"{event} {args!r}\\n")

open(os.environ["SOCKET_LOG"], "a").write("watching\\n")
sys.addaudithook(watch)
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
    """What one run left: its output, the system calls (None without strace), Python's own socket events."""

    output: str
    status: int
    calls: str | None
    events: list[str]
    folder: Path


@pytest.fixture(
    scope="module", params=[{"WANDB_MODE": "offline"}, {"AIGP_WANDB": "0"}], ids=["offline", "switched-off"]
)
def traced(shapes: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Traced:
    """A run with pictures for TensorBoard and for W&B, which is offline or switched off."""
    folder = tmp_path_factory.mktemp("network")
    (folder / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in ("YOLO_OFFLINE", "WANDB_MODE")}
    environment.pop("NO_ALBUMENTATIONS_UPDATE", None)  # the package itself sees to these two
    environment.update(request.param)
    environment.update(PYTHONPATH=f"{folder}{os.pathsep}{REPO}", SOCKET_LOG=str(folder / "sockets.txt"))
    configs = ["--config", REPO / "configs" / "detector.yaml", "--config", REPO / "configs" / "logger" / "both.yaml"]
    options = [
        "fit",
        *configs,
        *small(shapes, folder),
        "--data.imgsz",
        32,
        "--data.workers",
        1,
        "--trainer.max_epochs",
        1,
    ]
    command = [sys.executable, "-m", "aigp_lightning", *map(str, options)]
    if STRACE:
        command = [STRACE, "-f", "-qq", "-e", "trace=network", "-o", str(folder / "trace.txt"), *command]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=180, check=False
    )  # fmt: skip
    calls = (folder / "trace.txt").read_text() if STRACE else None
    events = (folder / "sockets.txt").read_text().splitlines()
    return Traced(done.stdout + done.stderr, done.returncode, calls, events, folder)


def test_outside_sees_what_it_must() -> None:
    lines = [
        '12 connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("142.250.1.1")}, 16) = 0',
        '12 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.53")}, 16) = 0',
        '12 sendto(3, "\\0", 1, 0, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), '
        'inet_pton(AF_INET6, "2a00:1450::1", &sin6_addr), sin6_scope_id=0}, 28) = 1',
        '12 connect(3, {sa_family=AF_UNIX, sun_path="/run/nscd"}, 110) = -1',
        '12 connect(3, {sa_family=AF_INET, sin_port=htons(29500), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
        '12 bind(3, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("0.0.0.0")}, 16) = 0',
    ]
    assert outside("\n".join(lines)) == lines[:3]


def test_the_run_was_a_whole_one(traced: Traced) -> None:
    assert traced.status == 0, traced.output
    run = traced.folder / "detect" / "gates"
    assert (run / "weights" / "best.pt").is_file()
    assert list((run / "tensorboard").glob("events.out.tfevents.*"))
    assert (run / "val_batch0_pred.jpg").is_file()


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_no_system_call_leaves_the_machine(traced: Traced) -> None:
    if traced.calls is not None and not traced.calls.strip() and "PTRACE" in traced.output:
        pytest.skip("strace may not trace here")
    assert traced.calls is not None
    assert "socket" in traced.calls, "the trace saw the loader's and multiprocessing's own Unix sockets"
    assert outside(traced.calls) == []


def test_python_opens_no_connection(traced: Traced) -> None:
    assert set(traced.events) == {"watching"}
