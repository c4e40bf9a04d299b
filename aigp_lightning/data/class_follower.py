"""Gives the labels of a data set the class ids of a trained model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from aigp_lightning.data.class_names import ADAPT, TRAINED_FOR, ClassOrder, match_classes, renumbered
from aigp_lightning.errors import DataError, WeightsError, tell_user

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aigp_lightning.data.data_yaml import DataSpec
    from aigp_lightning.data.records import ScanResult


DEFAULT_DATA = "datasets/gates/data.yaml"
"""The `data.yaml` where nobody names one; `predict` does not insist on its classes."""


class DataSet(Protocol):
    """Options of a datamodule by which its classes are matched.

    Attributes:
        data_yaml: path of its `data.yaml`.
        single_cls: whether all classes are one.
        match_classes: see `check_rule`.
    """

    data_yaml: str
    single_cls: bool
    match_classes: str

    @property
    def spec(self) -> DataSpec:
        """The parsed `data.yaml`."""


class ClassFollower:
    r"""The order of a datamodule's classes: the data set's own, until a model's is followed.

    Args:
        data: the datamodule.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import lightning.pytorch  # sets the rank, by which one process alone prints
        >>> from aigp_lightning.data.datamodule import YoloDataModule
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "data.yaml")
        ...     _ = file.write_text("train: images/train\nval: images/val\nnames: [disc, square]\n")
        ...     data = YoloDataModule(str(file))
        ...     data.follow_classes({0: "square", 1: "disc"}, "best.pt")
        >>> data.names, data.ids_of_files().tolist()
        ({0: 'square', 1: 'disc'}, [1, 0])
    """

    def __init__(self, data: DataSet) -> None:
        self._data = data
        self._order: ClassOrder | None = None
        self._scans: dict[str, ScanResult] = {}

    @property
    def names(self) -> dict[int, str]:
        """Class names by id: the data set's, or those of the model that is followed."""
        return dict(self._own if self._order is None else self._order.names)

    @property
    def _own(self) -> dict[int, str]:
        return {0: "item"} if self._data.single_cls else self._data.spec.names

    def ids_of_files(self) -> NDArray[np.int64] | None:
        """Return the id that each of the model's classes has in the files, (C,); None where they are the same."""
        return None if self._order is None else self._order.to_data()

    def scan(self, scan: ScanResult) -> ScanResult:
        """Return a split, which is scanned with the ids of its files, with those of the model."""
        if self._order is None or self._order.ids is None:
            return scan
        if scan.split not in self._scans:
            self._scans[scan.split] = renumbered(scan, self._order.ids)
        return self._scans[scan.split]

    def follow(self, names: Mapping[int, str], source: str, predicting: bool) -> None:
        """Follow a model's order from here on, and say so if it is another one.

        Args:
            names: class names by the model's ids.
            source: file of the model.
            predicting: there are no labels; a data set counts that is there and that somebody named.

        Raises:
            WeightsError: it knows other classes than the data set has.
        """
        before = self.ids_of_files()
        self._order = self._if_there(names, source) if predicting else self._match(names, source)
        after = self.ids_of_files()
        if after is not None and before is not None and (before == after).all():
            return
        self._scans.clear()
        if after is not None:
            theirs, ours = (", ".join(each.values()) for each in (names, self._own))
            tell_user(
                f"{self._data.spec.file} has its classes in another order ({ours}) than {source} ({theirs}): they are "
                "matched by their names, and go by the model's order"
                + (", in labels/*.txt by the data set's" if predicting else "")
            )

    def _match(
        self, names: Mapping[int, str], source: str, remedies: Sequence[str] = (TRAINED_FOR, ADAPT)
    ) -> ClassOrder:
        single, file = self._data.single_cls, str(self._data.spec.file)
        if single and len(names) > 1:
            remedies = ("leave out --data.single_cls true, which makes all classes of the data set one", *remedies)
            file += " with --data.single_cls true"
        own = names if single and len(names) == 1 else self._own
        return match_classes(names, own, source, file, self._data.match_classes, remedies)

    def _if_there(self, names: Mapping[int, str], source: str) -> ClassOrder | None:
        with suppress(DataError):
            if os.path.exists(self._data.data_yaml):
                try:
                    return self._match(names, source, (TRAINED_FOR, "leave out --data.data_yaml"))
                except WeightsError:
                    if self._data.data_yaml != DEFAULT_DATA:
                        raise
        return None
