"""A part of the images: those that Ultralytics takes, told, with the scan's cache as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.data.fingerprint import fingerprint
from aigp_lightning.data.fraction import check_fraction, count_of, part_of
from aigp_lightning.errors import ConfigError
from aigp_lightning.store.run_check import _fingerprint


@pytest.mark.parametrize("fraction", [1, 1.0, 0.5, 0.001, 7, 1000, 0.35, [0.5, 0.25], [1, 3, 0.5], [0.1]])
def test_the_parts_are_those_of_ultralytics(fraction: Any) -> None:
    from ultralytics.data.utils import get_split_fraction

    check_fraction(fraction)
    for split in ("train", "val", "test"):
        theirs = get_split_fraction(fraction, split)
        for images in (1, 5, 24, 25, 101):
            count = theirs if isinstance(theirs, int) else max(1, round(images * theirs))  # `BaseDataset.get_img_files`
            assert count_of(part_of(fraction, split), images) == min(count, images)


def test_the_images_are_those_of_ultralytics(shapes: Path) -> None:
    from ultralytics.data.dataset import YOLODataset

    for fraction in (0.3, 5):
        data = YoloDataModule(str(shapes), workers=0, fraction=fraction)
        folder = Path(data.image_files("train")[0]).parent
        theirs = YOLODataset(
            img_path=str(folder), data={"names": data.names}, task="detect", augment=False, fraction=fraction
        )
        assert data.image_files("train") == theirs.im_files


def test_a_part_is_told_and_the_cache_stays(shapes: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = YoloDataModule(str(shapes), workers=0).scan("train")
    assert whole.cache_file is not None
    before = whole.cache_file.read_bytes()
    with caplog.at_level("INFO"):
        data = YoloDataModule(str(shapes), workers=0, fraction={"train": 6, "val": 0.5})
        part = data.scan("train")
        data.scan("val")
    assert part.from_cache
    assert whole.cache_file.read_bytes() == before
    assert [record.im_file for record in part.records] == [record.im_file for record in whole.records[:6]]
    assert (part.images, part.counts["images"], part.set_aside) == (6, 6, 0)
    assert f"train: the first 6 of {whole.images} images, as --data.fraction 6 says" in caplog.messages
    assert "val: the first 6 of 11 images, as --data.fraction 0.5 says" in caplog.messages, "a half is rounded to even"
    assert data.train_images == 6
    assert data.checkpoint_options()["fraction"] == {"train": 6, "val": 0.5}
    assert set(data.listed_files()) > set(data.image_files("train")), "patterns of private images see all"


def test_a_receipt_is_checked_against_the_same_part(shapes: Path) -> None:
    data = YoloDataModule(str(shapes), workers=0, fraction={"val": 3}, classes=["disc"])
    recorded = fingerprint(data.scan("val").records, data.names)
    settings = {"outside": "clip", "fraction": {"val": 3}, "classes": ["disc"]}
    assert _fingerprint(shapes, "val", {"settings": settings}) == recorded
    assert recorded.images == 3
    assert _fingerprint(shapes, "val", {"settings": {"outside": "clip"}}) != recorded


@pytest.mark.parametrize(
    ("fraction", "said"),
    [
        (0, "0 is no part of a split"),
        (-0.5, "-0.5 is no part"),
        (1.5, "1.5 is no part"),
        (float("nan"), "nan is no part"),
        (True, "True is no part"),
        ({"train": 0}, "0 is no part"),
        ({"training": 0.5}, "'training' is no split; they are train, val, test"),
        ([0.5, 0.5, 0.5, 0.5], "there are 3 splits"),
    ],
)
def test_what_is_no_part_is_refused(fraction: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=r"--data.fraction") as error:
        YoloDataModule("data.yaml", fraction=fraction)
    assert said in str(error.value)
