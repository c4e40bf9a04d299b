"""Signals end a run once politely, and then at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aigp_lightning.run.signals import SignalHandler, StoppedBySignal, requeue

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


def in_a_child(work: Callable[[], None]) -> int:
    """Status of a forked process that does this; 0 if it comes to its end."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_raises_where_the_program_is(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with SignalHandler() as signals:
        with pytest.raises(StoppedBySignal, match=number.name) as raised:
            signal.raise_signal(number)
            time.sleep(10)
        assert signals.number == raised.value.number == number
    assert signal.getsignal(number) is before


def test_the_second_ends_the_process_at_once() -> None:
    def twice() -> None:
        with SignalHandler():
            try:
                signal.raise_signal(signal.SIGTERM)
            except StoppedBySignal:
                signal.raise_signal(signal.SIGINT)
                os._exit(7)

    assert in_a_child(twice) == 128 + signal.SIGINT


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGHUP])
def test_sigterm_follows_another_signal_by_itself(first: signal.Signals) -> None:
    """Whoever started the process passes its own end on: what the process still does is done. A second one counts."""

    def terminate(times: int) -> None:
        with SignalHandler() as signals:
            try:
                signal.raise_signal(first)
            except StoppedBySignal:
                for _ in range(times):
                    signal.raise_signal(signal.SIGTERM)
                os._exit(7 if signals.number == first else 8)

    assert in_a_child(lambda: terminate(1)) == 7
    assert in_a_child(lambda: terminate(2)) == 128 + signal.SIGTERM


@pytest.mark.parametrize("first", [signal.SIGHUP, signal.SIGTERM])
def test_sighup_comes_more_than_once_by_itself(first: signal.Signals) -> None:
    """A closed terminal sends it beside the shell, and systemd after SIGTERM; what the run still does is done."""

    def hang_up() -> None:
        with SignalHandler() as signals:
            try:
                signal.raise_signal(first)
            except StoppedBySignal:
                signal.raise_signal(signal.SIGHUP)
                time.sleep(0.01)
                os._exit(7 if signals.number == first else 8)

    assert in_a_child(hang_up) == 7


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_what_was_ignored_at_the_start_stays_ignored(number: signal.Signals) -> None:
    """By nohup, or in the background of a shell; also where Lightning handles it meanwhile."""

    def ignoring() -> None:
        signal.signal(number, signal.SIG_IGN)
        with SignalHandler() as signals:
            signal.raise_signal(number)
            signal.signal(number, lambda *_: os._exit(9))
            signals.install()
            signal.raise_signal(number)
            time.sleep(0.01)
        os._exit(7 if signal.getsignal(number) is signal.SIG_IGN and not signals.number else 8)

    assert in_a_child(ignoring) == 7


def test_a_loaders_process_is_ended_as_ever() -> None:
    """It inherits the handlers of the process that forked it: no exception of ours is printed there."""

    def ctrl_c() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            os._exit(9)

    with SignalHandler() as signals:
        assert in_a_child(ctrl_c) == 9
        assert in_a_child(lambda: signal.raise_signal(signal.SIGTERM)) == 128 + signal.SIGTERM
        assert signals.number == 0


def test_handlers_of_others_are_replaced_and_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with SignalHandler() as signals:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as Lightning registers its own when training begins
        signals.install()
        with pytest.raises(StoppedBySignal):
            signal.raise_signal(signal.SIGTERM)
            time.sleep(10)
    assert signal.getsignal(signal.SIGTERM) is before


def test_on_another_thread_nothing_is_handled() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def enter() -> None:
        with SignalHandler():
            assert signal.getsignal(signal.SIGTERM) is before

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()


@pytest.mark.parametrize("status", [0, 1])
def test_a_job_that_slurm_announces_the_end_of_is_queued_again(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "scontrol"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho no such job >&2\nexit {status}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    with SignalHandler(), pytest.raises(StoppedBySignal, match="SIGUSR1"):
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(10)
    requeue()
    assert (tmp_path / "asked").read_text() == "requeue 77\n"
    told = capsys.readouterr().err
    assert ("is queued again" if not status else "could not requeue SLURM job 77: no such job") in told
