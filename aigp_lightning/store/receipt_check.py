"""Checks a receipt against everything that is still there, and says what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aigp_lightning.checkpoints.paths import BEST
from aigp_lightning.errors import DataError
from aigp_lightning.files import is_plain_name
from aigp_lightning.logfiles.run_config import CONFIG_FILE, read_yaml
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults, read_results
from aigp_lightning.run.folder import EARLIER_CONFIG
from aigp_lightning.store.checks import Checked, check_content, check_hash, compared, differing, group_of
from aigp_lightning.store.decision_check import POLICY, check_form, check_journal
from aigp_lightning.store.policy_evaluation import MODEL_FILE, is_policy_run, policy_model
from aigp_lightning.store.public_text import public_values
from aigp_lightning.store.receipt import FileFact, read_receipt
from aigp_lightning.store.run_check import EXAMINED, check_checkpoint, check_data, check_ledger, check_policy
from aigp_lightning.store.run_facts import PLAN_OPTIONS, RESULTS_CSV, evaluation_of, metrics_of_epoch, plan_sha256
from aigp_lightning.store.start_check import (
    check_earlier,
    check_leak,
    check_own_thresholds,
    check_run,
    check_starts,
    check_thresholds,
    has_gone_on,
    is_run,
)

__all__ = ["Checked", "check_receipt"]

PICTURES = "pictures"
"""Names an evaluation that was made picture by picture."""
OF_ITSELF = "evaluated model"
"""A check of two parts of the receipt against each other, which alone says nothing."""


def check_receipt(path: Path, run: Path | None = None, data: bool = True) -> list[Checked]:
    """Check the files beside a receipt and, where it is given, the run that they come from.

    Args:
        path: of the receipt.
        run: the run folder; None: what only it can tell is missing.
        data: read the data set again, where it is there: every picture's bytes.

    Raises:
        DataError: there is no receipt, or no such run.
    """
    receipt = read_receipt(path)
    if run is not None and not run.is_dir():
        raise DataError(f"--run {run}: there is no such folder.")
    if run is not None and not is_run(run):
        raise DataError(f"--run {run} is no folder of a run: it has no {CONFIG_FILE}, no model and no ledger.")
    checks = [*check_form(receipt), *check_journal(path, receipt), *_files(receipt, path.parent)]
    checks += check_own_thresholds(receipt)
    is_policy = group_of(receipt.get("run")).get("task") == POLICY
    if not is_policy:
        checks += _evaluation(receipt, path.parent, run)
    if run is None:
        checks += _unseen(is_policy)
    else:
        checks += _run_checks(receipt, run, path.parent, data)
    if {each.name for each in checks if each.outcome == "right"} <= {OF_ITSELF}:
        checks.append(Checked("receipt", "wrong", "nothing that it says could be checked"))
    unrecorded = receipt.get("not_recorded")
    for part in unrecorded if isinstance(unrecorded, list) else []:
        checks.append(Checked(str(part), "missing", "was not recorded when the receipt was made"))
    return checks


def _unseen(is_policy: bool) -> Iterator[Checked]:
    parts = "the evaluation, configuration and start" if is_policy else "configuration, ledger, start and data set"
    yield Checked("run", "missing", f"no run folder is given (--run): {parts} are unseen")


def _run_checks(receipt: Mapping[str, Any], run: Path, folder: Path, data: bool) -> Iterator[Checked]:
    """Check what the run can tell."""
    policy = is_policy_run(run)
    name, places = (MODEL_FILE, [folder, policy_model(run)]) if policy else (EXAMINED, [folder, run / BEST.parent])
    digest = group_of(receipt["files"].get(name)).get("sha256")
    places = [place for place in places if check_hash(name, place / name, digest).outcome == "right"]
    yield from check_run(receipt, run, places[0] / name if places else None)
    yield from check_starts(receipt, run, bool(places) and places[-1] != folder)
    yield from _configuration(receipt, run)
    yield from check_thresholds(receipt, run)
    if not policy:
        yield from check_leak(receipt, run)
    if policy:
        yield from check_policy(receipt, run, folder)
        return
    yield from check_checkpoint(receipt, run)
    yield from check_ledger(receipt, run)
    if data:
        yield from check_data(receipt, run)
    elif receipt.get("data") is not None:
        yield Checked("data set", "missing", "was not read again (--no-data)")


def _files(receipt: Mapping[str, Any], folder: Path) -> Iterator[Checked]:
    for name, fact in sorted(receipt["files"].items()):
        if not is_plain_name(name):
            yield Checked(name, "wrong", "is no name of a file beside the receipt")
            continue
        yield check_content(name, folder / name, FileFact(fact["sha256"], fact["bytes"]))


def _evaluation(receipt: Mapping[str, Any], folder: Path, run: Path | None) -> Iterator[Checked]:
    """Check that the metrics are of the file that is promoted, and are those of the results image by image."""
    evaluation, mine = receipt.get("evaluation"), group_of(receipt["files"].get(EXAMINED)).get("sha256")
    places = [folder / RESULTS_FILE, *([run / RESULTS_FILE] if run is not None else [])]
    read = map(_results, places)  # one after the other: they may be large
    if evaluation is None:
        if any(_is_of(found, mine) for found in read):
            yield Checked("evaluation", "wrong", f"the receipt has none, and {RESULTS_FILE} has one of {EXAMINED}")
        return
    by = evaluation.get("by")
    if by == RESULTS_CSV:
        yield from _noted(receipt, evaluation, run)
        return
    if by != PICTURES:
        yield Checked("evaluation", "wrong", f"by {by!r} is no evaluation: it is by {PICTURES!r} or {RESULTS_CSV!r}")
        return
    model = evaluation.get("model_sha256")
    if model is None or model != mine:
        text = "the metrics were measured with another file than"
        yield Checked(OF_ITSELF, "wrong", f"{text} {EXAMINED}")
    else:
        yield Checked(OF_ITSELF, "right", f"the metrics were measured with {EXAMINED}")
    results = next((found for found in read if _is_of(found, model)), None)
    if results is None:
        yield Checked("metrics", "missing", f"no {RESULTS_FILE} of this model is there")
        return
    found, data = public_values(evaluation_of(folder, results))
    yield _metrics(evaluation.get("metrics"), found.get("metrics"), results)
    others, theirs = ({key: each[key] for key in each if key != "metrics"} for each in (evaluation, found))
    yield compared("settings and classes", others, theirs, RESULTS_FILE)
    known = receipt.get("data")
    same = not differing(known, data)
    known = known or {}
    text = f"{known.get('images')} pictures of {known.get('split')}" if same else "another one than the results name"
    yield Checked("data set of the metrics", "right" if same else "wrong", text)


def _metrics(said: object, found: object, results: ImageResults) -> Checked:
    """Compare the metrics with those that the results name, and these with the arrays that they were computed from."""
    from aigp_lightning.evaluation.recorded import contradiction

    if metrics := differing(said, found):
        return Checked("metrics", "wrong", f"{', '.join(metrics)}: other values than in {RESULTS_FILE}")
    if fault := contradiction(results):
        return Checked("metrics", "wrong", f"{RESULTS_FILE} contradicts itself: {fault}")
    return Checked("metrics", "right", f"as in {RESULTS_FILE}")


def _noted(receipt: Mapping[str, Any], evaluation: Mapping[str, Any], run: Path | None) -> Iterator[Checked]:
    """Check metrics that are those of the best epoch in `results.csv`."""
    if receipt.get("data") is not None:
        yield Checked("data", "wrong", f"{RESULTS_CSV} names no data set")
    metrics = None if run is None else metrics_of_epoch(run, group_of(receipt.get("run")).get("best_epoch"))
    if metrics is None:
        yield Checked("metrics", "missing", f"{RESULTS_CSV} of the run is not there, or has not that epoch")
        return
    found = {"metrics": metrics, "settings": None, "by": RESULTS_CSV}
    yield compared("metrics", evaluation, public_values(found), RESULTS_CSV)


def _results(path: Path) -> ImageResults | None:
    try:
        return read_results(path) if path.is_file() else None
    except DataError:
        return None


def _is_of(results: ImageResults | None, model: str | None) -> bool:
    """True if results are of the model with this SHA-256."""
    return results is not None and group_of(results.about.get("model")).get("sha256") == model


def _configuration(receipt: Mapping[str, Any], run: Path) -> Iterator[Checked]:
    said = receipt.get("configuration")
    if said is None:
        if (run / CONFIG_FILE).is_file():
            yield Checked("configuration", "wrong", f"the run has a {CONFIG_FILE}, and the receipt none")
        return
    wanted = {CONFIG_FILE: said.get("sha256"), **group_of(said.get("earlier"))}
    kept = _kept_as(CONFIG_FILE, said.get("sha256"), run)
    gone_on = has_gone_on(receipt, run) or (kept is not None and kept.name != CONFIG_FILE)
    yield from check_earlier(said, run, gone_on)
    for name, digest in sorted(wanted.items()):
        if is_plain_name(name):
            yield _configuration_file(name, digest, run)
    plan = receipt.get("plan")
    if plan is None and not is_policy_run(run):
        yield Checked("plan", "wrong", "the receipt has a configuration, and no plan")
    elif plan is not None:
        is_known = plan.get("of") == list(PLAN_OPTIONS)
        text = f"it is of other options than {', '.join(PLAN_OPTIONS)}"
        yield Checked("plan", "wrong", text) if not is_known else _plan(plan.get("sha256"), kept or run / CONFIG_FILE)


def _plan(digest: str | None, path: Path) -> Checked:
    """Compare what decides the plan in a configuration with the hash in a receipt."""
    config, problem = read_yaml(path)
    if problem or not isinstance(config, dict):
        return Checked("plan", "missing", f"{path.name} {problem or 'is no configuration'}")
    same = plan_sha256(config) == digest
    text = "the same options of pictures, routes and loggers" if same else "options of pictures or loggers were changed"
    return Checked("plan", "right" if same else "wrong", f"{path.name}: {text}")


def _configuration_file(name: str, digest: str | None, run: Path) -> Checked:
    """Check a configuration; a run that went on with other options has kept it under another name."""
    kept = _kept_as(name, digest, run)
    if kept is None or kept.name == name:
        return check_hash(name, run / name, digest)
    return Checked(name, "right", f"is {kept.name} now: the run went on with other options")


def _kept_as(name: str, digest: str | None, run: Path) -> Path | None:
    """Return the file of a run that has a configuration; None if there is none with its hash."""
    places = (run / name, *sorted(run.glob(EARLIER_CONFIG)))
    return next((path for path in places if check_hash(name, path, digest).outcome == "right"), None)
