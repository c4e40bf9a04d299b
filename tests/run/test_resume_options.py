"""A resumed run with other options trains rightly and says so, or is refused in a line; a longer one is replanned."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import UNDRAWN, small, tiny_network
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.demos.boring_classes import BoringModel
from resume_runs import StopAfter, check_complaint, differing, load, rows

from aigp_lightning.callbacks.close_mosaic import CloseMosaic
from aigp_lightning.callbacks.last_checkpoint import LastCheckpoint
from aigp_lightning.callbacks.monitoring import StopEarly, has_stopped, still_holds, stopping_option, take_up_again
from aigp_lightning.callbacks.resumed_run import ResumedRun
from aigp_lightning.checkpoints.io import AtomicCheckpointIO
from aigp_lightning.checkpoints.load import read_checkpoint
from aigp_lightning.cli.resume_options import check_resumed, check_step_limit, earlier_options, kind_of, named_options
from aigp_lightning.errors import ConfigError
from aigp_lightning.logfiles.event_file import event_files, read_event_file
from aigp_lightning.logfiles.run_config import read_config
from aigp_lightning.loggers.tensorboard import ResilientTensorBoardLogger

QUIET: dict[str, Any] = {
    **{"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False},
    **{"enable_checkpointing": False},
}


def options(shapes: Path, root: Path, *more: object) -> list[object]:
    """A network of three layers; batches of 8 of 24 images, a step every 2 of them."""
    return [
        *("fit", *small(shapes, root), "--data.imgsz", 32, "--run.name", "run", *UNDRAWN),
        *tiny_network(root.parent),
        *("--model.optim.nbs", 16, "--model.optim.warmup_epochs", 0),
        *("--model.optim.name", "AdamW", "--model.optim.lr0", 0.01, "--close_mosaic.epochs", 1, *more),
    ]


def longer(shapes: Path, root: Path, *more: object) -> list[object]:
    larger = ("--data.batch_size", 16, "--trainer.max_epochs", 5, "--early_stopping.patience", 7)
    return options(shapes, root, *larger, "--ckpt_path", root / "detect" / "run", *more)


def test_a_run_goes_on_with_a_larger_batch_and_more_epochs(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """And one that is killed and resumed meanwhile is the same one."""
    begun, root = options(shapes, tmp_path / "straight", "--trainer.max_epochs", 2), tmp_path / "straight"
    assert run_cli(*begun) == 0
    folder, capture = root / "detect" / "run", capfd.readouterr
    first, config = load(folder / "weights" / "last.ckpt"), (folder / "config.yaml").read_bytes()
    assert first["aigp"]["waiting_images"] == 0, "6 batches, a step every second"
    assert run_cli(*longer(shapes, root)) == 2
    check_complaint(capture().err, Path(), "--trainer.max_epochs 5: the run was planned for 2 epochs")
    assert run_cli(*begun, "--extend") == 2
    check_complaint(capture().err, Path(), "--ckpt_path last")
    assert run_cli(*begun, "--ckpt_path", folder) == 0
    assert "all 2 epochs are trained, and nothing is left to do" in caplog.text
    assert (folder / "config.yaml").read_bytes() == config, "nothing was trained under another one"

    shutil.copytree(root, tmp_path / "stopped")
    assert run_cli(*longer(shapes, root, "--extend")) == 0
    taken_up = "taken up from epoch 3 on: --data.batch_size 16 (was 8), --early_stopping.patience 7 (was 100)"
    assert taken_up in capture().out.splitlines()
    for line in (
        "from epoch 3 on: 2 batches an epoch (were 3)",
        "extended from 2 to 5 epochs: the learning rate goes on at 0.00505, that of epoch 2, and falls linearly to "
        "0.0001 over the epochs left",
        "epoch 3: mosaics are made again, until epoch 4",
    ):
        assert line in caplog.messages
    rates = [float(row["lr/pg0"]) for row in rows(folder)]
    assert rates == pytest.approx([0.01, 0.00505, 0.00505, 0.0034, 0.00175], rel=1e-5)
    last = load(folder / "weights" / "last.ckpt")
    assert last["global_step"] == first["global_step"] + 6, "each batch is a step now"
    moved = [name for name in first["current_model_state"] if name.endswith("weight") and ".dfl." not in name]
    assert moved
    assert not any(torch.equal(first["current_model_state"][n], last["current_model_state"][n]) for n in moved)
    decays = [[g["weight_decay"] for g in each["optimizer_states"][0]["param_groups"]] for each in (first, last)]
    assert decays == [[0.0005, 0, 0], [0.0005, 0, 0]]
    steps = [step for path in event_files(folder) for tag, step in read_event_file(path).points if tag == "epoch"]
    assert sorted(set(steps)) == [0, 1, 2, 3, 4]
    assert (folder / "config-before-epoch3.yaml").read_bytes() == config
    now = read_config(folder)[0]
    assert now is not None
    assert (now["data"]["batch_size"], now["trainer"]["max_epochs"], now["extend"]) == (16, 5, False)

    stop = f'{{"class_path": "{StopAfter.__module__}.StopAfter", "init_args": {{"epochs": 3}}}}'
    stopped = tmp_path / "stopped"
    with pytest.raises(SystemExit):
        run_cli(*longer(shapes, stopped, "--extend", "--trainer.callbacks+", stop))
    assert run_cli(*longer(shapes, stopped)) == 0
    other = stopped / "detect" / "run"
    assert rows(other) == rows(folder)
    theirs = load(other / "weights" / "last.ckpt")
    theirs["aigp"]["run"]["data"].pop("data_yaml")
    last["aigp"]["run"]["data"].pop("data_yaml")
    for part in ("state_dict", "current_model_state", "optimizer_states", "aigp", "random_state", "global_step"):
        assert differing(theirs[part], last[part], part) == []
    assert theirs["aigp"]["plan"]["extensions"] == [[2, 5]]


def test_every_option_is_classified(finished: Path, finished_pose: Path) -> None:
    """A new option needs its row in `cli/resume_options.py`."""
    for folder in (finished, finished_pose):
        config = read_config(folder)[0]
        assert config is not None
        named = named_options(config, harmless=True)
        assert {"trainer.max_epochs", "model.optim.lr0", "data.imgsz", "media.val_batches"} <= set(named)
        assert [name for name in named if kind_of(name) is None] == []


EARLIER = {"data.batch_size": 4, "data.seed": 0, "trainer.max_epochs": 8, "model.class_weights": 0.0}


def test_a_run_keeps_its_way_to_resize() -> None:
    """A checkpoint from before there was a choice is of letterboxed pictures."""
    for kept, was in (({"resize": "stretch"}, "stretch"), ({}, "letterbox")):
        earlier = earlier_options({"aigp": {"run": {"data": {"imgsz": 96, **kept}}}}, None)
        other = "letterbox" if was == "stretch" else "stretch"
        assert check_resumed({"data.resize": was}, earlier, "a.ckpt", 3, extend=False) == ""
        with pytest.raises(ConfigError, match=rf"^--data\.resize {other} \(was {was}\): not what the run was begun"):
            check_resumed({"data.resize": other}, earlier, "a.ckpt", 3, extend=False)


def test_options_are_compared_by_name() -> None:
    """All that differ at once; what the checkpoint does not know is not compared."""
    assert check_resumed({**EARLIER, "data.outside": "drop"}, EARLIER, "a.ckpt", 3, extend=False) == ""
    with pytest.raises(ConfigError) as refused:
        check_resumed({**EARLIER, "data.seed": 1, "model.class_weights": 0.5}, EARLIER, "a.ckpt", 3, extend=True)
    assert "--data.seed 1 (was 0), --model.class_weights 0.5 (was 0.0)" in str(refused.value)
    assert "Resume it with --data.seed 0 --model.class_weights 0.0," in str(refused.value)
    for epochs, extend in ((2, True), (7, True), (7, False), (9, False)):
        with pytest.raises(ConfigError, match=rf"^--trainer\.max_epochs {epochs}: "):
            check_resumed({"trainer.max_epochs": epochs}, EARLIER, "a.ckpt", 3, extend)
    assert check_resumed({"trainer.max_epochs": 9}, EARLIER, "a.ckpt", 3, extend=True) == ""
    one, other = ({"class_path": "a.b.Stop", "init_args": {"patience": each}} for each in (1, 2))
    for now, before, said in ((None, [one], "null (was [Stop])"), ([one], [other], "[Stop] (with other settings)")):
        told = check_resumed({"trainer.callbacks": now}, {"trainer.callbacks": before}, "a.ckpt", 3, extend=False)
        assert told == f"taken up from epoch 4 on: --trainer.callbacks {said}"


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (1.0, {"train": 0.5, "val": 3}, "--data.fraction {train: 0.5, val: 3} (was 1.0)"),
        ({"train": 0.5}, 1.0, "--data.fraction 1.0 (was {train: 0.5})"),
        ({"train": 0.5}, {"val": 3}, "--data.fraction {val: 3} (was {train: 0.5})"),
        ({"val": 3}, {"val": 3}, ""),
    ],
)
def test_a_mapping_is_compared_as_one_value(before: object, now: object, said: str) -> None:
    """Name by name, one that the other start did not have would be taken up silently."""
    given, earlier = (named_options({"data": {"fraction": each}}) for each in (now, before))
    assert check_resumed(given, earlier, "a.ckpt", 3, False).removeprefix("taken up from epoch 4 on: ") == said


def test_a_group_that_is_turned_off_is_said() -> None:
    camera, off = (named_options({"model": {"camera": each}}) for each in ({"fx": 250.0, "width": 640}, None))
    told = [check_resumed(*pair, "a.ckpt", 3, extend=False) for pair in ((camera, off), (off, camera), (off, off))]
    assert told[0] == "taken up from epoch 4 on: --model.camera {fx: 250.0, width: 640} (was null)"
    assert told[1:] == ["taken up from epoch 4 on: --model.camera null (was {fx: 250.0, width: 640})", ""]


def test_earlier_versions_are_asked_for_their_configuration(finished: Path) -> None:
    """Their checkpoints name the optimizer's settings at most."""
    checkpoint = read_checkpoint(finished / "weights" / "last.ckpt")
    known = earlier_options(checkpoint, None)
    assert known["early_stopping.patience"] == 100
    del checkpoint["callbacks"]["ResumedRun"]
    assert (known["trainer.max_epochs"], earlier_options(checkpoint, None)["data.imgsz"]) == (2, 96)
    del checkpoint["aigp"]["run"]
    assert earlier_options(checkpoint, None)["model.optim.nbs"] == 8
    assert "data.imgsz" not in earlier_options(checkpoint, None)
    by_file = earlier_options(checkpoint, finished)
    assert (by_file["data.imgsz"], by_file["trainer.max_epochs"]) == (96, 2)
    assert "trainer.precision" not in by_file


@pytest.mark.parametrize(
    ("patience", "epochs", "goes_on", "waited"), [(3, 9, False, 3), (4, 9, True, 3), (3, 12, True, 0), (2, 9, False, 3)]
)
@pytest.mark.parametrize(("kind", "epoch"), [(EarlyStopping, 5), (StopEarly, 5), (StopEarly, 0), (EarlyStopping, 0)])
def test_early_stopping_goes_by_its_patience_of_now(
    patience: int, epochs: int, goes_on: bool, waited: int, kind: type[EarlyStopping], epoch: int
) -> None:
    """Lightning restores the earlier one. A run that it ended goes on with more of it, or with more epochs."""
    stopping, callback, model = kind("loss", patience=patience), ResumedRun({}), BoringModel()
    trainer = Trainer(max_epochs=epochs, logger=False, callbacks=[stopping, callback], **QUIET)
    trainer.training = True
    callback.setup(trainer, model, "fit")
    progress = {"epoch_progress": {"current": {"ready": 6, "processed": 6}}}
    progress |= {"epoch_loop.batch_progress": {"current": {"ready": 3}, "is_last_batch": True}}
    told = {"loops": {"fit_loop": progress}, "aigp": {"run": {"trainer": {"max_epochs": 9}}}}
    callback.on_load_checkpoint(trainer, model, told)
    stopped = {"patience": 3, "wait_count": 3, "stopped_epoch": epoch}
    stopped |= {"stopping_reason": EarlyStoppingReason.PATIENCE_EXHAUSTED.value}
    stopping.load_state_dict({**stopping.state_dict(), **stopped})
    callback.on_fit_start(trainer, model)
    assert (stopping.patience, has_stopped(stopping), stopping.wait_count) == (patience, not goes_on, waited)


@pytest.mark.parametrize("option", ["stopping_threshold", "divergence_threshold", "check_finite"])
def test_early_stopping_goes_by_its_thresholds_of_now(option: str) -> None:
    """The reason stays only where this start's options give it."""
    mode = {"stopping_threshold": "max", "divergence_threshold": "min", "check_finite": "max"}[option]
    value, other = (True, False) if option == "check_finite" else (0.5, 0.75)
    stopping = StopEarly("loss", mode=mode, **{option: value})
    reached = torch.tensor(float("nan") if option == "check_finite" else 0.6)
    stop, stopping.stopping_reason_message = stopping._evaluate_stopping_criteria(reached)
    assert (stop, still_holds(stopping), option in stopping_option(stopping)) == (True, True, True)
    for changed, holds in ((other, False), (value, True), (None, False)):
        setattr(stopping, option, changed)
        assert bool(still_holds(stopping)) is holds
    take_up_again(stopping)
    assert not has_stopped(stopping)


class Figures(BoringModel):
    def on_train_epoch_end(self) -> None:
        self.log("score", 1.0)


@pytest.mark.parametrize("used", ["max_steps", "max_time", "early stopping"])
def test_a_start_that_trains_nothing_says_why(used: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And claims nothing of options taken up; with more of what was used up it trains on."""

    def fit(more: bool) -> int:
        limits: dict[str, Any] = {"max_epochs": 9, "limit_train_batches": 2, "limit_val_batches": 0}
        if used != "early stopping":
            limits[used] = {"max_steps": 8 if more else 2, "max_time": {"seconds": 1000 if more else 10}}[used]
        stop = EarlyStopping("score", patience=2 if more else 1, mode="max", check_on_train_epoch_end=True)
        callbacks = [ResumedRun({}, taken_up="taken up: x"), *([stop] if used == "early stopping" else [])]
        trainer = Trainer(default_root_dir=tmp_path, logger=False, callbacks=callbacks, **limits, **QUIET)
        store = LastCheckpoint(AtomicCheckpointIO())
        trainer.callbacks.append(store)  # type: ignore[attr-defined]
        trainer.fit(Figures(), ckpt_path=path if path.exists() else None, weights_only=False)
        return trainer.global_step

    path = tmp_path / "a.ckpt"
    limits = {"max_epochs": 2, "limit_train_batches": 2, "limit_val_batches": 0, "logger": False, **QUIET}
    stop = EarlyStopping("score", patience=1, mode="max", check_on_train_epoch_end=True)
    first = Trainer(max_time={"hours": 9}, callbacks=[stop] if used == "early stopping" else [], **limits)
    first.fit(Figures())
    first.save_checkpoint(path)
    assert first.global_step == 4
    told = torch.load(path, weights_only=False)
    told["callbacks"]["Timer"]["time_elapsed"]["train"] = 100.0
    torch.save(told, path)
    with caplog.at_level("INFO"):
        assert fit(more=False) == 4
        name = "early stopping has ended the run after epoch 2" if used == "early stopping" else f"--trainer.{used}"
        assert [line for line in caplog.messages if line.startswith(name)]
        assert "a larger EarlyStopping.patience" in caplog.text or "nothing was trained" in caplog.text
        caplog.clear()
        assert fit(more=True) > 4
        assert "nothing" not in caplog.text


class Logs(BoringModel):
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("seen", float(self.trainer.current_epoch), on_step=False, on_epoch=True)
        return super().training_step(batch, batch_idx)


def test_no_scalar_is_dropped_after_a_change_of_batches(tmp_path: Path) -> None:
    """Nor written twice: a killed epoch's scalar lies at the epoch that is trained again."""

    def trainer(epochs: int, batches: int) -> Trainer:
        board = ResilientTensorBoardLogger(tmp_path, name="", version="", skip_logged=True)
        limits = {"max_epochs": epochs, "limit_train_batches": batches, "limit_val_batches": 0}
        return Trainer(logger=board, callbacks=[ResumedRun({}), CloseMosaic(0)], **limits, **QUIET)

    first = trainer(2, 4)
    first.fit(Logs())
    first.save_checkpoint(tmp_path / "a.ckpt")
    first.loggers[0].log_metrics({"seen": 2.0, "epoch": 2}, 11)
    first.loggers[0].finalize("success")
    trainer(5, 2).fit(Logs(), ckpt_path=tmp_path / "a.ckpt", weights_only=False)
    points = sum((read_event_file(path).points for path in event_files(tmp_path)), Counter[tuple[str, int]]())
    assert {step: count for (tag, step), count in points.items() if tag == "seen"} == dict.fromkeys(range(5), 1)


def test_a_limit_of_steps_is_not_resumed() -> None:
    """Lightning trained a part of the last epoch again, blanked its row, and left the last epoch out."""
    check_step_limit(-1)
    with pytest.raises(ConfigError, match=r"--trainer\.max_steps 100: a run is not resumed under a limit of steps"):
        check_step_limit(100)
