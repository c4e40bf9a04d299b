"""Networks and losses, each held against Ultralytics itself in this process."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
import ultralytics
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel
from yolo_networks import NAMES, SIZE, labelled_batch

from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.yolo.build import build_model, prepare_model, stride_of
from aigp_lightning.types import Keypoints

pytestmark = pytest.mark.usefixtures("one_thread")


def test_version_is_the_one_these_tests_were_written_for():
    assert ultralytics.__version__.startswith("8.4.")
    assert torch.serialization.get_unsafe_globals_in_checkpoint  # restricted loading rests on it: torch 2.6


@pytest.fixture(scope="module")
def reference(built) -> DetectionModel:
    """Ultralytics' own model with the same weights, prepared as its trainer does."""
    model = DetectionModel("yolo11n.yaml", nc=2, verbose=False)
    model.load_state_dict(built.state_dict())
    model.args = get_cfg()
    return model


@pytest.mark.parametrize("training", [True, False])
def test_loss(built, reference, training):
    """Same weights, same batch: total, components and gradient; labels int64 (N,) here, float (N, 1) there."""
    module = DetectorModule()
    module.set_network(deepcopy(built).train(training))
    batch = labelled_batch()
    loss, items = module.compute_loss(batch)
    loss.backward()
    theirs = deepcopy(reference).train(training)
    their_loss, their_items = theirs({**batch, "cls": batch["cls"].float()[:, None]})
    their_loss.sum().backward()
    assert list(items) == list(their_items) == ["box_loss", "cls_loss", "dfl_loss"]
    torch.testing.assert_close(loss, their_loss.sum(), atol=0, rtol=1e-5)
    for key, value in items.items():
        torch.testing.assert_close(value, their_items[key], atol=0, rtol=1e-5)
    gradients = dict(theirs.named_parameters())
    for name, parameter in module.network.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, gradients[name].grad, atol=1e-3, rtol=1e-3)


def test_evaluate_gives_loss_and_predictions_of_one_pass(built, reference):
    module = DetectorModule()
    module.set_network(deepcopy(built).eval())
    batch = labelled_batch()
    with torch.no_grad():
        output = module.evaluate(batch)
        raw = deepcopy(reference).eval()(batch["img"])
        _, items = deepcopy(reference).eval().loss({**batch, "cls": batch["cls"][:, None]}, raw)
    for key, value in output["loss_items"].items():
        torch.testing.assert_close(value, items[key], atol=0, rtol=1e-5)
    assert len(output["predictions"]) == 3


def test_gains_scale_the_components(built):
    batch = labelled_batch()
    plain = deepcopy(built).loss(batch)[1]
    gains = {"box": 15.0, "cls": 0.5, "dfl": 0.75}
    other = prepare_model(deepcopy(built), NAMES, gains, "detect").loss(batch)[1]
    ratios = [float(other[key] / plain[key]) for key in plain]
    assert ratios == pytest.approx([2, 1, 0.5], rel=1e-5)


def test_only_the_dfl_projection_is_constant(built):
    constant = [name for name, parameter in built.named_parameters() if not parameter.requires_grad]
    assert constant == ["model.23.dfl.conv.weight"]


@pytest.mark.parametrize("variant", ["yolo99n", "absent/net.yaml", "https://example.invalid/yolo11n.yaml", ""])
def test_unknown_variant(no_network, variant):
    with pytest.raises(WeightsError, match=f"cannot build the model '{variant}'"):
        build_model(variant, NAMES, {})


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "__import__('pathlib').Path('ran').touch() or nn.SiLU()"},
        {"backbone": [[-1, 1, "torch_safe_load", ["x.pt"]]]},
    ],
)
def test_a_description_is_not_evaluated(built, tmp_path, change):
    """Descriptions come from checkpoint files; Ultralytics on its own would evaluate these."""
    with pytest.raises(WeightsError, match="cannot build the model 'from YAML'"):
        build_model({**built.yaml, **change}, NAMES, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("variant", "task"), [("yolov8n", "detect"), ("yolo26n", "detect"), ("yolo11n-pose", "pose")])
def test_other_variants(variant, task):
    """Heads with a second branch use the one that Ultralytics' trainer validates."""
    model = build_model(variant, NAMES, {}, task, Keypoints(4, 3, tuple("abcd")) if task == "pose" else None).eval()
    with torch.no_grad():
        raw = model(torch.rand(1, 3, SIZE, SIZE))[0]
    assert raw.shape == (1, 4 + 2 + (12 if task == "pose" else 0), 84)
    assert (model.nc, model.names, model.task, stride_of(model)) == (2, NAMES, task, 32)


def test_rebuilt_from_its_own_description(built):
    again = build_model(built.yaml, NAMES, {})
    again.load_state_dict(built.state_dict())
    assert again.yaml == built.yaml
