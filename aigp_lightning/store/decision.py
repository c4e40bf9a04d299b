"""The comparison of a candidate with what is latest, by which the gates decide: on the same pictures or starts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.errors import ConfigError, DataError, UserError
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults, read_results
from aigp_lightning.store.candidate import Candidate
from aigp_lightning.store.gates import Compared, Gate, Judgement, judge
from aigp_lightning.store.kept_results import as_kept
from aigp_lightning.store.places import RECEIPT, StorePlaces
from aigp_lightning.store.policy_evaluation import policy_evaluation
from aigp_lightning.store.receipt import read_receipt
from aigp_lightning.terminal.output import print_line

if TYPE_CHECKING:
    from aigp_lightning.evaluation.bootstrap import Difference

MAIN = ("metrics/mAP50-95(B)", "metrics/mAP50-95(P)")
"""Metrics that are not to be worse if no gate is given: of boxes, and of keypoints where there are some."""
SUCCESS, EPISODES = "success_rate", "episodes"
DRAWS = 1000


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


@dataclass(frozen=True)
class RateDifference:
    """The difference of two success rates, with Newcombe's 95 % interval of it (1998, method 10).

    Attributes:
        candidate: the candidate's rate.
        other: the latest's.
        low: lower end of the interval.
        high: upper end.
    """

    candidate: float
    other: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """The candidate's rate less the latest's."""
        return self.candidate - self.other


class Decider:
    """Decides on a candidate; its own evaluation is made once.

    Args:
        candidate: to be promoted.
        places: of the store.
        name: of the model.
        gates: that have to hold; none: not worse than the latest within the noise.
        draws: of the bootstrap.
        force: a comparison that cannot be made is told, and ends nothing.
    """

    def __init__(
        self, candidate: Candidate, places: StorePlaces, name: str, gates: Sequence[Gate], draws: int, force: bool
    ) -> None:
        self._candidate, self._places, self._name = candidate, places, name
        self._gates, self._draws, self._force = gates, draws, force
        self._own: ImageResults | None = None

    def decide(self, latest: str | None) -> Decision:
        """Compare with a version.

        Args:
            latest: the version; None if there is none.

        Raises:
            ConfigError: a gate names a metric that is not there, or the latest is of another task.
            DataError: the data set of the comparison is not there.
            WeightsError: a model cannot be read.
        """
        return self._decide_on_policy(latest) if self._candidate.is_policy else self._decide_on_detector(latest)

    def _decide_on_policy(self, latest: str | None) -> Decision:
        own = policy_evaluation(self._candidate.run)
        metrics: dict[str, float | None] = dict(own["metrics"]) if own else {}
        notes = [] if own else ["the policy was not evaluated: `ppo evaluate --model RUN/best` does that"]
        if latest is None:
            return Decision(self._judge(metrics, None, None), None, metrics, None, notes)
        receipt = self._receipt(latest, "policy")
        other = receipt.get("evaluation") if receipt else None
        theirs = dict(other["metrics"]) if other else {}
        difference: dict[str, Compared] = {}
        if own and other and _same_task(own, other):
            notes.append(f"success rates of {_episodes(metrics)} and {_episodes(theirs)} episodes")
            if (compared := _rates(metrics, theirs)) is not None:
                difference[SUCCESS] = compared
        elif own and other:
            notes.append("the latest was evaluated in another environment, so the two cannot be compared")
        return Decision(self._judge(metrics, theirs, difference), latest, metrics, None, notes)

    def _decide_on_detector(self, latest: str | None) -> Decision:
        results = self._results()
        metrics: dict[str, float | None] = dict(results.about.get("metrics", {}))
        if latest is None:
            return Decision(self._judge(metrics, None, None), None, metrics, results)
        try:
            self._receipt(latest, str(results.about.get("task")))
            other, note = self._results_of_latest(latest, results)
            difference = self._difference(results, other, metrics)
        except UserError as error:
            if not self._force:
                raise
            told = f"it could not be compared with the latest: {error}"
            return Decision(self._judge(metrics, {}, None), latest, metrics, results, [told])
        theirs: dict[str, float | None] = dict(other.about.get("metrics", {}))
        return Decision(self._judge(metrics, theirs, difference), latest, metrics, results, [note])

    def _judge(
        self,
        metrics: Mapping[str, float | None],
        latest: Mapping[str, float | None] | None,
        difference: Mapping[str, Compared] | None,
    ) -> Judgement:
        return judge(self._gates, metrics, latest, difference)

    def _difference(
        self, results: ImageResults, other: ImageResults, metrics: Mapping[str, float | None]
    ) -> dict[str, Difference]:
        from aigp_lightning.evaluation.bootstrap import difference

        asked = [gate.metric for gate in self._gates if gate.metric in metrics]
        wanted = list(dict.fromkeys(asked or [each for each in MAIN if each in metrics]))
        return difference(results, other, wanted, draws=self._draws)

    def _results(self) -> ImageResults:
        """Return the candidate's results: those that its run has recorded of this very checkpoint, or new ones."""
        if self._own is None:
            from aigp_lightning.evaluation.recorded import results_of

            recorded = results_of(self._candidate.model)
            if recorded is None:
                print_line(
                    f"{self._candidate.run} has no results of its best epoch image by image: it is evaluated now"
                )
            self._own = recorded if recorded is not None else _evaluate(self._candidate.model)
        return self._own

    def _results_of_latest(self, latest: str, results: ImageResults) -> tuple[ImageResults, str]:
        """Return the latest's results on the candidate's pictures, and a sentence on where they are from."""
        folder = self._places.version(latest)
        data: dict[str, Any] = results.about.get("data", {})
        if (folder / RESULTS_FILE).is_file():
            kept = read_results(folder / RESULTS_FILE)
            theirs: dict[str, Any] = kept.about.get("data", {})
            if data.get("sha256") and theirs.get("sha256") == data["sha256"] and kept.files == as_kept(results).files:
                note = f"on the same {len(results.files)} pictures, which {latest} was measured on when it was promoted"
                return replace(kept, files=results.files), note
        print_line(f"{latest}, which is latest, is evaluated on the candidate's validation split")
        other = _evaluate(folder / self._candidate.model.name, data)
        return other, f"on the same {len(results.files)} pictures, the candidate's validation split"

    def _receipt(self, latest: str, task: str) -> dict[str, Any]:
        """Return the receipt of the latest, which is to be of the candidate's task; empty where it cannot be read.

        Raises:
            ConfigError: it is of another task.
        """
        try:
            receipt = read_receipt(self._places.version(latest) / RECEIPT)
        except DataError:
            return {}
        other = (receipt.get("run") or {}).get("task")
        if other is not None and other != task:
            raise ConfigError(
                f"{self._places.link(self._name)} is a model for the task {other}, and {self._candidate.run} is of "
                f"{task}. Give it another --name."
            )
        return receipt


def _evaluate(model: Path, data: Mapping[str, Any] | None = None) -> ImageResults:
    from aigp_lightning.evaluation.evaluate import EvaluationData, evaluate

    if data is None:
        return evaluate(model, EvaluationData())
    return evaluate(model, EvaluationData(data_yaml=data.get("data_yaml"), split=str(data.get("split", "val"))))


def _same_task(own: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two evaluations of policies were in the same environment; the starts may differ."""
    ours, theirs = (each.get("settings") or {} for each in (own, other))
    return all(ours.get(key) == theirs.get(key) for key in ("env", "kwargs"))


def _rates(own: Mapping[str, float | None], other: Mapping[str, float | None]) -> RateDifference | None:
    """Compare two success rates; None where one is not known."""
    from aigp_lightning.policy.episodes import wilson_interval

    counted = [(each.get(SUCCESS), each.get(EPISODES)) for each in (own, other)]
    if any(rate is None or not count for rate, count in counted):
        return None
    (rate, count), (there, counted_there) = counted
    assert rate is not None and count and there is not None and counted_there
    low, high = wilson_interval(round(rate * count), int(count))
    low_there, high_there = wilson_interval(round(there * counted_there), int(counted_there))
    difference = rate - there
    below = math.hypot(rate - low, high_there - there)
    above = math.hypot(high - rate, there - low_there)
    return RateDifference(rate, there, difference - below, difference + above)


def _episodes(metrics: Mapping[str, float | None]) -> str:
    return f"{metrics.get(EPISODES) or 0:.0f}"
