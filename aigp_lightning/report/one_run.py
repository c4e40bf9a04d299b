"""Everything that a report shows of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigp_lightning.errors import UserError, first_line
from aigp_lightning.logfiles.folders import logger_folders
from aigp_lightning.logfiles.run_data import find_data_yaml
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults
from aigp_lightning.report.folder import RunFacts, read_facts
from aigp_lightning.report.images import CONF, ImageParts, image_parts
from aigp_lightning.report.ledger import ledger_of
from aigp_lightning.report.mosaics import RunPictures, collect_pictures
from aigp_lightning.report.options import flat, shown_config, without_places
from aigp_lightning.report.privacy import Privacy
from aigp_lightning.report.results import metrics_of_run, results_of_run, tables_of
from aigp_lightning.report.scalars import metrics_at, read_scalars
from aigp_lightning.run.lock import writer_of

Evaluate = Callable[[Path], ImageResults | None]
SHORTENED = "Places on the machine are shortened to their last part, and what may be a secret is shown as ***."


@dataclass
class CollectedRun:
    """A run, as a report shows it.

    Attributes:
        facts: of the run folder.
        privacy: its private images.
        pictures: mosaics, training and closing pictures.
        images: validation images one by one.
        content: the part of the payload, without ids of pictures.
    """

    facts: RunFacts
    privacy: Privacy
    pictures: RunPictures
    images: ImageParts
    content: dict[str, Any]

    def notes(self) -> Iterator[str]:
        """Yield what the reader should know of it."""
        yield from self.pictures.notes


def collect_runs(runs: Sequence[Path], include_private: bool, evaluate: Evaluate | None = None) -> list[CollectedRun]:
    """Collect what a report shows of its runs; what cannot be read is named among their warnings.

    Args:
        runs: their folders.
        include_private: show private images; else one that is private in any of these runs is in none.
        evaluate: gives the results of a run that has none.
    """
    read: list[tuple[RunFacts, ImageResults | None, Privacy]] = []
    for run in runs:
        facts = read_facts(run)
        if (writer := writer_of(run)) is not None:
            facts.warnings.append(f"The run goes on ({writer.verb}): this is what there was when the report was made.")
        results = results_of_run(facts) or _evaluated(facts, evaluate)
        privacy = Privacy(facts, include_private, results.files if results is not None else ())
        facts.warnings += privacy.warnings
        read.append((facts, results, privacy))
    group = [privacy for _, _, privacy in read]
    for privacy in group:
        privacy.join(group)
    return [_collect(*each, include_private) for each in read]


def _collect(facts: RunFacts, results: ImageResults | None, privacy: Privacy, include_private: bool) -> CollectedRun:
    run = facts.path
    scalars = read_scalars(facts)
    pictures = collect_pictures(facts, privacy)
    images = ImageParts()
    if results is not None:
        images = image_parts(results, lambda image: not include_private and privacy.is_private(image))
    config = shown_config(facts.config or {}, privacy.is_private, include_private)
    content = {
        "name": facts.name,
        "task": facts.task,
        "family": facts.family,
        "epochs": max(scalars["epochs"], default=0),
        "best_epoch": facts.best_epoch,
        "scalars": scalars,
        "metrics": (metrics_of_run(results) if results is not None else {}) or metrics_at(scalars, facts.best_epoch),
        **{"mosaics": [], "training": [], "closing": []},
        **_of_results(results),
        **_of_config(config),
        "ledger": ledger_of(facts),
        "pictures": _of_images(facts, results, images),
        "side_channels": sorted({name for each in logger_folders(run, "wandb") for name in each.channels or ()}),
        "warnings": [without_places(text).replace(str(run), facts.name) for text in facts.warnings],
    }
    return CollectedRun(facts, privacy, pictures, images, content)


def _evaluated(facts: RunFacts, evaluate: Evaluate | None) -> ImageResults | None:
    """Return the results of an evaluation now; without one, say why there are no tables."""
    missing = f"There are no results image by image ({RESULTS_FILE}): tables by class, curves and images are left out."
    if evaluate is None or not facts.model_sha256:
        facts.warnings.append(missing)
        return None
    try:
        results = evaluate(facts.best)
    except UserError as error:
        facts.warnings.append(f"{missing} Evaluating weights/best.ckpt failed: {without_places(first_line(error))}")
        return None
    facts.warnings.append("Results image by image were not kept by the run; weights/best.ckpt was evaluated for this.")
    return results


def _of_results(results: ImageResults | None) -> dict[str, Any]:
    if results is None:
        return {"classes": [], "curves": [], "confusion": None, "corners": None}
    return tables_of(results)


def _of_config(config: dict[str, Any]) -> dict[str, Any]:
    import yaml

    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True) if config else ""
    return {"config": f"# {SHORTENED}\n{text}" if text else "", "options": dict(flat(config))}


def _of_images(facts: RunFacts, results: ImageResults | None, images: ImageParts) -> dict[str, Any] | None:
    if results is None:
        return None
    edges = _edges(facts) if results.true_points.shape[1] else []
    items = [{**item, "edges": edges} for item in images.items]
    images.items = items
    names = {str(number): name for number, name in results.names.items()}
    return {"names": names, "conf": CONF, "items": items, "scale_note": None}


def _edges(facts: RunFacts) -> list[list[int]]:
    """Return the pairs of keypoints that are joined, as the data set says; none if that is gone."""
    from aigp_lightning.data.data_yaml import read_data_yaml

    file = find_data_yaml(facts.path, facts.config)
    try:
        keypoints = read_data_yaml(file).keypoints if file is not None else None
    except (UserError, OSError, ValueError):
        return []
    return [list(pair) for pair in keypoints.edges] if keypoints is not None else []
