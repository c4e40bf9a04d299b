"""A model's classes against a data set's: matched by their names, or by their numbers if that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import ConfigError, WeightsError, printable

if TYPE_CHECKING:
    from aigp_lightning.data.records import ScanResult

BY_NAME, BY_NUMBER = "name", "number"
"""Values of `--data.match_classes`."""
MOST_ROWS = 20
"""Rows of a table of classes; of more, those that differ first."""
NO_NAME = "–"
TRAINED_FOR = "take the data set that the model was trained for"
ADAPT = "have `fit --model.weights FILE` adapt it"


@runtime_checkable
class FollowsClasses(Protocol):
    """A datamodule that matches its classes with those of a trained model."""

    def follow_classes(self, names: Mapping[int, str], source: str) -> None:
        """Give labels the class ids of a model, whose file `source` is, or refuse its classes."""

    def ids_of_files(self) -> NDArray[np.int64] | None:
        """Return the id that each of the model's classes has in the files, (C,); None where they are the same."""


@dataclass(frozen=True)
class ClassOrder:
    """A model's class names, and the ids that a data set's classes have there.

    Attributes:
        names: class names by the model's ids.
        ids: (C,) the model's id of each class of the data set; None where they are the same.

    Example:
        >>> ClassOrder({0: "disc", 1: "square"}, np.array([1, 0])).to_data().tolist()
        [1, 0]
    """

    names: dict[int, str]
    ids: NDArray[np.int64] | None = None

    def to_data(self) -> NDArray[np.int64] | None:
        """Return the data set's id of each of the model's classes, (C,); None where they are the same."""
        return None if self.ids is None else np.argsort(self.ids)


def plain_name(name: str) -> str:
    """Return a class name without its case, spaces around it, and how Unicode composes its letters.

    Args:
        name: of a class.

    Example:
        >>> plain_name(" Gate")
        'gate'
    """
    return _composed(name).strip().lower()


def check_rule(rule: str) -> None:
    """Refuse a value of `--data.match_classes` that is none.

    Args:
        rule: the value.

    Raises:
        ConfigError: it is none.

    Example:
        >>> check_rule("number")
    """
    if rule not in (BY_NAME, BY_NUMBER):
        raise ConfigError(f"--data.match_classes {rule}: it is {BY_NAME} or {BY_NUMBER}.")


def match_classes(
    model: Mapping[int, str],
    data: Mapping[int, str],
    model_file: str,
    data_file: str,
    rule: str = BY_NAME,
    remedies: Sequence[str] = (TRAINED_FOR, ADAPT),
) -> ClassOrder:
    r"""Match the classes of a model and of a data set.

    Names are compared as they are, but for how Unicode composes their letters.

    Args:
        model: class names by the model's ids.
        data: class names by the data set's ids.
        model_file: file of the model, for errors.
        data_file: the `data.yaml`, for errors.
        rule: `name`, or `number` for ids as they are, whatever the names.
        remedies: other ways out than an option of the classes, for errors.

    Returns:
        The order of the model; by number the names are the data set's.

    Raises:
        WeightsError: the names are others, or by number there are more or fewer.

    Example:
        >>> match_classes({0: "square", 1: "disc"}, {0: "disc", 1: "square"}, "best.pt", "data.yaml").ids.tolist()
        [1, 0]
        >>> try:
        ...     match_classes({0: "gate"}, {0: "gates"}, "best.pt", "data.yaml")
        ... except WeightsError as error:
        ...     print(str(error).partition("\nTake")[0])
        best.pt and data.yaml have other classes:
        id  model  data set
         0  gate   gates
    """
    theirs, ours = (list(map(_composed, names.values())) for names in (model, data))
    if rule == BY_NUMBER and len(theirs) == len(ours):
        return ClassOrder(dict(data))
    if theirs == ours:
        return ClassOrder(dict(model))
    if rule == BY_NAME and sorted(theirs) == sorted(ours) and len(set(ours)) == len(ours):
        places = {name: place for place, name in enumerate(theirs)}
        return ClassOrder(dict(model), np.array([places[name] for name in ours], np.int64))
    raise WeightsError(
        f"{model_file} and {data_file} have other classes:\n{_table(model, data)}\n"
        + _remedy(len(theirs), len(ours), rule, remedies)
    )


def _remedy(theirs: int, ours: int, rule: str, remedies: Sequence[str]) -> str:
    """Return one sentence with all ways out."""
    ways = [way for way in remedies if theirs != ours or way != ADAPT]
    if theirs == ours:
        ways.append(f"if the classes are the same by other names, add --data.match_classes {BY_NUMBER}")
    elif theirs == 1:
        ways.append("if the model takes all classes for one, add --data.single_cls true")
    text = "; or ".join(ways)
    needs = f" --data.match_classes {BY_NUMBER} needs as many." if rule == BY_NUMBER else ""
    return f"{text[0].upper()}{text[1:]}.{needs}"


def _composed(name: str) -> str:
    return normalize("NFC", name)


def _table(model: Mapping[int, str], data: Mapping[int, str]) -> str:
    """Return a table of both: id, the model's name, the data set's."""
    ids = sorted(set(model) | set(data))
    rows = [(number, printable(model.get(number, NO_NAME)), printable(data.get(number, NO_NAME))) for number in ids]
    if len(rows) > MOST_ROWS:
        rows = sorted(rows, key=lambda row: row[1] == row[2])[:MOST_ROWS]
    width = max(len("model"), *(len(row[1]) for row in rows))
    lines = [f"id  {'model':<{width}}  data set", *(f"{number:>2}  {one:<{width}}  {two}" for number, one, two in rows)]
    more = len(ids) - len(rows)
    return "\n".join([*lines, *([f"… and {more} more"] if more else [])])


def renumbered(scan: ScanResult, ids: NDArray[np.int64]) -> ScanResult:
    """Return a split whose labels have other class ids; images and boxes are shared with the first.

    Args:
        scan: a scanned split.
        ids: (C,) the new id of each class.

    Example:
        >>> from aigp_lightning.data.records import ImageRecord, ScanResult
        >>> record = ImageRecord("0.jpg", (9, 9), np.array([0, 1, 1]), np.zeros((3, 4), np.float32), None)
        >>> renumbered(ScanResult("val", [record], [], 1), np.array([1, 0])).records[0].cls.tolist()
        [1, 0, 0]
    """
    counts = np.array([len(record.cls) for record in scan.records])
    parts = np.split(ids[scan.label_table()[0]], np.cumsum(counts)[:-1])
    records = [replace(record, cls=cls) for record, cls in zip(scan.records, parts, strict=True)]
    return replace(scan, records=records)
