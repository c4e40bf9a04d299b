"""A run that was stopped goes on as if it had not been; what cannot go on says so in a line."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import REPO, UNDRAWN, draw_squares, small, tiny_network
from lightning.pytorch.callbacks import Callback
from resume_runs import StopAfter, check_complaint, differing, load, rows

EPOCHS = 4


class StopAtTheEnd(Callback):
    """Presses Ctrl-C when training is over, before anything else is done about it."""

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        raise KeyboardInterrupt


POSE = ("--config", REPO / "configs" / "pose.yaml", "--data.synthetic", "null", *UNDRAWN)


def options(shapes: Path, root: Path, workers: int, close: int) -> list[object]:
    """3 batches an epoch, a step every 4: gradients wait for their step at the epochs' ends."""
    return [
        *("fit", *small(shapes, root), "--data.imgsz", 32, "--data.workers", workers, "--run.name", "run"),
        *("--trainer.max_epochs", EPOCHS, "--model.optim.nbs", 32, "--model.optim.warmup_epochs", 1),
        *("--close_mosaic.epochs", close, "--trainer.logger", "false"),
    ]


def states(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What callbacks keep by name and number: the counter of early stopping, the best so far, steps of the average."""
    told = {name.partition("{")[0]: state for name, state in checkpoint["callbacks"].items()}
    best = {key: float(told["BestCheckpoint"][key]) for key in ("best_model_score", "kth_value")}
    return {name: told[name] for name in ("EMA", "StopEarly", "Results")} | best


# Workers 2: mosaic is closed before the stop, and the resumed run's workers must not prefetch mosaics.
@pytest.mark.parametrize(("workers", "close", "by_name", "task"), [(0, 1, True, "pose"), (2, 3, False, "detect")])
def test_a_resumed_run_equals_one_that_never_stopped(
    workers: int, close: int, by_name: bool, task: str, request: pytest.FixtureRequest, tmp_path: Path,
    run_cli: Callable[..., int],
) -> None:  # fmt: skip
    data = request.getfixturevalue("corners" if task == "pose" else "shapes")
    straight, stopped = (options(data, tmp_path / name, workers, close) for name in ("straight", "stopped"))
    if task == "pose":
        straight[1:1], stopped[1:1] = POSE, POSE
    straight, stopped = ([*words, *tiny_network(tmp_path, task == "pose")] for words in (straight, stopped))
    assert run_cli(*straight) == 0
    stop = f'{{"class_path": "{StopAfter.__module__}.StopAfter", "init_args": {{"epochs": 2}}}}'
    with pytest.raises(SystemExit):
        run_cli(*stopped, "--trainer.callbacks+", stop)
    folder = tmp_path / "stopped" / task / "run"
    weights = folder / "weights"
    halfway = load(weights / "last.ckpt")
    assert halfway["epoch"] == 1
    assert halfway["pending_gradients"], "the test is about gradients that wait for their step"
    assert [row["epoch"] for row in rows(folder)] == ["1", "2"]
    assert (weights / "best.pt").is_file()

    random.seed(99)
    np.random.seed(99)  # noqa: NPY002
    torch.manual_seed(99)
    assert run_cli(*stopped, "--ckpt_path", "last" if by_name else weights / "last.ckpt") == 0
    assert sorted(path.name for path in folder.parent.iterdir()) == ["run"]
    reference = tmp_path / "straight" / task / "run"
    assert [row["epoch"] for row in rows(folder)] == ["1", "2", "3", "4"]
    assert rows(folder) == rows(reference)
    ours, theirs = load(weights / "last.ckpt"), load(reference / "weights" / "last.ckpt")
    assert states(ours) == states(theirs)
    assert states(ours)["StopEarly"]["wait_count"] > 0
    assert (
        differing(load(weights / "best.ckpt")["state_dict"], load(reference / "weights/best.ckpt")["state_dict"]) == []
    )
    assert ours["global_step"] == theirs["global_step"]
    same = ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "aigp", "random_state")
    for part in same:
        assert differing(ours[part], theirs[part], part) == []
    assert differing(ours.get("pending_gradients"), theirs.get("pending_gradients")) == []


def test_random_state_returns() -> None:
    """Python, NumPy and torch draw again what they drew after the state was taken, through a checkpoint file."""
    from aigp_lightning.run.rng import restore_rng_state, rng_state

    def draw() -> tuple[float, float, float, float]:
        gauss = np.random.standard_normal()  # noqa: NPY002  its second half is part of the state
        return random.random(), np.random.random(), gauss, torch.rand(()).item()  # noqa: NPY002

    draw()
    torch.save(rng_state(), "state.ckpt")
    first = draw()
    assert draw() != first
    restore_rng_state(load(Path("state.ckpt")))
    assert draw() == first


def test_a_run_stopped_after_its_last_epoch_gets_its_end(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Early stopping ends it after two epochs; the restarted run trains nothing, and makes what the end makes."""
    from aigp_lightning.media.ledger.ledger import read_ledger

    words = [
        *options(shapes, tmp_path, 0, 0),
        *tiny_network(tmp_path),
        "--early_stopping.patience",
        1,
        "--early_stopping.min_delta",
        2,
    ]
    stop = f'{{"class_path": "{__name__}.StopAtTheEnd"}}'
    with pytest.raises(SystemExit):
        run_cli(*words, "--trainer.callbacks+", stop)
    folder = tmp_path / "detect" / "run"
    (folder / "weights" / "best.pt").unlink()
    assert not (folder / "results.png").exists()
    before = (folder / "weights" / "last.ckpt").read_bytes()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert run_cli(*words) == 0
    assert [row["epoch"] for row in rows(folder)] == ["1", "2"]
    assert (folder / "weights" / "last.ckpt").read_bytes() == before
    assert (folder / "weights" / "best.pt").is_file()
    closing = [(line.key, line.epoch) for line in read_ledger(folder / "media.jsonl") if line.kind == "results"]
    assert closing == [("results", 1)]
    lines = (folder / "media.jsonl").read_bytes()
    assert run_cli(*words) == 0
    assert (folder / "media.jsonl").read_bytes() == lines, "once more, and nothing is left to do"


def test_checkpoints_within_an_epoch_are_refused(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("fit", *small(shapes, tmp_path), "--checkpoint.every_n_train_steps", 10) == 2
    assert "--trainer.limit_train_batches" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_an_epoch_leaves_usable_weights(
    number: signal.Signals, shapes: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    from ultralytics import YOLO

    words = [*options(shapes, tmp_path, 1, 1), *tiny_network(tmp_path), "--trainer.max_epochs", 500]
    command = [sys.executable, "-m", "aigp_lightning", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test run in the background ignores it
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("epoch 3/"):  # the second is saved
                time.sleep(0.1)
                (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
                break
        try:
            rest, _ = process.communicate(timeout=900)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    output = "".join(lines) + rest
    assert process.returncode == 128 + number, output
    assert "Traceback" not in output
    assert f"stopped by {number.name}. To go on: the same command with --ckpt_path {tmp_path}" in output
    with pytest.raises(ProcessLookupError):  # nothing of the process group is left
        os.killpg(process.pid, 0)
    weights = tmp_path / "detect" / "run" / "weights"
    assert load(weights / "last.ckpt")["epoch"] >= 1
    assert dict(YOLO(str(weights / "best.pt")).names) == {0: "square", 1: "disc"}
    assert run_cli("validate", *small(shapes, tmp_path), "--ckpt_path", weights / "last.ckpt") == 0


class LosesItsWorker(Callback):
    """Gets a signal, and with it, as at Ctrl-C in a terminal, the error of a loader's process that got it too."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 1:
            try:
                signal.raise_signal(signal.SIGTERM)
                time.sleep(60)
            except BaseException:
                raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly") from None


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_a_worker_that_the_signal_ends_first_hides_no_stop(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    losing = f'[{{"class_path": "{__name__}.LosesItsWorker"}}]'
    words = [*options(shapes, tmp_path, 0, 1), *tiny_network(tmp_path), *UNDRAWN]
    assert run_cli(*words, "--trainer.callbacks", losing) == 128 + signal.SIGTERM
    assert "stopped by SIGTERM. To go on: the same command with --ckpt_path" in capfd.readouterr().err


def spoil(kind: str, checkpoint: Path, folder: Path) -> Path:
    path = folder / f"{kind}.ckpt"
    if kind == "missing":
        return path
    if kind == "foreign":
        torch.save({"state_dict": {"weight": torch.zeros(2)}, "epoch": 3, "global_step": 9}, path)
    elif kind == "truncated":
        path.write_bytes(checkpoint.read_bytes()[:100_000])
    elif kind == "text":
        path.write_text("these are no weights", encoding="utf-8")
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        path = path.with_suffix(".pt")
        path.write_bytes(checkpoint.with_name("best.pt").read_bytes())
    return path


@pytest.mark.parametrize("verb", ["fit", "validate"])
@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("missing", "no such file"),
        ("foreign", "--model.weights"),
        ("truncated", "cut off"),
        ("text", "another kind"),
        ("empty", "cut off"),
        ("ultralytics", "--model.weights"),
    ],
)
def test_unusable_checkpoints(
    kind: str, advice: str, verb: str, finished: Path, shapes: Path, tmp_path: Path,
    run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = spoil(kind, finished / "weights" / "best.ckpt", tmp_path)
    assert run_cli(verb, *small(shapes, tmp_path), "--ckpt_path", path) == 2
    check_complaint(capfd.readouterr().err, path, advice)


@pytest.mark.parametrize("verb", ["fit", "validate"])
def test_other_classes(
    verb: str, finished: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "val"):
        draw_squares(tmp_path, split, 3, seed=8)
    yaml = tmp_path / "data.yaml"
    yaml.write_text("train: images/train\nval: images/val\nnames: [square, disc, cone]\n", encoding="utf-8")
    path = finished / "weights" / "last.ckpt"
    kept = [path for path in finished.rglob("*") if path.is_file() and path.parent.name != "tensorboard"]
    assert {"results.csv", "config.yaml", "best.pt", "last.ckpt", "media.jsonl"} <= {path.name for path in kept}
    before = [file.read_bytes() for file in kept]
    length = ("--trainer.max_epochs", 2, "--model.optim.nbs", 8)
    assert run_cli(verb, *small(yaml, tmp_path), "--ckpt_path", path, *length) == 2
    told = capfd.readouterr().err
    assert f"error: {path} " in told and "--model.weights" in told and "cone" in told
    assert [file.read_bytes() for file in kept] == before


def test_another_variant(
    finished: Path, shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.ckpt"
    path.write_bytes((finished / "weights" / "last.ckpt").read_bytes())
    words = [*small(shapes, tmp_path), "--ckpt_path", path, "--trainer.max_epochs", 2, "--model.optim.nbs", 8]
    assert run_cli("fit", *words, "--model.variant", "yolo11s") == 2
    check_complaint(capfd.readouterr().err, path, "--model.variant yolo11s (was yolo11n)")
