"""The start of a run's processes: by Lightning (`--trainer.devices 2`), by torchrun or by SLURM's srun.

The latter two know how many there are, so what the options leave open is taken from them, and what contradicts them is
an error rather than a hang.
"""

from __future__ import annotations

import inspect
import os
import shutil
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import Range, check_range
from aigp_lightning.run.lightning_internals import set_ddp_options, set_process_timeout

if TYPE_CHECKING:
    import lightning.pytorch as pl

A_YEAR = 366 * 24 * 60
"""Minutes."""
CPU_BUCKET = 512
"""Megabytes of gradients that are exchanged at once on a CPU."""
HOW = "docs/several-gpus.md has the commands"


@dataclass
class ProcessOptions:
    """Several processes on one or more machines.

    Args:
        timeout: minutes that a process waits for the others; then one of them counts as dead, and the run ends. It
            must be longer than the first process takes to read the data set, and to make it where it is synthetic.
    """

    timeout: float = 30.0

    def __post_init__(self) -> None:
        check_range("--ddp.timeout", self.timeout, Range(0, A_YEAR, above=True), "They are minutes.")


@dataclass(frozen=True)
class Launch:
    """Processes that a launcher has started, as it says.

    Attributes:
        by: its name.
        total: number of processes.
        nodes: number of machines.
    """

    by: str
    total: int
    nodes: int


def find_launcher() -> Launch | None:
    """Find the launcher that started this process beside others; None if nobody did, or Lightning itself.

    Raises:
        ConfigError: SLURM would have to, and was not asked to.
    """
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        return Launch("torchrun", int(env["WORLD_SIZE"]), int(env.get("GROUP_WORLD_SIZE", 1)))
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    if not SLURMEnvironment.detect():
        return None
    total, nodes = int(env["SLURM_NTASKS"]), int(env.get("SLURM_NNODES", env.get("SLURM_JOB_NUM_NODES", 1)))
    if total > 1 and "SLURM_STEP_ID" not in env and shutil.which("srun"):
        raise ConfigError(
            f"SLURM gave this job {total} tasks, and this process is none of them: it would wait for the others. Write "
            f"srun before python; {HOW}."
        )
    if total > 1 and "SLURM_NTASKS_PER_NODE" not in env:  # Lightning refuses that, lest nodes have unequal shares
        shares = env.get("SLURM_STEP_TASKS_PER_NODE", env.get("SLURM_TASKS_PER_NODE", ""))
        if total % nodes or "," in shares:
            raise ConfigError(
                f"SLURM gave this job {total} tasks on {nodes} nodes, not as many on each. Ask for --nodes and "
                f"--ntasks-per-node instead of --ntasks; {HOW}."
            )
        env["SLURM_NTASKS_PER_NODE"] = str(total // nodes)
    return Launch("srun", total, nodes)


def started_by_lightning() -> int | None:
    """Return how many processes Lightning's own launcher started, if it started this one; None if it did not."""
    env = os.environ
    child = int(env.get("LOCAL_RANK", 0)) > 0 and "WORLD_SIZE" in env and find_launcher() is None
    return int(env["WORLD_SIZE"]) if child else None


def resolve_processes(trainer: Any) -> None:
    """Take from the launcher what the options leave open.

    Args:
        trainer: the configuration's `trainer`; `devices`, `num_nodes` and `strategy` are changed in place.
    """
    found = find_launcher()
    if found is None:
        return
    if trainer.num_nodes == 1:
        trainer.num_nodes = found.nodes
    if trainer.devices == "auto":
        trainer.devices = max(found.total // trainer.num_nodes, 1)
    if trainer.strategy == "auto" and found.total > 1:
        trainer.strategy = "ddp"


def limit_wait(trainer: pl.Trainer, options: ProcessOptions) -> None:
    """Set how long processes wait for one another, where they are DDP's.

    Args:
        trainer: as built from the options; Lightning has chosen the strategy, which is asked for the limit later.
        options: the group `ddp`.
    """
    from lightning.pytorch.strategies import DDPStrategy

    if isinstance(trainer.strategy, DDPStrategy):
        set_process_timeout(trainer.strategy, timedelta(minutes=options.timeout))


def tune_exchange(trainer: pl.Trainer) -> None:
    """Set how processes exchange gradients: without copies, and on a CPU in one piece.

    Statistics of batch norms are not exchanged in every step: only the first process's are saved, and `EMA` sends them
    to the others before each validation. On a CPU, where nothing is left to overlap with the exchange, one large
    message is cheaper than many.

    Args:
        trainer: as built from the options, nothing wrapped yet.
    """
    from lightning.pytorch.strategies import DDPStrategy
    from torch.nn.parallel import DistributedDataParallel

    if isinstance(trainer.strategy, DDPStrategy):
        known = inspect.signature(DistributedDataParallel).parameters
        buffers = next(name for name in ("forward_sync_buffers", "broadcast_buffers") if name in known)  # new, old name
        options: dict[str, Any] = {"gradient_as_bucket_view": True, buffers: False}
        if trainer.strategy.root_device.type == "cpu":
            options["bucket_cap_mb"] = CPU_BUCKET
        set_ddp_options(trainer.strategy, options)


def check_shares(batch_size: int, processes: int) -> None:
    """Refuse a batch that processes cannot share evenly.

    Args:
        batch_size: training images a step, over all processes.
        processes: that share them.

    Raises:
        ConfigError: it does not divide by their number.

    Example:
        >>> check_shares(batch_size=16, processes=2)
    """
    if batch_size % processes:
        rule = "is over all processes; it must divide by their number"
        raise ConfigError(f"--data.batch_size {batch_size} {rule}, {processes}.")


def check_processes(trainer: pl.Trainer, sync_batchnorm: bool = False, batch_size: float | str = 0) -> None:
    """Compare what is asked for with what was started, before anything waits for a process that will not come.

    Args:
        trainer: as built from the options.
        sync_batchnorm: whether normalisation over all processes is asked for.
        batch_size: training images a step, over all processes; 0 where nothing is trained. What is no number of images
            is chosen later.

    Raises:
        ConfigError: they do not fit; or a CPU is to synchronise batch norms.
    """
    devices, nodes = trainer.num_devices, trainer.num_nodes
    asked = f"--trainer.devices × --trainer.num_nodes is {devices} × {nodes}"
    found, env = find_launcher(), os.environ
    if found is not None:
        if devices * nodes != found.total or nodes != found.nodes:
            raise ConfigError(
                f"{found.by} started {found.total} processes on {found.nodes} nodes, but {asked}. Leave both out: they "
                f"are taken from {found.by}."
            )
    elif "RANK" in env and "LOCAL_RANK" not in env and int(env.get("WORLD_SIZE", 1)) > 1:
        raise ConfigError(
            f"RANK={env['RANK']} and WORLD_SIZE={env['WORLD_SIZE']} are set, and LOCAL_RANK is not: start the "
            f"processes with torchrun, or unset these variables; {HOW}."
        )
    elif int(env.get("WORLD_SIZE", devices * nodes)) != devices * nodes:
        raise ConfigError(
            f"WORLD_SIZE={env['WORLD_SIZE']} is set, but {asked}. Make them agree, or unset WORLD_SIZE; {HOW}."
        )
    else:
        _check_by_hand(nodes)
    if isinstance(batch_size, int):
        check_shares(batch_size, devices * nodes)
    if sync_batchnorm and devices * nodes > 1 and trainer.strategy.root_device.type == "cpu":
        raise ConfigError("--trainer.sync_batchnorm true needs GPUs: torch's SyncBatchNorm does not train on a CPU.")


def _check_by_hand(nodes: int) -> None:
    """Check that machines on which Lightning's own launcher was started by hand can find one another."""
    env = os.environ
    if nodes > 1 and not {"MASTER_ADDR", "MASTER_PORT"} <= set(env):
        raise ConfigError(
            f"--trainer.num_nodes {nodes}: how do they find one another? Start the processes with torchrun or srun, or "
            f"set MASTER_ADDR, MASTER_PORT and NODE_RANK on every node; {HOW}."
        )
    if int(env.get("NODE_RANK", 0)) >= nodes:
        raise ConfigError(f"NODE_RANK={env['NODE_RANK']} is set, but --trainer.num_nodes is {nodes}.")
