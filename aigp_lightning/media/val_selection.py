"""Which validation images are shown, and what the model found in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.media.image_patterns import ImagePatterns
from aigp_lightning.media.plots.mosaic import Cell
from aigp_lightning.media.render_jobs import NOTHING, Seen, val_jobs

if TYPE_CHECKING:
    from aigp_lightning.data.pictures import EvalPictures
    from aigp_lightning.media.jobs import Job
    from aigp_lightning.media.plots.skeleton import Edges
    from aigp_lightning.types import DetectionBatch, Prediction

Select = Literal["first", "spread", "files", "worst", "worst_each"]
GREY = 114
CACHE_BYTES = 512 * 2**20
"""Memory that letterboxed images may keep, so that pictures of the same images are not read every epoch."""


class ValImageSelection:
    """Chooses validation images, collects what was found in them, and says what to draw.

    Args:
        select: first, spread, files, worst (of the first validation, kept from then on) or worst_each.
        files: globs, paths or a list file, for `files`.
        mosaics: most mosaics.
        per_mosaic: most images in one.
        conf: predictions below this confidence are not shown.
        say: told what the user should know.
    """

    def __init__(
        self, select: Select, files: str | Sequence[str] | None, mosaics: int, per_mosaic: int, conf: float,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.select, self.patterns = select, ImagePatterns(files, "--media.val_files")
        self.mosaics, self.per_mosaic, self.conf, self.say = mosaics, per_mosaic, conf, say
        self.shown: list[str] | None = None
        self.found: dict[str, Seen] = {}
        self.scores: dict[str, float] = {}
        self._pictures: EvalPictures | None = None
        self._places: dict[str, int] = {}
        self._cells: dict[str, Cell] = {}
        self._room = CACHE_BYTES

    # ---- choosing ---------------------------------------------------------------------------------------------------

    def open(self, pictures: EvalPictures) -> None:
        """Take the split's images; choose now where that does not depend on what the model finds.

        Raises:
            ConfigError: the named files are not in the validation split.
        """
        self._pictures = pictures
        self._places = {file: place for place, file in enumerate(pictures.files)}
        files, most = list(self._places), self.mosaics * self.per_mosaic
        if self.select == "files":
            files = [file for file in files if file in self.patterns]
            if not files:
                raise ConfigError(
                    f"--media.val_files {' '.join(self.patterns.patterns)} fits no image of the validation split, "
                    f"such as {pictures.files[0] if pictures.files else '(it is empty)'}."
                )
        if self.select == "spread" and most < len(files):
            files = [files[place] for place in np.linspace(0, len(files) - 1, most).round().astype(int)]
        there = math.ceil(len(files) / self.per_mosaic)
        if there < self.mosaics:
            self.say(
                f"media.val_batches is {self.mosaics}; {len(files)} images make {there} of up to {self.per_mosaic}."
            )
        if not self.select.startswith("worst"):
            self.shown = files[:most]
        elif self.shown is not None:  # chosen before this run was resumed
            self.shown = [file for file in self.shown if file in self._places]

    def forget(self) -> None:
        """A run begins: its images may be others than an earlier one's. What a checkpoint said is shown stays."""
        self._pictures, self._places, self._cells, self._room = None, {}, {}, CACHE_BYTES

    @property
    def opened(self) -> bool:
        """Whether `open` was called."""
        return self._pictures is not None

    def _choose_worst(self) -> None:
        if self.select == "worst_each" or (self.select == "worst" and self.shown is None):
            order = sorted(self.scores, key=lambda file: (self.scores[file], self._places[file]))
            self.shown = order[: self.mosaics * self.per_mosaic]
            self._cells = {file: cell for file, cell in self._cells.items() if file in self.shown}
            self._room = CACHE_BYTES - sum(cell.image.nbytes for cell in self._cells.values())

    # ---- collecting -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A validation begins."""
        self.found, self.scores = {}, {}

    def collect(self, predictions: Sequence[Prediction], batch: DetectionBatch) -> None:
        """Keep what was found in the images that are shown, or in all while it is not known which."""
        judged = self.select == "worst_each" or self.shown is None
        wanted = None if judged else set(self.shown or ())
        for row, (file, prediction) in enumerate(zip(batch["im_file"], predictions, strict=True)):
            if wanted is None or file in wanted:
                self.found[file] = _seen(prediction, self.conf)
                if judged:
                    self.scores[file] = image_f1(self.found[file], batch, row)

    def merge(self, shares: Sequence[tuple[dict[str, Seen], dict[str, float]]]) -> None:
        """Put the processes' shares together."""
        for found, scores in shares:
            self.found.update(found)
            self.scores.update(scores)
        self._choose_worst()

    # ---- drawing ----------------------------------------------------------------------------------------------------

    def jobs(self, names: Mapping[int, str], edges: Edges = ()) -> list[Job]:
        """What to draw of the validation just done.

        Args:
            names: class names by id.
            edges: pairs of keypoints that are joined.
        """
        jobs: list[Job] = []
        for mosaic, files in enumerate(self.chunks()):
            found = [self.found.get(file, NOTHING) for file in files]
            jobs += val_jobs(mosaic, files, self.loader(files), found, names, edges)
        return jobs

    def chunks(self) -> list[list[str]]:
        """The images of each mosaic; before it is known which are shown, as many of the first."""
        shown = self.shown if self.shown is not None else list(self._places)[: self.mosaics * self.per_mosaic]
        return [shown[start : start + self.per_mosaic] for start in range(0, len(shown), self.per_mosaic)]

    def loader(self, files: Sequence[str]) -> Callable[[], list[Cell]]:
        """A function that reads these images with their labels; called in the drawing thread."""
        return lambda: [self._cell(file) for file in files]

    def _cell(self, file: str) -> Cell:
        if file in self._cells:
            return self._cells[file]
        assert self._pictures is not None
        try:
            item = self._pictures[self._places[file]]
        except DataError:  # it was there at the start; the others of its mosaic are drawn
            return Cell(
                np.full((64, 64, 3), GREY, np.uint8), NOTHING.boxes, NOTHING.labels, caption=f"{Path(file).name} (lost)"
            )
        cell = Cell(item["image"], item["bboxes"], item["cls"], None, item["keypoints"], Path(file).name)
        if item["image"].nbytes <= self._room:
            self._room -= item["image"].nbytes
            self._cells[file] = cell
        return cell


def _seen(prediction: Prediction, conf: float) -> Seen:
    sure = prediction.scores >= conf
    points = prediction.keypoints

    def host(tensor: Any) -> Any:
        return tensor[sure].detach().float().cpu().numpy()

    return Seen(
        host(prediction.boxes),
        host(prediction.scores),
        host(prediction.labels).astype(np.int64),
        None if points is None else host(points),
    )


def image_f1(seen: Seen, batch: DetectionBatch, row: int) -> float:
    """How well an image was understood: F1 of the boxes shown, at IoU 0.5, 0…1; 1 for nothing where nothing is.

    Args:
        seen: what was found.
        batch: it holds the labels.
        row: the image in the batch.
    """
    import torch

    from aigp_lightning.modules.metrics.detection import true_boxes
    from aigp_lightning.modules.yolo.bridge import match_predictions

    mine = batch["batch_idx"] == row
    labels, truth = batch["cls"][mine].cpu(), true_boxes(batch)[mine].cpu()
    if not len(labels) and not len(seen.boxes):
        return 1.0
    right = match_predictions(torch.from_numpy(seen.boxes), torch.from_numpy(seen.labels), truth, labels)
    return 2 * float(right[:, 0].sum()) / (len(labels) + len(seen.boxes))
