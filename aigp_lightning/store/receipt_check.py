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
from aigp_lightning.store.checks import Checked, check_content, check_hash, group_of
from aigp_lightning.store.policy_evaluation import is_policy_run
from aigp_lightning.store.receipt import FileFact, read_receipt
from aigp_lightning.store.run_check import EXAMINED, check_checkpoint, check_data, check_ledger, check_policy
from aigp_lightning.store.run_facts import THRESHOLDS_FILE, plan_sha256

__all__ = ["Checked", "check_receipt"]

TOLERANCE = 1e-9


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
    checks = [*_files(receipt, path.parent), *_evaluation(receipt, path.parent, run)]
    if run is None:
        checks.append(Checked("run", "missing", "no run folder is given (--run): configuration and ledger are unseen"))
    else:
        policy = is_policy_run(run)
        checks += [*_configuration(receipt, run), *_thresholds(receipt, run)]
        checks += (
            check_policy(receipt, run) if policy else [*check_checkpoint(receipt, run), *check_ledger(receipt, run)]
        )
        checks += check_data(receipt, run) if data and not policy else []
    unrecorded = receipt.get("not_recorded")
    for part in unrecorded if isinstance(unrecorded, list) else []:
        checks.append(Checked(str(part), "missing", "was not recorded when the receipt was made"))
    return checks


def _files(receipt: Mapping[str, Any], folder: Path) -> Iterator[Checked]:
    for name, fact in sorted(receipt["files"].items()):
        if not is_plain_name(name):
            yield Checked(name, "wrong", "is no name of a file beside the receipt")
            continue
        yield check_content(name, folder / name, FileFact(fact["sha256"], fact["bytes"]))


def _evaluation(receipt: Mapping[str, Any], folder: Path, run: Path | None) -> Iterator[Checked]:
    """Check that the metrics are of the file that is promoted, and are those of the results image by image."""
    evaluation = receipt.get("evaluation") or {}
    model, mine = evaluation.get("model_sha256"), receipt["files"].get(EXAMINED)
    if model is not None and mine is not None:
        same = model == mine["sha256"]
        text = "the metrics were measured with" if same else "the metrics were measured with another file than"
        yield Checked("evaluated model", "right" if same else "wrong", f"{text} {EXAMINED}")
    if evaluation.get("by") != "pictures":
        return
    places = [folder / RESULTS_FILE, *([run / RESULTS_FILE] if run is not None else [])]
    results = next((found for found in map(_results, places) if _is_of(found, model)), None)
    if results is None:
        yield Checked("metrics", "missing", f"no {RESULTS_FILE} of this model is there")
        return
    wrong = _differing(group_of(evaluation.get("metrics")), group_of(results.about.get("metrics")))
    text = f"as in {RESULTS_FILE}" if not wrong else f"{', '.join(wrong)}: other values than in {RESULTS_FILE}"
    yield Checked("metrics", "wrong" if wrong else "right", text)
    known = receipt.get("data") or {}
    recorded = group_of(results.about.get("data"))
    same = all(known.get(key) == recorded.get(key) for key in ("sha256", "images", "labels", "split"))
    text = f"{known.get('images')} pictures of {known.get('split')}" if same else "another one than the results name"
    yield Checked("data set of the metrics", "right" if same else "wrong", text)


def _results(path: Path) -> ImageResults | None:
    try:
        return read_results(path) if path.is_file() else None
    except DataError:
        return None


def _is_of(results: ImageResults | None, model: str | None) -> bool:
    """True if results are of the model with this SHA-256."""
    return results is not None and group_of(results.about.get("model")).get("sha256") == model


def _differing(said: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    def differs(name: str) -> bool:
        one, other = said.get(name), found.get(name)
        if one is None or other is None:
            return one is not other
        return not (isinstance(one, int | float) and abs(one - other) <= TOLERANCE)

    return [name for name in sorted({*said, *found}) if differs(name)]


def _configuration(receipt: Mapping[str, Any], run: Path) -> Iterator[Checked]:
    said = receipt.get("configuration")
    if said is None:
        return
    wanted = {CONFIG_FILE: said.get("sha256"), **group_of(said.get("earlier"))}
    for name, digest in sorted(wanted.items()):
        if is_plain_name(name):
            yield _configuration_file(name, digest, run)
    plan = receipt.get("plan")
    if plan is not None:
        yield _plan(plan.get("sha256"), _kept_as(CONFIG_FILE, said.get("sha256"), run) or run / CONFIG_FILE)


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


def _thresholds(receipt: Mapping[str, Any], run: Path) -> Iterator[Checked]:
    if (said := receipt.get("thresholds")) is not None:
        yield check_hash(THRESHOLDS_FILE, run / BEST.parent / THRESHOLDS_FILE, said.get("sha256"))
