"""Some classes alone: labels as Ultralytics filters them, predictions as its predictor does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.modules.chosen_classes import chosen_classes, of_classes
from aigp_lightning.modules.yolo.best_of_classes import best_of_classes
from aigp_lightning.modules.yolo.nms import nms
from aigp_lightning.types import Prediction


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("classes", [["disc"], [0], [1, "square"], "Disc", 1])
def test_labels_are_filtered_as_by_ultralytics(shapes: Path, classes: Any, single: bool) -> None:
    from ultralytics.data.dataset import YOLODataset

    data = YoloDataModule(str(shapes), workers=0, classes=classes, single_cls=single)
    ids = {"disc": [1], 0: [0], 1: [0, 1]}[classes[0]] if isinstance(classes, list) else [1]
    ours = data.scan("train").records
    theirs = YOLODataset(
        img_path=str(Path(ours[0].im_file).parent), data={"names": {0: "square", 1: "disc"}}, task="detect",
        augment=False, classes=ids, single_cls=single,
    )  # fmt: skip
    assert [record.im_file for record in ours] == theirs.im_files
    for record, label in zip(ours, theirs.labels, strict=True):
        np.testing.assert_array_equal(record.cls, label["cls"][:, 0])
        np.testing.assert_array_equal(record.bboxes, label["bboxes"])
    assert data.names == ({0: "item"} if single else {0: "square", 1: "disc"}), "ids stay"
    assert data.checkpoint_options()["classes"] == (classes if isinstance(classes, list) else [classes])


def test_keypoints_go_with_their_objects(corners: Path) -> None:
    data = YoloDataModule(str(corners), workers=0, classes=[0])
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        lightning_module=SimpleNamespace(wants_keypoints=True), state=SimpleNamespace(fn=None), global_rank=0,
        local_rank=0, world_size=1, default_root_dir=".", num_devices=1,
    )  # fmt: skip
    for record in data.scan("train").records:
        assert record.keypoints is not None
        assert len(record.keypoints) == len(record.cls) == len(record.bboxes)
    assert data.scan("train").instances > 0


def test_classes_that_are_not_there_are_named(shapes: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"--data.classes gate, 7: .*data.yaml has no such classes. It has 0 square, 1"
    ):
        YoloDataModule(str(shapes), workers=0, classes=["gate", 7]).scan("train")
    with pytest.raises(ConfigError, match="did you mean square"):
        YoloDataModule(str(shapes), workers=0, classes=["sqare"]).scan("train")
    with pytest.raises(ConfigError, match="no class is left"):
        YoloDataModule(str(shapes), workers=0, classes=[])


def test_no_label_left_is_an_error(shapes: Path, tmp_path: Path) -> None:
    yaml = tmp_path / "data.yaml"
    images = shapes.parent / "images"
    yaml.write_text(f"train: {images}/train\nval: {images}/val\nnames: [square, disc, gate]\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"--data.classes gate: of the [0-9]+ labels of 'val' none is of these classes"):
        YoloDataModule(str(yaml), workers=0, classes=["gate"]).scan("val")


@pytest.mark.parametrize("classes", [[0], [1, 2], [3]])
def test_predictions_are_filtered_as_by_ultralytics(classes: list[int]) -> None:
    """Before suppression: boxes of other classes take no place among the most that are kept."""
    from ultralytics.utils.nms import non_max_suppression

    random = torch.Generator().manual_seed(sum(classes))
    raw = torch.rand(2, 4 + 4 + 3, 300, generator=random)
    raw[:, :4] *= 90
    theirs = non_max_suppression(raw.clone(), 0.3, 0.6, classes=classes, nc=4, max_det=20, max_time_img=10)
    ours = nms(best_of_classes(raw, 4, classes), 0.3, 0.6, 20, 4, multi_label=False)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
        assert set(mine[:, 5].int().tolist()) == set(classes)
        assert len(mine) > 3
    assert best_of_classes(raw, 4, None) is raw


def test_predictions_of_a_head_without_suppression_are_filtered_too() -> None:
    from ultralytics.utils.nms import non_max_suppression

    rows = torch.rand(1, 30, 6, generator=torch.Generator().manual_seed(1))
    rows[..., 5] = torch.arange(30) % 3
    theirs = non_max_suppression(rows.clone(), 0.2, 0.6, classes=[2], max_det=5, end2end=True)
    ours = nms(best_of_classes(rows, 3, [2]), 0.2, 0.6, 5, 3, multi_label=False)
    np.testing.assert_array_equal(ours[0].numpy(), theirs[0].numpy())


def test_only_predict_filters(shapes: Path) -> None:
    """Validation measures the classes that have labels, as Ultralytics does."""
    data = YoloDataModule(str(shapes), workers=0, classes=["disc"])
    module = SimpleNamespace(names={0: "disc", 1: "square"}, _trainer=None)
    assert chosen_classes(module) is None
    for stage, expected in (("fit", None), ("validate", None), ("predict", (0,))):
        module._trainer = SimpleNamespace(state=SimpleNamespace(fn=stage), datamodule=data)
        assert chosen_classes(module) == expected, "by name, whatever the model's order is"
    found = Prediction(torch.zeros(3, 4), torch.ones(3), torch.tensor([0, 1, 0]), torch.arange(3.0)[:, None, None])
    (kept,) = of_classes([found], (0,))
    assert kept.keypoints is not None
    assert (kept.labels.tolist(), kept.keypoints.flatten().tolist()) == ([0, 0], [0.0, 2.0])
