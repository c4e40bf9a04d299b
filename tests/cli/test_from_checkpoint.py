"""A checkpoint alone says how it was trained, and classes go by their names wherever a data set meets a model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import REPO

from aigp_lightning.cli.from_checkpoint import carried_options

DETECTOR = "aigp_lightning.modules.detector.DetectorModule"


@pytest.fixture
def swapped(shapes: Path, tmp_path: Path) -> Path:
    """The pictures of `shapes`, whose classes have each other's number; returns its data.yaml."""
    folder = tmp_path / "swapped"
    shutil.copytree(shapes.parent, folder, ignore=shutil.ignore_patterns("*.npz"))
    for path in folder.glob("labels/*/*.txt"):
        rows = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join(f"{1 - int(row[0])}{row[1:]}" for row in rows), encoding="utf-8")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [disc, square]\n", encoding="utf-8")
    return folder / "data.yaml"


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return what was said since the last call: errors, and lines in the log."""

    def since() -> str:
        text = "\n".join([*caplog.messages, capfd.readouterr().err])
        caplog.clear()
        return text

    return since


def read(path: Path) -> dict[str, Any]:
    """Read what a validation wrote, without the times, which differ."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {name: value for name, value in content.items() if name != "speed"}


def test_a_checkpoint_alone_validates_as_its_run_did(
    finished: Path, swapped: Path, tmp_path: Path, run_cli: Callable[..., int], said: Callable[[], str]
) -> None:
    """Every figure to the last digit; on the same data with other class ids too, and the cache keeps those."""
    best, run = finished / "weights" / "best.ckpt", read(finished.parent.parent / "metrics.json")
    assert run_cli("validate", "--ckpt_path", best, "--run.json", "alone.json") == 0
    alone = read(tmp_path / "alone.json")
    assert (alone["imgsz"], alone["images"]) == (96, 11)
    assert [row["class"] for row in alone["classes"]] == ["all", "square", "disc"]
    assert alone["classes"] == run["classes"]
    measured = {key: value for key, value in run["metrics"].items() if key in alone["metrics"]}
    assert len(measured) == 8
    assert alone["metrics"] == measured
    assert "other" not in said()

    for _ in range(2):  # the second time from the cache
        assert run_cli("validate", "--ckpt_path", best, "--data.data_yaml", swapped, "--run.json", "swapped.json") == 0
        assert read(tmp_path / "swapped.json") == alone
        text = said()
        assert text.count("classes in another order (disc, square) than") == 1
        assert "(square, disc): they are matched by their names" in text
        assert f"--data.data_yaml {swapped} (the run: " in text


def test_other_classes_are_refused_with_a_table(
    finished: Path, swapped: Path, tmp_path: Path, run_cli: Callable[..., int], said: Callable[[], str]
) -> None:
    """By number they go as before, under the data set's names."""
    yaml = swapped.with_name("other.yaml")
    yaml.write_text("train: images/train\nval: images/val\nnames: [disc, ring]\n", encoding="utf-8")
    words = ["--model.weights", finished / "weights" / "best.pt", "--data.data_yaml", yaml]
    assert run_cli("validate", *words) == 2
    text = said()
    assert f"{yaml} have other classes:\nid  model   data set\n 0  square  disc\n 1  disc    ring\n" in text
    assert "--data.match_classes number" in text
    assert run_cli("validate", *words, "--data.match_classes", "number", "--run.json", "number.json") == 0
    assert [row["class"] for row in read(tmp_path / "number.json")["classes"]] == ["all", "disc", "ring"]
    assert run_cli("predict", *words, "--data.source", swapped.parent / "images" / "val" / "000.png") == 2
    assert "id  model   data set" in said()
    assert run_cli("validate", *words, "--data.match_classes", "names") == 2
    assert "--data.match_classes names: it is name or number" in said()


def test_text_of_predictions_has_the_data_sets_ids(
    finished: Path, swapped: Path, tmp_path: Path, run_cli: Callable[..., int], said: Callable[[], str]
) -> None:
    """Without a data set they are the model's."""
    words = ["--ckpt_path", finished / "weights" / "best.ckpt", "--data.source", swapped.parent / "images/val/000.png"]
    words += ["--model.predict_conf", 0.0001, "--model.max_det", 9, "--output.save_images", "false"]
    for name, data in (("model", tmp_path / "gone.yaml"), ("data", swapped)):
        assert run_cli("predict", *words, "--data.data_yaml", data, "--run.name", name) == 0
    found = {}
    for name in ("model", "data"):
        folder = tmp_path / "runs" / "detect" / name
        lines = (folder / "labels" / "000.txt").read_text(encoding="utf-8").splitlines()
        entry = json.loads((folder / "predictions.json").read_text(encoding="utf-8"))[0]["detections"]
        found[name] = [int(line[0]) for line in lines], [each["class"] for each in entry]
    assert len(found["model"][0]) > 0
    assert found["model"][0] == found["model"][1] == found["data"][1]
    assert found["data"][0] == [1 - label for label in found["model"][0]]
    assert "in labels/*.txt by the data set's" in said()


def test_a_resumed_training_keeps_the_order_of_its_checkpoint(
    finished: Path, swapped: Path, tmp_path: Path, run_cli: Callable[..., int], said: Callable[[], str]
) -> None:
    """Labels, names and weights of classes, which are listed in the data set's order; `plan` draws by it too."""
    import lightning.pytorch as pl

    from aigp_lightning.checkpoints.load import read_checkpoint
    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.detector import DetectorModule
    from aigp_lightning.modules.yolo.optim import OptimConfig
    from aigp_lightning.plan.earlier import earlier_starts
    from aigp_lightning.run.folder import RunConfig

    last = str(finished / "weights" / "last.ckpt")
    data = YoloDataModule(str(swapped), imgsz=96, batch_size=8, workers=0)
    kept = read_checkpoint(last)["aigp"]["optim"]
    module = DetectorModule(class_weights=[1.0, 3.0], optim=OptimConfig(**kept))
    module.extend = True
    trainer = pl.Trainer(
        max_epochs=3, limit_train_batches=1, limit_val_batches=0, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, data, ckpt_path=last)
    assert module.names == data.names == {0: "square", 1: "disc"}
    assert module.weighing.weights is not None
    assert module.weighing.weights.tolist() == [3.0, 1.0]
    first = Path(data.image_files()[0])
    on_disk = [int(row[0]) for row in (swapped.parent / "labels/train" / f"{first.stem}.txt").read_text().splitlines()]
    assert data.scan("train").records[0].cls.tolist() == [1 - number for number in on_disk]
    assert "classes in another order" in said()
    trainer.validate(module, YoloDataModule(str(swapped), imgsz=96, batch_size=8, workers=0), verbose=False)
    assert "than the model (square, disc)" in said()
    assert earlier_starts(RunConfig(), "detect", last).names == {0: "square", 1: "disc"}


# ---- what is read before the command line is ------------------------------------------------------------------------


def old(checkpoint: Path, target: Path, **changes: Any) -> Path:
    """A checkpoint with another metadata: without the options of its run, as those of earlier versions."""
    content = torch.load(checkpoint, weights_only=True)
    content["aigp"].pop("run")
    content["aigp"] |= changes
    torch.save(content, target)
    return target


def test_configuration_and_checkpoint_that_differ_are_both_said(
    finished: Path, tmp_path: Path, run_cli: Callable[..., int], said: Callable[[], str]
) -> None:
    """The configuration wins; it ends here since its data set is not there."""
    best = finished / "weights" / "best.ckpt"
    words = ["--config", REPO / "configs" / "detector.yaml", "--ckpt_path", best, "--data.synthetic", "null"]
    assert run_cli("validate", *words, "--model.iou", 0.5) == 2
    text = said()
    assert f"warning: the configuration asks for other options than {best} was trained with: " in text
    assert "--data.imgsz 640 (the run: 96)" in text
    assert "--data.batch_size 16 (the run: 8)" in text
    assert "Without --config the run's are taken" in text
    assert (
        f"the command line asks for other options than {best} was trained with: --model.iou 0.5 (the run: 0.7)" in text
    )
    assert "optim" not in text


def test_a_checkpoint_that_does_not_say_or_whose_data_are_gone(
    finished: Path, shapes: Path, tmp_path: Path, run_cli: Callable[..., int], said: Callable[[], str]
) -> None:
    earlier = old(finished / "weights" / "best.ckpt", tmp_path / "old.ckpt")
    assert run_cli("validate", "--ckpt_path", earlier) == 2
    text = said()
    assert f"{earlier} does not say which data set it was trained on: give --data.data_yaml" in text
    assert "does not say at which image size it was trained: --data.imgsz 640 is taken" in text
    lost = str(tmp_path / "no" / "data.yaml")
    run = {"data": {"data_yaml": lost, "imgsz": 96, "batch_size": "8"}, "model": {"conf": 0.5, "unknown": 1}}
    gone = old(finished / "weights" / "best.ckpt", tmp_path / "gone.ckpt", run=run)
    assert run_cli("test", "--ckpt_path", gone) == 2
    assert f"the data set of {gone} is not there any more: {lost}. Give --data.data_yaml" in said()
    pose = old(finished / "weights" / "best.ckpt", tmp_path / "pose.ckpt", task="pose")
    assert run_cli("validate", "--ckpt_path", pose, "--model", DETECTOR, "--data.data_yaml", shapes) == 2
    assert f"{pose} is of a pose model; the configuration asks for detect" in said()


def test_the_model_is_found_as_the_command_names_it(finished: Path, finished_pose: Path, tmp_path: Path) -> None:
    root = finished.parent.parent
    best, config = finished / "weights" / "best.ckpt", tmp_path / "c.yaml"
    config.write_text(f"ckpt_path: last\nrun: {{root: '{root}', name: other}}\n", encoding="utf-8")
    weights = tmp_path / "w.yaml"
    weights.write_text(f"model: {{init_args: {{weights: '{best.with_suffix('.pt')}'}}}}\n", encoding="utf-8")
    last = finished / "weights" / "last.ckpt"
    for words, expected in (
        (["--ckpt_path", str(best)], best),
        ([f"--ckpt_path={best}", "--config", str(weights)], best),
        (["--config", str(config), "--run.name", "shapes"], last),
        (["--config", str(weights)], best.with_suffix(".pt")),
        (["--model.init_args.weights", str(best.with_suffix(".pt"))], best.with_suffix(".pt")),
    ):
        carried = carried_options("validate", words)
        assert carried is not None, words
        assert (carried.path, carried.task, carried.class_path) == (expected, "detect", DETECTOR)
        assert (carried.data["imgsz"], carried.data["batch_size"], carried.model["iou"]) == (96, 8, 0.7)
    pose = carried_options("test", ["--ckpt_path", str(finished_pose / "weights" / "last.ckpt")])
    assert pose is not None
    assert pose.class_path == "aigp_lightning.modules.pose.PoseModule"
    assert pose.model["camera"]["size"] == 1.5
    assert carried_options("fit", ["--ckpt_path", str(best)]) is None
    for words in (["--ckpt_path", "absent.ckpt"], ["--ckpt_path", str(config)], ["--config", "{"], ["--ckpt_path"]):
        assert carried_options("validate", words) is None, words


def test_a_pt_elsewhere_knows_its_size_and_task(finished: Path, finished_pose: Path, tmp_path: Path) -> None:
    """Beside its own checkpoint alone it knows the folder of its data: it goes to others without."""
    shutil.copy(finished / "weights" / "best.pt", tmp_path / "mine.pt")
    carried = carried_options("validate", ["--model.weights", "mine.pt"])
    assert carried is not None
    assert carried.data == {"imgsz": 96, "single_cls": False}
    shutil.copy(finished_pose / "weights" / "best.ckpt", tmp_path / "mine.ckpt")  # of another model
    assert carried_options("validate", ["--model.weights", "mine.pt"]) == carried


def test_pictures_are_resized_as_in_the_run(
    finished: Path, shapes: Path, tmp_path: Path, run_cli: Callable[..., int], said: Callable[[], str]
) -> None:
    """Without a word; another way is taken and told. Figures of stretched pictures are those of squares in any case."""
    checkpoint = torch.load(finished / "weights" / "best.ckpt", weights_only=True)
    assert checkpoint["aigp"]["run"]["data"]["resize"] == "letterbox"
    checkpoint["aigp"]["run"]["data"]["resize"] = "stretch"
    torch.save(checkpoint, tmp_path / "mine.ckpt")
    figures = []
    for words in ((), ("--data.rect", "false"), ("--data.resize", "letterbox")):
        assert run_cli("validate", "--ckpt_path", "mine.ckpt", "--run.json", "mine.json", *words) == 0
        figures.append(read(tmp_path / "mine.json")["metrics"])
    assert figures[0] == figures[1]
    assert figures[2] != figures[0]
    assert "--data.resize letterbox (the run: stretch)" in said()
    picture = shapes.parent / "images" / "val" / "001.png"
    words = ("--ckpt_path", "mine.ckpt", "--data.source", picture, "--data.resize", "letterbox")
    assert run_cli("predict", *words) == 0
    assert "--data.resize letterbox (the run: stretch)" in said()
