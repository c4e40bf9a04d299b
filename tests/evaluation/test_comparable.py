"""Two models' results are brought into one order of images and classes, by name; what cannot be is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hand_made_results import results_of

from aigp_lightning.errors import DataError, WeightsError
from aigp_lightning.evaluation.comparable import align
from aigp_lightning.modules.metrics.image_results import SHAPES, ImageResults

PICTURES = [[(0, 0.9), (1, 0.0)], [(1, 0.8)], [], [(0, 0.4), (1, 0.7)]]
FALSE = [[], [(0, 0.3)], [(0, 0.6)], []]


def other_order(results: ImageResults, order: list[int], names: dict[int, str]) -> ImageResults:
    """The same results with the images in another order and the classes by other numbers."""
    place = np.argsort(order)
    ids = {results.names[key]: key for key in results.names}
    number = np.array([{name: key for key, name in names.items()}[name] for name in ids], np.int32)
    rows = {axis: np.argsort(place[getattr(results, f"{axis}_image")], kind="stable") for axis in ("found", "true")}
    new_row = np.append(np.argsort(rows["true"]), -1).astype(np.int32)
    by_axis = {"d": rows["found"], "t": rows["true"], "n": order}
    moved = {name: getattr(results, name)[by_axis[axis]] for name, (_, axis, _) in SHAPES.items()}
    moved |= {"match": new_row[moved["match"]]}
    moved |= {f"{axis}_image": place[moved[f"{axis}_image"]].astype(np.int32) for axis in ("found", "true")}
    moved |= {f"{axis}_label": number[moved[f"{axis}_label"]] for axis in ("found", "true")}
    about = {**results.about, "names": {str(key): name for key, name in names.items()}}
    return replace(results, files=tuple(results.files[i] for i in order), about=about, **moved)


def test_another_order_of_images_and_classes_comes_out_the_same() -> None:
    candidate = results_of(PICTURES, FALSE)
    reference = other_order(candidate, [3, 1, 0, 2], {0: "tree", 1: "gate"})
    assert reference.files != candidate.files and (reference.found_label != candidate.found_label).any()
    aligned = align(reference, candidate)
    assert aligned.files == candidate.files and aligned.names == candidate.names
    for name in SHAPES:
        np.testing.assert_array_equal(getattr(aligned, name), getattr(candidate, name), err_msg=name)


def test_names_are_matched_however_their_letters_are_composed() -> None:
    one, other = (
        results_of(PICTURES, names={0: "to\u0308r", 1: "tree"}),
        results_of(PICTURES, names={0: "tree", 1: "t\u00f6r"}),
    )
    other = replace(other, **{f"{axis}_label": 1 - getattr(other, f"{axis}_label") for axis in ("found", "true")})
    assert align(one, other).true_label.tolist() == other.true_label.tolist()


def test_other_classes_and_tasks_are_refused_in_one_line() -> None:
    one, other = results_of(PICTURES), results_of(PICTURES, names={0: "gate", 1: "bush\n"})
    with pytest.raises(WeightsError) as refused:
        align(one, other)
    assert str(refused.value) == (
        "A and B have other classes: A alone knows tree; B alone knows bush\\n. Compare models of the same classes."
    )
    with pytest.raises(WeightsError, match="A is of task detect and B of task pose"):
        align(one, results_of(PICTURES, task="pose"))


def test_other_images_and_labels_are_refused() -> None:
    one = results_of(PICTURES)
    with pytest.raises(DataError, match="not measured on the same images: 1 are of the second alone, as 003"):
        align(one, results_of(PICTURES[:3]))
    with pytest.raises(DataError, match=r"the labels of 002\.png are not the same for both"):
        align(one, results_of([*PICTURES[:2], [(0, 0.0)], PICTURES[3]]))
    with pytest.raises(DataError, match=r"^001\.png has other labels for A than for B"):
        align(one, results_of([PICTURES[0], [(0, 0.8)], *PICTURES[2:]]))
