"""What is known of the processes of a run before any of them waits for another."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import lightning.pytorch as pl
import pytest
import torch
from helpers import REPO

from aigp_lightning.data.agreement import judge
from aigp_lightning.errors import ConfigError, DataError, RunError, UserError
from aigp_lightning.run.distributed import ProcessOptions, check_processes, limit_wait, resolve_processes
from aigp_lightning.run.processes import explain_lost_processes, first_process

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "4", "GROUP_WORLD_SIZE": "2", "LOCAL_RANK": "0", "RANK": "0"}
SLURM = {"SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_STEP_ID": "0"}
BY_HAND = {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "2950"}


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TORCHRUN, *SLURM, *BY_HAND, "NODE_RANK", "GROUP_RANK", "SLURM_NTASKS_PER_NODE"):
        monkeypatch.delenv(name, raising=False)


def trainer(devices: int, nodes: int = 1, device: str = "cpu") -> Any:
    strategy = SimpleNamespace(root_device=torch.device(device))
    return SimpleNamespace(num_devices=devices, num_nodes=nodes, strategy=strategy)


@pytest.mark.parametrize("variables", [TORCHRUN, SLURM])
def test_what_the_launcher_knows_fills_what_is_left_open(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = SimpleNamespace(devices="auto", num_nodes=1, strategy="auto")
    resolve_processes(options)
    assert vars(options) == {"devices": "auto", "num_nodes": 1, "strategy": "auto"}, "no launcher, no change"
    monkeypatch.setattr(os, "environ", {**os.environ, **variables})
    resolve_processes(options)
    assert vars(options) == {"devices": 2, "num_nodes": 2, "strategy": "ddp"}
    check_processes(trainer(2, 2))
    given = SimpleNamespace(devices=3, num_nodes=2, strategy="ddp_find_unused_parameters_true")
    resolve_processes(given)
    assert vars(given) == {"devices": 3, "num_nodes": 2, "strategy": "ddp_find_unused_parameters_true"}


@pytest.mark.parametrize(
    ("variables", "asked", "words"),
    [
        (TORCHRUN, (1, 2), ("torchrun started 4 processes on 2 nodes", "1 × 2", "Leave both out")),
        (TORCHRUN, (4, 1), ("torchrun started 4 processes on 2 nodes", "4 × 1")),
        ({**SLURM, "SLURM_NTASKS": "1", "SLURM_NNODES": "1"}, (2, 1), ("srun started 1 processes", "2 × 1")),
        ({**SLURM, "SLURM_NTASKS": "3"}, (2, 2), ("3 tasks on 2 nodes", "--ntasks-per-node")),
        ({**SLURM, "SLURM_TASKS_PER_NODE": "3,1"}, (2, 2), ("4 tasks on 2 nodes", "--ntasks-per-node")),
        ({"WORLD_SIZE": "4"}, (2, 1), ("WORLD_SIZE=4", "2 × 1", "unset WORLD_SIZE")),
        ({"WORLD_SIZE": "2", "RANK": "1"}, (1, 2), ("RANK=1", "LOCAL_RANK is not", "torchrun")),
        ({}, (1, 2), ("--trainer.num_nodes 2", "torchrun or srun", "MASTER_ADDR")),
        ({**BY_HAND, "NODE_RANK": "1"}, (2, 1), ("NODE_RANK=1", "--trainer.num_nodes is 1")),
    ],
)
def test_what_contradicts_the_launcher_is_an_error(
    variables: dict[str, str], asked: tuple[int, int], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, **variables})
    with pytest.raises(ConfigError) as error:
        check_processes(trainer(*asked))
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("variables", "asked"),
    [
        ({}, (1, 1)),
        ({}, (2, 1)),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, (2, 1)),  # Lightning's own
        ({**BY_HAND, "NODE_RANK": "1"}, (2, 2)),
        ({"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "bash"}, (2, 1)),  # a shell in a job: SLURM starts nothing
    ],
)
def test_what_fits_passes(variables: dict[str, str], asked: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, **variables})
    check_processes(trainer(*asked))


def test_a_job_without_srun_is_an_error(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine of SLURM's a script that names four tasks runs python once, and that would wait for three more."""
    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\n")
    srun.chmod(0o755)
    variables = {key: value for key, value in SLURM.items() if key != "SLURM_STEP_ID"}
    monkeypatch.setattr(os, "environ", {**os.environ, **variables, "PATH": str(tmp_path)})
    with pytest.raises(ConfigError, match="srun before python"):
        check_processes(trainer(2, 2))


def test_batch_norms_are_not_synchronised_on_a_cpu() -> None:
    check_processes(trainer(1), sync_batchnorm=True)
    check_processes(trainer(2, device="cuda"), sync_batchnorm=True)
    with pytest.raises(ConfigError, match=r"--trainer\.sync_batchnorm true needs GPUs"):
        check_processes(trainer(2), sync_batchnorm=True)


def test_a_batch_is_shared_evenly() -> None:
    """Refused before anything is read, made or started."""
    check_processes(trainer(4), batch_size=8)
    with pytest.raises(ConfigError, match=r"--data\.batch_size 6 is over all processes; .* by their number, 4\."):
        check_processes(trainer(4), batch_size=6)


def test_the_time_limit_reaches_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where Lightning chose the strategy by itself."""
    said: dict[str, Any] = {}
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda *_, **options: said.update(options))
    trainer = pl.Trainer(accelerator="cpu", devices=2, strategy="auto", logger=False, enable_progress_bar=False)
    limit_wait(trainer, ProcessOptions(timeout=7))
    cast("Any", trainer.strategy).setup_distributed()
    assert said["timeout"].total_seconds() == 420
    with pytest.raises(ConfigError, match=r"--ddp\.timeout 0"):
        ProcessOptions(timeout=0)


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, True),
        ({"RANK": "2", "LOCAL_RANK": "0", "GROUP_RANK": "1"}, False),
        ({"RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"NODE_RANK": "1"}, False),
        ({"SLURM_PROCID": "1"}, False),
    ],
)
def test_one_process_is_the_first(variables: dict[str, str], first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning_utilities.core.rank_zero import rank_zero_only

    monkeypatch.delattr(rank_zero_only, "rank", raising=False)  # as before Lightning is imported
    monkeypatch.setattr(os, "environ", {**os.environ, **variables})
    assert first_process() is first


def report(failure: UserError | None, images: int, node: str) -> tuple[UserError | None, dict[str, Any], str]:
    return failure, {"val": {"images": images, "instances": 2 * images}}, node


def test_machines_agree_on_the_data() -> None:
    judge([report(None, 11, "alpha"), report(None, 11, "alpha"), report(None, 11, "beta")])
    with pytest.raises(DataError) as error:
        judge([report(None, 11, "alpha"), report(None, 12, "beta")])
    assert "'val' has 11 images, 22 instances on alpha, 12 images, 24 instances on beta (process 1)" in str(error.value)
    with pytest.raises(ConfigError, match="on beta: no such file"):
        judge([report(None, 11, "alpha"), (ConfigError("no such file"), {}, "beta")])
    with pytest.raises(DataError, match=r"^mine$"):
        judge([(DataError("mine"), {}, "alpha"), (ConfigError("other"), {}, "beta")])


def test_a_failed_exchange_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    torch_says = "[/x/gloo/transport/tcp/pair.cc:545] Read error [127.0.0.1]:29924: Connection reset by peer. Check …"
    with pytest.raises(RuntimeError, match="gloo"), explain_lost_processes():
        raise RuntimeError(torch_says)  # no other process: a defect, with its traceback
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    with pytest.raises(RunError) as error, explain_lost_processes():
        raise RuntimeError(torch_says)
    assert "(Read error [127.0.0.1]:29924: Connection reset by peer)" in str(error.value)
    assert (error.value.status, error.value.shared) == (1, False)
    with pytest.raises(RunError, match=r"--ddp\.timeout"), explain_lost_processes():
        raise torch.distributed.DistBackendError("watchdog")
    with pytest.raises(RuntimeError, match="shapes"), explain_lost_processes():
        raise RuntimeError("shapes do not fit")
    with pytest.raises(ConfigError) as own, explain_lost_processes():
        raise ConfigError("this machine's own")
    assert own.value.shared is False


@pytest.mark.skipif(sys.platform == "win32", reason="there a process outlives its parent's number")
def test_a_process_ends_with_the_one_that_started_it() -> None:
    child = "import os; from aigp_lightning.run.processes import exit_with_parent; exit_with_parent(os.getppid(), 3)"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}], stderr=sys.stdout)"
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    # The output ends when the child has: it holds the pipe.
    done = subprocess.run(
        [sys.executable, "-c", parent + "; import time; time.sleep(1)"], env=env, capture_output=True, text=True,
        timeout=600, check=True,
    )  # fmt: skip
    assert done.stdout == "error: process 3: the first process is gone; this one ends too.\n"
