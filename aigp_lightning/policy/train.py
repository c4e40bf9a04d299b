"""A training of the policy, from its options to its models. Everything stays on this machine."""

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
from aigp_lightning.policy.callbacks import Checkpoints, Evaluation, Interrupt, StopWhen, every
from aigp_lightning.policy.config import PolicyConfig
from aigp_lightning.policy.dashboard import progress_callback
from aigp_lightning.policy.episodes import Summary
from aigp_lightning.policy.learner import build, load_for_resume
from aigp_lightning.policy.make_env import for_evaluation, make_env
from aigp_lightning.policy.models import (
    BEST,
    CONFIG_FILE,
    LAST,
    find_model,
    run_of,
    save_model,
)
from aigp_lightning.policy.progress import Figures, LastValues
from aigp_lightning.run.folder import claim_folder

if TYPE_CHECKING:
    from rich.console import Console

TENSORBOARD = "tb_apex"
GONE = (EOFError, ConnectionError)
"""What is raised when an environment's process has ended."""
VERSIONS_FILE = "versions.json"
PACKAGES = ("stable_baselines3", "gymnasium", "torch", "numpy")


@dataclass(frozen=True)
class Trained:
    """What a training has come to.

    Args:
        folder: of the run.
        steps: environment steps, those before a resume included.
        last: the last evaluation and its step; None when none was finished.
        best: the best one.
        signal: that ended it; None when none did.
    """

    folder: Path
    steps: int
    last: tuple[int, Summary] | None
    best: tuple[int, Summary] | None
    signal: int | None = None


def train(config: PolicyConfig, callbacks: Sequence[BaseCallback] = (), console: Console | None = None) -> Trained:
    """Train a policy with SB3's PPO.

    Args:
        config: all options.
        callbacks: further ones of SB3's.
        console: where the live view goes; the terminal by default.

    Raises:
        ConfigError: an option is wrong, or the environment does not fit.
        WeightsError: the model to go on with cannot be read.
    """
    config.check()
    config.check_batch()
    with threads(config.ppo.torch_threads), ExitStack() as stack:
        resumed = find_model(config.resume, "--resume") if config.resume else None
        env = make_env(config.env)
        stack.callback(_close, env)
        judge = make_env(for_evaluation(config.env, config.eval_env), check=False)
        stack.callback(_close, judge)
        model = build(config, env) if resumed is None else load_for_resume(config, env, resumed)
        folder = _folder(config, resumed)
        interrupt = stack.enter_context(Interrupt())
        return _learn(config, model, judge, folder, interrupt, callbacks, console)


def _learn(
    config: PolicyConfig, model: PPO, judge: VecMonitor, folder: Path, interrupt: Interrupt,
    more: Sequence[BaseCallback], console: Console | None,
) -> Trained:  # fmt: skip
    values, figures = LastValues(), Figures(config.ppo.stats_window)
    model.set_logger(Logger(str(folder), [TensorBoardOutputFormat(str(folder / TENSORBOARD)), values]))
    before = model.num_timesteps
    evaluation = Evaluation(judge, config.eval_env, config.early_stop, folder, lambda: figures.watch, interrupt.came)
    evaluation.recall(before)
    shown = progress_callback(config, figures, evaluation, values, folder, console)
    callbacks = [figures, StopWhen(interrupt.came), *more]
    callbacks += [every(config.eval_freq, evaluation, before)] if config.eval_freq else []
    callbacks += [every(config.save_freq, Checkpoints(folder), before)] if config.save_freq else []
    evaluation.init_callback(model)
    try:
        model.learn(config.total_timesteps - before, CallbackList([*callbacks, shown]), reset_num_timesteps=before == 0)
        if not interrupt.came() and (evaluation.last is None or evaluation.last[0] < model.num_timesteps):
            evaluation.evaluate()
    except GONE:
        if not interrupt.came():  # else the signal went to the environments' processes too
            raise
    finally:
        shown.close()
        model.logger.close()
    save_model(model, folder / LAST, {})
    trained = Trained(folder, model.num_timesteps, evaluation.last, evaluation.best, interrupt.signal)
    _tell(trained, config, evaluation.satisfied)
    return trained


def _close(env: VecMonitor) -> None:
    with suppress(*GONE):
        env.close()


def _tell(trained: Trained, config: PolicyConfig, satisfied: bool) -> None:
    if trained.signal is not None:
        name = signal.Signals(trained.signal).name
        print(
            f"stopped by {name} at {trained.steps:,} steps, saved as {trained.folder / LAST}. Go on with\n"
            f"  python -m aigp_lightning ppo fit --resume {trained.folder}"
        )
    elif satisfied:
        print(
            f"ended at {trained.steps:,} steps: {config.early_stop.evaluations} evaluations in a row had a success "
            f"rate of {config.early_stop.success:g} or more"
        )
    print(f"run folder: {trained.folder}\nlast model: {trained.folder / LAST}")
    if trained.best is not None:
        print(f"best model: {trained.folder / BEST}, of {trained.best[0]:,} steps")


def _folder(config: PolicyConfig, resumed: Path | None) -> Path:
    """Choose the run's folder, and note what is run and with which versions."""
    output = Path(config.output)
    folder = run_of(resumed) if resumed is not None else None
    if folder is None:
        folder = claim_folder(output.parent, output.name, exist_ok=False, options=("--output", "--output"))
    content = asdict(replace(config, resume=None, output=str(folder)))
    (folder / CONFIG_FILE).write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    versions = {"aigp_lightning": __version__, "python": platform.python_version()}
    versions |= {name: version(name) for name in PACKAGES}
    (folder / VERSIONS_FILE).write_text(json.dumps(versions, indent=2), encoding="utf-8")
    return folder


@contextmanager
def threads(count: int) -> Iterator[None]:
    """PyTorch with so many threads, for as long as it takes."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
