"""Ultralytics' files: written for it, read without running them, and their weights transferred."""

from __future__ import annotations

import os
import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch
from helpers import largest_file
from ultralytics import YOLO
from yolo_networks import NAMES, SIZE, labelled_batch

from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.yolo.build import build_model, class_width
from aigp_lightning.modules.yolo.transfer import class_rows, transfer_weights
from aigp_lightning.modules.yolo.weights import load_weights, save_pt

pytestmark = pytest.mark.usefixtures("one_thread")


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


@pytest.mark.parametrize(
    ("names", "rows", "said"),
    [
        (["gate", "tree"], [0, 1], "2 of 2 classes by name"),
        (["tree", "gate"], [1, 0], "2 of 2 classes by name, whose order is another there"),
        (["tree", "net"], [1, None], "1 of 2 classes by name, whose order is another there"),
        (["net", "bush"], [0, 1], "no class by its name, so all by number"),
        (["net", "bush", "gate"], [None, None, 0], "1 of 3 classes by name, whose order is another there"),
        (["net", "bush", "box"], [None, None, None], "no class by its name"),
    ],
)
def test_class_rows_follow_their_names(built, names, rows, said):
    """Whatever the number of classes, an order that is another one is no swap; the line says what was done."""
    source, model = deepcopy(built), build_model("yolo11n", dict(enumerate(names)), {})
    for _, bias in head_rows(source):
        bias.data[:] = torch.tensor([1.5, 2.5])
    before = [bias.detach().clone() for _, bias in head_rows(model)]
    transfer_weights(model, source)
    for (_, bias), old in zip(head_rows(model), before, strict=True):
        assert bias.tolist() == [old[i].item() if row is None else [1.5, 2.5][row] for i, row in enumerate(rows)]
    assert class_rows(NAMES, dict(enumerate(names))) == said


def test_class_rows_of_decomposed_names(built):
    """The same letters in Unicode's two forms are one name."""
    source, model = deepcopy(built), build_model("yolo11n", {0: "t\u00fcr", 1: "gate"}, {})
    source.names = {0: "gate", 1: "tu\u0308r"}
    transfer_weights(model, source)
    for (weight, _), (theirs, _) in zip(head_rows(model), head_rows(source), strict=True):
        assert torch.equal(weight, theirs[[1, 0]])
    assert model.names == {0: "t\u00fcr", 1: "gate"}


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
