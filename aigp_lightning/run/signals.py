"""Signals that end a run: Ctrl-C, SIGTERM, SIGHUP of a terminal that is gone, and SLURM's announcement of the end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Set
from types import FrameType, TracebackType
from typing import Any

from aigp_lightning.terminal.output import print_line

JOB_ID = "SLURM_JOB_ID"
ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Signals that end a run, where the system has them: SIGBREAK is Ctrl-Break on Windows."""
HANG_UP, TERMINATE = "SIGHUP", "SIGTERM"


class StoppedBySignal(BaseException):
    """A signal asked the run to end; not a `KeyboardInterrupt`, for which Lightning would ignore a second Ctrl-C.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class SignalHandler:
    """A context in which these signals are handled, on the main thread.

    The first one raises `StoppedBySignal` where the program is: callbacks finish the pictures in flight and keep the
    last complete checkpoint. A second one ends the process at once, unless it comes by itself (`is_repeated`); whatever
    is on disk is complete at any time. A signal that was ignored when the program began, by `nohup` for instance, stays
    ignored.
    """

    def __init__(self) -> None:
        self.number = 0
        """Number of the signal that was received first; 0 for none."""
        self._received: set[int] = set()
        self._process = os.getpid()
        self._before: dict[int, Any] = {}
        self._ignored: set[int] = set()

    def __enter__(self) -> SignalHandler:
        self.install()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def install(self) -> None:
        """Replace the handlers of these signals by this one."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in stop_signals():
            before = signal.getsignal(number)
            if number not in self._before and before is signal.SIG_IGN:
                self._ignored.add(number)
            self._before.setdefault(number, before if before is not None else signal.SIG_DFL)
            signal.signal(number, signal.SIG_IGN if number in self._ignored else self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a loader's process, which has inherited this
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            os._exit(128 + number)
        repeated = is_repeated(number, self._received)
        self._received.add(number)
        if repeated:
            return
        if self.number:
            os._exit(128 + number)
        self.number = number
        raise StoppedBySignal(number)


def is_repeated(number: int, received: Set[int]) -> bool:
    """True if a signal follows others by itself, so that nobody has asked for anything more than by the first.

    SIGHUP comes twice when a terminal is closed, from the shell and from the system, and after SIGTERM from systemd.
    SIGTERM comes once after Ctrl-C from whatever has started the process: torchrun, srun or the first process of a run
    pass their own end on in this way, to processes that have the terminal's signal already.

    Args:
        number: of the signal that came.
        received: numbers of those before it.
    """
    name = signal.Signals(number).name
    return bool(received) and (name == HANG_UP or (name == TERMINATE and number not in received))


def stop_signals() -> list[int]:
    """Return the numbers of the signals that end a run on this system."""
    numbers = [int(getattr(signal, name)) for name in ENDING if hasattr(signal, name)]
    if JOB_ID in os.environ and hasattr(signal, "SIGUSR1"):
        numbers.append(signal.SIGUSR1)  # `#SBATCH --signal=USR1@120`
    return numbers


def requeue() -> None:
    """Queue this job of SLURM's again, once SLURM has announced its end by SIGUSR1."""
    job = os.environ[JOB_ID]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", "") or error
        print_line(f"could not requeue SLURM job {job}: {str(why).strip()}", err=True)
    else:
        print_line(f"SLURM job {job} is queued again, and goes on then.", err=True)


def ignore_child_deaths() -> None:
    """Reset SIGCHLD to its default: torch's loaders install a handler that raises wherever the program is.

    Does nothing on another thread than the main one, and on systems without SIGCHLD.
    """
    if hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
