"""The gates' decision on a candidate: compared with what is latest, which may have to be done a second time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.files import RECEIPT_FILE
from aigp_lightning.modules.metrics.image_results import ImageResults
from aigp_lightning.store.candidate import Candidate
from aigp_lightning.store.gate_comparison import compare_with_latest
from aigp_lightning.store.gates import Gate, Judgement, judge
from aigp_lightning.store.places import StorePlaces
from aigp_lightning.store.receipt import read_receipt

DRAWS = 1000
POLICY_TASK = "policy"


@dataclass(frozen=True)
class Decision:
    """The gates' decision on a candidate.

    Attributes:
        judgement: passed or not, and a row for each gate.
        against: the version that was latest then; None if there was none.
        metrics: of the candidate.
        results: of the candidate, image by image; None for a policy.
        notes: sentences on how it was compared.
    """

    judgement: Judgement
    against: str | None
    metrics: Mapping[str, float | None]
    results: ImageResults | None = None
    notes: Sequence[str] = field(default=())


class Decider:
    """Decides on a candidate; its own evaluation is made once.

    Args:
        candidate: to be promoted.
        places: of the store.
        name: of the model.
        gates: that have to hold; none: not worse than the latest within the noise.
        draws: of the bootstrap.
    """

    def __init__(self, candidate: Candidate, places: StorePlaces, name: str, gates: Sequence[Gate], draws: int) -> None:
        self._candidate, self._places, self._name = candidate, places, name
        self._gates, self._draws = gates, draws
        self._results: ImageResults | None = None

    def decide(self, latest: str | None) -> Decision:
        """Compare with a version.

        Args:
            latest: the version; None if there is none.

        Raises:
            UserError: the candidate cannot be evaluated, a gate names a metric that it has not got, or the latest is of
                another task.
        """
        folder = None if latest is None else self._places.version(latest)
        asked = [gate.metric for gate in self._gates]
        found = compare_with_latest(self._candidate.run, folder, self._draws, asked, self._results)
        self._results = found.results
        if latest is not None:
            self._check_task(latest)
        images = None if found.results is None else len(found.results.files)
        judgement = judge(self._gates, found.candidate, found.latest, found.difference, images)
        return Decision(judgement, latest, found.candidate, found.results, found.notes)

    def _check_task(self, latest: str) -> None:
        """Refuse to put a model of one task in the place of one of another.

        Raises:
            ConfigError: that was meant.
        """
        try:
            run = read_receipt(self._places.version(latest) / RECEIPT_FILE).get("run") or {}
        except DataError:  # a damaged receipt keeps nobody from promoting something that is whole
            return
        task = POLICY_TASK if self._results is None else self._results.about.get("task")
        if run.get("task") not in (None, task):
            raise ConfigError(
                f"{self._places.link(self._name)} is a model for {run['task']}, and {self._candidate.run} is for "
                f"{task}. Give it another --name."
            )
