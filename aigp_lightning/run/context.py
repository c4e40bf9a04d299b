"""A run's folder, checkpoint and stop signal, known before anything of it is built."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from aigp_lightning.checkpoints.paths import LAST
from aigp_lightning.run.folder import remove_unused_marks, remove_unused_run_folder
from aigp_lightning.run.lock import RunLock
from aigp_lightning.run.signals import SignalHandler


@dataclass(frozen=True)
class RunContext:
    """A run's folder, the checkpoint that it resumes from, and its stop signal.

    Attributes:
        folder: where the run keeps its files.
        checkpoint: path of the checkpoint that it resumes from; None where it begins.
        resuming: whether the folder holds what an earlier start of the same run has written. Without a checkpoint the
            run was stopped before its first one, and trains from the beginning.
        signals: handles Ctrl-C, SIGTERM, SIGHUP and SLURM's signal.
        made: whether this start has made the folder; only then may it remove it.
        taken: names of what was in a folder that was there and no run's, which a refused start leaves as it was; None
            where the run has made its folder, or goes on in it.
        lock: keeps other processes from writing to the folder; the first process has it.
        left_out: loggers of the configuration that get nothing, each with the reason, for the last lines.
    """

    folder: Path
    checkpoint: str | None = None
    resuming: bool = False
    signals: SignalHandler = field(default_factory=SignalHandler, compare=False)
    made: bool = field(default=False, compare=False)
    taken: frozenset[str] | None = field(default=None, compare=False)
    lock: RunLock | None = field(default=None, compare=False)
    left_out: list[str] = field(default_factory=list, compare=False)

    def remove_unused(self, everything: bool = False) -> None:
        """Remove what this start has made, if it was refused or stopped before there was a result.

        Args:
            everything: remove the folder with all results, if this start has made it.
        """
        if self.made and everything:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif self.made:
            remove_unused_run_folder(self.folder)
        elif self.taken is not None:
            remove_unused_marks(self.folder, self.taken)

    def close(self) -> None:
        """Let others write to the folder."""
        if self.lock is not None:
            self.lock.release()

    @property
    def resumes_last(self) -> bool:
        """True if the run resumes where it was stopped; from an older checkpoint somebody has gone back on purpose."""
        if not self.resuming:
            return False
        return self.checkpoint is None or Path(self.checkpoint).resolve() == self.folder.resolve() / LAST
