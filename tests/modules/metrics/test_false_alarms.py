"""False alarms in pictures without labels: counted once each, on any number of processes, and from kept results."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hand_made_results import results_of

from aigp_lightning.evaluation.bootstrap import difference, interval
from aigp_lightning.evaluation.comparison import Comparison, Options
from aigp_lightning.evaluation.weighted_metrics import is_lower_better, metrics_of
from aigp_lightning.modules.metrics.detection import DetectionMetrics
from aigp_lightning.modules.metrics.false_alarms import FALSE_ALARMS, FalseAlarms
from aigp_lightning.types import Prediction

BOX = [[3.0, 3.0, 7.0, 7.0]]
SETTINGS = {"imgsz": 640, "conf": 0.001, "predict_conf": 0.25}


def found(*scores: float) -> Prediction:
    count = len(scores)
    return Prediction(
        torch.tensor(BOX * count).reshape(-1, 4), torch.tensor(scores), torch.zeros(count, dtype=torch.int64)
    )


def batch(*objects: int) -> dict:
    """A batch of pictures with so many objects each, all at one place."""
    index = torch.repeat_interleave(torch.arange(len(objects)), torch.tensor(objects))
    boxes = torch.tensor([[0.5, 0.5, 0.4, 0.4]]).repeat(len(index), 1)
    return {
        "img": torch.zeros(len(objects), 3, 10, 10),
        "cls": torch.zeros(len(index)),
        "batch_idx": index,
        "bboxes": boxes,
    }


def measured(conf: float = 0.25, lowest: float = 0.001) -> DetectionMetrics:
    """Of four pictures two without objects: three detections are sure enough in the one, none in the other."""
    metrics = DetectionMetrics({0: "gate"}).with_alarms_at(conf, lowest)
    metrics.update([found(0.9, 0.8), found(0.9, 0.5, 0.25, 0.2)], batch(1, 0))
    metrics.update([found(0.1), found(0.7)], batch(0, 1))
    return metrics


def test_detections_in_pictures_without_labels_are_counted() -> None:
    metrics = measured()
    assert metrics.compute()[FALSE_ALARMS] == 1.5
    assert metrics.false_alarms == FalseAlarms(count=3, empty=2, conf=0.25)
    metrics.reset()
    metrics.update([found(0.9)], batch(0))
    assert metrics.compute()[FALSE_ALARMS] == 1.0, "earlier pictures are forgotten"


@pytest.mark.parametrize(("conf", "expected"), [(0.05, 2.5), (0.5, 1.0), (0.95, 0.0)])
def test_the_confidence_is_that_of_predict(conf: float, expected: float) -> None:
    assert measured(conf).compute()[FALSE_ALARMS] == expected


def test_what_is_not_measured_is_not_told() -> None:
    only_labelled = DetectionMetrics({0: "gate"}).with_alarms_at(0.25, 0.001)
    only_labelled.update([found(0.9)], batch(1))
    assert FALSE_ALARMS not in only_labelled.compute() and only_labelled.false_alarms is None
    assert FALSE_ALARMS not in measured(conf=0.25, lowest=0.3).compute(), "the validation keeps fewer than predict"


def test_shares_of_processes_add_up() -> None:
    whole, shards = measured(), [DetectionMetrics({0: "gate"}).with_alarms_at(0.25, 0.001) for _ in range(2)]
    shards[0].update([found(0.9, 0.8), found(0.1)], batch(1, 0))
    shards[1].update([found(0.9, 0.5, 0.25, 0.2), found(0.7)], batch(0, 1))
    for shard in shards:
        shard._settle()
    for state in ("alarms", "empty"):
        assert sum(int(getattr(shard, state)) for shard in shards) == int(getattr(_settled(whole), state))
        assert shards[0]._reductions[state] is torch.sum or "sum" in str(shards[0]._reductions[state])


def _settled(metrics: DetectionMetrics) -> DetectionMetrics:
    metrics._settle()
    return metrics


def test_kept_results_give_the_same_figure() -> None:
    kept = results_of(
        [[(0, 0.9)], [], [], [(0, 0.6)]], [[(0, 0.8)], [(0, 0.9), (0, 0.5), (0, 0.1)], []], settings=SETTINGS
    )
    assert metrics_of(kept)[FALSE_ALARMS] == 1.0  # two sure ones in two empty pictures
    about = {**kept.about, "settings": {"imgsz": 640, "conf": 0.001}}
    assert FALSE_ALARMS not in metrics_of(replace(kept, about=about)), "results of earlier versions do not say where"
    assert FALSE_ALARMS not in metrics_of(results_of([[(0, 0.9)]], [[(0, 0.8)]], settings=SETTINGS))
    assert FALSE_ALARMS not in metrics_of(kept, classes=[0]), "an empty picture is of no class"
    assert is_lower_better(FALSE_ALARMS)


def test_models_are_compared_by_it() -> None:
    pictures = [[(0, 0.9)], *[[]] * 39]
    quiet, loud = (results_of(pictures, [[], *[[(0, 0.9)] * count] * 39], settings=SETTINGS) for count in (0, 2))
    measured = difference(loud, quiet, [FALSE_ALARMS], draws=100)[FALSE_ALARMS]
    assert (measured.candidate, measured.other, measured.value, measured.low, measured.high) == (2, 0, 2, 2, 2)
    assert interval(loud, FALSE_ALARMS, draws=100).low == 2.0
    (row,) = (row for row in Comparison(quiet, loud, Options(draws=100)).overall if "empty" in row.metric)
    assert (row.span.a, row.span.b, row.images, row.verdict()) == (0.0, 2.0, 39, "worse")


def test_less_is_better_and_it_stands_beside_the_losses() -> None:
    from aigp_lightning.callbacks.results import Results
    from aigp_lightning.media.plots.results import arrange

    results = Results(print_lines=False)
    for epoch, value in enumerate((0.5, 0.25, 0.75), start=1):
        results._keep({FALSE_ALARMS: value, "metrics/mAP50(B)": value}, epoch)
    assert results.best == {FALSE_ALARMS: (0.25, 2), "metrics/mAP50(B)": (0.75, 3)}
    losses, boxes = ["train/box_loss", "val/box_loss"], ["metrics/mAP50(B)", "metrics/mAP50-95(B)"]
    first, second = arrange([*losses, *boxes, FALSE_ALARMS, "lr/pg0"])
    assert first == [("train/box_loss",), ("metrics/mAP50(B)",), ("lr/pg0",)]
    assert second == [("val/box_loss",), ("metrics/mAP50-95(B)",), (FALSE_ALARMS,)]
