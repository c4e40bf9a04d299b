"""Confusion matrix and curves: equal to Ultralytics', on one process and on several."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from modules.test_validate_parity import build_case

from aigp_lightning.modules.metrics.confusion import count_confusion
from aigp_lightning.modules.metrics.detection import DetectionMetrics
from aigp_lightning.types import Prediction

NAMES = {0: "gate", 1: "pole", 2: "net"}
Batch = dict[str, Any]


def scene(seed: int, images: int = 6, ties: bool = False) -> tuple[list[Prediction], Batch]:
    """Shaken copies of the labels, some doubled, some of a wrong class, and noise; some images without either."""
    random = torch.Generator().manual_seed(seed)
    predictions, true, labels, image = [], [], [], []
    for index in range(images):
        count = 0 if index == 1 else int(torch.randint(1, 9, (1,), generator=random))
        boxes = torch.rand(count, 4, generator=random) * 60
        boxes[:, 2:] += boxes[:, :2] + 8
        classes = torch.randint(0, 3, (count,), generator=random)
        noise = torch.rand(6, 4, generator=random) * 60
        noise[:, 2:] += noise[:, :2] + 8
        found = torch.cat((boxes.repeat(3, 1) + torch.randn(3 * count, 4, generator=random) * 3, noise))
        kinds = torch.cat((classes.repeat(3), torch.randint(0, 3, (6,), generator=random)))
        wrong = torch.rand(len(kinds), generator=random) < 0.3
        kinds[wrong] = (kinds[wrong] + 1) % 3
        scores = torch.rand(len(found), generator=random)
        scores = (scores * 20).round() / 20 if ties else scores
        scores, order = scores.sort(descending=True, stable=True)
        some = slice(0, 0 if index == 2 else None)
        predictions.append(Prediction(found[order][some], scores[some], kinds[order][some]))
        true.append(torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]), 1) / 128)
        labels.append(classes)
        image.append(torch.full((count,), index))
    batch = {"img": torch.zeros(images, 3, 128, 128), "bboxes": torch.cat(true), "cls": torch.cat(labels)}
    return predictions, {**batch, "batch_idx": torch.cat(image)}


def corners(batch: Batch) -> torch.Tensor:
    centre, size = batch["bboxes"][:, :2] * 128, batch["bboxes"][:, 2:] * 128
    return torch.cat((centre - size / 2, centre + size / 2), 1)


@pytest.mark.parametrize("conf", [0.001, 0.25, 0.6, 0.99])
def test_confusion_equals_ultralytics_count_by_count(conf: float) -> None:
    from ultralytics.utils.metrics import ConfusionMatrix

    for seed in range(20):
        predictions, batch = scene(seed, ties=True)
        theirs, true = ConfusionMatrix(NAMES), corners(batch)
        for index, found in enumerate(predictions):
            mine = batch["batch_idx"] == index
            detections = {"bboxes": found.boxes, "conf": found.scores, "cls": found.labels}
            theirs.process_batch(detections, {"bboxes": true[mine], "cls": batch["cls"][mine]}, conf=conf)
        ours = count_confusion(predictions, true, batch["cls"], batch["batch_idx"], 3, conf)
        np.testing.assert_array_equal(ours, theirs.matrix)
        assert ours[:, :3].sum() == len(batch["cls"])


def test_confusion_by_hand() -> None:
    """A hit, a wrong class, a miss, a false alarm, and a second box on an object that is taken."""
    true = torch.tensor([[0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50.0]])
    boxes = torch.cat((true[:2], torch.tensor([[70, 70, 80, 80], [0, 0, 10, 9.0], [40, 40, 50, 50]])))
    found = Prediction(boxes, torch.tensor([0.9, 0.8, 0.7, 0.6, 0.25]), torch.tensor([0, 2, 1, 0, 1]))
    matrix = count_confusion([found], true, torch.tensor([0, 1, 1]), torch.zeros(3, dtype=torch.int64), 3)
    expected = np.zeros((4, 4), int)
    expected[0, 0] = expected[2, 1] = expected[3, 1] = expected[1, 3] = expected[0, 3] = 1
    np.testing.assert_array_equal(matrix, expected)


def test_labels_in_any_order_count_the_same() -> None:
    predictions, batch = scene(3)
    order = torch.randperm(len(batch["cls"]), generator=torch.Generator().manual_seed(0))
    true = corners(batch)
    straight = count_confusion(predictions, true, batch["cls"], batch["batch_idx"], 3)
    mixed = count_confusion(predictions, true[order], batch["cls"][order], batch["batch_idx"][order], 3)
    np.testing.assert_array_equal(straight, mixed)


def test_batches_that_are_judged_together_count_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting until the end, and judged whenever a few detections wait: the same to the last digit."""
    found = []
    for most in (1 << 18, 0):
        monkeypatch.setattr("aigp_lightning.modules.metrics.detection.MOST_WAITING", most)
        metrics = DetectionMetrics(NAMES)
        for seed in range(4):
            metrics.update(*scene(seed, ties=True))  # type: ignore[arg-type]
        assert len(metrics.conf) == (0 if most else 4)
        found.append((metrics.compute(), metrics.confusion.tolist(), metrics.table()))  # type: ignore[union-attr]
    assert found[0] == found[1]
    metrics.update(*scene(9))  # type: ignore[arg-type]
    metrics.reset()
    metrics.update(*scene(0))  # type: ignore[arg-type]
    assert metrics.compute()["metrics/mAP50(B)"] > 0
    assert metrics.counted == 6, "what waited is forgotten by a reset"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_step_waits_for_no_gpu() -> None:
    predictions, batch = scene(0)
    here, there = DetectionMetrics(NAMES), DetectionMetrics(NAMES).cuda()
    here.update(predictions, batch)  # type: ignore[arg-type]
    on_gpu = {key: value.cuda() for key, value in batch.items()}
    predictions = [Prediction(one.boxes.cuda(), one.scores.cuda(), one.labels.cuda()) for one in predictions]
    torch.cuda.set_sync_debug_mode("error")
    try:
        there.update(predictions, on_gpu)  # type: ignore[arg-type]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert there.compute() == here.compute()


def test_two_shards_exchanged_equal_one_process() -> None:
    """As torchmetrics exchanges them: lists joined, the matrix summed."""
    whole, shards = DetectionMetrics(NAMES), [DetectionMetrics(NAMES), DetectionMetrics(NAMES)]
    for seed, shard in zip(range(4), itertools.cycle(shards), strict=False):
        whole.update(*scene(seed))  # type: ignore[arg-type]
        shard.update(*scene(seed))  # type: ignore[arg-type]
    shards[1].update([], {**scene(0)[1], **{key: value[:0] for key, value in scene(0)[1].items()}})  # type: ignore[arg-type, typeddict-item]
    whole.compute()
    for shard in shards:
        shard.sync()  # what torchmetrics calls first
    merged = shards[0]
    for state, reduction in merged._reductions.items():
        values = [getattr(shard, state) for shard in shards]
        values = [torch.cat(value) if isinstance(value, list) else value for value in values]
        setattr(merged, state, torch.cat(values) if "cat" in reduction.__name__ else reduction(torch.stack(values)))
    merged.compute()
    assert merged.confusion is not None
    assert whole.confusion is not None
    np.testing.assert_array_equal(merged.confusion, whole.confusion)
    assert merged.confusion.sum() > 50
    (one,), (other,) = merged.curves(), whole.curves()
    assert one.names == other.names == ("gate", "pole", "net")
    for field in ("x", "precision", "recall", "f1", "pr", "ap50"):
        np.testing.assert_allclose(getattr(one, field), getattr(other, field), atol=1e-6)
    assert merged.fitness == pytest.approx(whole.fitness)


def test_results_outlive_a_reset_until_the_next_compute() -> None:
    metrics = DetectionMetrics(NAMES)
    assert (metrics.confusion, metrics.curves(), metrics.fitness) == (None, [], 0.0)
    metrics.update(*scene(1))  # type: ignore[arg-type]
    found = metrics.compute()
    before, (curves,) = metrics.confusion, metrics.curves()
    metrics.reset()
    assert before is not None
    assert metrics.confusion is before
    assert before.sum() > 10
    assert metrics.fitness == found["fitness"] > 0
    np.testing.assert_array_equal(metrics.curves()[0].f1, curves.f1)
    predictions, batch = scene(2)
    metrics.update(predictions, {**batch, **{key: batch[key][:0] for key in ("cls", "bboxes", "batch_idx")}})  # type: ignore[arg-type, typeddict-item]
    metrics.compute()
    assert metrics.confusion[:, :3].sum() == 0  # no labels: false alarms only, and no curves
    assert metrics.confusion[:3, 3].sum() == sum(int((found.scores > 0.25).sum()) for found in predictions)
    assert (metrics.curves(), metrics.fitness) == ([], 0.0)


def test_curves_name_the_classes_that_have_labels() -> None:
    metrics = DetectionMetrics({0: "none", 1: "some", 2: "missed"})
    box = torch.tensor([[0.5, 0.5, 0.2, 0.2]]).repeat(2, 1)
    batch = {"img": torch.zeros(1, 3, 100, 100), "bboxes": box, "cls": torch.tensor([1, 2])}
    batch["batch_idx"] = torch.zeros(2, dtype=torch.int64)
    found = Prediction(torch.tensor([[40, 40, 60, 60.0]]), torch.tensor([0.8]), torch.tensor([1]))
    metrics.update([found], batch)  # type: ignore[arg-type]
    metrics.compute()
    (curves,) = metrics.curves()
    assert (curves.prefix, curves.names) == ("", ("some", "missed"))
    assert curves.x.shape == (1000,)
    assert curves.pr.shape == curves.f1.shape == (2, 1000)
    np.testing.assert_allclose(curves.ap50, [0.995, 0], atol=1e-3)
    np.testing.assert_allclose(curves.recall[0, [100, 780, 820]], [1, 1, 0], atol=1e-6)
    assert not curves.recall[1].any()


def one_label_a_box(folder: Path) -> None:
    """Drop labels whose box another label has: which of the two a detection takes would be decided by rounding."""
    for file in folder.glob("*.txt"):
        rows = {row.split(maxsplit=1)[1]: row for row in file.read_text().splitlines()}
        file.write_text("\n".join(rows.values()))


@pytest.mark.usefixtures("offline_reference")
def test_validation_equals_ultralytics_validator(tmp_path: Path) -> None:
    """The same weights on the same images, both through their whole pipelines."""
    from ultralytics import YOLO

    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.detector import DetectorModule

    weights, data = build_case(tmp_path, rect=True)
    one_label_a_box(tmp_path / "labels" / "val")
    module = DetectorModule(weights=str(weights))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = pl.Trainer(default_root_dir=tmp_path, **quiet)  # type: ignore[arg-type]
    trainer.validate(module, YoloDataModule(str(data), imgsz=96, batch_size=8, workers=0), verbose=False)
    options: dict[str, Any] = {"imgsz": 96, "batch": 16, "device": "cpu", "workers": 0, "verbose": False}
    theirs = YOLO(str(weights)).val(data=str(data), plots=True, conf=0.25, **options)
    assert module.metrics is not None
    assert module.metrics.confusion is not None
    np.testing.assert_array_equal(module.metrics.confusion, theirs.confusion_matrix.matrix)
    assert np.trace(module.metrics.confusion) > 10
    theirs = YOLO(str(weights)).val(data=str(data), plots=False, **options)
    (curves,) = module.metrics.curves()
    assert curves.names == tuple(theirs.names[index] for index in theirs.ap_class_index)
    expected = (theirs.box.px, theirs.box.p_curve, theirs.box.r_curve, theirs.box.f1_curve, theirs.box.prec_values)
    for field, values in zip(("x", "precision", "recall", "f1", "pr"), expected, strict=True):
        # Between two close scores a curve is steep, and shows their rounding.
        np.testing.assert_allclose(getattr(curves, field), values, atol=5e-3, err_msg=field)
        assert np.abs(getattr(curves, field) - values).mean() < 1e-5, field
    np.testing.assert_allclose(curves.ap50, theirs.box.ap50, atol=2e-4)
    assert module.metrics.fitness == pytest.approx(theirs.fitness, abs=2e-4)
