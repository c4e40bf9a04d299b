"""Frozen layers, held against Ultralytics' trainer: the same parameters, and the same batch norms stand still."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from ultralytics.engine.trainer import BaseTrainer

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.yolo.freezing import check_freeze, freeze, hold_statistics

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("ours", "theirs", "count"),
    [
        (0, [], 0),
        (10, list(range(10)), 99),
        ([0, 2], [0, 2], 15),
        (["23.cv2", 1], ["23.cv2", 1], 27),
        (["model.0.", "23.cv3.0"], [0, "23.cv3.0"], 17),
        (["0.bn"], ["0.bn"], 2),
    ],
)
def test_as_ultralytics(built, ours, theirs, count):
    network, prefixes = deepcopy(built).train(), [f"model.{each}." for each in theirs] + [".dfl"]
    held = freeze(network, ours)
    expected = {name for name, _ in network.named_parameters() if any(prefix in name for prefix in prefixes)}
    frozen = {name for name, value in network.named_parameters() if not value.requires_grad}
    assert frozen == expected
    assert len(frozen) == count + 1  # the projection of the box sides is never trained

    other = deepcopy(built)
    BaseTrainer._model_train(SimpleNamespace(model=other, freeze_layer_names=prefixes))
    hold_statistics(network, held)
    training = [{name for name, module in each.named_modules() if module.training} for each in (network, other)]
    assert training[0] == training[1]


def test_statistics_of_frozen_layers_stay(built):
    network = deepcopy(built).train()
    hold_statistics(network, freeze(network, [0, "23.cv2"]))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(torch.rand(2, 3, 64, 64))
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert "model.1.bn.running_mean" in moved
    assert not [name for name in moved if name.startswith(("model.0.", "model.23.cv2."))]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ([99], r"--model\.freeze \[99\]: the network has no 99\. Its layers are 0 to 23"),
        (["23.cv9", 0], "the network has no 23.cv9"),
        (["0.conv.weight"], "the network has no 0.conv.weight"),
        (24, "--model.freeze 24: the network has 24 layers; leave some"),
        (list(range(24)), "leave some"),
        (1000, "leave some"),
    ],
)
def test_what_is_not_there_is_refused(built, asked, told):
    network = deepcopy(built)
    with pytest.raises(ConfigError, match=told):
        freeze(network, asked)
    assert sum(not value.requires_grad for value in network.parameters()) == 1


@pytest.mark.parametrize(
    ("asked", "told"), [(-1, "a number from 0"), ([-2], "a number from 0"), ([""], "names no mod")]
)
def test_values_that_name_nothing(asked, told):
    with pytest.raises(ConfigError, match=told):
        check_freeze(asked)
