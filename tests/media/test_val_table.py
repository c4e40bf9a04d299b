"""Validation images one by one, with boxes as data: what W&B gets of them is in the ledger, byte for byte."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audit_run import stop_wandb
from kept_run import differences, identities, in_wandb, lines_of, open_logger

from aigp_lightning.audit.picture_values import odd_boxes, odd_own
from aigp_lightning.audit.values import odd_figures
from aigp_lightning.callbacks.media_base import MediaBase
from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.logfiles.wandb_run import read_wandb_run, wandb_folders
from aigp_lightning.media.detections import ImageDetections
from aigp_lightning.media.hand_over import HandOver
from aigp_lightning.media.ledger.ledger import read_ledger
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.pipeline import start_pipeline
from aigp_lightning.media.plots.mosaic import Cell
from aigp_lightning.media.routing import Routes, Routing
from aigp_lightning.media.types import MediaStatus, RenderGroup
from aigp_lightning.media.val_selection import ValImageSelection
from aigp_lightning.media.val_table import encode_boxes, table_job
from aigp_lightning.run.folder import RESULTS, mark_run_folder
from aigp_lightning.ship.decide import Parcel, _without_repeats
from aigp_lightning.ship.kept_pictures import PictureFiles, written_lines

NAMES = {0: "gate", 1: "Tor ü"}
HOME, HALL = "data/home/1.jpg", "data/hall/1.jpg"


def cell(seed: int) -> Cell:
    """An image of 64 × 48 in a letterbox of 64 × 64, with one label."""
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Cell(pixels, np.array([[16, 20, 32, 32]]), np.array([1]), window=(8, 0, 56, 64))


def found(epoch: int) -> ImageDetections:
    boxes = np.array([[16 + epoch, 20, 32, 32], [-9, 0, 20, 99], [5, 5, 5, 9], [np.nan, 0, 1, 1]], np.float32)
    return ImageDetections(boxes, np.array([0.91234, 0.5, 0.4, 0.3], np.float32), np.array([1, 0, 0, 0]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run of two epochs with an image that is private and one that is not, and W&B offline."""
    run = tmp_path_factory.mktemp("table") / "gates"
    run.mkdir()
    mark_run_folder(run)
    (run / "config.yaml").write_text(f"media: {{private: [{HOME}]}}\nwandb: {{config: false}}\n", encoding="utf-8")
    (run / "results.csv").write_text("epoch\n1\n2\n", encoding="utf-8")
    board = open_logger("wandb", run)
    private = ImagePatterns([HOME], "--media.private")
    worker = start_pipeline(run, Routing(Routes(), [board.sink]), private, keep_history=True)
    for epoch in range(2):
        jobs = [
            table_job(number, file, lambda number=number: cell(number), found(epoch), NAMES)  # type: ignore[misc]
            for number, file in enumerate((HOME, HALL))
        ]
        worker.put(RenderGroup(jobs, epoch, 10 * epoch))
    worker.close()
    board.close(complete=True)
    assert str(worker.status).startswith("4 drawn, 0 to loggers on this machine, 4 wait on this disk to be synced")
    stop_wandb()
    yield run
    stop_wandb()


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "runs" / "gates", symlinks=True)


def test_sides_are_shares_of_the_image_without_its_letterbox(run: Path) -> None:
    labels = json.loads((run / "val_table1.labels.boxes2D.json").read_text(encoding="utf-8"))
    assert labels["class_labels"] == {"0": "gate", "1": "Tor ü"}
    assert labels["box_data"] == [{"position": {"minX": 0.25, "maxX": 0.5, "minY": 0.25, "maxY": 0.5}, "class_id": 1}]
    first = json.loads((run / "history/epoch0000/val_table1.predictions.boxes2D.json").read_text(encoding="utf-8"))
    assert [box["scores"]["confidence"] for box in first["box_data"]] == [0.9123, 0.5]  # the others have no area
    assert first["box_data"][1]["position"] == {"minX": 0, "maxX": 0.3125, "minY": 0, "maxY": 1}


def test_what_wandb_has_is_what_the_ledger_says(run: Path) -> None:
    """The picture and both files of boxes, by hash; of the private image the masked picture alone."""
    sent = lines_of(run, "wandb")
    assert in_wandb(run) == sorted(identities(sent), key=str)
    assert [line.key for line in sent if line.epoch == 0] == [
        "val_table0", "val_table1", "val_table1.labels", "val_table1.predictions",
    ]  # fmt: skip
    assert {line.file for line in sent if line.key == "val_table0"} == {"masked/val_table0.jpg"}
    assert HOME not in {source for line in sent for source in line.sources}
    mirror = [path for folder in wandb_folders(run) for path in folder.rglob("*boxes2D.json")]
    assert {path.name.partition("_3_")[0].split("_0_")[0].split("_1_")[0] for path in mirror} == {"val_table1"}
    assert differences(run) == []


def test_masked_it_is_one_colour(run: Path) -> None:
    import cv2

    assert int(np.ptp(cv2.imread(str(run / "masked" / "val_table0.jpg")))) < 8
    assert int(np.ptp(cv2.imread(str(run / "val_table0.jpg")))) > 100
    assert not list((run / "masked").glob("*.json"))


def test_every_file_is_known_as_the_run_s(run: Path) -> None:
    """So a run that is begun anew in the folder removes it."""
    known = {path for pattern in RESULTS for path in run.glob(pattern)}
    files = [path for path in run.iterdir() if path.name.startswith("val_table")]
    assert len(files) == 6
    assert set(files) <= known


@pytest.mark.parametrize("place", ["run folder", "W&B"])
def test_the_audit_finds_changed_boxes(run: Path, place: str) -> None:
    if place == "W&B":
        path = next(path for folder in wandb_folders(run) for path in folder.rglob("val_table1*boxes2D.json"))
    else:
        path = run / "val_table1.labels.boxes2D.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["box_data"][0]["box_caption"] = "garage, left of the door"
    path.write_text(json.dumps(content), encoding="utf-8")
    said = differences(run)
    assert any(text.startswith("changed") for text in said)
    if place == "W&B":
        assert any("boxes with more than sides, class and confidence" in text for text in said), said


def test_the_audit_finds_boxes_that_nobody_noted(run: Path) -> None:
    folder = wandb_folders(run)[0]
    path = next(folder.rglob("val_table1*boxes2D.json"))
    more = encode_boxes(np.array([[0, 0, 9, 9.0]]), np.array([0]), None, (48, 64), NAMES)
    path.with_name(f"val_table1_7_{sha256(more).hexdigest()[:20]}.boxes2D.json").write_bytes(more)
    (run / "val_table9.labels.boxes2D.json").write_bytes(more)
    said = differences(run)
    assert len([text for text in said if text.startswith("unlisted")]) == 2, said


DATA = encode_boxes(np.array([[0, 0, 9, 9.0]]), np.array([0]), np.array([0.5]), (48, 64), NAMES)
GOOD: dict[str, Any] = json.loads(DATA)
BOX = GOOD["box_data"][0]
SECRET = "the customer is ACME, /home/eve"


@pytest.mark.parametrize(
    "content",
    [
        [],
        {**GOOD, "note": "garage"},
        {**GOOD, "class_labels": {"0": "/home/me/garage"}},
        {**GOOD, "class_labels": {"gate": "gate"}},
        {**GOOD, "class_labels": {"0": 3}},
        {**GOOD, "box_data": {"a": BOX}},
        {**GOOD, "box_data": [{**BOX, "box_caption": "garage"}]},
        {**GOOD, "box_data": [{**BOX, "scores": {"garage": 0.5}}]},
        {**GOOD, "box_data": [{**BOX, "position": {**BOX["position"], "minX": 40}}]},
        {**GOOD, "box_data": [{**BOX, "position": {"middle": [0, 0], "width": 1, "height": 1}}]},
        {**GOOD, "box_data": [{**BOX, "position": {**BOX["position"], "minX": "garage"}}]},
        {**GOOD, "box_data": [{**BOX, "class_id": SECRET}]},
        {**GOOD, "box_data": [{**BOX, "class_id": {"a": SECRET}}]},
        {**GOOD, "box_data": [{**BOX, "class_id": 7}]},
    ],
)
def test_boxes_with_more_than_boxes_are_found(content: Any) -> None:
    assert odd_boxes(DATA) == ""
    assert odd_boxes(json.dumps(content).encode())


def test_what_a_second_key_of_the_same_name_hides_is_found() -> None:
    """Readers of JSON keep the last."""
    assert odd_boxes(DATA.replace(b'{"box_data"', b'{"box_data": ["garage"], "box_data"', 1))
    assert odd_boxes(b"\xff")


def test_what_the_product_makes_of_names_is_nothing_the_audit_finds() -> None:
    """Class names are the data set's; those that could be places go as the number of the class."""
    names = dict(
        enumerate(["gate", "/home/eve/gate", "~me", "C:\\Users", "../x", "a/b", "ü", "x" * 300, "a\nb", "C:x"])
    )
    data = encode_boxes(np.zeros((0, 4)), np.zeros(0), None, (48, 64), names)
    assert odd_boxes(data) == ""
    told = json.loads(data)["class_labels"]
    assert [told[str(number)] for number in (0, 5, 6)] == ["gate", "a/b", "ü"]
    assert [told[str(number)] for number in (1, 2, 3, 4, 7, 8, 9)] == [f"class {n}" for n in (1, 2, 3, 4, 7, 8, 9)]


def test_rows_and_settings_with_other_boxes_are_found(run: Path) -> None:
    record = read_wandb_run(wandb_folders(run)[0])
    row = next(row for row in record.history if "val_table1" in row)
    assert list(odd_figures(row)) == []
    picture = row["val_table1"]
    for boxes in ({"garage": picture["boxes"]["labels"]}, {"labels": {**picture["boxes"]["labels"], "caption": "x"}}):
        assert [key for key, _ in odd_figures({"a": {**picture, "boxes": boxes}})] == ["a"]
    assert list(odd_own(record.own_config)) == []
    labels = record.own_config["bounding_box/class_labels"]
    key = next(iter(labels))
    assert key == "val_table1_wandb_delimeter_labels"
    for odd in (
        {key: {**labels[key], "value": {"0": "~/garage"}}}, {key: {**labels[key], "note": "x"}}, "garage",
        {key: {**labels[key], "type": SECRET}}, {SECRET: labels[key]}, {key: {**labels[key], "value": SECRET}},
    ):  # fmt: skip
        assert len(list(odd_own({"bounding_box/class_labels": odd}))) == 1
    for part in ("t", "m", "framework"):
        assert [name for name, _ in odd_own({part: {"1": [SECRET]}})] == [part]
    assert list(odd_own({"m": [{"1": "my loss"}]}, {"my loss"})) == []


FILE = {"_type": "image-file", "path": "media/images/a_0_x.jpg", "sha256": "0" * 64, "size": 9, "format": "jpg"}
SEVERAL = {"_type": "images/separated", "count": 1, "width": 9, "height": 9, "format": "png",
           "filenames": ["media/images/a.png"]}  # fmt: skip


@pytest.mark.parametrize("good", [FILE, SEVERAL])
def test_every_field_of_a_picture_is_judged_by_its_value(good: dict[str, Any]) -> None:
    assert list(odd_figures({"a": good})) == []
    for name in set(good) - {"_type"}:
        for odd in (SECRET, [SECRET], {"a": SECRET}, []):
            assert [key for key, _ in odd_figures({"a": {**good, name: odd}})] == ["a"], (name, odd)


def test_shipped_later_it_has_its_boxes(tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """By a run that had no logger; of an epoch whose boxes are gone, nothing goes."""
    run = tmp_path / "later"
    run.mkdir()
    mark_run_folder(run)
    (run / "config.yaml").write_text("trainer: {logger: false}\nwandb: {config: false}\n", encoding="utf-8")
    (run / "results.csv").write_text("epoch\n1\n2\n3\n", encoding="utf-8")
    worker = start_pipeline(run, Routing(Routes(), []), ImagePatterns(None, "--media.private"), keep_history=True)
    for epoch in range(3):
        jobs = [table_job(1, HALL, lambda: cell(1), found(epoch), NAMES)]
        worker.put(RenderGroup(jobs, epoch, 10 * epoch))
    worker.close()
    (run / "history" / "epoch0001" / "val_table1.predictions.boxes2D.json").unlink()
    assert run_cli("ship", run, "--to", "wandb") == 0
    sent = lines_of(run, "wandb")
    assert Counter(line.key for line in sent) == dict.fromkeys(
        ("val_table1", "val_table1.labels", "val_table1.predictions"), 2
    )
    assert {line.epoch for line in sent} == {0, 2}
    assert in_wandb(run) == sorted(identities(sent), key=str)
    assert [text for text in differences(run) if "epoch0001" not in text] == []


class Board:
    """A logger that notes the epochs of what it gets."""

    waits = False

    def __init__(self, name: str, remote: bool = False) -> None:
        self.name = self.destination = name
        self.remote, self.got = remote, list[int]()

    def send(self, hand_over: HandOver, epoch: int, step: int) -> None:
        hand_over.begin(hand_over.images)
        hand_over.took(hand_over.images)
        self.got += [epoch for _ in hand_over.images]


def test_unchanged_are_a_picture_and_its_boxes_together(tmp_path: Path) -> None:
    """The picture is the same in every epoch; it goes again when what was found in it is another."""
    board, history = Board("wandb", remote=True), [0, 0, 1, 1, 0]
    worker = start_pipeline(
        tmp_path, Routing(Routes(), [board]), ImagePatterns(None, "--media.private"),  # type: ignore[list-item]
        keep_history=True, skip_unchanged=True,
    )  # fmt: skip
    for epoch, state in enumerate(history):
        worker.put(RenderGroup([table_job(0, HALL, lambda: cell(1), found(state), NAMES)], epoch, epoch))
    worker.close()
    assert board.got == [0, 2, 4]
    assert len(lines_of(tmp_path, "wandb", "withheld")) == 2 * 3
    lines = read_ledger(tmp_path / "media.jsonl")
    files = PictureFiles(tmp_path, [line for line in lines if line.destination == "file"])
    parcels = [Parcel(line, None, "send", files.attached_to(line)) for line in written_lines(files.lines)]
    assert [parcel.verdict for parcel in _without_repeats(parcels, [], "wandb")] == [
        "send", "unchanged", "send", "unchanged", "send",
    ]  # fmt: skip


def test_nobody_else_gets_it() -> None:
    routing = Routing(Routes(), [Board("tensorboard"), Board("wandb"), Board("mlflow")])  # type: ignore[list-item]
    assert [sink.name for sink in routing.recipients("val_table")] == ["wandb"]
    with pytest.raises(ConfigError, match=r"media\.routes\.val_table: tensorboard shows no boxes"):
        MediaBase(val_table=4, routes=Routes(val_table=["file", "tensorboard"]))


class Split:
    """Five images, of which one is gone."""

    def __init__(self) -> None:
        self.files = [f"{number}.jpg" for number in range(5)]

    def __getitem__(self, place: int) -> Any:
        if place == 1:
            raise DataError("it is gone")
        boxes = np.array([[2, 2, 6, 6]], np.float32)
        return {"image": np.full((8, 8, 3), 90, np.uint8), "bboxes": boxes, "cls": np.zeros(1), "keypoints": None}


@pytest.mark.parametrize(("mosaics", "per_mosaic"), [(0, 16), (1, 2), (2, 4)])
def test_images_are_the_first_of_those_that_are_shown(mosaics: int, per_mosaic: int, tmp_path: Path) -> None:
    """With or without mosaics, and more of them than mosaics have; one that is gone costs its own picture alone."""
    chosen = ValImageSelection("spread", None, mosaics, per_mosaic, 0.25, print, table=3)
    chosen.open(Split())
    jobs = [job for job in chosen.jobs(NAMES) if job.kind == "val_table"]
    whole = ["0.jpg", "2.jpg", "4.jpg"] if mosaics < 2 else ["0.jpg", "1.jpg", "2.jpg"]
    assert [job.sources() for job in jobs] == [[file] for file in whole]
    worker = start_pipeline(tmp_path, Routing(Routes(), []), ImagePatterns(None, "--media.private"))
    worker.put(RenderGroup(jobs, 0, 0))
    worker.close()
    status: MediaStatus = worker.status
    assert (status.drawn, status.failed) == ((3, 0) if mosaics < 2 else (2, 1))
    assert not (tmp_path / "val_table1.labels.boxes2D.json").exists() or mosaics < 2
