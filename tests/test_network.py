"""A whole training run and its export, TensorBoard and loader workers included, never ask for the network."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import REPO, small, tiny_network
from rfdetr_networks import OPTIONS
from socket_watch import STRACE, Traced, outside, run_watched, watched_once

RUNS = {"switched-off": {"AIGP_WANDB": "0"}, "offline": {"WANDB_MODE": "offline"}}


@pytest.fixture(scope="module")
def traced(shapes: Path, made_once: Callable[..., Path]) -> Traced:
    """Two runs with pictures for TensorBoard and for W&B, and their exports; in one process."""
    return watched_once(made_once, "network", lambda folder: run_all(shapes, folder))


def run_all(shapes: Path, folder: Path) -> Traced:
    environment = {name: value for name, value in os.environ.items() if name not in ("YOLO_OFFLINE", "WANDB_MODE")}
    environment.pop("NO_ALBUMENTATIONS_UPDATE", None)
    environment.pop("ORT_DISABLE_TELEMETRY", None)  # the package itself sees to these three
    configs = ["--config", REPO / "configs" / "detector.yaml", "--config", REPO / "configs" / "logger" / "both.yaml"]
    tiny = [*tiny_network(folder), "--data.imgsz", 32, "--data.workers", 1, "--trainer.max_epochs", 1]
    lines: list[list[object]] = []
    for name in RUNS:
        lines.append(["fit", *configs, *small(shapes, folder), *tiny, "--run.name", name])
        lines.append(["export", "--ckpt_path", folder / "detect" / name / "weights" / "best.ckpt", "--imgsz", 32])
    variables = [each for each in RUNS.values() for _ in range(2)]
    return run_watched(lines[0], folder, environment, *lines[1:], variables=variables)


@pytest.fixture(scope="module")
def traced_rfdetr(shapes: Path, made_once: Callable[..., Path]) -> Traced:
    """A run of an RF-DETR and a validation of its weights file, in an empty home folder."""
    return watched_once(made_once, "network rfdetr", lambda folder: run_rfdetr(shapes, folder))


def run_rfdetr(shapes: Path, folder: Path) -> Traced:
    (folder / "home").mkdir()
    homes = ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TORCH_HOME", "HF_HOME", "MPLCONFIGDIR")
    switches = ("YOLO_OFFLINE", "NO_ALBUMENTATIONS_UPDATE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "YOLO_CONFIG_DIR")
    environment = {name: value for name, value in os.environ.items() if name not in (*homes, *switches)}
    environment |= {"HOME": str(folder / "home"), "USERPROFILE": str(folder / "home"), "AIGP_WANDB": "0"}
    tiny = [*small(shapes, folder), *OPTIONS, "--data.imgsz", 64, "--trainer.limit_train_batches", 1]
    words = ["fit", "--config", REPO / "configs" / "rfdetr.yaml", "--data.synthetic", "null", *tiny]
    words += ["--model.freeze_encoder", "true", "--trainer.max_epochs", 1, "--run.name", "a"]
    again = ["validate", "--model.weights", folder / "detect" / "a" / "weights" / "best.pth", "--data.workers", 0]
    return run_watched(words, folder, environment, [*again, "--trainer.accelerator", "cpu"])


def test_outside_sees_what_it_must() -> None:
    lines = [
        '12 connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("142.250.1.1")}, 16) = 0',
        '12 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.53")}, 16) = 0',
        '12 sendto(3, "\\0", 1, 0, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), '
        'inet_pton(AF_INET6, "2a00:1450::1", &sin6_addr), sin6_scope_id=0}, 28) = 1',
        '12 connect(3, {sa_family=AF_UNIX, sun_path="/run/nscd"}, 110) = -1',
        '12 connect(3, {sa_family=AF_INET, sin_port=htons(29500), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
        '12 bind(3, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("0.0.0.0")}, 16) = 0',
    ]
    assert outside("\n".join(lines)) == lines[:3]


@pytest.mark.parametrize("name", RUNS)
def test_the_run_was_a_whole_one(name: str, traced: Traced) -> None:
    assert traced.status == 0, traced.output
    run = traced.folder / "detect" / name
    assert (run / "weights" / "best.pt").is_file() and (run / "weights" / "best.onnx").is_file()
    assert list((run / "tensorboard").glob("events.out.tfevents.*"))
    assert (run / "val_batch0_pred.jpg").is_file()
    assert len(list(run.glob("wandb/*run-*"))) == (name == "offline")


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_no_system_call_leaves_the_machine(traced: Traced) -> None:
    if traced.calls is not None and not traced.calls.strip() and "PTRACE" in traced.output:
        pytest.skip("strace may not trace here")
    assert traced.calls is not None
    assert "socket" in traced.calls, "the trace saw the loader's and multiprocessing's own Unix sockets"
    assert outside(traced.calls) == []


def test_python_opens_no_connection(traced: Traced) -> None:
    assert set(traced.events) == {"watching"}


def test_an_rfdetr_asks_no_hub_and_leaves_the_home_folder_alone(traced_rfdetr: Traced) -> None:
    """Weights come from this disk or at random; what its libraries cache does not go to the user's home."""
    assert traced_rfdetr.status == 0, traced_rfdetr.output
    assert (traced_rfdetr.folder / "detect" / "a" / "weights" / "best.pth").is_file()
    assert "rfdetr.models" in traced_rfdetr.modules
    assert set(traced_rfdetr.events) == {"watching"}
    if traced_rfdetr.calls is not None:
        assert outside(traced_rfdetr.calls) == []
    left = [path.relative_to(traced_rfdetr.folder) for path in (traced_rfdetr.folder / "home").rglob("*")]
    assert [path.as_posix() for path in left if path.is_file()] == []
