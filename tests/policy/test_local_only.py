"""Nothing of a policy's training leaves the machine: no other host is asked for, and W&B is not even imported."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import REPO
from policy_envs import RACE
from socket_watch import STRACE, Traced, outside, run_watched, watched_once


@pytest.fixture(scope="module")
def traced(made_once: Callable[..., Path]) -> Traced:
    """A training by the shipped configuration, its evaluation and export; the variables would let W&B send."""
    return watched_once(made_once, "local", run_all)


def run_all(folder: Path) -> Traced:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "AIGP"))}
    run = folder / "apex_policy"
    fit = ["ppo", "fit", "--config", REPO / "configs" / "policy.yaml", *RACE, "--output", run]
    evaluate = ["ppo", "evaluate", "--model", run / "best", "--episodes", 4]
    export = ["ppo", "export", "--model", run / "best"]
    return run_watched(fit, folder, {**environment, "WANDB_MODE": "online"}, evaluate, export)


def test_the_run_was_a_whole_one(traced: Traced) -> None:
    assert traced.status == 0, traced.output
    run = traced.folder / "apex_policy"
    assert list((run / "tb_apex").glob("events.out.tfevents.*"))
    assert (run / "last" / "model.zip").is_file() and (run / "best" / "policy.onnx").is_file()
    assert (run / "evaluation" / "best" / "trajectories_3d.png").is_file()
    assert {path.name for path in traced.folder.iterdir()} <= {
        "apex_policy", "sitecustomize.py", "__pycache__", "sockets.txt", "sockets.txt.modules", "trace.txt",
    }, "nothing is written elsewhere"  # fmt: skip


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_no_system_call_leaves_the_machine(traced: Traced) -> None:
    if traced.calls is not None and not traced.calls.strip() and "PTRACE" in traced.output:
        pytest.skip("strace may not trace here")
    assert traced.calls is not None
    assert outside(traced.calls) == []


def test_python_opens_no_connection(traced: Traced) -> None:
    assert set(traced.events) == {"watching"}


def test_neither_wandb_nor_lightning_is_imported(traced: Traced) -> None:
    assert {"stable_baselines3", "torch", "aigp_lightning.policy.train"} <= traced.modules
    roots = {name.split(".")[0] for name in traced.modules}
    assert roots.isdisjoint({"wandb", "lightning", "pytorch_lightning", "ultralytics", "albumentations"})
