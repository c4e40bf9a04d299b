"""Facts of a run folder that all parts of a report go by: configuration, checkpoint, ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aigp_lightning.checkpoints.load import read_metadata
from aigp_lightning.checkpoints.paths import BEST, LAST
from aigp_lightning.checkpoints.plain_values import read_plain_value
from aigp_lightning.checkpoints.schema import family_of
from aigp_lightning.errors import WeightsError, first_line
from aigp_lightning.files import sha256_of
from aigp_lightning.logfiles.paths import is_file, resolved
from aigp_lightning.logfiles.run_config import CONFIG_FILE, read_config
from aigp_lightning.media.ledger.chain import Lines, read_ledger
from aigp_lightning.media.ledger.ledger import LEDGER_FILE

TASKS = ("detect", "pose", "segment")


@dataclass
class RunFacts:
    """A run folder, as far as it can be read.

    Attributes:
        path: the folder.
        config: the resolved configuration; None where it cannot be read.
        metadata: of the best checkpoint, else of the last one; empty where there is none.
        best_epoch: that the best checkpoint is of, from 1; None where that is not known.
        model_sha256: of the best checkpoint; empty where there is none.
        lines: of the ledger; None where there is none.
        warnings: what could not be read, a sentence each.
    """

    path: Path
    config: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    best_epoch: int | None = None
    model_sha256: str = ""
    lines: Lines | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return resolved(self.path).name

    @property
    def task(self) -> str:
        """`detect`, `pose` or `segment`."""
        task = self.metadata.get("task") or resolved(self.path).parent.name
        return task if task in TASKS else TASKS[0]

    @property
    def family(self) -> str:
        """Name of the model's family; empty where it is not known."""
        return family_of(self.metadata) if self.metadata else ""

    @property
    def best(self) -> Path:
        """Place of the best checkpoint, whether it is there or not."""
        return self.path / BEST


def read_facts(run: Path) -> RunFacts:
    """Read what there is of a run.

    Args:
        run: the folder.
    """
    facts = RunFacts(run)
    facts.config, problem = read_config(run)
    if problem:
        facts.warnings.append(f"{CONFIG_FILE} {problem}: the options of the run are not known.")
    _read_checkpoint(facts)
    _read_lines(facts)
    return facts


def _read_checkpoint(facts: RunFacts) -> None:
    """Read what the checkpoints say, without their weights."""
    if is_file(facts.best):
        try:
            facts.model_sha256 = sha256_of(facts.best)
        except OSError as error:
            facts.warnings.append(f"{BEST} cannot be read: {error.strerror}.")
    for path in (facts.best, facts.path / LAST):
        if not is_file(path):
            continue
        try:
            facts.metadata = read_metadata(path)
            if path == facts.best:
                epoch = read_plain_value(path, "epoch")
                facts.best_epoch = epoch + 1 if type(epoch) is int else None
            return
        except WeightsError as error:
            told = first_line(error).replace(str(path), path.relative_to(facts.path).as_posix())
            facts.warnings.append(told)


def _read_lines(facts: RunFacts) -> None:
    path = facts.path / LEDGER_FILE
    if not is_file(path):
        facts.warnings.append(f"There is no ledger ({LEDGER_FILE}): what was sent where is not known.")
        return
    try:
        facts.lines = read_ledger(path)
    except OSError as error:
        facts.warnings.append(f"{LEDGER_FILE} cannot be read: {error.strerror}.")
