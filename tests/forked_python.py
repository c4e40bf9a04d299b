"""A Python whose processes have done the imports already: they are forked from one that has.

`executable()` is the path of a program that is called as `python` is (`-m`, `-c` or a script, `-u`). It asks a server,
started once by each of pytest's processes, for a fork in which these words are run: in a session of its own, with the
caller's folder, variables, input and output, and with this program as its `sys.executable`, so that what it starts is
forked too. The caller's process ends as the fork does; when it is killed, so are the fork and its children.

Seven seconds of imports are saved each time. What a test says about imports, about the very first lines of a process or
about signals is not to be tried with it: a fresh interpreter is.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any

IMPORTS = (  # beside this package: what it imports when it is needed
    *("torch._dynamo", "torch.distributed.run", "torch.utils.tensorboard", "wandb", "lightning.pytorch.loggers"),
    *("tensorboard.summary.writer.event_file_writer", "ultralytics.models.yolo.detect"),
)
STREAMS = 3
OWN_OUTPUT = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_started: dict[str, Any] = {}


def executable() -> str:
    """Path of the program; this Python itself where there are no process descriptors (not on Linux)."""
    if not hasattr(os, "pidfd_open"):
        return sys.executable
    if not _started:
        _start()
    return str(_started["stub"])


def _start() -> None:
    import subprocess
    import tempfile

    folder = tempfile.TemporaryDirectory(prefix="forked_python_")
    stub, address = Path(folder.name) / "python", Path(folder.name) / "socket"
    stub.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{__file__}" call "{address}" "$0" "$@"\n')
    stub.chmod(0o755)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(address))
    listening.listen(64)
    repository = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(repository), "YOLO_CONFIG_DIR": folder.name}
    command = [sys.executable, "-c", _SERVE, str(Path(__file__).parent), str(listening.fileno()), str(stub)]
    process = subprocess.Popen(  # until its input ends, with this process
        command, env=environment, cwd=folder.name, pass_fds=[listening.fileno()], stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=os.open(f"{folder.name}/log", OWN_OUTPUT), start_new_session=True,
    )  # fmt: skip
    listening.close()
    atexit.register(_stop)
    _started.update(stub=stub, folder=folder, process=process)


def _stop() -> None:
    process = _started["process"]
    process.stdin.close()
    process.wait(20)
    _started["folder"].cleanup()


_SERVE = "import sys; sys.path.append(sys.argv[1]); import forked_python; forked_python.serve(*sys.argv[2:])"


def serve(listening: str, stub: str) -> None:
    """Do the imports, then fork whenever asked, until the standard input ends."""
    import gc
    import importlib
    import pkgutil

    before = dict(os.environ)
    package = importlib.import_module("aigp_lightning")
    ours = [each.name for each in pkgutil.walk_packages(package.__path__, "aigp_lightning.")]
    for name in (*ours, *IMPORTS):
        if not name.endswith("__main__"):
            importlib.import_module(name)
    gained = {key: value for key, value in os.environ.items() if key not in before}
    gc.freeze()  # what is here is not looked through again by any fork
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads is not to be forked"
    asked = _wait_for_calls(socket.socket(fileno=int(listening)))
    if asked is not None:  # in the fork
        call, streams = asked
        _become(call, streams, gained, stub)


def _wait_for_calls(listening: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork for each caller; returns in the forks, with what is to be run, and None at the end of the server."""
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ, ("listening", 0, listening))
    selector.register(0, selectors.EVENT_READ, ("end", 0, None))
    running: dict[int, socket.socket] = {}
    while True:
        for key, _ in selector.select():
            kind, pid, caller = key.data
            if kind == "end":
                for each in running:
                    _kill(each)
                return None
            if kind == "listening":
                caller, _ = listening.accept()
                call, streams = _receive(caller)
                if (pid := os.fork()) == 0:
                    for other in (*running.values(), caller, listening, selector):
                        other.close()
                    return call, streams
                for stream in streams:
                    os.close(stream)
                running[pid] = caller
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, ("ended", pid, caller))
                selector.register(caller, selectors.EVENT_READ, ("gone", pid, caller))
            elif kind == "gone":  # the caller was killed
                selector.unregister(caller)
                _kill(pid)
            elif kind == "ended":
                selector.unregister(key.fd)
                os.close(key.fd)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                if caller in selector.get_map():
                    selector.unregister(caller)
                    with contextlib.suppress(OSError):
                        caller.sendall(f"{status}\n".encode())
                caller.close()
                del running[pid]


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # it may not have begun its session yet
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _receive(caller: socket.socket) -> tuple[dict[str, Any], list[int]]:
    streams = array.array("i")
    text, ancillary, _, _ = caller.recvmsg(65536, socket.CMSG_LEN(STREAMS * streams.itemsize))
    for _, _, data in ancillary:
        streams.frombytes(data)
    while not text.endswith(b"\n"):
        text += caller.recv(65536)
    return json.loads(text), list(streams)


def _become(call: dict[str, Any], streams: list[int], gained: dict[str, str], stub: str) -> None:
    """Run the words as a fresh Python would, to its very end."""
    import random

    import numpy as np
    from lightning.fabric.utilities.rank_zero import _get_rank, rank_zero_only

    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["environment"])
    for name, value in gained.items():  # set by an import that has been done
        os.environ.setdefault(name, value)
    rank_zero_only.rank = _get_rank() or 0  # Lightning reads the variables at its import
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed()
    np.random.seed()  # noqa: NPY002
    words = call["words"]
    sys.executable = stub
    sys.orig_argv = [stub, *words]
    while words[0] == "-u":
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
        words = words[1:]
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = [each for each in sys.path[1:] if each not in (*inherited, str(Path(__file__).parent))]
    path = [*filter(None, inherited), *path]
    option, rest = words[0], words[1:]
    if option == "-m":
        sys.path[:], sys.argv[:] = [os.getcwd(), *path], rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif option == "-c":
        sys.path[:], sys.argv[:] = ["", *path], ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.path[:], sys.argv[:] = [str(Path(option).resolve().parent), *path], words
        runpy.run_path(option, run_name="__main__")


def call(address: str, stub: str, *words: str) -> None:
    """Have these words run in a fork, and end as that does."""
    text = json.dumps({"folder": os.getcwd(), "environment": dict(os.environ), "words": words}) + "\n"
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", range(STREAMS)))
        data = text.encode()
        sent = server.sendmsg([data], [rights])
        server.sendall(data[sent:])
        said = b""
        while not said.endswith(b"\n"):
            said += server.recv(64) or b"1\n"
    status = int(said)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__" and sys.argv[1:2] == ["call"]:
    call(*sys.argv[2:])
