"""The parts of a receipt that a run folder tells.

Longer than 250 lines: a part of the receipt is looked up in one place.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from aigp_lightning.callbacks.results import epoch_of_row
from aigp_lightning.checkpoints.load import read_metadata
from aigp_lightning.checkpoints.paths import BEST
from aigp_lightning.checkpoints.plain_values import read_plain_value
from aigp_lightning.checkpoints.schema import family_of
from aigp_lightning.data.leaks.leak_report import LEAK
from aigp_lightning.errors import WeightsError
from aigp_lightning.files import read_regular
from aigp_lightning.logfiles.run_config import CONFIG_FILE, read_config, read_json
from aigp_lightning.media.ledger.anchor import anchor_of
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, LEFT, Lines, read_ledger, settled
from aigp_lightning.modules.metrics.image_results import ImageResults
from aigp_lightning.modules.thresholds import NAME as THRESHOLDS_FILE
from aigp_lightning.modules.thresholds import thresholds_of
from aigp_lightning.run.folder import EARLIER_CONFIG
from aigp_lightning.run.marker import read_run_file
from aigp_lightning.run.provenance import recorded_starts

PLAN_OPTIONS = ("media", "wandb", "trainer.logger")
"""Options by which `plan` tells what will be drawn and who gets it: pictures, routes, private images and limits; what
W&B may see beside them; the loggers."""
RESULTS_CSV = "results.csv"
VERSIONS_FILE = "versions.json"
"""In a policy's run folder: versions by package, and the other parts of its start."""
PARTS_OF_START = ("time", "git", "seeds", "hardware")
COUNTED = ("written", "sent", "withheld", "failed", "unknown")


def run_of(run: Path, results: ImageResults | None, policy: bool, best: Path | None = None) -> dict[str, Any]:
    """Return name, task, family, epochs and best epoch of a run, epochs counted from 1; None for what is unknown.

    Args:
        run: the run folder.
        results: of its evaluation, which name task and family too.
        policy: whether it trained a policy.
        best: the checkpoint; None: the run's best.
    """
    if policy:
        return {"name": run.resolve().name, "task": "policy", "family": "ppo"}
    about: dict[str, Any] = {} if results is None else results.about
    checkpoint, epoch = run / BEST if best is None else best, None
    task, family = about.get("task"), about.get("family")
    with suppress(WeightsError):
        metadata = read_metadata(checkpoint)
        task, family = metadata["task"], family_of(metadata)
        epoch = read_plain_value(checkpoint, "epoch")
    rows = csv_rows(run)
    return {
        "name": run.resolve().name,
        "task": task,
        "family": family,
        "epochs": int(float(rows[-1]["epoch"])) if rows else None,
        "best_epoch": epoch + 1 if type(epoch) is int else None,
    }


def evaluation_of(run: Path, results: ImageResults | None) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the evaluation and the data set that it was made on; None for what is not recorded.

    Args:
        run: the run folder.
        results: of the evaluation; None: the row of the best epoch in `results.csv`, which names neither settings nor
            data set.
    """
    if results is None:
        metrics = _noted_metrics(run)
        return (None if metrics is None else {"metrics": metrics, "settings": None, "by": RESULTS_CSV}), None
    about = results.about
    data: Mapping[str, Any] = about.get("data") or {}
    evaluation = {
        "metrics": dict(about.get("metrics") or {}),
        "settings": dict(about.get("settings") or {}),
        "model_sha256": (about.get("model") or {}).get("sha256"),
        "classes": list(results.names.values()) if "names" in about else None,
        "keypoints": about.get("keypoints"),
        "by": "pictures",
    }
    known = {key: data.get(key) for key in ("split", "sha256", "images", "labels")}
    return evaluation, known if known["sha256"] is not None else None


def configuration_of(run: Path) -> dict[str, Any] | None:
    """Return the hash of the resolved configuration, and of those that were in effect before a resume changed them.

    Args:
        run: the run folder.
    """
    try:
        now = sha256(read_regular(run / CONFIG_FILE)).hexdigest()
        earlier = {path.name: sha256(read_regular(path)).hexdigest() for path in sorted(run.glob(EARLIER_CONFIG))}
    except OSError:
        return None
    return {"file": CONFIG_FILE, "sha256": now, "earlier": earlier}


def plan_of(run: Path) -> dict[str, Any] | None:
    """Return the hash of what decides the plan of a run; None where its configuration cannot be read.

    Args:
        run: the run folder.
    """
    config, _ = read_config(run)
    return None if config is None else {"sha256": plan_sha256(config), "of": list(PLAN_OPTIONS)}


def plan_sha256(config: Mapping[str, Any]) -> str:
    """Return a hash of the options by which `plan` tells what a run will draw and hand over, and to whom.

    Two configurations with the same hash send alike from the same data set and for as long, whatever else they train;
    it does not depend on the file's layout. It is the SHA-256 of JSON with sorted keys and no blanks, in UTF-8, of the
    options in `PLAN_OPTIONS`; one that is missing is null.

    Args:
        config: the resolved configuration, as `config.yaml` has it.
    """
    chosen: dict[str, Any] = {}
    for name in PLAN_OPTIONS:
        value: Any = config
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        chosen[name] = value
    text = json.dumps(chosen, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def ledger_of(run: Path) -> dict[str, Any] | None:
    """Return the ledger's head, lines and totals, and what each destination got; None where there is no ledger.

    Args:
        run: the run folder.
    """
    try:
        lines = read_ledger(run / LEDGER_FILE)
    except OSError:
        return None
    return {**anchor_of(lines).as_dict(), "problems": len(lines.problems), "destinations": destinations_of(lines)}


def destinations_of(lines: Lines) -> list[dict[str, Any]]:
    """Sum up by destination how many pictures had which outcome, and the bytes that it has or may have.

    A picture of which a resumed run found that it had arrived counts as sent. Files of boxes are part of their picture:
    they add their bytes alone.

    Args:
        lines: of a ledger.
    """
    rows: dict[str, dict[str, Any]] = {}
    for line in settled(lines):
        empty = {"destination": line.destination, "remote": False, **dict.fromkeys(COUNTED, 0), "bytes": 0}
        row = rows.setdefault(line.destination, empty)
        row["remote"] = row["remote"] or line.is_remote
        row[line.outcome] += line.is_picture
        row["bytes"] += line.bytes if line.outcome in (*LEFT, "written") else 0
    return [rows[name] for name in sorted(rows)]


def starts_of(run: Path, policy: bool) -> list[dict[str, Any]]:
    """Return with what a run was started, oldest first; see `run/provenance.py`.

    Args:
        run: the run folder.
        policy: whether it trained a policy, whose last start alone is known.
    """
    if not policy:
        return recorded_starts(run)
    noted, problem = read_json(run / VERSIONS_FILE)
    if problem or not isinstance(noted, dict):
        return []
    start = {key: noted.pop(key, None) for key in PARTS_OF_START}
    return [{"versions": noted, **start}]


def leak_of(run: Path) -> dict[str, Any] | None:
    """Return what the validation split had in common with the training split, and the limit; None: not measured.

    Args:
        run: the run folder.
    """
    found = read_run_file(run).get(LEAK)
    return found if isinstance(found, dict) else None


def calibrated_of(run: Path, model: str | None) -> dict[str, Any] | None:
    """Return hash and content of the calibrated thresholds; None without any, and of those of other weights.

    Args:
        run: the run folder.
        model: SHA-256 of the checkpoint; None where it is not known.
    """
    path = thresholds_of(run / BEST)
    content, problem = (None, "is not there") if path is None else read_json(path)
    if path is None or problem:
        return None
    said = weights_of_thresholds(content)
    if None not in (said, model) and said != model:
        return None
    return {"file": THRESHOLDS_FILE, "sha256": sha256(read_regular(path)).hexdigest(), "content": content}


def weights_of_thresholds(content: object) -> str | None:
    """Return the SHA-256 of the weights that thresholds were calibrated for; None where they do not say it.

    Args:
        content: of the file, which anybody may have written.
    """
    value = content
    for key in ("about", "model", "sha256"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None


def csv_rows(run: Path) -> list[dict[str, str]]:
    """Return the rows of `results.csv` that have an epoch such as a run has; none where there is no such file.

    Args:
        run: the run folder.
    """
    try:
        text = read_regular(run / RESULTS_CSV).decode("utf-8", errors="replace")
    except OSError:
        return []
    return [row for row in csv.DictReader(io.StringIO(text)) if epoch_of_row(row) is not None]


def _noted_metrics(run: Path) -> dict[str, float | None] | None:
    """Return the metrics of the best epoch as `results.csv` has them."""
    return metrics_of_epoch(run, run_of(run, None, False)["best_epoch"])


def metrics_of_epoch(run: Path, epoch: object) -> dict[str, float | None] | None:
    """Return the metrics of an epoch as `results.csv` has them; None where it has not.

    Args:
        run: the run folder.
        epoch: from 1.
    """
    row = next((row for row in csv_rows(run) if _number(row["epoch"]) == epoch), None)
    if row is None:
        return None
    return {name: _number(value) for name, value in row.items() if name.startswith(("metrics/", "corners/", "gate/"))}


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
