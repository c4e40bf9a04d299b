"""Two models opened, checked against each other, and evaluated on the same images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.fingerprint import fingerprint
from aigp_lightning.data.scan import scan_split
from aigp_lightning.errors import tell_user
from aigp_lightning.evaluation.comparable import check_comparable
from aigp_lightning.evaluation.evaluate import EvaluationData, evaluate
from aigp_lightning.evaluation.open_model import is_exported, open_model
from aigp_lightning.evaluation.recorded import results_of

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.modules.metrics.image_results import ImageResults

ALIKE = ("precision", "rect", "batch_size")
"""Settings of recorded results that have to be the same."""
Files = tuple[Path, Path]
Pair = tuple["ImageResults", "ImageResults"]


@dataclass(frozen=True)
class Compared:
    """One of two models.

    Attributes:
        file: of the model.
        module: opened, in eval mode on the CPU.
        results: of the images that both are compared on.
        recorded: the results are those that its run has recorded.
    """

    file: Path
    module: BaseModule
    results: ImageResults
    recorded: bool

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        about = self.results.about
        kept = {name: about[name] for name in ("family", "task", "settings")}
        return {"file": str(self.file), **kept, "recorded": self.recorded, "metrics": about.get("metrics", {})}


def evaluate_both(
    files: tuple[Path, Path], data_yaml: str | None, split: str, fresh: bool, progress: bool
) -> tuple[Compared, Compared]:
    """Evaluate two models on the same images.

    The results that the runs have recorded are taken if both have: of their best checkpoints, on images and labels that
    are byte by byte those of the data set now. Where one has none, both are evaluated: a difference between what a run
    computes and what is computed afterwards is none of the models.

    Args:
        files: of A and of B.
        data_yaml: the data set; None: that of B.
        split: of the data set.
        fresh: evaluate both, whatever is recorded.
        progress: show progress bars.

    Raises:
        WeightsError: a model cannot be opened, or the two are of other tasks or classes.
        DataError: the data set cannot be used.
    """
    modules = [open_model(file) for file in files]
    check_comparable((modules[0].task, modules[0].names), (modules[1].task, modules[1].names))
    recorded = None if fresh else _recorded(files, data_yaml, split)
    results = recorded or _evaluated(files, data_yaml, split, progress)
    ours, theirs = (
        Compared(file, module, found, recorded is not None)
        for file, module, found in zip(files, modules, results, strict=True)
    )
    return ours, theirs


def _evaluated(files: Files, data_yaml: str | None, split: str, progress: bool) -> Pair:
    square = False if any(map(is_exported, files)) else None  # exported files of one size take no rectangles
    data = EvaluationData(data_yaml=data_yaml, split=split, progress=progress, rect=square)
    theirs = evaluate(files[1], data)
    if files[0].samefile(files[1]):
        return theirs, theirs
    batch = theirs.about["settings"]["batch_size"]  # on which the sizes of rectangles depend
    data = replace(data, data_yaml=str(theirs.about["data"]["data_yaml"]), batch_size=batch)
    return evaluate(files[0], data), theirs


def _recorded(files: Files, data_yaml: str | None, split: str) -> Pair | None:
    """Return the results that both runs have recorded, if they can be held against each other."""
    if any(file.suffix != ".ckpt" for file in files):  # other files of a run have rounded weights
        return None
    ours, theirs = map(results_of, files)
    if ours is None or theirs is None:
        return None
    if lacking := theirs.not_kept or ours.not_kept:
        tell_user(f"the runs' recorded results have no {lacking}, which were not kept then: both are evaluated now")
        return None
    settings, data = ([each.about[key] for each in (ours, theirs)] for key in ("settings", "data"))
    if any(name not in settings[0] or settings[0][name] != settings[1].get(name) for name in ALIKE) or settings[1].get(
        "single_cls"
    ):
        return None
    if data[0]["sha256"] != data[1]["sha256"] or {data[0]["split"], data[1]["split"]} != {split}:
        return None
    return (ours, theirs) if _is_still_there(theirs, data_yaml) else None


def _is_still_there(results: ImageResults, data_yaml: str | None) -> bool:
    """True if images and labels of a data set are those that results are of."""
    about = results.about
    spec = read_data_yaml(data_yaml or about["data"]["data_yaml"])
    pose, outside = about["task"] == "pose", about["settings"].get("outside", "clip")
    masks = "M" in results.judged
    scan = scan_split(
        spec, about["data"]["split"], pose=pose, outside=outside, outlines="all" if masks else None, workers=1,
        progress=False,
    )  # fmt: skip
    if {record.im_file for record in scan.records} != set(results.files):
        return False
    return fingerprint(scan.records, spec.names, outlines=masks).sha256 == str(about["data"]["sha256"])
