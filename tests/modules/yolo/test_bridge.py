"""What the bridge relies on inside Ultralytics, each held against Ultralytics itself in this process."""

from __future__ import annotations

import inspect
import os
import pickle
import socket
import textwrap
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import ultralytics
from helpers import largest_file
from ultralytics import YOLO
from ultralytics.cfg import get_cfg
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.metrics import box_iou

from aigp_lightning.errors import ConfigError, WeightsError
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.yolo.build import build_model, class_logit_parameters, class_width, prepare_model, stride_of
from aigp_lightning.modules.yolo.metrics import detection_metrics, match_predictions
from aigp_lightning.modules.yolo.nms import nms
from aigp_lightning.modules.yolo.optim import (
    OptimConfig,
    ResolvedOptimizer,
    build_optimizer,
    nominal_steps,
    resolve_optimizer,
    scaled_decay,
)
from aigp_lightning.modules.yolo.schedule import Schedule
from aigp_lightning.modules.yolo.weights import load_weights, save_pt, transfer_weights
from aigp_lightning.types import Keypoints

NAMES = {0: "gate", 1: "tree"}
SIZE = 64
GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def built() -> torch.nn.Module:
    """Random weights; tests that change the model copy it first."""
    torch.manual_seed(0)
    return build_model("yolo11n", NAMES, GAINS)


@pytest.fixture(scope="module")
def saved(built, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "best.pt"
    save_pt(path, built, epoch=7, metrics={"fitness": 0.5}, train_args={"imgsz": SIZE, "nonsense": 1})
    return path


@pytest.fixture
def no_network(monkeypatch):
    """Any attempt to open a connection fails the test."""

    def refuse(*arguments, **options):
        pytest.fail("opened a network connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def labelled_batch(count=3, seed=0) -> dict:
    """Four boxes an image, but none in the last one."""
    random = torch.Generator().manual_seed(seed)
    boxes = (count - 1) * 4
    return {
        "img": torch.rand(count, 3, SIZE, SIZE, generator=random),
        "cls": torch.randint(0, 2, (boxes,), generator=random),
        "bboxes": torch.rand(boxes, 4, generator=random) * 0.4 + 0.2,
        "batch_idx": torch.arange(count - 1).repeat_interleave(4),
    }


def test_version_is_the_one_these_tests_were_written_for():
    assert ultralytics.__version__.startswith("8.4.")
    assert torch.serialization.get_unsafe_globals_in_checkpoint  # restricted loading rests on it: torch 2.6


# ---- model and loss -------------------------------------------------------------------------------------------------


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


# ---- suppression and metrics ----------------------------------------------------------------------------------------


def raw_around(batch, seed=0) -> torch.Tensor:
    """Raw output (B, 6, 40): boxes near the labelled ones and elsewhere, some with two likely classes."""
    random = torch.Generator().manual_seed(seed)
    images, anchors = len(batch["img"]), 40
    raw = torch.rand(images, 6, anchors, generator=random)
    raw[:, :4] *= SIZE
    raw[:, 4:] = raw[:, 4:] ** 4
    for image in range(images - 1):
        mine = batch["batch_idx"] == image
        near = batch["bboxes"][mine].repeat(6, 1) * SIZE + torch.randn(24, 4, generator=random) * 1.5
        raw[image, :4, :24] = near.T
        raw[image, 4:, :24] *= 0.5
        raw[image, 4 + batch["cls"][mine].repeat(6), torch.arange(24)] += 0.4
    return raw


@pytest.fixture
def validator(tmp_path) -> DetectionValidator:
    arguments = {"conf": 0.001, "iou": 0.7, "max_det": 300, "plots": False, "imgsz": SIZE, "mode": "val"}
    made = DetectionValidator(args=arguments, save_dir=tmp_path)
    made.device, made.end2end, made.nc, made.names = torch.device("cpu"), False, 2, NAMES
    made.metrics.names = NAMES
    made.seen, made.jdict, made.eval_ids, made.is_custom_json, made.build_gdict = 0, [], None, False, False
    return made


def test_suppress(validator):
    raw = raw_around(labelled_batch())
    theirs = validator.postprocess(raw.clone())
    mine = nms(raw.clone(), 0.001, 0.7, 300, 2)
    assert [len(rows) for rows in mine] == [len(rows["conf"]) for rows in theirs]
    assert sum(map(len, mine)) > 60
    for rows, expected in zip(mine, theirs, strict=True):
        assert torch.equal(
            rows, torch.cat((expected["bboxes"], expected["conf"][:, None], expected["cls"][:, None]), 1)
        )
        assert torch.equal(rows[:, 4], rows[:, 4].sort(descending=True).values)


def test_suppress_keeps_one_label_a_box_when_asked():
    raw = torch.tensor([[[32.0, 10.0], [32.0, 10.0], [8.0, 4.0], [8.0, 4.0], [0.9, 0.1], [0.8, 0.3]]])
    both, single = (nms(raw.clone(), 0.2, 0.7, 300, 2, multi)[0] for multi in (True, False))
    corners = [28, 28, 36, 36]
    torch.testing.assert_close(both, torch.tensor([[*corners, 0.9, 0], [*corners, 0.8, 1], [8, 8, 12, 12, 0.3, 1]]))
    torch.testing.assert_close(single, torch.tensor([[*corners, 0.9, 0], [8, 8, 12, 12, 0.3, 1]]))


def test_match_predictions(validator):
    random = torch.Generator().manual_seed(3)
    true = torch.rand(6, 4, generator=random) * 20
    true[:, 2:] += true[:, :2] + 10
    boxes = true.repeat(5, 1) + torch.randn(30, 4, generator=random) * 2
    labels, true_labels = torch.randint(0, 2, (30,), generator=random), torch.randint(0, 2, (6,), generator=random)
    mine = match_predictions(boxes, labels, true, true_labels)
    assert torch.equal(mine, validator.match_predictions(labels, true_labels, box_iou(true, boxes)))
    assert mine.shape == (30, 10)
    assert 0 < mine[:, 0].sum() <= 6
    for nothing in (match_predictions(boxes[:0], labels[:0], true, true_labels),
                    match_predictions(boxes, labels, true[:0], true_labels[:0])):  # fmt: skip
        assert nothing.shape[1] == 10
        assert not nothing.any()


def test_metrics(validator):
    """Raw outputs to mAP by our module's parts, and by Ultralytics' validator."""
    from aigp_lightning.modules.metrics.detection import DetectionMetrics
    from aigp_lightning.types import Prediction

    ours = DetectionMetrics(NAMES)
    for seed in range(3):
        batch = labelled_batch(seed=seed)
        raw = raw_around(batch, seed)
        about = {"ori_shape": [(SIZE, SIZE)] * 3, "ratio_pad": [None] * 3, "im_file": ["a.jpg", "b.jpg", "c.jpg"]}
        validator.update_metrics(validator.postprocess(raw.clone()), {**batch, "cls": batch["cls"][:, None], **about})
        rows = nms(raw, 0.001, 0.7, 300, 2)
        ours.update([Prediction(row[:, :4], row[:, 4], row[:, 5].long()) for row in rows], batch)
    expected = validator.get_stats()
    assert ours.compute() == pytest.approx(expected, abs=1e-6)
    assert 0.05 < expected["metrics/mAP50-95(B)"] < expected["metrics/mAP50(B)"] < 1


def test_detection_metrics_by_hand():
    """One of two objects found, above one false alarm: precision and recall 1/2 at the end, AP50 just over 1/2."""
    correct = np.zeros((2, 10), bool)
    correct[0] = True
    metrics = detection_metrics(
        NAMES, correct, np.float32([0.9, 0.2]), np.float32([0, 0]), np.float32([0, 0]), np.float32([0])
    )
    assert metrics.box.map50 == pytest.approx(0.5, abs=0.01)
    assert metrics.box.map == pytest.approx(metrics.box.map50)
    assert metrics.ap_class_index.tolist() == [0]
    assert (metrics.nt_per_class.tolist(), metrics.nt_per_image.tolist()) == ([2, 0], [1, 0])


# ---- files ----------------------------------------------------------------------------------------------------------


def test_saved_file_opens_in_yolo(built, saved):
    model = YOLO(saved)
    assert (model.names, model.task, int(model.model.stride.max())) == (NAMES, "detect", 32)
    theirs = model.model.state_dict()
    assert theirs.keys() == built.state_dict().keys()
    for key, value in built.state_dict().items():
        assert torch.equal(theirs[key], value.half().float() if value.is_floating_point() else value), key
    result = model.predict(np.zeros((SIZE, SIZE, 3), np.uint8), imgsz=SIZE, conf=0.9, device="cpu", verbose=False)[0]
    assert (result.orig_shape, result.names) == ((SIZE, SIZE), NAMES)
    assert (model.ckpt["epoch"], model.ckpt["train_metrics"]) == (7, {"fitness": 0.5})
    assert model.ckpt["train_args"]["imgsz"] == SIZE
    assert "nonsense" not in model.ckpt["train_args"]


def test_saving_leaves_the_model_alone(built, tmp_path):
    model = deepcopy(built).train()
    model.loss(labelled_batch())[0].sum().backward()
    save_pt(tmp_path / "a.pt", model)
    assert model.training
    assert next(model.parameters()).dtype == torch.float32
    assert next(model.parameters()).grad is not None
    assert model.criterion is not None


def test_saving_after_validation_in_inference_mode(built, tmp_path):
    """Lightning validates in inference mode, whose tensors stay on the head."""
    model = deepcopy(built).eval()
    with torch.inference_mode():
        expected = model(torch.ones(1, 3, SIZE, SIZE))[0]
    save_pt(tmp_path / "a.pt", model)
    with torch.no_grad():
        found = load_weights(tmp_path / "a.pt").eval()(torch.ones(1, 3, SIZE, SIZE))[0]
    torch.testing.assert_close(found, expected.clone(), atol=0.5, rtol=1e-2)


def test_saving_is_atomic(built, tmp_path):
    """A real limit on the size of files stands in for the full disk."""
    (tmp_path / "a.pt").write_bytes(b"earlier")
    with largest_file(50_000), pytest.raises(OSError, match="too large"):
        save_pt(tmp_path / "a.pt", built)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.pt", b"earlier")]


@pytest.mark.parametrize("name", ["best.pt", "it's.pt", "yolov5n.pt", "yolo11n.pt", " größer .pt"])
def test_any_file_name_loads_without_network(saved, tmp_path, no_network, name):
    """Ultralytics' own loader takes some of these for files to fetch."""
    (tmp_path / name).write_bytes(saved.read_bytes())
    model = load_weights(tmp_path / name)
    assert (model.names, model.task, next(model.parameters()).dtype) == (NAMES, "detect", torch.float32)


@pytest.mark.parametrize("name", ["absent.pt", "yolo11n.pt", "https://example.invalid/yolo11n.pt"])
def test_missing_weights_are_not_fetched(no_network, name):
    with pytest.raises(WeightsError, match=r"no weights file at .*\.pt"):
        load_weights(name)


class Payload:
    """Runs a command when unpickled by a careless reader."""

    def __reduce__(self):
        return os.system, ("touch ran || type nul > ran",)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("ckpt", "Lightning checkpoints .* go to --ckpt_path"),
        ("text", "no Ultralytics checkpoint"),
        ("empty", "cannot read"),
        ("truncated", "cannot read .* may be cut off"),
        ("payload", "carries code beyond Ultralytics' own layers, which is not run"),
        ("bare pickle", "carries code beyond"),
        ("state dict", "holds no Ultralytics model"),
        ("list", "holds no Ultralytics model"),
    ],
)
def test_refused_weights(built, saved, tmp_path, kind, message):
    path = tmp_path / ("a.ckpt" if kind == "ckpt" else "a.pt")
    contents = {
        "ckpt": saved.read_bytes(),
        "text": b"weights: none",
        "empty": b"",
        "truncated": saved.read_bytes()[: saved.stat().st_size // 2],
        "bare pickle": pickle.dumps({"model": Payload()}),
    }
    if kind in contents:
        path.write_bytes(contents[kind])
    else:
        torch.save({"payload": {"model": Payload()}, "state dict": built.state_dict(), "list": [1]}[kind], path)
    with pytest.raises(WeightsError, match=message) as caught:
        load_weights(path)
    assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


# ---- weights of other classes ---------------------------------------------------------------------------------------


def head_rows(model) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(branch[-1].weight, branch[-1].bias) for branch in model.model[-1].cv3]


def test_transfer_to_the_same_classes(built):
    model = build_model("yolo11n", NAMES, {})
    assert transfer_weights(model, deepcopy(built)) == (len(built.state_dict()),) * 2
    assert all(torch.equal(value, built.state_dict()[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(("names", "taken"), [({0: "net", 1: "Tree ", 2: "box"}, 0), ({0: "a", 1: "b", 2: "c"}, -6)])
def test_transfer_to_other_classes(built, names, taken):
    """Rows of a class that both know go by its name; without any, the three class layers stay as they were."""
    source = deepcopy(built)
    for _, bias in head_rows(source):
        bias.data[:] = torch.tensor([1.5, 2.5])
    model = build_model("yolo11n", names, {})
    before = deepcopy(model)
    assert transfer_weights(model, source) == (len(built.state_dict()) + taken, len(built.state_dict()))
    for (weight, bias), (old_weight, old_bias), (their_weight, their_bias) in zip(
        head_rows(model), head_rows(before), head_rows(source), strict=True
    ):
        kept = [0, 1, 2] if taken else [0, 2]
        assert torch.equal(weight[kept], old_weight[kept])
        assert torch.equal(bias[kept], old_bias[kept])
        if not taken:
            assert torch.equal(weight[1], their_weight[1])
            assert bias[1] == their_bias[1] == 2.5
    assert torch.equal(model.model[0].conv.weight, source.model[0].conv.weight)
    assert (model.names, model.nc) == (names, 3)


def test_transfer_from_many_classes_is_rebuilt(built):
    """Eighty classes make a wider class branch, which Ultralytics carries over; our description remembers it."""
    source = build_model("yolo11n", {i: f"class {i}" for i in range(80)}, {})
    model = build_model("yolo11n", NAMES, {})
    assert (class_width(source), class_width(model)) == (80, 64)
    taken, total = transfer_weights(model, source)
    assert (taken, total) == (len(source.state_dict()) - 6, len(source.state_dict()))
    assert class_width(model) == 80
    again = build_model(model.yaml, NAMES, {})
    again.load_state_dict(model.state_dict())
    assert [tuple(weight.shape) for weight, _ in head_rows(again)] == [(2, 80, 1, 1)] * 3
    assert again.yaml == model.yaml
    assert built.yaml == build_model("yolo11n", NAMES, {}).yaml


def test_transfer_from_another_scale_takes_what_fits(built):
    """Tensors of the same shape, and the first filters of the first layer, which Ultralytics cuts to size."""
    source, model = build_model("yolo11s", NAMES, {}), build_model("yolo11n", NAMES, {})
    taken, total = transfer_weights(model, source)
    fitting = [k for k, v in source.state_dict().items() if v.shape == built.state_dict().get(k, torch.empty(0)).shape]
    assert (taken, total) == (len(fitting) + 1, len(built.state_dict()))
    assert torch.equal(model.model[0].conv.weight, source.model[0].conv.weight[:16])
    assert 0 < taken < total / 2


# ---- optimizer and schedule -----------------------------------------------------------------------------------------


def their_trainer(config: OptimConfig, nc=2) -> SimpleNamespace:
    arguments = get_cfg(overrides={
        "optimizer": config.name, "lr0": config.lr0, "lrf": config.lrf, "momentum": config.momentum,
        "warmup_epochs": config.warmup_epochs, "warmup_momentum": config.warmup_momentum,
        "warmup_bias_lr": config.warmup_bias_lr, "cos_lr": config.cos_lr, "nbs": config.nbs,
        "weight_decay": config.weight_decay,
    })  # fmt: skip
    return SimpleNamespace(args=arguments, data={"nc": nc})


def build_theirs(trainer, model, config, decay, iterations) -> torch.optim.Optimizer:
    return BaseTrainer.build_optimizer(
        trainer, model, config.name, config.lr0, config.momentum, decay=decay, iterations=iterations
    )


def assert_same_groups(mine, theirs, model):
    of = {id(parameter): name for name, parameter in model.named_parameters()}
    assert type(mine) is type(theirs)
    assert len(mine.param_groups) == len(theirs.param_groups)
    for ours, expected in zip(mine.param_groups, theirs.param_groups, strict=True):
        assert [of[id(p)] for p in ours["params"]] == [of[id(p)] for p in expected["params"]]
        # `fused` is which kernel does the same arithmetic: ours on a CPU, theirs on a GPU only
        apart = {"params", "fused"}
        assert {k: ours[k] for k in ours.keys() - apart} == {k: expected[k] for k in expected.keys() - apart}


@pytest.mark.parametrize("name", ["AdamW", "SGD", "MuSGD", "adam", "RMSprop", "NAdam"])
def test_optimizer_groups(built, name):
    """Members in their order, rate, momentum, decay and every other setting of each group."""
    config = OptimConfig(name=name, lr0=0.02, momentum=0.9)
    theirs = build_theirs(their_trainer(config), built, config, 0.0004, 100)
    mine = build_optimizer(built, resolve_optimizer(config, 2, 100), 0.0004, class_logit_parameters(built))
    assert_same_groups(mine, theirs, built)
    assert sum(len(group["params"]) for group in mine.param_groups) == len(list(built.parameters()))


@pytest.mark.parametrize("steps", [10_000, 10_001])
@pytest.mark.parametrize("nc", [1, 80])
def test_auto_choice(built, steps, nc):
    config = OptimConfig()
    trainer = their_trainer(config, nc)
    theirs = build_theirs(trainer, built, config, 0.0005, steps)
    choice = resolve_optimizer(config, nc, steps)
    assert choice.name == trainer.args.optimizer == ("MuSGD" if steps > 10_000 else "AdamW")
    assert (choice.lr, choice.warmup_bias_lr) == (trainer.args.lr0, trainer.args.warmup_bias_lr)
    assert_same_groups(build_optimizer(built, choice, 0.0005, class_logit_parameters(built)), theirs, built)


def test_unknown_optimizer():
    with pytest.raises(ConfigError, match=r"--model\.optim\.name Lion: no such optimizer; known are Adam"):
        resolve_optimizer(OptimConfig(name="Lion"), 2, 100)


def warmup_lines() -> str:
    """The lines of Ultralytics' training loop that set rates, momentum and accumulation at an iteration."""
    source = inspect.getsource(BaseTrainer._do_train)
    start = source.index("if nw and ni <= nw:")
    indent = source[source.rindex("\n", 0, start) + 1 : start]
    return textwrap.dedent(indent + source[start : source.index("# Forward", start)].rstrip())


def pipeline_lines() -> str:
    """The lines that set accumulation and decay from the batch size, and count the iterations."""
    source = inspect.getsource(BaseTrainer._build_train_pipeline)
    start, end = source.index("self.accumulate = "), source.index("self.optimizer = ")
    indent = source[source.rindex("\n", 0, start) + 1 : start]
    return textwrap.dedent(indent + source[start:end].rstrip())


RUNS = [(6, 13, 4), (6, 13, 7), (3, 5, 16), (1, 4, 8), (10, 3, 24), (2, 2, 100), (5, 7, 1), (4, 31, 3), (2, 154, 11)]
"""Epochs, batches, batch size; in the last run accumulation passes exactly half way between two numbers."""


@pytest.mark.parametrize(("epochs", "batches", "batch_size"), RUNS)
@pytest.mark.parametrize("cos", [False, True])
@pytest.mark.parametrize(("name", "warmup"), [("SGD", 3.0), ("auto", 3.0), ("MuSGD", 0.7), ("AdamW", 0.0)])
def test_schedule_at_every_iteration(epochs, batches, batch_size, cos, name, warmup):
    """Ultralytics' own lines run beside ours over a whole run: rates, momentum and accumulation are equal."""
    config = OptimConfig(name=name, cos_lr=cos, warmup_epochs=warmup, warmup_bias_lr=0.05)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    model.model = [torch.nn.Module()]  # where Ultralytics looks for a head
    images = batches * batch_size
    trainer = their_trainer(config)
    trainer.epochs, trainer.batch_size, trainer.optimizer = epochs, batch_size, None
    loader = type("Loader", (list,), {"dataset": range(images)})(range(batches))
    trainer.train_loader, trainer.args.time = loader, None
    names = {"self": trainer, "math": __import__("math"), "np": np}
    exec(pipeline_lines(), names)
    decay = names["weight_decay"]
    trainer.optimizer = build_theirs(trainer, model, config, decay, names["iterations"])
    BaseTrainer._setup_scheduler(trainer)
    trainer.scheduler.last_epoch = -1
    nw, acc0 = BaseTrainer._get_warmup_iterations(trainer, batches), trainer.accumulate

    assert names["iterations"] == nominal_steps(images, epochs, config, batch_size)
    assert decay == pytest.approx(scaled_decay(config, batch_size), rel=1e-12)
    choice = resolve_optimizer(config, 2, names["iterations"])
    mine = build_optimizer(model, choice, decay)
    schedule = Schedule.plan(config, choice, epochs, batches, batch_size)
    lines = compile(warmup_lines(), "warmup", "exec")
    for epoch in range(epochs):
        trainer.scheduler.step()
        for batch in range(batches):
            exec(
                lines,
                {"self": trainer, "np": np, "nw": nw, "ni": batch + batches * epoch, "epoch": epoch, "acc0": acc0},
            )
            assert schedule.apply(mine, epoch, batch) == trainer.accumulate
            for ours, theirs in zip(mine.param_groups, trainer.optimizer.param_groups, strict=True):
                assert ours["lr"] == pytest.approx(theirs["lr"], rel=1e-12, abs=1e-15)
                assert ours.get("momentum", 0) == pytest.approx(theirs.get("momentum", 0), rel=1e-12)
                assert ours.get("betas") == theirs.get("betas")


def test_schedule_needs_no_state():
    """A resumed run is where it was, whatever the optimizer's rates say."""
    config = OptimConfig(name="SGD")
    schedule = Schedule.plan(config, ResolvedOptimizer("SGD", 0.01, 0.9, 0.1), 10, 5, 16)
    rates = []
    for start in (0, 33):
        optimizer = build_optimizer(torch.nn.Conv2d(1, 1, 1), ResolvedOptimizer("SGD", 0.01, 0.9, 0.1), 0.0)
        for group in optimizer.param_groups:
            group["initial_lr"] = 0.01
            group["lr"] = 123.0
        for iteration in range(start, 35):
            schedule.apply(optimizer, iteration // 5, iteration % 5)
        rates.append([group["lr"] for group in optimizer.param_groups])
    assert rates[0] == rates[1] == pytest.approx([0.01 * (1 - 0.6 * 0.99)] * 3)
