"""Compares a candidate with the model that is latest: detectors on the same pictures, policies by their episodes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aigp_lightning.checkpoints.paths import BEST
from aigp_lightning.errors import ConfigError, DataError, UserError, first_line
from aigp_lightning.evaluation.bootstrap import Difference, difference
from aigp_lightning.files import RECEIPT_FILE
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults, read_results
from aigp_lightning.modules.metrics.result_settings import INFERENCE, MASKS, differing_settings
from aigp_lightning.ranges import is_finite_number
from aigp_lightning.store.checks import group_of
from aigp_lightning.store.gates import DECIDING, SUCCESS
from aigp_lightning.store.kept_results import as_kept
from aigp_lightning.store.policy_evaluation import is_policy_run, policy_evaluation
from aigp_lightning.store.receipt import file_fact, read_receipt

SHARED = (*INFERENCE, *MASKS, "single_cls", "outside", "precision")
"""Settings of an evaluation that are not a model's own choice, as its input size is."""
EVALUATED_FILES = ("best.ckpt", "best.pt", "*.pt", "*.pth", "best.onnx", "*.onnx", "*.torchscript")
"""Files of a version by which it can be evaluated, the first that is there."""
Metrics = Mapping[str, float | None]


@dataclass(frozen=True)
class Comparison:
    """A candidate and the model that is latest.

    Attributes:
        candidate: its metrics by name.
        latest: the latest's, measured on the same pictures; None where there is none yet.
        difference: by metric what decides without gates; empty where the two cannot be compared, see `notes`.
        results: of the candidate's evaluation, for its receipt; None for policies and where nothing was evaluated.
        notes: how it was compared, a sentence each.
    """

    candidate: Metrics
    latest: Metrics | None
    difference: Mapping[str, Difference]
    results: ImageResults | None = None
    notes: Sequence[str] = field(default=())


def compare_with_latest(
    candidate_run: Path,
    latest_folder: Path | None,
    draws: int = 1000,
    asked: Sequence[str] = (),
    results: ImageResults | None = None,
    progress: bool = True,
) -> Comparison:
    """Compare a run's model with the one that is latest.

    The candidate's recorded results count if they are of its `best.ckpt`; else it is evaluated on its validation split.
    The latest's count if they are of the same pictures and labels; else it is evaluated on the candidate's. Of either,
    results from before masks were kept do not count, where the task is judged by masks: nothing shows that the figures
    of masks are theirs. Without gates a first version has nothing to be judged by, and is not evaluated for that.

    Args:
        candidate_run: the run folder.
        latest_folder: of the version that is latest, with its receipt; None where there is none yet.
        draws: of the bootstrap.
        asked: metrics that gates name, of which the difference is wanted; none: those that decide without gates.
        results: of the candidate, where it has been evaluated already.
        progress: show a progress bar.

    Raises:
        UserError: the candidate cannot be evaluated.
    """
    if is_policy_run(candidate_run):
        return _compare_policies(candidate_run, latest_folder)
    mine = results if results is not None else _candidate_results(candidate_run, progress)
    notes: list[str] = []
    if (asked or latest_folder is not None) and (lacking := mine.not_kept):
        notes = [f"the candidate was evaluated anew: its run had kept no {lacking} picture by picture"]
        mine = _evaluated(candidate_run / BEST, progress=progress)
    metrics: Metrics = dict(mine.about.get("metrics") or {})
    if latest_folder is None:
        return Comparison(metrics, None, {}, mine, tuple(notes))
    try:
        theirs, note = _latest_results(latest_folder, mine, progress)
        deciding = [name for name in dict.fromkeys(asked or DECIDING) if name in metrics]
        found = difference(mine, theirs, deciding, draws=draws)
    except (UserError, ValueError) as error:
        note = f"the latest cannot be compared on the same pictures: {first_line(error)}"
        return Comparison(metrics, _recorded_metrics(latest_folder, mine), {}, mine, (*notes, note))
    notes += [note, *_other_settings(mine, theirs)]
    return Comparison(metrics, dict(theirs.about.get("metrics") or {}), found, mine, tuple(notes))


def _other_settings(mine: ImageResults, theirs: ImageResults) -> list[str]:
    """Say by which settings the two were evaluated differently, where that changes figures by itself."""
    one, other = (results.about.get("settings") or {} for results in (mine, theirs))
    differing = [f"{name} {first} and {second}" for name, first, second in differing_settings(one, other, SHARED)]
    return [f"candidate and latest were evaluated with different settings: {', '.join(differing)}"] if differing else []


def _candidate_results(run: Path, progress: bool) -> ImageResults:
    from aigp_lightning.evaluation.recorded import results_of

    recorded = results_of(run / BEST)
    return recorded if recorded is not None else _evaluated(run / BEST, progress=progress)


def _latest_results(folder: Path, mine: ImageResults, progress: bool) -> tuple[ImageResults, str]:
    """Return the latest's results on the candidate's pictures, and where they are from."""
    receipt, data = read_receipt(folder / RECEIPT_FILE), mine.about.get("data") or {}
    if _has_data_of(receipt, mine):
        recorded = _recorded_results(folder, receipt)
        if recorded is not None and not recorded.not_kept and recorded.files == as_kept(mine).files:
            note = "the latest's results are those of its promotion: the same pictures and labels"
            return replace(recorded, files=mine.files), note
    model = next((path for pattern in EVALUATED_FILES for path in sorted(folder.glob(pattern))), None)
    if model is None:
        raise DataError(f"{folder.name} has no file that can be evaluated")
    found = _evaluated(model, data_yaml=data.get("data_yaml"), split=data.get("split") or "val", progress=progress)
    if found.files != mine.files:
        raise DataError("it was evaluated on other pictures than the candidate")
    return found, "the latest was evaluated on the candidate's pictures"


def _evaluated(model: Path, **options: Any) -> ImageResults:
    """Evaluate a model's file; what is heavy is imported here alone."""
    from aigp_lightning.evaluation.evaluate import EvaluationData, evaluate

    return evaluate(model, EvaluationData(**options))


def _has_data_of(receipt: Mapping[str, Any], mine: ImageResults) -> bool:
    """True if a receipt is of the candidate's pictures and labels."""
    wanted = (mine.about.get("data") or {}).get("sha256")
    return wanted is not None and (receipt.get("data") or {}).get("sha256") == wanted


def _recorded_results(folder: Path, receipt: Mapping[str, Any]) -> ImageResults | None:
    """Return the results that are kept with a version, if they are of its model, as they were, and can be used."""
    from aigp_lightning.evaluation.recorded import fault_of

    model, path = (receipt.get("evaluation") or {}).get("model_sha256"), folder / RESULTS_FILE
    said = receipt["files"].get(RESULTS_FILE)
    try:
        if said is not None and file_fact(path).sha256 != said["sha256"]:
            return None
        found = read_results(path)
    except (DataError, OSError):
        return None
    of_it = model is not None and (found.about.get("model") or {}).get("sha256") == model
    return found if of_it and not fault_of(found) else None


def _recorded_metrics(folder: Path, mine: ImageResults) -> Metrics:
    """Return the metrics in a version's receipt, if they are of the candidate's pictures and labels; else none."""
    try:
        receipt = read_receipt(folder / RECEIPT_FILE)
    except DataError:
        return {}
    return _figures(receipt.get("evaluation")) if _has_data_of(receipt, mine) else {}


def _figures(evaluation: object) -> Metrics:
    """Return the metrics of an evaluation in a receipt, None for what is no number."""
    metrics = group_of(group_of(evaluation).get("metrics"))
    return {name: value if is_finite_number(value) else None for name, value in metrics.items()}


# ---- policies -------------------------------------------------------------------------------------------------------


def _compare_policies(run: Path, latest_folder: Path | None) -> Comparison:
    mine = policy_evaluation(run)
    if mine is None:
        raise ConfigError(f"{run} was not evaluated: run `ppo evaluate --model {run / 'best'}` first.")
    metrics: Metrics = mine["metrics"]
    if latest_folder is None:
        return Comparison(metrics, None, {})
    try:
        receipt = read_receipt(latest_folder / RECEIPT_FILE)
    except DataError as error:
        return Comparison(metrics, {}, {}, None, (f"the latest cannot be compared: {first_line(error)}",))
    theirs = receipt.get("evaluation") or {}
    one, other = mine["settings"], theirs.get("settings") or {}
    if any(one.get(key) != other.get(key) for key in ("env", "kwargs")):
        return Comparison(metrics, {}, {}, None, ("the latest was evaluated in another environment",))
    others = _figures(theirs)
    found = success_difference(metrics, others)
    by = (mine["by"], theirs.get("by"))
    notes = [f"the candidate was evaluated by {by[0]}, the latest by {by[1]}"] if by[0] != by[1] else []
    if one.get("starts") != other.get("starts"):
        notes.append("candidate and latest were evaluated from other starts")
    return Comparison(metrics, others, {} if found is None else {SUCCESS: found}, None, notes)


def success_difference(candidate: Metrics, latest: Metrics) -> Difference | None:
    """Return the difference of two success rates with its 95 % interval (Newcombe 1998, method 10).

    Args:
        candidate: metrics with `success_rate` and `episodes`.
        latest: the same of the other policy.

    Returns:
        The difference; None where one of them is not known.
    """
    from aigp_lightning.policy.episodes import wilson_interval

    counts = []
    for metrics in (candidate, latest):
        rate, episodes = metrics.get(SUCCESS), metrics.get("episodes")
        if rate is None or not episodes or not math.isfinite(rate):
            return None
        counts.append((round(rate * episodes), int(episodes)))
    (one, two), ((low_1, high_1), (low_2, high_2)) = (
        [successes / trials for successes, trials in counts],
        [wilson_interval(successes, trials) for successes, trials in counts],
    )
    value = one - two
    low = value - math.hypot(one - low_1, high_2 - two)
    high = value + math.hypot(high_1 - one, two - low_2)
    return Difference(one, two, value, low, high)
