"""Test-time augmentation and suppression across classes, held against Ultralytics' own."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
import torchvision  # noqa: F401  without it Ultralytics suppresses by slower code, and equal scores in any order
from ultralytics.utils.nms import non_max_suppression
from yolo_networks import GAINS, NAMES, labelled_batch

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.pose import PoseModule
from aigp_lightning.modules.yolo.augmented import augmented_outputs
from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.nms import Rule, nms, nms_at_once, nms_by_image
from aigp_lightning.types import Keypoints

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def awake(built) -> torch.nn.Module:
    """Random class scores, some of them high."""
    network = deepcopy(built).eval()
    for branch in network.model[-1].cv3:
        torch.nn.init.normal_(branch[-1].weight, std=2.0)
        torch.nn.init.zeros_(branch[-1].bias)
    return network


@torch.no_grad()
@pytest.mark.parametrize("shape", [(64, 64), (64, 96), (160, 128)])
def test_views_as_ultralytics(awake, shape):
    images = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(1))
    theirs = awake._predict_augment(images.clone())[0]
    ours, raw = augmented_outputs(awake, images)
    assert torch.equal(ours, theirs)
    assert ours.shape[-1] > awake(images)[0].shape[-1]
    assert torch.equal(raw["scores"], awake(images)[1]["scores"])  # of the image as it is: the loss goes by it


@torch.no_grad()
def test_module_uses_them_outside_training(awake):
    batch = labelled_batch()
    module, plain = DetectorModule(tta=True, agnostic_nms=True).eval(), DetectorModule().eval()
    for each in (module, plain):
        each.set_network(deepcopy(awake))
    theirs = non_max_suppression(awake._predict_augment(batch["img"])[0], 0.25, 0.7, agnostic=True, nc=2, max_det=300)
    for found, expected in zip(module.predict_batch(batch, 0.25), theirs, strict=True):
        torch.testing.assert_close(found.boxes, expected[:, :4], rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(found.scores, expected[:, 4], rtol=1e-4, atol=1e-5)
        assert found.labels.tolist() == expected[:, 5].tolist()
    ours, other = module.evaluate(batch), plain.evaluate(batch)
    for name, value in other["loss_items"].items():
        torch.testing.assert_close(ours["loss_items"][name], value)
    assert {"agnostic_nms": True, "tta": True}.items() <= module.checkpoint_options().items()


@pytest.mark.parametrize("multi_label", [True, False])
def test_agnostic_suppression_as_ultralytics(multi_label):
    random = torch.Generator().manual_seed(3)
    raw = torch.rand(2, 4 + 3, 60, generator=random)
    raw[:, :4] = raw[:, :4] * 20 + 10
    theirs = non_max_suppression(raw.clone(), 0.1, 0.5, agnostic=True, multi_label=multi_label, max_det=300, nc=3)
    by_class = nms(raw.clone(), 0.1, 0.5, 300, 3, multi_label)
    for suppress in (nms_by_image, nms_at_once):
        mine = suppress(raw.clone(), Rule(0.1, 0.5, 300, 3, multi_label, agnostic=True))
        for rows, expected, others in zip(mine, theirs, by_class, strict=True):
            assert torch.equal(rows, expected)
            assert 0 < len(rows) < len(others)


def test_heads_without_it_are_refused():
    module = PoseModule(tta=True)
    module.keypoints = Keypoints(4, 3, ("a", "b", "c", "d"))
    with pytest.raises(ConfigError, match=r"--model\.tta true: a head of class Pose has no test-time augmentation"):
        module.set_network(module.build_network(NAMES))
    two_heads = build_model("yolo26n", NAMES, GAINS)
    DetectorModule(tta=True).set_network(two_heads)
    with pytest.raises(ConfigError, match="Detect without NMS has no"):
        DetectorModule(tta=True, nms_free=True).set_network(two_heads)
