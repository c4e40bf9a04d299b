"""NMS, matching and metrics, each held against Ultralytics itself in this process."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils.metrics import box_iou
from yolo_networks import NAMES, SIZE, labelled_batch

from aigp_lightning.modules.yolo.metrics import detection_metrics, match_predictions
from aigp_lightning.modules.yolo.nms import nms

pytestmark = pytest.mark.usefixtures("one_thread")


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
