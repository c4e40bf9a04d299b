"""What is checked before a run: the images that options name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import lightning.pytorch  # noqa: F401  it says which process this is, for warnings
import pytest

from aigp_lightning.errors import ConfigError
from aigp_lightning.media.checks import check_numbers, check_private_images
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.routing import Routes, Routing
from aigp_lightning.media.val_selection import ValImageSelection


class Data:
    def image_files(self, split: str) -> list[str]:
        return [f"/data/{split}/home/0.jpg", f"/data/{split}/hall/[0].jpg"]


class Whole(Data):
    def root_folder(self) -> str:
        return "/data"

    def listed_files(self) -> list[str]:
        return [*self.image_files("train"), *self.image_files("val"), "/data/test/t.jpg", "/data/val/broken.jpg"]


class Remote:
    name = destination = "wandb"
    remote, waits = True, False

    def send(self, images: object, epoch: int, step: int) -> None:
        raise NotImplementedError


DRAWN = {"train_batch": 3, "val_labels": 3, "val_pred": 3}


def check(
    private: str | list[str], data: object = Whole(), routes: Routes = Routes(),
    drawn: Mapping[str, int] = DRAWN,
    remote: bool = True, refuse: bool = False,
) -> list[str]:  # fmt: skip
    said: list[str] = []
    routing = Routing(routes, [Remote()] if remote else [])
    check_private_images(data, ImagePatterns(private, "--media.private"), routing, drawn, refuse, said.append)
    return said


def test_an_entry_that_fits_nothing_is_an_error_where_pictures_leave(tmp_path: Path) -> None:
    """The message names option, entry and line, and one image as the data set names it."""
    (tmp_path / "p.txt").write_text("home\n\nhoem/*  # a slip\n")
    with pytest.raises(ConfigError) as error:
        check("p.txt")
    assert "no image of this data set fits hoem/* (p.txt:3)" in str(error.value)
    assert "/data/train/home/0.jpg" in str(error.value)
    assert "in train_batch, val_labels, val_pred" in str(error.value)
    assert "--media.private" in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="in val_pred:"):
        check("p.txt", routes=Routes(everything=["file"], val_pred=["wandb"]))
    with pytest.raises(ConfigError, match="in train_batch:"):
        check("p.txt", drawn={"train_batch": 1})
    with pytest.raises(
        ConfigError, match=r"fits no image of this data set, such as .*: x0, x1, x2, x3, x4 and 2 more\."
    ):
        check([f"x{number}" for number in range(7)])


@pytest.mark.parametrize(
    "where",
    [
        {"remote": False},
        {"drawn": {"train_batch": 0, "val_pred": 0}},
        {"routes": Routes(everything=["file", "wandb"], train_batch=["file"], val_labels=[], val_pred=["tensorboard"])},
    ],
)
def test_elsewhere_it_is_a_warning(where: dict[str, object], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    said = check(["home", "hoem/*"], **where)  # type: ignore[arg-type]
    assert said == ["media.private: 1 of 2 training and 1 of 2 validation images are private"]
    assert "warning: media.private: no image of this data set fits hoem/*" in caplog.text
    check(["hoem/*"], **where)  # type: ignore[arg-type]
    assert "warning: media.private fits no image of this data set" in caplog.text


def test_images_of_the_test_split_and_broken_ones_may_be_named(caplog: pytest.LogCaptureFixture) -> None:
    assert check(["home", "t.jpg", "broken.jpg"]) == [
        "media.private: 1 of 2 training and 1 of 2 validation images are private"
    ]
    with pytest.raises(ConfigError, match=r"fits t\.jpg, broken\.jpg;"):
        check(["home", "t.jpg", "broken.jpg"], data=Data())
    assert caplog.text == ""


def test_refusing_and_spelling_are_two_things() -> None:
    with pytest.raises(ConfigError, match=r"\(train_batch, val_labels, val_pred\), and --media\.private_action is ref"):
        check("home", refuse=True)
    with pytest.raises(ConfigError, match=r"leave this machine \(train_batch\)"):
        check("train/home", refuse=True)
    assert check("train/home", refuse=True, drawn={"val_pred": 3, "val_table": 1})
    assert check("home", refuse=True, remote=False)


def test_the_name_of_a_file_to_show_is_no_pattern_either() -> None:
    class Split:
        def __init__(self) -> None:
            self.files = ["/data/val/[0].jpg", "/data/val/0.jpg", "/data/val/deep/1.jpg"]

        def __getitem__(self, place: int) -> object:
            raise NotImplementedError

    for asked, shows in (("[0].jpg", ["[0].jpg"]), ("val/**/1.jpg", ["1.jpg"]), ("./val/0.jpg", ["0.jpg"]),
                         (["val/[0-9].jpg", "none"], ["0.jpg"])):  # fmt: skip
        selection = ValImageSelection("files", asked, 1, 4, 0.25, lambda text: None)
        selection.open(Split(), "/data")
        assert [Path(file).name for file in selection.chunks()[0]] == shows
    selection = ValImageSelection("files", "none\x1b[1m", 1, 4, 0.25, lambda text: None)
    with pytest.raises(ConfigError, match=r"--media\.val_files none\\x1b\[1m fits no image of the validation split"):
        selection.open(Split())


def test_data_that_lists_no_images(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert check("home", data=object(), remote=False) == []
    assert caplog.text == ""
    assert check("home", data=object()) == []
    assert "warning: media.private: the data cannot list its images" in caplog.text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_mb": -3.0}, "--media.max_mb -3: a number 0 or more. null is no limit."),
        ({"max_mb": float("nan")}, "--media.max_mb nan: a number 0 or more. null is no limit."),
        ({"val": -1}, "--media.val_batches -1: a number from 0 to 2147483647."),
        ({"images": 0, "conf": 1.5}, "--media.max_images 0: a number from 1 to 2147483647."),
    ],
)
def test_only_the_option_that_is_wrong_is_named(options: dict[str, float], told: str) -> None:
    right = {"train": 3, "val": 3, "every": 1, "images": 16, "conf": 0.25, "max_mb": None}
    with pytest.raises(ConfigError) as error:
        check_numbers(**{**right, **options})  # type: ignore[arg-type]
    assert str(error.value) == told
