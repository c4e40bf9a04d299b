"""Class rows of the weights that a training starts from: by name or by number, as by Ultralytics' `cls_remap`."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from fuzz.generators import TINY

from aigp_lightning.modules.building import matches_by_name
from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.transfer import class_rows, transfer_weights


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize(
    ("names", "by_names", "by_numbers"),
    [
        (["tree", "gate"], "2 of 2 classes by name, whose order is another there", "all 2 classes by number"),
        (["post", "GATE "], "1 of 2 classes by name, whose order is another there", "all 2 classes by number"),
        (["post", "arch"], "no class by its name, so all by number", "all 2 classes by number"),
        (["post", "tree", "gate"], "2 of 3 classes by name, whose order is another there", "no class: 2 there, 3 here"),
        (["gate", "tree"], "2 of 2 classes by name", "all 2 classes by number"),
        (["0", "1"], "no class by its name, so all by number", "all 2 classes by number"),
    ],
)
def test_rows_go_where_ultralytics_has_them(names: list[str], by_names: str, by_numbers: str, by_name: bool) -> None:
    from ultralytics.models.yolo.detect import DetectionTrainer

    torch.manual_seed(0)
    source = build_model(TINY, {0: "gate", 1: "tree"}, {})
    ours = build_model(TINY, dict(enumerate(names)), {})
    theirs = deepcopy(ours)
    theirs.names = {number: str(number) for number in range(len(names))}  # as its constructor has them
    trainer = SimpleNamespace(args=SimpleNamespace(cls_remap=by_name), data={"names": dict(enumerate(names))})
    DetectionTrainer.set_model_names_for_load(trainer, theirs).load(deepcopy(source), verbose=False)
    transfer_weights(ours, source, by_name)
    expected = theirs.state_dict()
    for key, value in ours.state_dict().items():
        assert torch.equal(value, expected[key]), key
    assert ours.names == dict(enumerate(names))
    said = class_rows({0: "gate", 1: "tree"}, dict(enumerate(names)), by_name)
    assert said == (by_names if by_name else by_numbers)


def test_the_option_is_that_of_the_data() -> None:
    module = SimpleNamespace(_trainer=None)
    assert matches_by_name(module)
    for rule, by_name in (("name", True), ("number", False)):
        module._trainer = SimpleNamespace(datamodule=SimpleNamespace(match_classes=rule))
        assert matches_by_name(module) == by_name
