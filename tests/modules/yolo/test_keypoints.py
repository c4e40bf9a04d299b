"""Networks with keypoints, each held against Ultralytics itself in this process."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ultralytics import YOLO
from ultralytics.cfg import get_cfg
from ultralytics.models.yolo.pose import PosePredictor, PoseTrainer, PoseValidator
from ultralytics.nn.tasks import PoseModel
from ultralytics.utils.loss import v8PoseLoss
from ultralytics.utils.metrics import OKS_SIGMA

from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.pose import PoseGains, PoseModule
from aigp_lightning.modules.yolo.build import build_model, keypoint_shape, prepare_model
from aigp_lightning.modules.yolo.criterion import PoseCriterion
from aigp_lightning.modules.yolo.metrics import oks_sigmas
from aigp_lightning.modules.yolo.own_keypoints import keypoints_of
from aigp_lightning.modules.yolo.transfer import transfer_weights
from aigp_lightning.modules.yolo.weights import load_weights, save_pt
from aigp_lightning.types import Keypoints

NAMES = {0: "gate", 1: "flag"}
SIZE = 64
LOSSES = ["box_loss", "pose_loss", "kobj_loss", "cls_loss", "dfl_loss"]
CORNERS = ("tl", "tr", "br", "bl")
SIGMAS = (0.1, 0.2, 0.3, 0.4)
KINDS = {
    "visible": Keypoints(4, 3, CORNERS),
    "plain": Keypoints(4, 2, CORNERS),
    "sigmas": Keypoints(4, 3, CORNERS, sigmas=SIGMAS),
    "person": Keypoints(17, 3, tuple(map(str, range(17)))),
}

pytestmark = pytest.mark.usefixtures("one_thread")


def build(keypoints: Keypoints, variant: Any = "yolo11n-pose") -> torch.nn.Module:
    """Random weights, awake: scores and keypoints that differ from place to place."""
    torch.manual_seed(0)
    model = build_model(variant, NAMES, PoseGains().__dict__, "pose", keypoints)
    head: Any = model.model[-1]  # type: ignore[index]
    random = torch.Generator().manual_seed(1)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1, generator=random)  # type: ignore[union-attr]
            layer.running_var.uniform_(0.5, 2, generator=random)  # type: ignore[union-attr]
    for box, score, points in zip(head.cv2, head.cv3, getattr(head, "cv4_kpts", head.cv4), strict=True):
        score[-1].weight.data.normal_(0, 1.0, generator=random)
        score[-1].bias.data[:] = torch.tensor([-1.0, -2.0])
        box[-1].bias.data.copy_(-1.5 * torch.arange(len(box[-1].bias) // 4).sub(1.5).abs().repeat(4))  # small boxes
        last = points if isinstance(points, torch.nn.Conv2d) else points[-1]
        last.weight.data.normal_(0, 0.3, generator=random)
    return model


@pytest.fixture(scope="module")
def models() -> dict[str, torch.nn.Module]:
    """One of each kind; tests that change a model copy it first."""
    return {kind: build(keypoints) for kind, keypoints in KINDS.items()}


def module_of(models: dict[str, torch.nn.Module], kind: str, training: bool = False) -> PoseModule:
    module = PoseModule(channels_last=False)  # the layout that Ultralytics takes, so that roundings are the same
    module.keypoints = KINDS[kind]
    module.set_network(deepcopy(models[kind]).train(training))
    return module


def theirs_of(models: dict[str, torch.nn.Module], kind: str) -> PoseModel:
    """Ultralytics' own model with the same weights, prepared by its own trainer's lines."""
    keypoints = KINDS[kind]
    data = {"nc": 2, "names": NAMES, "channels": 3, "kpt_shape": [keypoints.count, keypoints.numbers]}
    if keypoints.sigmas is not None:
        data["kpt_oks_sigmas"] = list(keypoints.sigmas)
    trainer: Any = SimpleNamespace(data=data, args=get_cfg())
    model = PoseModel("yolo11n-pose.yaml", nc=2, data_kpt_shape=data["kpt_shape"], verbose=False)
    model.load_state_dict(models[kind].state_dict())
    trainer.model = model
    holder = PoseTrainer.__new__(PoseTrainer)
    holder.__dict__.update(vars(trainer))
    PoseTrainer.set_model_attributes(holder)
    return model


def labelled_batch(keypoints: Keypoints, count: int = 3, seed: int = 0, labels: int = 4) -> dict[str, Any]:
    """So many objects an image with keypoints of every visibility, but none in the last image."""
    random = torch.Generator().manual_seed(seed)
    boxes = (count - 1) * labels
    centres = torch.rand(boxes, 4, generator=random) * 0.4 + 0.2
    near = centres[:, None, :2] + (torch.rand(boxes, keypoints.count, 2, generator=random) - 0.5) * 0.4
    seen = torch.randint(0, 3, (boxes, keypoints.count, 1), generator=random).float()
    return {
        "img": torch.rand(count, 3, SIZE, SIZE, generator=random),
        "cls": torch.randint(0, 2, (boxes,), generator=random),
        "bboxes": centres,
        "batch_idx": torch.arange(count - 1).repeat_interleave(labels),
        "keypoints": torch.cat((near, seen.clamp(max=1) if keypoints.numbers == 2 else seen), -1),
    }


# ---- model and loss -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_loss(models, kind, training):
    """Same weights, same batch: total, the five components and every gradient."""
    module, theirs = module_of(models, kind, training), theirs_of(models, kind).train(training)
    batch = labelled_batch(KINDS[kind])
    loss, items = module.compute_loss(batch)
    loss.backward()
    their_loss, their_items = theirs({**batch, "cls": batch["cls"].float()[:, None]})
    their_loss.sum().backward()
    assert type(theirs.criterion) is v8PoseLoss
    assert type(module.network.criterion) is PoseCriterion
    assert list(items) == list(their_items) == list(module.loss_names) == LOSSES
    torch.testing.assert_close(loss, their_loss.sum(), atol=0, rtol=1e-6)
    for key, value in items.items():
        torch.testing.assert_close(value, their_items[key], atol=0, rtol=1e-6, msg=key)
    assert (items["kobj_loss"] > 0) == (KINDS[kind].numbers == 3)
    assert items["pose_loss"] > 0
    gradients = dict(theirs.named_parameters())
    for name, parameter in module.network.named_parameters():
        if parameter.requires_grad:
            # By length: eighty layers make more of a rounding in some small element. test_criterion.py compares what
            # comes out of the loss itself, number by number.
            wanted = gradients[name].grad
            assert (parameter.grad - wanted).norm() <= 1e-5 * wanted.norm() + 1e-5, name


def test_sigmas_change_the_loss(models):
    batch = labelled_batch(KINDS["visible"])
    plain = deepcopy(models["visible"]).loss(batch)[1]
    other = prepare_model(deepcopy(models["visible"]), NAMES, {}, "pose", keypoints=KINDS["sigmas"])
    items = other.loss(batch)[1]
    assert items["pose_loss"] != plain["pose_loss"]
    assert items["box_loss"] == plain["box_loss"]
    torch.testing.assert_close(other.criterion.keypoint_loss.sigmas, torch.tensor(SIGMAS))


@pytest.mark.parametrize(("kind", "sigmas"), [("visible", [0.25] * 4), ("plain", [0.25] * 4), ("person", OKS_SIGMA)])
def test_sigmas_where_nobody_said(models, kind, sigmas):
    """Loss and metrics take the same."""
    torch.testing.assert_close(oks_sigmas(KINDS[kind]), torch.tensor(sigmas, dtype=torch.float32))
    batch = labelled_batch(KINDS[kind])
    model = deepcopy(models[kind])
    model.loss(batch)
    torch.testing.assert_close(model.criterion.keypoint_loss.sigmas, oks_sigmas(KINDS[kind]), check_dtype=False)


def test_persons_have_their_sigmas_whatever_the_yaml_said(models):
    """A model YAML of other keypoints, as a checkpoint's, adapted to persons."""
    model = build_model(models["visible"].yaml, NAMES, {}, "pose", KINDS["person"])
    model.loss(labelled_batch(KINDS["person"]))
    torch.testing.assert_close(model.criterion.keypoint_loss.sigmas.double(), torch.from_numpy(OKS_SIGMA).double())


@pytest.mark.parametrize("kind", ["visible", "plain"])
def test_loss_without_any_label(models, kind):
    """The keypoint branch takes part, with gradients of zero, which DDP needs."""
    module, theirs = module_of(models, kind, True), theirs_of(models, kind).train()
    batch = labelled_batch(KINDS[kind], labels=0)
    loss, items = module.compute_loss(batch)
    loss.backward()
    _, their_items = theirs({**batch, "cls": batch["cls"].float()[:, None]})
    assert {key: float(value) for key, value in items.items()} == pytest.approx(
        {key: float(value) for key, value in their_items.items()}, rel=1e-6
    )
    assert items["pose_loss"] == items["kobj_loss"] == items["box_loss"] == 0 < items["cls_loss"]
    points = [p for name, p in module.network.named_parameters() if ".cv4." in name]
    assert len(points) > 10
    assert all(p.grad is not None and not p.grad.any() for p in points)


def test_gains_scale_the_components(models):
    batch = labelled_batch(KINDS["visible"])
    plain = deepcopy(models["visible"]).loss(batch)[1]
    gains = {"box": 15.0, "cls": 0.5, "dfl": 0.75, "pose": 24.0, "kobj": 0.25}
    other = prepare_model(deepcopy(models["visible"]), NAMES, gains, "pose").loss(batch)[1]
    assert [float(other[key] / plain[key]) for key in LOSSES] == pytest.approx([2, 2, 0.25, 1, 0.5], rel=1e-5)


def test_default_gains_are_ultralytics_own():
    assert PoseGains().__dict__ == {key: getattr(get_cfg(), key) for key in PoseGains().__dict__}


@pytest.mark.parametrize("variant", ["yolov8n-pose", "yolo26n-pose"])
def test_other_variants(variant):
    """Heads with a second branch or more components use the one that Ultralytics' trainer validates."""
    module = PoseModule(variant)
    module.keypoints = KINDS["visible"]
    module.set_network(build(KINDS["visible"], variant).eval())
    with torch.no_grad():
        output = module.evaluate(labelled_batch(KINDS["visible"]))
    assert list(module.loss_names) == list(output["loss_items"])
    assert {"box_loss", "pose_loss", "kobj_loss", "cls_loss"} < set(module.loss_names)
    assert ("rle_loss" in module.loss_names) == ("26" in variant)
    for found in output["predictions"]:
        assert found.keypoints.shape == (len(found.boxes), 4, 3)
        assert 0 <= found.keypoints[..., 2].min() <= found.keypoints[..., 2].max() <= 1


@pytest.mark.parametrize("variant", ["yolo11n", "yolo11n-seg"])
def test_a_variant_without_keypoints(variant):
    with pytest.raises(WeightsError, match=rf"cannot build the model '{variant}'.*such as yolo11n-pose"):
        build_model(variant, NAMES, {}, "pose", KINDS["visible"])


def test_rebuilt_from_its_own_description(models):
    """The description is plain values, and knows the shape of the keypoints."""
    for kind, keypoints in KINDS.items():
        yaml = models[kind].yaml
        assert yaml["kpt_shape"] == [keypoints.count, keypoints.numbers]
        again = build_model(yaml, NAMES, {}, "pose")
        again.load_state_dict(models[kind].state_dict())
        assert again.yaml == yaml
        assert keypoint_shape(again) == (keypoints.count, keypoints.numbers)


# ---- predictions ----------------------------------------------------------------------------------------------------


def rows_by_their_validator(models, kind, images, conf=0.001, multi_label=True) -> list[dict[str, torch.Tensor]]:
    arguments = {"conf": conf, "iou": 0.7, "max_det": 300, "plots": False, "imgsz": SIZE, "mode": "val"}
    validator: Any = PoseValidator(args=arguments, save_dir=Path("unused"))
    keypoints = KINDS[kind]
    validator.kpt_shape, validator.nc, validator.end2end = [keypoints.count, keypoints.numbers], 2, False
    with torch.no_grad():
        return validator.postprocess(theirs_of(models, kind).eval()(images))


@pytest.mark.parametrize("kind", KINDS)
def test_evaluate_finds_what_their_validator_finds(models, kind):
    """Boxes, scores, classes and keypoints, all of them; and the loss of the same pass."""
    module, batch = module_of(models, kind), labelled_batch(KINDS[kind])
    with torch.no_grad():
        output = module.evaluate(batch)
        raw = theirs_of(models, kind).eval()
        items = raw.loss({**batch, "cls": batch["cls"][:, None]}, raw(batch["img"]))[1]
    assert {key: float(value) for key, value in output["loss_items"].items()} == pytest.approx(
        {key: float(value) for key, value in items.items()}, rel=1e-6
    )
    expected = rows_by_their_validator(models, kind, batch["img"])
    numbers = KINDS[kind].numbers
    for mine, theirs in zip(output["predictions"], expected, strict=True):
        assert len(mine.boxes) > 50
        torch.testing.assert_close(mine.boxes, theirs["bboxes"], atol=1e-4, rtol=0)
        torch.testing.assert_close(mine.scores, theirs["conf"], atol=1e-6, rtol=0)
        assert torch.equal(mine.labels, theirs["cls"].long())
        assert mine.keypoints.shape == (len(mine.boxes), KINDS[kind].count, 3)
        torch.testing.assert_close(mine.keypoints[..., :numbers], theirs["keypoints"], atol=1e-4, rtol=1e-6)
        if numbers == 2:
            assert (mine.keypoints[..., 2] == 1).all()
        else:
            assert 0 < mine.keypoints[..., 2].min() < mine.keypoints[..., 2].max() < 1


@pytest.mark.parametrize("kind", ["visible", "plain"])
def test_predict_batch_finds_what_yolo_predicts(models, kind, tmp_path):
    """In pixels of the network's input, here the picture itself; Ultralytics clips keypoints to it, we don't."""
    save_pt(tmp_path / "a.pt", models[kind])
    image = (labelled_batch(KINDS[kind])["img"][0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    module = PoseModule(weights=str(tmp_path / "a.pt"))
    module.set_network(module.build_network(None).eval())
    batch = {"img": torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255}
    with torch.no_grad():
        (mine,) = module.predict_batch(batch, 0.25)
    model = YOLO(tmp_path / "a.pt")
    bgr = np.ascontiguousarray(image[..., ::-1])
    theirs = model.predict(bgr, imgsz=SIZE, conf=0.25, iou=0.7, device="cpu", verbose=False)[0]
    assert isinstance(model.predictor, PosePredictor)
    assert len(mine.boxes) > 3
    assert theirs.keypoints.has_visible == (kind == "visible")
    found = [mine.boxes.clamp(0, SIZE), mine.labels[:, None] * 100, mine.keypoints[..., :2].clamp(0, SIZE).flatten(1)]
    expected = [theirs.boxes.xyxy, theirs.boxes.cls[:, None] * 100, theirs.keypoints.xy.flatten(1)]
    if kind == "visible":
        found.append(mine.keypoints[..., 2] * 10)
        expected.append(theirs.keypoints.conf * 10)
    # fused layers round otherwise, so that close scores may change places
    gaps = torch.cdist(torch.cat(found, 1), torch.cat(expected, 1), p=float("inf"))
    assert gaps.shape[0] == gaps.shape[1]
    assert gaps.min(0).values.max() < 0.01
    torch.testing.assert_close(theirs.boxes.conf, mine.scores, atol=1e-3, rtol=0)


def test_nothing_found(models):
    module = module_of(models, "visible")
    with torch.no_grad():
        found = module.predict_batch({"img": torch.zeros(2, 3, SIZE, SIZE)}, 0.9999)
    assert [one.keypoints.shape for one in found] == [(0, 4, 3)] * 2


# ---- files and weights ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_saved_file_opens_in_yolo(models, kind, tmp_path):
    """With all that Ultralytics' own trainer would have said about its keypoints."""
    keypoints = KINDS[kind]
    save_pt(tmp_path / "a.pt", models[kind])
    model = YOLO(tmp_path / "a.pt")
    reference = theirs_of(models, kind)
    assert (model.task, model.names, model.ckpt["train_args"]["task"]) == ("pose", NAMES, "pose")
    assert list(model.model.kpt_shape) == list(reference.kpt_shape) == [keypoints.count, keypoints.numbers]
    assert model.model.kpt_names == {0: list(keypoints.names), 1: list(keypoints.names)}
    assert model.model.kpt_names.keys() == reference.kpt_names.keys()
    assert model.model.kpt_oks_sigmas == reference.kpt_oks_sigmas
    read = keypoints_of(load_weights(tmp_path / "a.pt"), (keypoints.count, keypoints.numbers))
    assert (read.count, read.numbers, read.names) == (keypoints.count, keypoints.numbers, keypoints.names)
    assert read.sigmas == keypoints.sigmas


def test_transfer_to_another_number_of_keypoints(models):
    """The layers that give the keypoints start anew, all others are taken."""
    model = build_model("yolo11n-pose", NAMES, {}, "pose", Keypoints(5, 3, tuple("abcde")))
    taken, total = transfer_weights(model, deepcopy(models["visible"]))
    fitting = [k for k, v in models["visible"].state_dict().items() if v.shape == model.state_dict()[k].shape]
    assert 0 < total - taken == total - len(fitting)
    assert all(".cv4." in key for key in set(model.state_dict()) - set(fitting))
    assert keypoint_shape(model) == (5, 3)
    assert model.kpt_names[0] == list("abcde")
