"""A whole run with private images of odd names: W&B's folder has neither their pixels nor their names."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import REPO, draw_squares, small, tiny_network
from lightning.pytorch.callbacks import Callback

from aigp_lightning.logfiles.wandb_run import read_wandb_run
from aigp_lightning.media.ledger.ledger import Lines, read_ledger
from aigp_lightning.media.private_record import read_private_record

CONFIGS = ("--config", REPO / "configs" / "detector.yaml", "--config", REPO / "configs" / "logger" / "both.yaml")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="such names and links are POSIX's")
MARK = "PrivMark"
"""Is in the names of all private images, and in no other name."""
SECRET = (
    f"train/{MARK} #1.png",
    f"train/{MARK} [2].png",
    f"train/two\n{MARK}/3.png",
    unicodedata.normalize("NFD", f"val/höf {MARK}.png"),
    f"val/{MARK}\\b.png",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in which private images are magenta all over; a list names them, as Windows writes it."""
    root = tmp_path_factory.mktemp("odd")
    draw_squares(root, "train", 5, seed=1)
    draw_squares(root, "val", 3, seed=2)
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: {0: square, 1: disc}\n")
    ok, magenta = cv2.imencode(".png", np.full((96, 96, 3), (255, 0, 255), np.uint8))
    assert ok
    for name in SECRET:
        image, label = root / "images" / name, (root / "labels" / name).with_suffix(".txt")
        for path in (image, label):
            path.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(magenta.tobytes())
        label.write_text("0 0.5 0.5 0.3 0.3\n")
    (root / "link").symlink_to(root / "images" / "train")
    lines = [
        "# private images",
        "",
        f"images/train/{MARK} #1.png",
        f"  ./link//{MARK} [2].png  # through a link",
        f"train/**/two?{MARK}/*",
        unicodedata.normalize("NFC", f"val/höf {MARK}.png"),
        f"images/../images/val/{MARK}\\b.png",
    ]
    (root / "list.txt").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    return root


class Vanish(Callback):
    """Takes a private image away while training, so that the terminal tells of it, which W&B records."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.image = Path(trainer.datamodule.spec.root) / "images" / SECRET[0]
        self.image.rename(self.image.with_suffix(".away"))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.image.with_suffix(".away").rename(self.image)


@pytest.fixture(scope="module")
def run(root: Path, tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., int]) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("out")
    words = [*CONFIGS, *small(root / "data.yaml", out), "--run.name", "a", "--trainer.max_epochs", 1]
    words += tiny_network(out)
    words += ["--media.private", root / "list.txt", "--close_mosaic.epochs", 0, "--wandb.console", "true"]
    words += ["--trainer.callbacks+", json.dumps({"class_path": f"{__name__}.Vanish"})]
    assert run_cli("fit", *words) == 0
    yield out / "detect" / "a"
    import wandb

    wandb.finish()
    wandb.teardown()
    shutil.rmtree(out)


@pytest.fixture(scope="module")
def lines(run: Path) -> Lines:
    lines = read_ledger(run / "media.jsonl")
    assert lines.problems == []
    return lines


def magenta(path: Path) -> float:
    """The part of a picture that is magenta, be it darker or paler."""
    hue, saturation, value = np.moveaxis(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2HSV), 2, 0)
    return float(((abs(hue.astype(int) - 150) < 8) & (saturation > 60) & (value > 100)).mean())


def test_no_name_is_in_wandb_s_folder(run: Path) -> None:
    """Nor in what its run file holds when it is read: rows, configuration, summary, console."""
    files = [path for path in run.glob("wandb/**/*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    for path in files:
        assert MARK.encode() not in path.read_bytes(), path
        assert MARK not in path.name
        assert "list.txt" not in path.read_bytes().decode("latin-1")
    (folder,) = run.glob("wandb/offline-run-*")
    console = (folder / "files" / "output.log").read_text()
    assert "warning: a private image cannot be read (lost_files.txt names it). It was there at the start." in console
    assert MARK in (run / "lost_files.txt").read_text()
    rows = read_wandb_run(folder).history
    assert any("val_batch0_pred" in row for row in rows)
    assert MARK not in json.dumps([str(row) for row in rows])


def test_the_run_folder_records_which_images_are_private(run: Path, root: Path, lines: Lines) -> None:
    """By the names that the ledger has, so that they stay private whatever becomes of the list."""
    found, problem = read_private_record(run)
    assert found is not None and not problem
    assert found.images == {str(root / "images" / name) for name in SECRET}
    assert found.given == {str(root / "list.txt")} and len(found.entries) == len(SECRET)
    marked = {source for line in lines for source in line.sources if MARK in source}
    assert marked and marked <= found.images


def test_no_pixel_is_in_wandb_s_folder_and_the_run_folder_shows_them(run: Path) -> None:
    mirror = [path for path in run.glob("wandb/offline-run-*/files/media/images/*") if "_batch" in path.name]
    assert {path.name.rsplit("_", 2)[0] for path in mirror} >= {"train_batch0", "val_batch0_labels", "val_batch0_pred"}
    assert [path.name for path in mirror if magenta(path) > 0.01] == []
    for name in ("val_batch0_labels", "val_batch0_pred"):
        assert magenta(run / f"{name}.jpg") > 0.1
        assert magenta(run / "masked" / f"{name}.jpg") < 0.01
    assert max(magenta(path) for path in run.glob("train_batch*.jpg")) > 0.02


def test_the_ledger_knows_which_were_hidden(run: Path, root: Path, lines: Lines) -> None:
    sent = [line for line in lines if line.destination == "wandb"]
    assert {source for line in sent for source in line.sources if MARK in source} == set()
    assert any(line.file.startswith("masked/val") for line in sent)
    local = {source for line in lines if line.destination == "file" for source in line.sources}
    assert {source for source in local if MARK in source and "/val/" in source} == {
        str(root / "images" / name) for name in SECRET if name.startswith("val")
    }


def test_the_audit_finds_an_image_however_it_is_spelt(
    run: Path, root: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Private ones are in the run folder and TensorBoard, and not at W&B."""
    secret = unicodedata.normalize("NFC", f"höf {MARK}.png")
    for asked in (secret, f"val/{secret}", root / "images" / "val" / ".." / "val" / secret):
        assert run_cli("audit", run, "--image", asked, "--json", "-") == 0
        found = json.loads(capsys.readouterr().out)["image"]
        assert {row["destination"] for row in found["rows"]} == {"file", "tensorboard"}, asked


@pytest.mark.parametrize("action", ["refuse", "withhold"])
def test_other_actions_know_the_same_spellings(
    action: str, root: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    words = [*CONFIGS, *small(root / "data.yaml", tmp_path), "--media.private", root / "list.txt"]
    words += tiny_network(tmp_path)
    status = run_cli("plan", *words, "--trainer.max_epochs", 1, "--media.private_action", action, "--json", "p.json")
    assert status == (2 if action == "refuse" else 0)
    if action == "refuse":
        assert "(train_batch, val_labels, val_pred), and --media.private_action is refuse" in capfd.readouterr().err
    else:
        files = {file["file"]: file for file in json.loads(Path("p.json").read_text())["files"]}
        held = [name for name, file in files.items() if not file["remote_bytes"]]
        assert held == [name for name, file in files.items() if file["private"]]
        assert set(held) > {"val_batch0_labels.jpg", "val_batch0_pred.jpg"}
