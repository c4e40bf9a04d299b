"""NMS, matching and metrics, each held against Ultralytics itself in this process."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision  # noqa: F401  without it Ultralytics suppresses by slower code, and equal scores in any order
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils.metrics import box_iou, kpt_iou
from ultralytics.utils.nms import non_max_suppression
from yolo_networks import NAMES, SIZE, labelled_batch

from aigp_lightning.modules.yolo import suppression
from aigp_lightning.modules.yolo.metrics import detection_metrics, keypoint_likeness, match_predictions
from aigp_lightning.modules.yolo.nms import Rule, _padded, nms, nms_at_once, nms_by_image

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


def outputs(seed: int, extra: int = 0) -> torch.Tensor:
    """Raw output with crowds of boxes, equal scores, extra channels, and an image without any candidate."""
    random = torch.Generator().manual_seed(seed)
    classes, anchors = 1 + seed % 4, 200 + 170 * (seed % 5)
    raw = torch.rand(3, 4 + classes + extra, anchors, generator=random)
    raw[:, :2] *= 40 + 60 * (seed % 3)
    raw[:, 2:4] *= 60
    raw[:, 4 : 4 + classes] **= 6
    if seed % 2:
        raw[:, 4 : 4 + classes] = (raw[:, 4 : 4 + classes] * 40).round() / 40
    raw[1, 4 : 4 + classes] = 0
    return raw


@pytest.mark.parametrize("suppress", [nms_by_image, nms_at_once])
@pytest.mark.parametrize(
    ("conf", "iou", "most", "multi_label"),
    [
        (0.001, 0.7, 300, True),
        (0.25, 0.7, 300, False),
        (0.001, 0.1, 10, True),
        (0.0, 0.0, 3, False),
        (0.1, 1.0, 9, True),
    ],
)
def test_a_batch_is_suppressed_to_the_bit_as_by_ultralytics(suppress, conf, iou, most, multi_label):
    for seed in range(6):
        raw = outputs(seed, extra=12 * (seed % 2))
        classes = 1 + seed % 4
        theirs = non_max_suppression(
            raw.clone(), conf, iou, nc=classes, multi_label=multi_label, max_det=most, max_time_img=10
        )
        mine = suppress(raw, Rule(conf, iou, most, classes, multi_label and classes > 1))
        assert [len(rows) for rows in mine] == [len(rows) for rows in theirs]
        assert len(mine[0]) >= 3 > len(mine[1]) == 0
        for rows, expected in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(rows.numpy(), expected.numpy())


@pytest.mark.parametrize("suppress", [nms_by_image, nms_at_once])
@pytest.mark.parametrize("multi_label", [True, False])
def test_an_anchor_with_a_score_that_is_no_number_is_dropped(suppress, multi_label):
    raw = outputs(2)
    raw[0, 4 + 1, raw[0, 4].argmax()] = float("nan")
    theirs = non_max_suppression(raw.clone(), 0.001, 0.7, nc=3, multi_label=multi_label, max_time_img=10)
    mine = suppress(raw, Rule(0.001, 0.7, 300, 3, multi_label))
    for rows, expected in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(rows.numpy(), expected.numpy())


@pytest.mark.parametrize(("name", "value"), [("nms.AT_ONCE", 64), ("suppression.ROUNDS", 1), ("suppression.BLOCK", 16)])
def test_images_that_are_not_done_at_once_are_done_alone(name, value, monkeypatch):
    """Fewer candidates than are needed, fewer rounds than the longest chain; and blocks that hand on what they kept."""
    raw, rule = outputs(2), Rule(0.001, 0.3, 300, 3, True)
    monkeypatch.setattr(f"aigp_lightning.modules.yolo.{name}", value)
    mine = nms_at_once(raw, rule)
    theirs = non_max_suppression(raw.clone(), 0.001, 0.3, nc=3, multi_label=True, max_time_img=10)
    assert all(torch.equal(*rows) for rows in zip(mine, theirs, strict=True))


def test_a_chain_longer_than_the_rounds_is_told():
    """Each box overlaps the next alone, so that every second one stays: known only when the first are settled."""
    left = torch.arange(40.0)[:, None] * 4
    boxes = torch.cat((left, 0 * left, left + 10, 0 * left + 10), 1)[None]
    keep, settled = suppression.suppress_batch(boxes, torch.ones(1, 40, dtype=torch.bool), 0.4, 300)
    assert not settled
    keep, settled = suppression.suppress_batch(boxes[:, :16], torch.ones(1, 16, dtype=torch.bool), 0.4, 300)
    assert settled
    assert keep[0].tolist() == [True, False] * 8


def test_more_candidates_than_are_looked_at_first():
    raw = torch.rand(1, 6, 3000, generator=torch.Generator().manual_seed(1))
    raw[:, 2:4] = raw[:, 2:4] * 9 + 20
    raw[:, :2] *= 90
    theirs = non_max_suppression(raw.clone(), 0.001, 0.5, nc=2, multi_label=True, max_time_img=10)
    assert len(theirs[0]) < 300
    assert torch.equal(nms(raw, 0.001, 0.5, 300, 2)[0], theirs[0])


def test_a_head_that_suppresses_by_itself_is_cut_off_at_the_confidence():
    raw = torch.rand(3, 20, 6, generator=torch.Generator().manual_seed(0))
    theirs = non_max_suppression((raw.clone(), {}), 0.5, 0.7, nc=2, max_det=7)
    mine = nms((raw, {}), 0.5, 0.7, 7, 2)
    assert [len(rows) for rows in mine] == [7, 7, 7]
    assert all(torch.equal(*rows) for rows in zip(mine, theirs, strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_batch_waits_for_the_gpu_once():
    raw, rule = outputs(2), Rule(0.001, 0.7, 300, 3, True)
    expected = nms_at_once(raw, rule)
    on_gpu = nms_at_once(raw.cuda(), rule)
    for rows, wanted in zip(on_gpu, expected, strict=True):
        torch.testing.assert_close(rows.cpu(), wanted)
    torch.cuda.set_sync_debug_mode("error")
    try:
        _padded(raw.cuda(), rule)
    finally:
        torch.cuda.set_sync_debug_mode("default")


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


@pytest.mark.parametrize("count", [1, 4, 17])
def test_keypoint_likeness_is_ultralytics_to_the_bit(count):
    random = torch.Generator().manual_seed(count)
    true = torch.rand(7, count, 3, generator=random) * 60
    found = torch.rand(30, count, 3, generator=random) * 10 + true[torch.arange(30) % 7]
    true[..., 2] = (true[..., 2] > 20).float()
    true[3, :, 2] = 0
    boxes = torch.rand(7, 4, generator=random) * 30
    boxes[:, 2:] += boxes[:, :2] + 5
    sigmas = torch.rand(count, generator=random) / 3 + 0.02
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1) * 0.53
    theirs = kpt_iou(true, found, area=area, sigma=sigmas.tolist())
    object_, detection = (index.flatten() for index in torch.meshgrid(torch.arange(7), torch.arange(30), indexing="ij"))
    mine = keypoint_likeness(found[detection].numpy(), true[object_].numpy(), boxes[object_].numpy(), sigmas)
    np.testing.assert_array_equal(mine, theirs.flatten().numpy())
    assert 0.1 < mine.max() < 1
