"""Metrics of keypoints: equal to Ultralytics' validator, on one process and on several."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from aigp_lightning.modules.metrics.gate_camera import GateCamera
from aigp_lightning.modules.metrics.pose import PoseMetrics
from aigp_lightning.types import Keypoints, Prediction

NAMES = {0: "gate", 1: "pole", 2: "net"}
WIDTH, HEIGHT = 128, 96
SIZE = torch.tensor([WIDTH, HEIGHT])
GATE = Keypoints(4, 3, ("tl", "tr", "br", "bl"))
KINDS = {
    "visible": GATE,
    "plain": Keypoints(4, 2, GATE.names),
    "sigmas": Keypoints(4, 3, GATE.names, sigmas=(0.02, 0.05, 0.1, 0.3)),
    "person": Keypoints(17, 3, tuple(map(str, range(17)))),
    "one": Keypoints(1, 3, ("middle",)),
}
KEYS = [f"metrics/{name}({of})" for of in "BP" for name in ("precision", "recall", "mAP50", "mAP50-95")]
Scene = tuple[list[Prediction], dict[str, Any]]


def scene(seed: int, keypoints: Keypoints, images: int = 6, most: int = 9) -> Scene:
    """Shaken copies of the labels, doubled, some of a wrong class, and noise; some images without either."""
    random = torch.Generator().manual_seed(seed)
    predictions, true, labels, points, image = [], [], [], [], []
    for index in range(images):
        count = 0 if index == 1 else int(torch.randint(1, most, (1,), generator=random))
        boxes = torch.rand(count, 4, generator=random) * 50
        boxes[:, 2:] += boxes[:, :2] + 8
        classes = torch.randint(0, 3, (count,), generator=random)
        corners = _inside(boxes, keypoints.count, random)
        noise = torch.rand(6, 4, generator=random) * 50
        noise[:, 2:] += noise[:, :2] + 8
        found = torch.cat((boxes.repeat(3, 1) + torch.randn(3 * count, 4, generator=random) * 2, noise))
        spread = torch.rand(3 * count, 1, 1, generator=random) * 8
        near = corners.repeat(3, 1, 1)
        near = near + torch.randn(near.shape, generator=random) * spread
        where = torch.cat((near, _inside(noise, keypoints.count, random)))
        kinds = torch.cat((classes.repeat(3), torch.randint(0, 3, (6,), generator=random)))
        wrong = torch.rand(len(kinds), generator=random) < 0.2
        kinds[wrong] = (kinds[wrong] + 1) % 3
        scores, order = torch.rand(len(found), generator=random).sort(descending=True, stable=True)
        some = slice(0, 0 if index == 2 else None)
        sure = torch.rand(*where.shape[:2], 1, generator=random)
        posed = torch.cat((where, torch.ones_like(sure) if keypoints.numbers == 2 else sure), 2)
        predictions.append(Prediction(found[order][some], scores[some], kinds[order][some], posed[order][some]))
        true.append(torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2 / SIZE, (boxes[:, 2:] - boxes[:, :2]) / SIZE), 1))
        seen = torch.randint(0, 3, (count, keypoints.count, 1), generator=random).float()
        seen = seen.clamp(max=1) if keypoints.numbers == 2 else seen
        points.append(torch.cat((corners / SIZE, seen), 2))
        labels.append(classes)
        image.append(torch.full((count,), index))
    batch = {
        "img": torch.zeros(images, 3, HEIGHT, WIDTH),
        "bboxes": torch.cat(true),
        "cls": torch.cat(labels),
        "keypoints": torch.cat(points),
        "batch_idx": torch.cat(image),
        "ori_shape": [(HEIGHT, WIDTH)] * images,
        "ratio_pad": [((1.0, 1.0), (0.0, 0.0))] * images,
        "im_file": [f"{index}.jpg" for index in range(images)],
    }
    return predictions, batch


def _inside(boxes: torch.Tensor, count: int, random: torch.Generator) -> torch.Tensor:
    size = (boxes[:, 2:] - boxes[:, :2])[:, None]
    return boxes[:, None, :2] + torch.rand(len(boxes), count, 2, generator=random) * size


def without_labels(scene: Scene) -> Scene:
    predictions, batch = scene
    return predictions, {**batch, **{key: batch[key][:0] for key in ("cls", "bboxes", "batch_idx", "keypoints")}}


def by_ultralytics(scenes: list[Scene], keypoints: Keypoints, tmp_path: Path) -> Any:
    """The figures of Ultralytics' own validator, its own preparation of labels included."""
    from ultralytics.models.yolo.pose import PoseValidator

    data: dict[str, Any] = {"kpt_shape": [keypoints.count, keypoints.numbers]}
    if keypoints.sigmas is not None:
        data["kpt_oks_sigmas"] = list(keypoints.sigmas)
    validator = PoseValidator(args={"plots": False, "mode": "val", "conf": 0.001}, save_dir=tmp_path)
    validator.data, validator.training, validator.device = data, True, torch.device("cpu")
    model: Any = torch.nn.Module()
    model.names = NAMES
    validator.init_metrics(model)
    for predictions, batch in scenes:
        found = [
            {
                "bboxes": one.boxes,
                "conf": one.scores,
                "cls": one.labels.float(),
                "keypoints": one.keypoints[..., : keypoints.numbers],
            }
            for one in predictions
            if one.keypoints is not None
        ]
        theirs = {**batch, "cls": batch["cls"].float()[:, None], "bboxes": batch["bboxes"].clone()}
        validator.update_metrics(found, theirs)
    validator.get_stats()
    return validator


def ours_of(scenes: list[Scene], keypoints: Keypoints) -> PoseMetrics:
    metrics = PoseMetrics(NAMES, keypoints, None)
    for predictions, batch in scenes:
        metrics.update(predictions, batch)  # type: ignore[arg-type]
    return metrics


@pytest.mark.parametrize("kind", KINDS)
def test_all_figures_equal_ultralytics_validator(kind: str, tmp_path: Path) -> None:
    """Crowded images, images without labels or predictions, a batch without labels: all eight, and fitness."""
    keypoints = KINDS[kind]
    scenes = [scene(seed, keypoints) for seed in range(3)]
    scenes += [scene(7, keypoints, images=2, most=40), without_labels(scene(8, keypoints))]
    validator = by_ultralytics(scenes, keypoints, tmp_path)
    metrics = ours_of(scenes, keypoints)
    found, expected = metrics.compute(), validator.metrics.results_dict
    assert [key for key in found if key.startswith("metrics/")] == KEYS
    assert {key: found[key] for key in expected} == pytest.approx(
        {key: float(value) for key, value in expected.items()}, abs=1e-9
    )
    assert found["fitness"] == metrics.fitness == pytest.approx(float(validator.metrics.fitness), abs=1e-9)
    assert 0.02 < found["metrics/mAP50-95(P)"] < 0.98
    assert found["metrics/mAP50(P)"] != found["metrics/mAP50(B)"]
    box, pose = metrics.curves()
    assert (box.prefix, pose.prefix) == ("Box", "Pose")
    for curves, theirs in ((box, validator.metrics.box), (pose, validator.metrics.pose)):
        assert curves.names == ("gate", "pole", "net")
        torch.testing.assert_close(torch.from_numpy(curves.pr), torch.tensor(theirs.prec_values, dtype=torch.float32))
        torch.testing.assert_close(torch.from_numpy(curves.f1), torch.tensor(theirs.f1_curve, dtype=torch.float32))


def test_sigmas_of_the_data_set_decide(tmp_path: Path) -> None:
    """The same predictions under stricter tolerances."""
    scenes = [scene(0, GATE)]
    loose, strict = Keypoints(4, 3, GATE.names, sigmas=(0.5,) * 4), Keypoints(4, 3, GATE.names, sigmas=(0.005,) * 4)
    values = [ours_of(scenes, kind).compute()["metrics/mAP50(P)"] for kind in (loose, GATE, strict)]
    assert values[0] > values[1] > values[2]


def test_two_shards_exchanged_equal_one_process() -> None:
    """As torchmetrics exchanges them: lists joined, counts summed; one process's last batch is empty."""
    scenes = [scene(seed, GATE) for seed in range(4)]
    whole = ours_of(scenes, GATE)
    shards = [ours_of([], GATE), ours_of([], GATE)]
    for one, shard in zip(scenes, itertools.cycle(shards), strict=False):
        shard.update(*one)  # type: ignore[arg-type]
    empty = without_labels(scenes[0])[1]
    shards[1].update([], {**empty, "img": empty["img"][:0], "ori_shape": [], "ratio_pad": [], "im_file": []})  # type: ignore[arg-type, typeddict-item]
    expected = whole.compute()
    for shard in shards:
        shard.sync()  # what torchmetrics calls first
    merged = shards[0]
    for state, reduction in merged._reductions.items():
        values = [getattr(shard, state) for shard in shards]
        values = [torch.cat(value) if isinstance(value, list) else value for value in values]
        setattr(merged, state, torch.cat(values) if "cat" in reduction.__name__ else reduction(torch.stack(values)))
    found = merged.compute()
    assert set(KEYS) < found.keys() == expected.keys()
    assert found == pytest.approx(expected, abs=1e-6)
    assert merged.report is not None
    assert whole.report is not None
    assert len(merged.report.rows) == len(whole.report.rows) == sum(len(one[1]["cls"]) for one in scenes)


def test_nothing_but_empty_batches() -> None:
    """A process whose every share was empty."""
    metrics = ours_of([], GATE)
    empty = without_labels(scene(0, GATE))[1]
    metrics.update([], {key: value[:0] for key, value in empty.items()})  # type: ignore[arg-type, typeddict-item]
    found = metrics.compute()
    assert [found[key] for key in KEYS] == [0.0] * 8
    assert (found["fitness"], metrics.curves(), metrics.corner_errors()) == (0.0, [], None)


def test_batch_of_an_empty_share_may_lack_keypoints() -> None:
    metrics = ours_of([scene(0, GATE)], GATE)
    empty = without_labels(scene(0, GATE))[1]
    before = metrics.compute()
    metrics = ours_of([scene(0, GATE)], GATE)
    metrics.update([], {key: value[:0] for key, value in empty.items() if key != "keypoints"})  # type: ignore[arg-type, typeddict-item]
    assert metrics.compute() == pytest.approx(before)


def test_perfect_keypoints_score_one_and_invisible_ones_do_not_count() -> None:
    _, batch = scene(3, GATE)
    batch["keypoints"][:, 1, 2] = 0
    batch["keypoints"][:, [0, 2, 3], 2] = 2
    size = torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    centre, half = batch["bboxes"][:, :2], batch["bboxes"][:, 2:] / 2
    boxes = torch.cat((centre - half, centre + half), 1)
    points = batch["keypoints"] * torch.tensor([WIDTH, HEIGHT, 1])
    points[:, 1, :2] += 500  # nobody knows where it is
    predictions = []
    for index in range(6):
        mine = batch["batch_idx"] == index
        scores = torch.linspace(0.9, 0.8, int(mine.sum()))
        predictions.append(Prediction(boxes[mine] * size, scores, batch["cls"][mine], points[mine]))
    found = ours_of([(predictions, batch)], GATE).compute()
    assert [found[key] for key in KEYS] == pytest.approx([1, 1, 0.995, 0.995] * 2, abs=2e-3)
    assert found["corners/error_px_mean"] == pytest.approx(0, abs=1e-4)


def test_table_has_a_row_for_each_class_with_figures_of_boxes_and_keypoints(tmp_path: Path) -> None:
    scenes = [scene(5, GATE)]
    metrics, validator = ours_of(scenes, GATE), by_ultralytics(scenes, GATE, tmp_path)
    metrics.compute()
    rows = metrics.table()
    assert [row["class"] for row in rows] == ["all", "gate", "pole", "net"]
    assert list(rows[0]) == ["class", "images", "instances", *PoseMetrics.columns]
    assert [rows[0][key] for key in PoseMetrics.columns] == pytest.approx(validator.metrics.mean_results(), abs=1e-9)
    assert [rows[2][key] for key in PoseMetrics.columns] == pytest.approx(validator.metrics.class_result(1), abs=1e-9)
    assert rows[0]["instances"] == len(scenes[0][1]["cls"])


def test_metres_only_with_a_camera() -> None:
    metrics = PoseMetrics(NAMES, GATE, GateCamera(width=WIDTH, height=HEIGHT, cx=64, cy=48, fx=64, fy=64))
    metrics.update(*scene(2, GATE))  # type: ignore[arg-type]
    with_camera = metrics.compute()
    without = ours_of([scene(2, GATE)], GATE).compute()
    assert set(without) < set(with_camera)
    assert all(key.startswith("gate/") for key in with_camera.keys() - without.keys())
    assert {key: with_camera[key] for key in without} == pytest.approx(without)


def test_results_outlive_a_reset() -> None:
    metrics = ours_of([scene(1, GATE)], GATE)
    found = metrics.compute()
    rows = metrics.table()
    metrics.reset()
    assert metrics.rows == metrics.correct_pose == []
    assert metrics.table() == rows
    assert len(metrics.curves()) == 2
    metrics.update(*scene(1, GATE))  # type: ignore[arg-type]
    assert metrics.compute() == pytest.approx(found)


def test_a_figure_known_once_is_not_a_number_when_nothing_is_found() -> None:
    metrics = ours_of([scene(1, GATE)], GATE)
    known = metrics.compute()
    metrics.reset()
    predictions, batch = scene(1, GATE)
    metrics.update([Prediction(p.boxes, p.scores * 0, p.labels, p.keypoints) for p in predictions], batch)
    later = metrics.compute()
    assert set(later) == set(known)
    assert all(math.isnan(later[key]) for key in later if key.startswith("corners/"))
