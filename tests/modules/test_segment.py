"""Segmentation: losses, metrics and training samples are Ultralytics' own; the task is whole from end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import draw_masks, small
from yolo_scored import build_mask_case

MODEL = ("--model", "aigp_lightning.modules.segment.SegmentModule")
KEYS = [f"metrics/{name}({mark})" for mark in "BM" for name in ("precision", "recall", "mAP50", "mAP50-95")]
NAMES = {0: "square", 1: "disc"}


def squares(folder: Path, train: int = 12, val: int = 6) -> Path:
    draw_masks(folder, "train", train, 1)
    draw_masks(folder, "val", val, 2)
    yaml = folder / "data.yaml"
    yaml.write_text("train: images/train\nval: images/val\nnames: [square, disc]\n", encoding="utf-8")
    return yaml


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An untrained model's `.pt`, and a data set on which it scores; nobody writes there."""
    return build_mask_case(tmp_path_factory.mktemp("case"), rect=False)


@pytest.mark.usefixtures("offline_reference")
@pytest.mark.parametrize(("rect", "overlap"), [(True, True), (False, False)])
def test_metrics_equal_ultralytics(
    rect: bool, overlap: bool, tmp_path: Path, run_cli: Callable[..., int], case: tuple[Path, Path]
) -> None:
    from ultralytics import YOLO

    weights, data = case
    options = [*MODEL, *small(data, tmp_path), "--data.rect", str(rect).lower(), "--run.json", tmp_path / "m.json"]
    options += ["--data.overlap_mask", str(overlap).lower()]
    assert run_cli("validate", *options, "--model.weights", weights) == 0
    ours = json.loads((tmp_path / "m.json").read_text())
    theirs = YOLO(str(weights)).val(
        data=str(data), imgsz=96, batch=16, rect=rect, plots=False, device="cpu", workers=0, verbose=False,
        overlap_mask=overlap,
    )  # fmt: skip
    assert 0.03 < ours["metrics"]["metrics/recall(M)"] < 0.95
    for key in KEYS:
        assert ours["metrics"][key] == pytest.approx(theirs.results_dict[key], abs=1e-4), key


def reference_sample(index: int, data: Path, overlap: bool) -> dict:
    """A sample of Ultralytics' own validation data set."""
    from types import SimpleNamespace

    from ultralytics.cfg import DEFAULT_CFG_DICT
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    hyp = SimpleNamespace(**{**DEFAULT_CFG_DICT, "overlap_mask": overlap})
    info = check_det_dataset(str(data))
    found = YOLODataset(
        img_path=info["val"], data=info, task="segment", imgsz=96, augment=False, hyp=hyp, rect=False, batch_size=4
    )
    return found[index]


@pytest.mark.usefixtures("offline_reference")
@pytest.mark.parametrize("overlap", [True, False])
def test_a_validation_sample_equals_ultralytics(overlap: bool, tmp_path: Path) -> None:
    from aigp_lightning.data.collate import collate
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.masks import MaskDrawing
    from aigp_lightning.data.sample_sets import evaluation_set
    from aigp_lightning.data.scan import scan_split

    data = squares(tmp_path, train=1)
    random = np.random.default_rng(0)
    for file in sorted((tmp_path / "labels" / "val").iterdir()):  # outlines that overlap
        corners = random.uniform(0.2, 0.8, (6, 1, 2)) + random.uniform(-0.2, 0.2, (6, 5, 2))
        rows = [f"{label % 2} " + " ".join(map(str, each.ravel())) for label, each in enumerate(corners)]
        file.write_text("\n".join(rows), encoding="utf-8")
    records = scan_split(read_data_yaml(data), "val", outlines="all", progress=False).records
    dataset, batches = evaluation_set(records, 96, 1, rect=False, masks=MaskDrawing(4, overlap))
    requests = [request for batch in batches for request in batch]
    for index in range(0, len(records), 2):
        theirs = reference_sample(index, data, overlap)
        ours = collate([dataset[requests[index]]])
        assert len(ours["cls"]) > 2
        assert ours["masks"].dtype == torch.uint8
        np.testing.assert_array_equal(ours["cls"], theirs["cls"].squeeze(1))
        np.testing.assert_allclose(ours["bboxes"], theirs["bboxes"], atol=1e-5)
        np.testing.assert_array_equal(ours["masks"], theirs["masks"])  # type: ignore[typeddict-item]


def batch_of(yaml: Path, overlap: bool) -> dict:
    """A batch of the training split, as it lies there."""
    from aigp_lightning.data.collate import collate
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.masks import MaskDrawing
    from aigp_lightning.data.sample_sets import evaluation_set
    from aigp_lightning.data.scan import scan_split

    records = scan_split(read_data_yaml(yaml), "train", outlines="all", progress=False).records[:4]
    dataset, batches = evaluation_set(records, 96, 4, rect=False, masks=MaskDrawing(4, overlap))
    return {**collate(dataset.__getitems__(next(iter(batches))))}


@pytest.mark.usefixtures("offline_reference")
@pytest.mark.parametrize(("variant", "overlap"), [("yolo11n-seg", True), ("yolo26n-seg", False)])
def test_losses_equal_ultralytics(variant: str, overlap: bool, tmp_path: Path) -> None:
    from copy import deepcopy
    from types import SimpleNamespace

    from ultralytics.cfg import DEFAULT_CFG_DICT

    from aigp_lightning.modules.segment import SegmentModule

    batch = batch_of(squares(tmp_path), overlap)
    torch.manual_seed(0)
    module = SegmentModule(variant, channels_last=False)
    module.set_network(module.build_network(NAMES))
    twin = deepcopy(module.network)
    ready = module.preprocess_batch(batch)
    loss, items = module.train().compute_loss(ready)
    loss.backward()

    twin.args = SimpleNamespace(**{**DEFAULT_CFG_DICT, "overlap_mask": overlap, "epochs": 1})
    theirs = {**ready, "cls": ready["cls"].view(-1, 1).float(), "masks": ready["masks"].float()}
    theirs["sem_masks"] = semantic_by_definition(batch)
    expected, named = twin.train().loss(theirs)
    expected.sum().backward()
    assert list(items) == [name for name in named if name != "sem_loss" or variant == "yolo26n-seg"]
    for name, value in items.items():
        assert value.item() == pytest.approx(named[name].item(), rel=1e-4, abs=1e-6), name
    assert items["seg_loss"] > 0.1
    assert loss.item() == pytest.approx(expected.sum().item(), rel=1e-4)
    for one, other in zip(module.network.parameters(), twin.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4)


def semantic_by_definition(batch: dict) -> torch.Tensor:
    """The class of every pixel of a batch, of the smallest object that is there, drawn object by object."""
    found = torch.zeros(len(batch["img"]), *batch["masks"].shape[1:])
    start = 0
    for image, count in enumerate(batch["counts"]):
        cls = batch["cls"][start : start + count].float()
        if batch["overlap_mask"]:
            found[image] = cls[batch["masks"][image].long() - 1] * (batch["masks"][image] > 0)
        else:
            for mask, label in sorted(
                zip(batch["masks"][start : start + count], cls, strict=True), key=lambda pair: -int(pair[0].sum())
            ):
                found[image][mask.bool()] = label
        start += count
    return found


def detector_of(folder: Path) -> Path:
    """A detector's weights, from which a segmentation model starts."""
    from aigp_lightning.modules.yolo.build import build_model
    from aigp_lightning.modules.yolo.weights import save_pt

    save_pt(folder / "detector.pt", build_model("yolo11n", NAMES, {}))
    return folder / "detector.pt"


@pytest.mark.usefixtures("offline_reference")
def test_a_run_is_whole(tmp_path: Path, run_cli: Callable[..., int], caplog: pytest.LogCaptureFixture) -> None:
    """Planned, trained for an epoch, resumed for another, validated, predicted with; `YOLO` scores the same."""
    from ultralytics import YOLO

    data, run = squares(tmp_path / "data", train=8, val=3), tmp_path / "segment" / "one"
    options = [*small(data, tmp_path), "--data.augment.mosaic", 0.5, "--media.val_batches", 1]
    fit = ["fit", *MODEL, *options, "--run.name", "one", "--trainer.logger", "false"]
    fit += ["--model.predict_conf", 0.0001, "--media.conf", 0.0001, "--model.weights", detector_of(tmp_path)]
    assert run_cli("plan", *fit[1:], "--trainer.max_epochs", 1) == 0
    assert run_cli(*fit, "--trainer.max_epochs", 1) == 0
    assert "took 499 of 561 tensors from" in caplog.text
    resumed = [*fit, "--ckpt_path", run / "weights" / "last.ckpt", "--extend", "true", "--trainer.max_epochs", 2]
    assert run_cli(*resumed) == 0
    header = (run / "results.csv").read_text().splitlines()
    assert len(header) == 3
    assert {"train/seg_loss", "val/seg_loss", *KEYS} <= set(header[0].split(","))
    assert (run / "MaskPR_curve.png").is_file() and (run / "val_batch0_pred.jpg").is_file()

    out = ["--run.json", tmp_path / "m.json", "--run.root", tmp_path, "--data.workers", 0]
    assert run_cli("validate", "--ckpt_path", run / "weights" / "best.ckpt", *out, "--data.rect", "false") == 0
    ours = json.loads((tmp_path / "m.json").read_text())["metrics"]
    theirs = YOLO(str(run / "weights" / "best.pt")).val(
        data=str(data), imgsz=96, batch=16, rect=False, plots=False, device="cpu", workers=0, verbose=False
    )
    for key in KEYS:  # a .pt is in float16
        assert ours[key] == pytest.approx(theirs.results_dict[key], abs=2e-3), key

    source = ["--data.source", data.parent / "images" / "val", "--run.name", "seen", *out[2:]]
    assert run_cli("predict", "--ckpt_path", run / "weights" / "best.ckpt", *source) == 0
    found = json.loads(next(tmp_path.rglob("predictions.json")).read_text())
    assert all({"polygon", "box"} <= set(one) for entry in found for one in entry["detections"])


@pytest.mark.usefixtures("offline_reference")
@pytest.mark.parametrize("form", ["onnx", "torchscript"])
def test_exported_files_have_rows_and_prototypes(form: str, tmp_path: Path, case: tuple[Path, Path]) -> None:
    from aigp_lightning.deploy.export import export
    from aigp_lightning.deploy.options import ExportOptions
    from aigp_lightning.evaluation.exported_graph import open_graph
    from aigp_lightning.modules.registry import open_weights

    written = export(ExportOptions(weights=str(case[0]), format=[form], imgsz=96, out=str(tmp_path)))
    graph, module = open_graph(written[0], gpu=False), open_weights(case[0])
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    rows, prototypes = graph.run(images)
    assert (rows.shape, prototypes.shape) == ((1, 4 + 3 + 32, 189), (1, 32, 24, 24))
    with torch.no_grad():
        ours, _ = module.network(images)
    tolerance = ExportOptions().tolerance  # that every file is held to: of boxes a share of the size
    torch.testing.assert_close(rows[:, :4], ours[0][:, :4], rtol=0, atol=96 * tolerance)
    torch.testing.assert_close(rows[:, 4:7], ours[0][:, 4:7], rtol=0, atol=tolerance)
    torch.testing.assert_close(rows[:, 7:], ours[0][:, 7:], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(prototypes, ours[1], rtol=1e-3, atol=1e-3)
    found = module.decode((rows, prototypes), 0.01)[0]
    assert found.masks is not None and found.masks.shape == (len(found.boxes), 24, 24) and found.masks.any()


@pytest.mark.usefixtures("offline_reference")
def test_predicted_masks_and_outlines_are_ultralytics_own(case: tuple[Path, Path]) -> None:
    import cv2
    from ultralytics import YOLO

    from aigp_lightning.data.items import letterboxed_by_itself
    from aigp_lightning.media.detections import in_original
    from aigp_lightning.modules.registry import open_weights
    from aigp_lightning.predictions.formats import outlines

    weights, data = case
    file = str(data.parent / "images" / "val" / "001.png")
    picture = cv2.imread(file)[..., ::-1]
    item = letterboxed_by_itself(np.ascontiguousarray(picture), file, 96, picture.shape[:2])
    pixels = torch.from_numpy(item["image"]).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        found = open_weights(weights).predict_batch({"img": pixels}, 0.02)[0]
    theirs = YOLO(str(weights)).predict(file, imgsz=96, conf=0.02, device="cpu", verbose=False)[0]
    assert len(found.boxes) == len(theirs.boxes) > 3
    assert (found.masks.numpy() != theirs.masks.data.numpy()).mean() < 2e-3
    original = in_original(found, item["ori_shape"], item["ratio_pad"])
    for ours, reference in zip(outlines(original.masks), theirs.masks.xy, strict=True):
        if len(reference):
            np.testing.assert_allclose(ours.min(0), reference.min(0), atol=1.5)
            np.testing.assert_allclose(ours.max(0), reference.max(0), atol=1.5)


@pytest.mark.parametrize(("ratio", "overlap"), [(4, True), (3, True), (1, False), (8, False)])
def test_masks_are_drawn_as_ultralytics_draws_them(ratio: int, overlap: bool) -> None:
    from ultralytics.data.utils import polygons2masks, polygons2masks_overlap

    from aigp_lightning.data.masks import MaskDrawing

    random = np.random.default_rng(ratio)
    shape = (96, 160)
    segments = (random.uniform(0, 1, (12, 1, 2)) * [160, 96] + random.uniform(-40, 40, (12, 7, 2))).astype(np.float32)
    item = {"image": np.zeros((*shape, 3), np.uint8), "bboxes": np.zeros((12, 4)), "cls": np.arange(12)}
    drawn = MaskDrawing(ratio, overlap).added({**item, "keypoints": None, "segments": segments})  # type: ignore[type-var]
    if overlap:
        masks, order = polygons2masks_overlap(shape, list(segments), ratio)
    else:
        masks, order = polygons2masks(shape, list(segments), 1, ratio), np.arange(12)
    np.testing.assert_array_equal(drawn["masks"], masks)
    assert drawn["cls"].tolist() == order.tolist()


def test_masks_show_in_mosaics() -> None:
    from aigp_lightning.media.plots.mosaic import Cell, draw_mosaic

    mask = np.zeros((1, 24, 24), np.uint8)
    mask[0, 6:18, 6:18] = 1
    cell = Cell(np.full((96, 96, 3), 100, np.uint8), np.float32([[20, 20, 76, 76]]), np.zeros(1, np.int64), masks=mask)
    drawn = draw_mosaic([cell], {0: "gate"})
    assert (drawn[30:66, 40:66] != 100).all(2).mean() > 0.9  # a quarter of the size, and yet all of it
    assert (drawn[90:, 90:] == 100).all()
    assert (draw_mosaic([cell], {0: "gate"}, masked=[0])[30:66, 40:66] == drawn[30:66, 40:66]).mean() < 0.1


def test_boxes_and_an_odd_ratio_are_refused(
    tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    data = squares(tmp_path, train=2, val=2)
    (tmp_path / "labels" / "val" / "001.txt").write_text("0 0.5 0.5 0.2 0.2", encoding="utf-8")
    options = [*MODEL, *small(data, tmp_path), "--trainer.max_epochs", 1]
    assert run_cli("fit", *options) == 2
    assert "1 of 3 objects in 'val' are boxes without an outline, the first in" in capfd.readouterr().err
    assert run_cli("fit", *options, "--data.mask_ratio", 0) == 2
    assert "--data.mask_ratio 0 must be a whole number from 1 to 32." in capfd.readouterr().err
