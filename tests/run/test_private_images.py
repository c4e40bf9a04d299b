"""Images that were private when a run was started stay so: from elsewhere, with other variables, without its links."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from aigp_lightning.errors import ConfigError
from aigp_lightning.logfiles.run_config import read_config
from aigp_lightning.logfiles.run_data import data_yaml_places, find_data_yaml
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.private_record import RECORD_FILE, read_private_record, record_private_images
from aigp_lightning.run.private_images import PrivateImages

DATA_YAML = "datasets/quick-{task}/data.yaml"


class Data:
    """A datamodule of some images."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def image_files(self, split: str) -> list[str]:
        return [str(path) for path in sorted((self.root / "images" / split).iterdir())]

    def root_folder(self) -> str:
        return str(self.root)

    def listed_files(self) -> list[str]:
        return [image for split in ("train", "val", "test") for image in self.image_files(split)]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that runs are started from, with a data set; this is called from another one."""
    root = tmp_path / "start" / "datasets" / "quick-detect"
    for split in ("train", "val", "test"):
        for name in ("000000.jpg", "000001.jpg"):
            (root / "images" / split / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "images" / split / name).write_bytes(f"{split} {name}".encode())
    (root / "data.yaml").write_text("train: images/train\nval: images/val\ntest: images/test\nnames: [gate]\n")
    (root / "plinks").mkdir()
    (root / "plinks" / "a.jpg").symlink_to(root / "images/val/000001.jpg")
    (tmp_path / "start" / "plink").symlink_to(root / "images/val/000001.jpg")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delenv("PRIVDIR", raising=False)
    return tmp_path / "start"


def data_of(start: Path) -> Data:
    return Data(start / "datasets" / "quick-detect")


def run_of(start: Path, private: Any, name: str = "gates", **groups: Any) -> Path:
    """A run folder with nothing but its configuration."""
    run = start / "runs" / "detect" / name
    run.mkdir(parents=True, exist_ok=True)
    config = {"media": {"private": private}, "run": {"root": "runs"}}
    config["data"] = {"data_yaml": DATA_YAML, "synthetic": {"task": "detect"}}
    (run / "config.yaml").write_text(yaml.safe_dump({**config, **groups}))
    return run


def known(run: Path, images: list[str]) -> PrivateImages:
    return PrivateImages(run, read_config(run)[0], images)


def record(run: Path, start: Path, private: Any, monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Do as `fit` does, in the folder and with the variables of the start."""
    data = data_of(start)
    with monkeypatch.context() as patched:
        patched.chdir(start)
        for name, value in variables.items():
            patched.setenv(name, value)
        patterns = ImagePatterns(private, "--media.private")
        patterns.survey([*data.image_files("train"), *data.image_files("val")], data.root_folder())
        record_private_images(run, patterns, data)


@pytest.mark.parametrize("entry", ["plinks/*", "plink", "../start/datasets/quick-detect/images/val/000001.jpg"])
def test_names_start_from_where_the_run_was_started(start: Path, entry: str) -> None:
    """Runs of earlier versions, which have recorded nothing."""
    street, secret = data_of(start).image_files("val")
    private = known(run_of(start, [entry]), [street, secret])
    assert (street in private, secret in private, private.doubt) == (False, True, "")


@pytest.mark.parametrize("entry", ["plinks/*", "plink", "$PRIVDIR", "000001.jpg", "secret.txt"])
def test_what_fit_recorded_stays_private_when_nothing_tells_it_any_more(
    start: Path, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, data = run_of(start, [entry]), data_of(start)
    (start / "secret.txt").write_text("plink\nplinks/a.jpg  # the same\n")
    record(run, start, [entry], monkeypatch, PRIVDIR=str(data.root / "images/val/000001.jpg"))
    for path in (start / "plink", data.root / "plinks" / "a.jpg", start / "secret.txt"):
        path.unlink()
    street, secret = data.image_files("val")
    private = known(run, [street, secret])
    assert (street in private, secret in private, private.doubt, private.told) == (False, True, "", "")
    assert str(data.root / "images/val/../val/000001.jpg") in private


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("garaeg/*", "no image of this run's data set fits garaeg/*"),
        ("$PRIVDIR", "fits $PRIVDIR"),
        ("gone.txt", "the list cannot be read"),
        (7, "is no list of names"),
    ],
)
def test_an_entry_that_fits_nothing_is_a_doubt(start: Path, entry: Any, words: str) -> None:
    """An image may be any that it meant."""
    images = data_of(start).image_files("val")
    private = known(run_of(start, ["000001.jpg", entry]), images)
    assert words in private.doubt and words in private.refusal() and private
    assert all(image in private for image in images)
    assert private.told and "garaeg" not in private.told and "gone" not in private.told


def test_an_entry_may_name_an_image_that_is_in_no_picture(start: Path) -> None:
    run, data = run_of(start, ["test/000000.jpg"]), data_of(start)
    images = data.image_files("val")
    private = known(run, images)
    assert private.doubt == "" and not any(image in private for image in images)
    assert known(run_of(start, ["test/000000.jpg"], "gone", data={}), images).doubt
    more = PrivateImages(run, {"media": {"private": ["far/0.jpg"]}}, images, lambda: ["/far/0.jpg"])
    assert more.doubt == ""


def test_an_entry_that_fits_a_copy_of_the_data_set_is_a_doubt(start: Path) -> None:
    """The ledger's images lie elsewhere; which of them a link here stands for is not known."""
    run = run_of(start, ["plinks/*"])
    elsewhere = [image.replace("/start/", "/moved/") for image in data_of(start).image_files("val")]
    assert "fits plinks/*" in known(run, elsewhere).doubt
    assert known(run_of(start, ["000001.jpg"]), elsewhere).doubt == ""


def test_an_entry_that_was_added_since_is_not_in_the_record(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(start, ["000001.jpg", "new/*"])
    record(run, start, ["000001.jpg"], monkeypatch)
    assert "fits new/*" in known(run, data_of(start).image_files("val")).doubt


def test_an_entry_that_fitted_nothing_at_the_start_is_not_in_the_record(
    start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no picture leaves, `fit` only warns."""
    run = run_of(start, ["000001.jpg", "slip/*"])
    record(run, start, ["000001.jpg", "slip/*"], monkeypatch)
    found, _ = read_private_record(run)
    assert found is not None and (found.entries, found.given) == ({"000001.jpg"}, {"000001.jpg"})
    assert "fits slip/*" in known(run, data_of(start).image_files("val")).doubt


def test_a_record_is_of_all_starts_and_all_splits(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, data = run_of(start, None), data_of(start)
    record(run, start, None, monkeypatch)
    assert not (run / RECORD_FILE).exists()
    record(run, start, ["val/000000.jpg"], monkeypatch)
    record(run, start, ["test/000001.jpg"], monkeypatch)
    record(run, start, None, monkeypatch)
    images = {data.image_files("val")[0], data.image_files("test")[1]}
    assert read_private_record(run)[0].images == images  # type: ignore[union-attr]
    assert {image for image in data.listed_files() if image in known(run, [])} == images


@pytest.mark.parametrize("content", ["", "[1]", json.dumps({"given": [], "entries": [], "images": [1]})])
def test_a_record_that_cannot_be_read_is_a_doubt_and_ends_a_start(
    start: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(start, None)
    (run / RECORD_FILE).write_text(content)
    assert RECORD_FILE in known(run, []).doubt and "/any.jpg" in known(run, [])
    with pytest.raises(ConfigError, match=RECORD_FILE):
        record(run, start, ["val/000000.jpg"], monkeypatch)


def test_configurations_of_earlier_starts_count(start: Path) -> None:
    run, images = run_of(start, None), data_of(start).image_files("val")
    earlier = run / "config-before-epoch3.yaml"
    earlier.write_text("media: {private: [val/000000.jpg]}")
    assert [image in known(run, images) for image in images] == [True, False]
    earlier.write_text("media: [")
    assert "config-before-epoch3.yaml cannot be read" in known(run, images).doubt
    assert not known(run_of(start, None, "other"), images)


def test_a_data_set_is_found_from_anywhere(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(start, None)
    config = read_config(run)[0] or {}
    here = start / "datasets/quick-detect/data.yaml"
    assert find_data_yaml(run, config) == here
    assert data_yaml_places(run, config) == [here, Path.cwd() / "datasets/quick-detect/data.yaml"]
    absolute = {"data": {"data_yaml": str(here)}, "run": {"root": str(start / "runs")}}
    assert find_data_yaml(run, absolute) == here
    assert find_data_yaml(run, {**config, "run": {"root": str(start / "runs")}}) is None
    monkeypatch.chdir(start)
    assert find_data_yaml(run, {**config, "run": {"root": str(start / "runs")}}) == here
    assert find_data_yaml(run, None) is None and find_data_yaml(run, {"data": {"data_yaml": "a\0"}}) is None
