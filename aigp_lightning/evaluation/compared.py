"""Two models opened, checked against each other, and evaluated on the same images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.evaluation.evaluate import EvaluationData, evaluate
from aigp_lightning.evaluation.recorded import results_of

from aigp_lightning.evaluation.aligned import check_comparable
from aigp_lightning.evaluation.opened import open_model

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.modules.metrics.image_results import ImageResults


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

    B is evaluated now. The results that A's run has recorded are taken if they are of its best checkpoint, of the same
    images and labels byte by byte, and computed in the same precision.

    Args:
        files: of A and of B.
        data_yaml: the data set; None: that of B.
        split: of the data set.
        fresh: evaluate A now, whatever is recorded.
        progress: show progress bars.

    Raises:
        WeightsError: a model cannot be opened, or the two are of other tasks or classes.
        DataError: the data set cannot be used.
    """
    modules = [open_model(file) for file in files]
    check_comparable((modules[0].task, modules[0].names), (modules[1].task, modules[1].names))
    theirs = evaluate(files[1], EvaluationData(data_yaml=data_yaml, split=split, progress=progress))
    ours = None if fresh else _recorded(files[0], theirs)
    recorded = ours is not None
    if ours is None and files[0].samefile(files[1]):
        ours = theirs
    if ours is None:
        same = EvaluationData(data_yaml=str(theirs.about["data"]["data_yaml"]), split=split, progress=progress)
        ours = evaluate(files[0], same)
    return Compared(files[0], modules[0], ours, recorded), Compared(files[1], modules[1], theirs, False)


def _recorded(file: Path, other: ImageResults) -> ImageResults | None:
    """Return the results that a model's run has recorded, if they can be held against the other's."""
    if file.suffix != ".ckpt":  # exports are rounded, so that theirs may be others
        return None
    found = results_of(file)
    if found is None or set(found.files) != set(other.files):
        return None
    same_data = found.about["data"]["sha256"] == other.about["data"]["sha256"]
    same_precision = found.about["settings"].get("precision") == other.about["settings"].get("precision")
    return found if same_data and same_precision else None
