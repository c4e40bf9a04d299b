"""Results image by image: paired as the metrics pair them, in the pixels of the original pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aigp_lightning.boxes import xyxy_to_xywh
from aigp_lightning.modules.metrics.collect_results import ResultsCollector, join_shares
from aigp_lightning.modules.metrics.detection import match_boxes, true_boxes
from aigp_lightning.modules.metrics.gate_camera import GateCamera
from aigp_lightning.modules.metrics.image_results import ImageResults
from aigp_lightning.modules.metrics.pose import PoseMetrics
from aigp_lightning.types import Keypoints, Prediction

SHAPES = [(100, 200), (64, 128), (50, 40)]
GAIN, PAD = (0.8, 0.5), (6.0, 10.0)
"""Height and width; left and top."""
KEYPOINTS = Keypoints(4, 3, ("tl", "tr", "br", "bl"))


def batch_of(number: int, images: int = 3) -> tuple[list[Prediction], dict]:
    """Objects and shaken detections of them, several of each, the labels in no order of images."""
    random = np.random.default_rng(number)
    image = random.permutation(np.repeat(np.arange(images), 4))
    low = random.uniform(10, 50, (len(image), 2)).astype(np.float32)
    corners = np.hstack((low, low + random.uniform(8, 20, (len(image), 2)))).astype(np.float32)
    boxes = torch.from_numpy(xyxy_to_xywh(corners)) / torch.tensor([120.0, 80.0, 120.0, 80.0])
    points = corners[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
    seen = random.integers(0, 3, (len(image), 4, 1))
    labels = torch.from_numpy(random.integers(0, 2, len(image)))
    keypoints = np.concatenate((points / [120, 80], seen), 2).astype(np.float32)
    batch = {
        "img": torch.zeros(images, 3, 80, 120),
        "cls": labels,
        "bboxes": boxes,
        "batch_idx": torch.from_numpy(image),
        "im_file": [f"{number}-{place}.jpg" for place in range(images)],
        "ori_shape": SHAPES[:images],
        "ratio_pad": [(GAIN, PAD)] * images,
        "keypoints": torch.from_numpy(keypoints),
    }
    found = []
    for place in range(images):
        mine = np.repeat(np.flatnonzero(image == place), 3)
        score = np.sort(random.random(len(mine)).astype(np.float32))[::-1].copy()
        shake = random.normal(0, 2.5, (len(mine), 4)).astype(np.float32)
        places = points[mine] + random.normal(0, 2, (len(mine), 4, 2))
        xyv = np.concatenate((places, random.random((len(mine), 4, 1))), 2).astype(np.float32)
        own = torch.from_numpy(random.integers(0, 2, len(mine)))
        given = [torch.from_numpy(each) for each in (corners[mine] + shake, score, xyv)]
        found.append(
            Prediction(given[0], given[1], torch.where(torch.rand(len(mine)) < 0.7, labels[mine], own), given[2])
        )
    return found, batch


def collected(batches: list, keypoints: Keypoints | None = KEYPOINTS) -> ImageResults:
    collector = ResultsCollector(keypoints, GateCamera(width=200, height=100) if keypoints else None)
    for found, batch in batches:
        collector.add(found, batch)
    return join_shares([collector.share()], {"task": "pose"})


def test_detections_are_right_as_the_metrics_count_them() -> None:
    batches = [batch_of(number) for number in range(3)]
    results = collected(batches)
    metrics = PoseMetrics({0: "gate", 1: "tree"}, KEYPOINTS, GateCamera(width=200, height=100))
    for found, batch in batches:
        metrics.update(found, batch)
    metrics.compute()
    np.testing.assert_array_equal(results.correct, torch.cat(metrics.correct).numpy())
    np.testing.assert_array_equal(results.correct_pose, torch.cat(metrics.correct_pose).numpy())
    np.testing.assert_array_equal(results.found_score, torch.cat(metrics.conf).numpy())
    np.testing.assert_array_equal(results.found_label, torch.cat(metrics.pred_cls).numpy())
    assert 0.1 < results.correct[:, 0].mean() < 0.6
    assert 0.1 < results.correct_pose.mean() < results.correct_pose[:, 0].mean() < 0.6
    ours, theirs = (np.sort(rows, axis=0) for rows in (results.corner_rows, metrics.report.rows))
    np.testing.assert_array_equal(ours, theirs)
    assert not np.isnan(results.corner_rows[:, 5:9]).all()


def test_each_object_is_paired_once_and_weak_detections_change_no_pair() -> None:
    batches = [batch_of(number) for number in range(3)]
    results = collected(batches)
    paired = results.match >= 0
    np.testing.assert_array_equal(paired, results.correct[:, 0])
    assert len(set(results.match[paired])) == paired.sum() > 10
    np.testing.assert_array_equal(results.true_image[results.match[paired]], results.found_image[paired])
    np.testing.assert_array_equal(results.true_label[results.match[paired]], results.found_label[paired])
    sure = [
        (
            [Prediction(*(part[one.scores > 0.5] for part in vars(one).values() if part is not None)) for one in found],
            batch,
        )
        for found, batch in batches
    ]
    kept = results.found_score > 0.5
    assert 0 < kept.sum() < len(kept)
    np.testing.assert_array_equal(collected(sure).match, results.match[kept])


def test_coordinates_are_those_of_the_original_pictures() -> None:
    found, batch = batch_of(7)
    results = collected([(found, batch)])
    order = np.argsort(batch["batch_idx"].numpy(), kind="stable")
    boxes = (true_boxes(batch).numpy()[order] - [6, 10, 6, 10]) / [0.5, 0.8, 0.5, 0.8]
    np.testing.assert_allclose(results.true_box, boxes, rtol=1e-4)
    points = batch["keypoints"].numpy()[order] * [120, 80, 1]
    points[..., :2] = (points[..., :2] - [6, 10]) / [0.5, 0.8]
    np.testing.assert_allclose(results.true_points, points, rtol=1e-4)
    assert results.true_image.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    first = found[0].boxes[0].numpy()
    expected = (first - [6, 10, 6, 10]) / [0.5, 0.8, 0.5, 0.8]
    np.testing.assert_allclose(results.found_box[0], np.clip(expected, 0, [200, 100, 200, 100]), rtol=1e-4)
    seen = found[0].keypoints[0].numpy()
    np.testing.assert_allclose(results.found_points[0, :, :2], (seen[:, :2] - [6, 10]) / [0.5, 0.8], rtol=1e-4)
    np.testing.assert_array_equal(results.found_points[0, :, 2], seen[:, 2])
    mine = batch["batch_idx"] == 0
    right = match_boxes(found[0], true_boxes(batch)[mine], batch["cls"][mine]).numpy()
    np.testing.assert_array_equal(results.correct[results.found_image == 0], right)
    # a row of corners belongs to the object beside it
    rows = [row for row in range(len(results.true_label)) if not np.isnan(results.corner_rows[row, 5:9]).all()]
    assert len(rows) > 3
    for row in rows:
        mine = (results.found_image == results.true_image[row]) & (results.found_score > 0.25)
        away = np.linalg.norm(results.found_points[mine, :, :2] - results.true_points[row, :, :2], axis=2)
        known = ~np.isnan(results.corner_rows[row, 5:9])
        assert (np.abs(away - results.corner_rows[row, 5:9])[:, known].max(1) < 0.01).any()


def test_shares_of_processes_come_in_the_order_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two processes has every other image of a batch, and an empty share where there is none for it."""
    batches = [batch_of(0), batch_of(1, 1)]
    whole = collected(batches)
    shares = []
    for rank in range(2):
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
        collector = ResultsCollector(KEYPOINTS, GateCamera(width=200, height=100))
        for found, batch in batches:
            collector.add(*share_of(found, batch, rank))
        shares.append(collector.share())
    joined = join_shares(shares, {"task": "pose"})
    assert joined.files == whole.files
    for name, value in vars(whole).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(joined, name), value, err_msg=name)


def share_of(found: list[Prediction], batch: dict, rank: int) -> tuple[list[Prediction], dict]:
    """The part of a batch that one of two processes has."""
    mine = [place for place in range(len(found)) if place % 2 == rank]
    rows = torch.cat([torch.zeros(0, dtype=torch.int64), *(torch.where(batch["batch_idx"] == p)[0] for p in mine)])
    rows = rows.sort().values
    own = {key: batch[key][rows] for key in ("cls", "bboxes", "keypoints")}
    own["batch_idx"] = torch.tensor([mine.index(int(place)) for place in batch["batch_idx"][rows]])
    lists = {key: [batch[key][place] for place in mine] for key in ("im_file", "ori_shape", "ratio_pad")}
    return [found[place] for place in mine], {**lists, **own, "img": batch["img"][mine]}


def test_nothing_found_and_nothing_labelled() -> None:
    nothing = torch.zeros(0, 4)
    none = Prediction(nothing, nothing[:, 0], nothing[:, 0].long(), torch.zeros(0, 4, 3))
    empty = {**batch_of(0, 1)[1], "cls": torch.zeros(0, dtype=torch.int64), "bboxes": nothing}
    empty |= {"batch_idx": torch.zeros(0, dtype=torch.int64), "keypoints": torch.zeros(0, 4, 3)}
    results = collected([([none], empty), batch_of(1, 1)])
    assert results.files == ("0-0.jpg", "1-0.jpg")
    assert set(results.found_image) == set(results.true_image) == {1}
    assert results.corner_rows.shape == (4, 13)
    plain = collected([([Prediction(nothing, nothing[:, 0], nothing[:, 0].long())], empty)], None)
    assert plain.found_points.shape == (0, 0, 3)
    assert plain.corner_rows.shape == (0, 0)
    assert plain.correct_pose.shape == plain.correct_mask.shape == (0, 0)
    share = ResultsCollector(masks=True).share()  # of a process that got no image
    segmented = join_shares([share, share], {"task": "segment"})
    assert segmented.correct_mask.shape == (0, 10) and not segmented.not_kept
