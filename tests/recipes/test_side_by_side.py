"""`--check`: Ultralytics' trainer and ours side by side; what differs is found, and nothing leaves the machine."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from socket_watch import STRACE, outside, run_watched

from aigp_lightning.recipes.convert import Conversion, convert
from aigp_lightning.recipes.read_arguments import read_recipe
from aigp_lightning.recipes.side_by_side import (
    Comparison,
    _compare_augmentation,
    _compare_schedules,
    _quiet,
)
from aigp_lightning.recipes.stand_in import StandIn, make_stand_in

SHORT = "model=yolo11n.yaml data=gone.yaml epochs=3 batch=4 warmup_epochs=0.6 optimizer=SGD lr0=0.02 nbs=16 cos_lr=True"
HOMES = ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "YOLO_CONFIG_DIR", "YOLO_OFFLINE")


def converted(words: str = SHORT) -> Conversion:
    return convert(read_recipe([words]), lambda path: ("detect", None))


def test_nothing_differs_and_nobody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in HOMES}
    environment |= {"HOME": str(tmp_path / "home"), "USERPROFILE": str(tmp_path / "home")}
    words = [*SHORT.split(), "multi_scale=0.2", "degrees=10", "hsv_h=0.1", "mosaic=0.5"]
    traced = run_watched(["from-ultralytics", *words, "--check"], tmp_path, environment)
    told = traced.output.partition("side by side with Ultralytics' own trainer:")[2]
    assert "nothing differs" in told, traced.output
    assert "schedule: 9 batches of 4 pictures, 3 of 3 epochs" in told
    assert "augmentation: 48 synthetic pictures, 384 samples of them" in told
    assert "not compared: the network and its weights, the loss, rounding in 16 bits, multi_scale" in " ".join(
        told.split()
    )
    assert max(map(len, told.splitlines())) <= 80
    assert traced.status == 1  # the data set is not here
    assert traced.events == ["watching"]
    if STRACE:
        assert outside(traced.calls or "") == []
    assert list((tmp_path / "home").iterdir()) == []


@pytest.fixture(scope="module")
def pictures(made_once: Callable[..., Path]) -> StandIn:
    """Synthetic pictures, made once."""
    made_once("stand-in pictures", lambda folder: make_stand_in(folder / "all", "detect", None))
    folder = made_once("stand-in pictures", lambda folder: None) / "all"
    about = {"names": {0: "gate"}, "nc": 1, "channels": 3, "task": "detect", "path": folder}
    places = {split: str(folder / "images" / split) for split in ("train", "val")}
    return StandIn(folder / "data.yaml", {**about, **places}, own=False)


def with_options(**options: Any) -> Conversion:
    """A conversion that is wrong: other options than the recipe means."""
    right = converted()
    return replace(right, options={**right.options, **{name.replace("__", "."): v for name, v in options.items()}})


def test_another_schedule_is_found(pictures: StandIn, tmp_path: Path) -> None:
    result = Comparison()
    wrong = with_options(model__optim__momentum=0.8, model__optim__cos_lr=False, model__optim__weight_decay=0.001)
    with _quiet():
        _compare_schedules(wrong, pictures, tmp_path, result)
    told = "\n".join(result.differences)
    for words in ("momentum of group weight", "decay of group weight", "rate of epoch 2, as a share of lr0"):
        assert words in told
    assert not result.is_same
    assert "they differ:" in list(result.lines())


def augmented(conversion: Conversion, pictures: StandIn, folder: Path) -> Comparison:
    random.seed(1)  # Ultralytics draws from the global states
    np.random.seed(1)  # noqa: NPY002
    result = Comparison()
    with _quiet():
        _compare_augmentation(conversion, pictures, folder, result)
    return result


def test_another_augmentation_is_found(pictures: StandIn, tmp_path: Path) -> None:
    """Each parameter is compared, and without mosaics there are fewer objects in a sample."""
    wrong = {"mosaic": 0.0, "hsv_s": 0.6, "scale": 0.4, "blur": 0.2, "fliplr": 0.4, "bgr": 0.1, "mixup": 0.1}
    options = {f"data__augment__{name}": value for name, value in wrong.items()}
    differences = augmented(with_options(**options), pictures, tmp_path).differences
    told = {line.partition(":")[0] for line in differences}
    assert set(wrong) <= told
    assert "scale: 0.5 there, 0.4 here" in differences
    assert "objects of a sample" in told


def test_both_sides_name_what_mixes_by_its_own_chance(pictures: StandIn, tmp_path: Path) -> None:
    """The configuration's, not that of a transform that is called when it was drawn; swapped channels too."""
    from aigp_lightning.modules.yolo.reference import reference_samples
    from aigp_lightning.recipes.our_side import samples_here

    mixing = {"mixup": 0.4, "cutmix": 0.3, "copy_paste": 0.2, "bgr": 0.1}
    theirs = reference_samples(pictures.about, mixing, 32, 0)[0]
    ours = samples_here(pictures, tmp_path, {f"data.augment.{name}": value for name, value in mixing.items()}, 32, 0)[0]
    for names, swapped in ((theirs, "Format bgr=0.1"), (ours, "SwapChannels bgr=0.1")):
        mixed = {"MixUp p=0.4", "CutMix p=0.3", "CopyPaste p=0.2", swapped}
        assert mixed <= set(names), names
    assert not any("bgr" in name for name in reference_samples(pictures.about, {}, 32, 0)[0])


def test_samples_of_a_picture_differ_from_one_another(pictures: StandIn, tmp_path: Path) -> None:
    from aigp_lightning.recipes.our_side import samples_here

    count = len(pictures.pictures)
    with _quiet():
        made = samples_here(pictures, tmp_path, converted().options, 32, count + 4)[2]
        means = [float(picture.mean()) for picture, _ in made]
    assert len(means) == count + 4
    assert not set(means[:count]) & set(means[count:])


def test_pictures_of_the_recipe_are_copied(shapes: Path, tmp_path: Path) -> None:
    from aigp_lightning.data.data_yaml import read_data_yaml

    before = sorted(path.relative_to(shapes.parent) for path in shapes.parent.rglob("*"))
    made = make_stand_in(tmp_path / "copy", "detect", read_data_yaml(shapes))
    assert made.own
    assert len(made.pictures) == 24
    assert made.about["names"] == {0: "square", 1: "disc"}
    assert len(list((tmp_path / "copy" / "labels" / "train").iterdir())) == 24
    assert sorted(path.relative_to(shapes.parent) for path in shapes.parent.rglob("*")) == before
