"""Training of a policy with PPO, from options to models. Everything stays on this machine."""

from __future__ import annotations

import json
import platform
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import yaml
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from stable_baselines3.common.vec_env import VecMonitor

from aigp_lightning import __version__
from aigp_lightning.errors import RunError
from aigp_lightning.files import typed_command, write_atomic
from aigp_lightning.policy.callbacks import Checkpoints, Evaluation, StopHandler, StopOnRequest, every_n_steps
from aigp_lightning.policy.config import PolicyConfig
from aigp_lightning.policy.dashboard import progress_callback
from aigp_lightning.policy.episodes import Summary
from aigp_lightning.policy.learner import build_model, load_for_resume
from aigp_lightning.policy.make_env import evaluation_env_config, make_env
from aigp_lightning.policy.models import (
    BEST,
    CONFIG_FILE,
    LAST,
    VERSIONS_FILE,
    find_model,
    find_run,
    save_model,
)
from aigp_lightning.policy.progress import LastScalars, TrainingStats
from aigp_lightning.run.folder import claim_folder
from aigp_lightning.run.lock import lock_run_folder
from aigp_lightning.terminal.output import keep_unprinted, print_line

if TYPE_CHECKING:
    from rich.console import Console

TENSORBOARD = "tb_apex"
WORKER_ERRORS = (EOFError, ConnectionError)
"""Errors raised when the process of an environment has ended."""
PACKAGES = ("stable_baselines3", "gymnasium", "torch", "numpy")


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training.

    Args:
        folder: of the run.
        steps: environment steps, those before a resume included.
        last: step and summary of the last evaluation; None when none was finished.
        best: step and summary of the best evaluation.
        signal: number of the signal that stopped it; None when none did.
    """

    folder: Path
    steps: int
    last: tuple[int, Summary] | None
    best: tuple[int, Summary] | None
    signal: int | None = None


def train(
    config: PolicyConfig, callbacks: Sequence[BaseCallback] = (), console: Console | None = None
) -> TrainingResult:
    """Train a policy with SB3's PPO.

    Args:
        config: all options.
        callbacks: further SB3 callbacks.
        console: for the live view; the terminal by default.

    Returns:
        Run folder, steps, the last and the best evaluation.

    Raises:
        ConfigError: an option is wrong, the environment does not fit, or another process writes to the run to resume.
        WeightsError: the model to resume from cannot be read.
    """
    config.check()
    config.check_batch()
    with torch_threads(config.ppo.torch_threads), ExitStack() as stack:
        resumed = find_run(Path(config.resume)) if config.resume else None
        if resumed is not None:  # first: a run that is being written may have no model yet
            stack.enter_context(lock_run_folder(resumed, "ppo fit"))
        checkpoint = find_model(config.resume, "--resume") if config.resume else None
        env = make_env(config.env)
        stack.callback(_close, env)
        eval_env = make_env(evaluation_env_config(config.env, config.eval_env), check=False)
        stack.callback(_close, eval_env)
        model = build_model(config, env) if checkpoint is None else load_for_resume(config, env, checkpoint)
        folder = resumed or _claim_folder(config, stack)
        _describe_run(config, folder)
        stop = stack.enter_context(StopHandler())
        return _learn(config, model, eval_env, folder, stop, callbacks, console)


def _learn(
    config: PolicyConfig, model: PPO, eval_env: VecMonitor, folder: Path, stop: StopHandler,
    callbacks: Sequence[BaseCallback], console: Console | None,
) -> TrainingResult:  # fmt: skip
    scalars, stats = LastScalars(), TrainingStats(config.ppo.stats_window)
    model.set_logger(Logger(str(folder), [TensorBoardOutputFormat(str(folder / TENSORBOARD)), scalars]))
    before = model.num_timesteps
    evaluation = Evaluation(
        eval_env, config.eval_env, config.early_stop, folder, lambda: stats.stopwatch, stop.requested
    )
    evaluation.restore(before)
    progress = progress_callback(config, stats, evaluation, scalars, folder, console)
    all_callbacks = [stats, StopOnRequest(stop.requested), *callbacks]
    all_callbacks += [every_n_steps(config.eval_freq, evaluation, before)] if config.eval_freq else []
    all_callbacks += [every_n_steps(config.save_freq, Checkpoints(folder), before)] if config.save_freq else []
    evaluation.init_callback(model)
    try:
        model.learn(
            config.total_timesteps - before, CallbackList([*all_callbacks, progress]), reset_num_timesteps=before == 0
        )
        if not stop.requested() and (evaluation.last is None or evaluation.last[0] < model.num_timesteps):
            evaluation.evaluate()
    except WORKER_ERRORS as error:
        if not stop.requested():  # else the signal went to the environments' processes too
            raise RunError(
                f"a process that runs an environment is gone ({type(error).__name__}), most likely killed for "
                "want of memory. Take fewer --env.n_envs, or --env.backend dummy. Models that were saved are in "
                f"{folder}."
            ) from error
    finally:
        progress.close()
        model.logger.close()
    save_model(model, folder / LAST, {})
    result = TrainingResult(folder, model.num_timesteps, evaluation.last, evaluation.best, stop.signal)
    _print_result(result, config, evaluation.good_enough)
    return result


def _close(env: VecMonitor) -> None:
    with suppress(*WORKER_ERRORS):
        env.close()


def _print_result(result: TrainingResult, config: PolicyConfig, good_enough: bool) -> None:
    if result.signal is not None:
        name = signal.Signals(result.signal).name
        print_line(
            f"stopped by {name} at {result.steps:,} steps, saved as {result.folder / LAST}. To go on:",
            f"  {typed_command('ppo', 'fit', '--resume', result.folder.absolute())}",
        )
    elif good_enough:
        print_line(
            f"ended at {result.steps:,} steps: {config.early_stop.evaluations} evaluations in a row had a success "
            f"rate of {config.early_stop.success:g} or more"
        )
    print_line(f"run folder: {result.folder}", f"last model: {result.folder / LAST}")
    if result.best is not None:
        print_line(f"best model: {result.folder / BEST}, of {result.best[0]:,} steps")


def _claim_folder(config: PolicyConfig, stack: ExitStack) -> Path:
    """Make a folder for a new run, and lock it until the stack is closed."""
    output = Path(config.output)
    folder, _ = claim_folder(output.parent, output.name, exist_ok=False, options=("--output", "--output"))
    stack.enter_context(lock_run_folder(folder, "ppo fit"))
    return folder


def _describe_run(config: PolicyConfig, folder: Path) -> None:
    """Write the run's configuration and the versions of its packages."""
    content = asdict(replace(config, resume=None, output=str(folder)))
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    keep_unprinted(folder)
    write_atomic(folder / CONFIG_FILE, text.encode("utf-8"))
    versions = {"aigp_lightning": __version__, "python": platform.python_version()}
    versions |= {name: version(name) for name in PACKAGES}
    write_atomic(folder / VERSIONS_FILE, json.dumps(versions, indent=2).encode("utf-8"))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set the number of PyTorch's threads within a `with` block.

    Args:
        count: of threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
