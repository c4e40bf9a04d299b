"""Selects the validation images that are shown, and keeps what the model found in them.

Longer than 250 lines: selecting, collecting and listing share the same few dictionaries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from aigp_lightning.errors import ConfigError
from aigp_lightning.media.data_facts import image_root
from aigp_lightning.media.detections import NOTHING, ImageDetections, above_confidence
from aigp_lightning.media.patterns.entries import shown
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.plots.mosaic import Cell
from aigp_lightning.media.render_jobs import val_jobs
from aigp_lightning.media.val_errors import Judged, WorstImages, judge
from aigp_lightning.media.val_images import SplitImages, ValImages
from aigp_lightning.media.val_table import table_job
from aigp_lightning.types import Detector, HasPictures, Prediction

if TYPE_CHECKING:
    from aigp_lightning.media.plots.skeleton import Edges
    from aigp_lightning.media.types import RenderJob
    from aigp_lightning.types import DetectionBatch

Share = tuple[dict[str, ImageDetections], dict[str, float], dict[str, Judged]]
"""What a process found in the images that are shown, the F1 of all, and the images with the most mistakes."""
Select = Literal["first", "spread", "files", "worst", "worst_each"]


class ValImageSelection:
    """Selects validation images, collects what was found in them, and lists what to draw.

    Args:
        select: first, spread, files, worst (of the first validation in which they differ, kept from then on) or
            worst_each.
        files: globs, paths or a list file, for `files`.
        mosaics: most mosaics.
        per_mosaic: most images in one.
        conf: predictions below this confidence are not shown.
        say: called with what the user should know.
        errors: most mosaics of the images with the most mistakes.
        table: most images that are shown one by one, with boxes as data.

    Example:
        >>> selection = ValImageSelection("spread", None, mosaics=1, per_mosaic=3, conf=0.25, say=print)
        >>> class Split:
        ...     files = [f"{number}.jpg" for number in range(9)]
        >>> selection.open(Split())
        >>> selection.chunks()
        [['0.jpg', '4.jpg', '8.jpg']]
    """

    def __init__(
        self, select: Select, files: str | Sequence[str] | None, mosaics: int, per_mosaic: int, conf: float,
        say: Callable[[str], None], errors: int = 0, table: int = 0,
    ) -> None:  # fmt: skip
        self.select, self.patterns = select, ImagePatterns(files, "--media.val_files")
        self.mosaics, self.per_mosaic, self.conf, self.say = mosaics, per_mosaic, conf, say
        self.shown: list[str] | None = None
        self.found: dict[str, ImageDetections] = {}
        self.scores: dict[str, float] = {}
        self.errors = WorstImages(errors, per_mosaic) if errors else None
        self.table, self.most = table, max(mosaics * per_mosaic, table)
        self._images: ValImages | None = None

    # ---- selecting --------------------------------------------------------------------------------------------------

    def open(self, pictures: SplitImages, root: str | None = None) -> None:
        """Select from a split's images, unless that depends on what the model finds.

        Args:
            pictures: the split's images.
            root: the data set's folder, from which relative names of images start.

        Raises:
            ConfigError: the named files are not in the validation split.
        """
        self._images = ValImages(pictures)
        files, most = self.files, self.most
        if self.select == "files":
            files = self._named(files, root)
        if self.select == "spread" and most < len(files):
            files = [files[place] for place in np.linspace(0, len(files) - 1, most).round().astype(int)]
        there = math.ceil(len(files) / self.per_mosaic)
        if there < self.mosaics:
            self.say(
                f"media.val_batches is {self.mosaics}; {len(files)} images make {there} of up to {self.per_mosaic}."
            )
        if not self.select.startswith("worst"):
            self.shown = files[:most]
        elif self.shown is not None:  # selected before this run was resumed
            self.shown = [file for file in self.shown if file in self._images.places]
        self._images.keep_only(self.shown)

    def _named(self, files: list[str], root: str | None) -> list[str]:
        self.patterns.survey(files, root)
        if named := [file for file in files if file in self.patterns]:
            return named
        asked, example = shown(" ".join(self.patterns.patterns)), shown(files[0]) if files else "(it is empty)"
        raise ConfigError(f"--media.val_files {asked} fits no image of the validation split, such as {example}.")

    def reset(self) -> None:
        """Prepare for a run, whose images may be others than an earlier one's; a checkpoint's selection stays."""
        self._images = None

    def _select_worst(self, epoch: int | None) -> None:
        assert self._images is not None
        places = self._images.places
        order = sorted(self.scores, key=lambda file: (self.scores[file], places[file]))
        if not self.most:
            self.shown = []
        elif self.select == "worst_each" or (self.select == "worst" and self.shown is None and self._differ(order)):
            self.shown = order[: self.most]
            if self.select == "worst":
                when = f"epoch {epoch + 1}: " if epoch is not None else ""
                low, high = self.scores[self.shown[0]], self.scores[self.shown[-1]]
                self.say(
                    f"{when}the worst {len(self.shown)} of {len(order)} validation images are chosen (F1 {low:.2f} to "
                    f"{high:.2f}); pictures show these from now on"
                )
        self._images.keep_only(self.shown)

    def _differ(self, order: Sequence[str]) -> bool:
        """True if something was found, and half of the images and one that would not be shown beat the worst.

        At first nothing is found in any image, and the first places among equals are not the worst.

        Args:
            order: the images, worst first.
        """
        place = min(max(self.most, len(order) // 2), len(order) - 1)
        found = any(self.scores[file] > 0 and len(self.found[file].boxes) for file in order)
        return found and self.scores[order[place]] > self.scores[order[0]]

    # ---- collecting -------------------------------------------------------------------------------------------------

    def start(self, data: object, module: object, batches: int) -> str:
        """Begin a validation: select from its images the first time, and drop what an earlier one found.

        Args:
            data: the datamodule.
            module: the module that is validated.
            batches: of the validation.

        Returns:
            Why there can be no pictures; empty if all is there.

        Raises:
            ConfigError: the named files are not in the validation split.
        """
        if not isinstance(data, HasPictures):
            return "the datamodule has no `pictures`, which gives images by their place"
        if not isinstance(module, Detector) and (self.errors or (self.most and self.select.startswith("worst"))):
            which = "val_errors" if self.errors else "val_select=worst"
            return f"the module has no `match`, which says for {which} what is right"
        if self._images is None:
            self.open(data.pictures("val", batches), image_root(data))
        self.found, self.scores = {}, {}
        if self.errors is not None:
            self.errors.reset()
        return ""

    def collect(self, predictions: Sequence[Prediction], batch: DetectionBatch, module: object) -> None:
        """Keep what was found in the images that are shown, or in all while they are not selected yet.

        Args:
            predictions: one an image.
            batch: the images and their labels.
            module: a `Detector`, whose `match` says what is right, where images are selected by that.
        """
        judged = self.select == "worst_each" or self.shown is None
        wanted = None if judged else set(self.shown or ())
        for row, (file, prediction) in enumerate(zip(batch["im_file"], predictions, strict=True)):
            shown = wanted is None or file in wanted
            if not shown and self.errors is None:
                continue
            found = above_confidence(prediction if shown else replace(prediction, masks=None), self.conf)
            if shown:
                self.found[file] = found
            if (judged or self.errors is not None) and isinstance(module, Detector):
                one = judge(found, batch, row, module)
                if judged:
                    self.scores[file] = one.f1
                if self.errors is not None:
                    self.errors.add(file, one)

    def share(self) -> Share:
        """Return what this process found; `merge` puts the shares of all together."""
        return self.found, self.scores, self.errors.share() if self.errors is not None else {}

    def merge(self, shares: Sequence[Share], epoch: int | None = None) -> None:
        """Merge the processes' shares, and select the worst images where they are asked for.

        Args:
            shares: of all processes; a process that has not got them selects nothing.
            epoch: from 0, to say when images were selected.
        """
        for found, scores, errors in shares:
            self.found.update(found)
            self.scores.update(scores)
            if self.errors is not None:
                self.errors.merge([errors])
        if shares:
            self._select_worst(epoch)

    @property
    def files(self) -> list[str]:
        """All images of the split."""
        return [] if self._images is None else list(self._images.places)

    # ---- drawing ----------------------------------------------------------------------------------------------------

    def jobs(self, names: Mapping[int, str], edges: Edges = ()) -> list[RenderJob]:
        """List what to draw of the validation just done.

        Args:
            names: class names by id.
            edges: pairs of keypoints that are joined.
        """
        jobs: list[RenderJob] = []
        fixed = self.select != "worst_each" and self.shown is not None
        for mosaic, files in enumerate(self.chunks()):
            found = [self.found.get(file, NOTHING) for file in files]
            jobs += val_jobs(mosaic, files, self.loader(files), found, names, edges, fixed)
        if self.errors is not None:
            jobs += self.errors.jobs(self.loader, names, edges)
        return [*jobs, *self.table_jobs(names)]

    def table_jobs(
        self, names: Mapping[int, str], found: Mapping[str, ImageDetections] | None = None
    ) -> list[RenderJob]:
        """List the images that are shown one by one, with boxes as data.

        Args:
            names: class names by id.
            found: objects by image; None: what the model found in the validation just done.
        """
        assert self._images is not None
        known, read = self.found if found is None else found, self._images.read
        return [
            table_job(number, file, partial(read, file), known.get(file, NOTHING), names)
            for number, file in enumerate(self.listed())
        ]

    def listed(self) -> list[str]:
        """Return the images that are shown one by one."""
        return self._all_shown()[: self.table]

    def chunks(self) -> list[list[str]]:
        """Return the images of each mosaic; as long as none are selected, as many of the first."""
        shown = self._all_shown()[: self.mosaics * self.per_mosaic]
        return [shown[start : start + self.per_mosaic] for start in range(0, len(shown), self.per_mosaic)]

    def _all_shown(self) -> list[str]:
        return self.shown if self.shown is not None else self.files[: self.most]

    def loader(self, files: Sequence[str]) -> Callable[[], list[Cell]]:
        """Return a function that reads these images with their labels; it is called in the drawing thread."""
        assert self._images is not None
        return partial(self._images.cells, files)
