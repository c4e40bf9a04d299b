"""Training of a policy with PPO, from options to models. Everything stays on this machine."""

from __future__ import annotations

import json
import platform
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from aigp_lightning.policy.env_guard import EnvironmentFailed
from aigp_lightning.policy.episodes import Summary
from aigp_lightning.policy.finite_weights import Diverged, FiniteWeights
from aigp_lightning.policy.learner import build_model, load_for_resume
from aigp_lightning.policy.make_env import evaluation_env_config, make_env
from aigp_lightning.policy.models import (
    BEST,
    CONFIG_FILE,
    LAST,
    VERSIONS_FILE,
    find_model,
    find_run,
    read_about,
    save_model,
)
from aigp_lightning.policy.progress import LastScalars, TrainingStats
from aigp_lightning.policy.resume_options import changed_options, describe_changes, same_task
from aigp_lightning.run.folder import claim_folder
from aigp_lightning.run.lock import lock_run_folder
from aigp_lightning.run.provenance import gpu_names, provenance
from aigp_lightning.terminal.output import keep_unprinted, print_line

if TYPE_CHECKING:
    from rich.console import Console

TENSORBOARD = "tb_apex"
ERROR_FILE = "environment_error.txt"
"""In a run's folder: the traceback of an environment that failed."""
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
        changed = changed_options(resumed, config) if resumed is not None else {}
        env = make_env(config.env)
        stack.callback(env.close)
        eval_env = make_env(evaluation_env_config(config.env, config.eval_env), check=False)
        stack.callback(eval_env.close)
        model = build_model(config, env) if checkpoint is None else load_for_resume(config, env, checkpoint)
        folder = resumed or _claim_folder(config, stack)
        if checkpoint is not None:
            _keep_newer_model(folder, model.num_timesteps)
        _describe_run(config, folder)
        if changed:
            print_line(describe_changes(changed))
        stop = stack.enter_context(StopHandler())
        return _learn(config, model, eval_env, folder, stop, callbacks, console, changed)


def _learn(
    config: PolicyConfig, model: PPO, eval_env: VecMonitor, folder: Path, stop: StopHandler,
    callbacks: Sequence[BaseCallback], console: Console | None, changed: Mapping[str, Any],
) -> TrainingResult:  # fmt: skip
    scalars, stats = LastScalars(), TrainingStats(config.ppo.stats_window)
    model.set_logger(Logger(str(folder), [TensorBoardOutputFormat(str(folder / TENSORBOARD)), scalars]))
    before = model.num_timesteps
    evaluation = Evaluation(
        eval_env, config.eval_env, config.early_stop, folder, lambda: stats.stopwatch, stop.requested
    )
    evaluation.restore(before, same_task(changed))
    progress = progress_callback(config, stats, evaluation, scalars, folder, console)
    all_callbacks = [FiniteWeights(), stats, StopOnRequest(stop.requested), *callbacks]
    all_callbacks += [every_n_steps(config.eval_freq, evaluation, before)] if config.eval_freq else []
    all_callbacks += [every_n_steps(config.save_freq, Checkpoints(folder), before)] if config.save_freq else []
    evaluation.init_callback(model)
    try:
        failure = _train(model, config.total_timesteps - before, CallbackList([*all_callbacks, progress]), evaluation)
    finally:
        progress.close()
        model.logger.close()
    save_model(model, folder / LAST, {})
    if failure is not None and not stop.requested():  # else the signal went to the environments' processes too
        raise _explain(failure, folder, model.num_timesteps) from failure
    result = TrainingResult(folder, model.num_timesteps, evaluation.last, evaluation.best, stop.signal)
    _print_result(result, config, evaluation.good_enough)
    return result


def _keep_newer_model(folder: Path, steps: int) -> None:
    """Keep the last model aside where a training goes on from an earlier one, whose steps it would be replaced by."""
    newer = read_about(folder / LAST).get("steps", 0)
    if newer > steps:
        aside = folder / f"{LAST}-until-{newer}"
        shutil.rmtree(aside, ignore_errors=True)
        (folder / LAST).rename(aside)
        print_line(f"going on from {steps:,} steps: the last model, of {newer:,}, is kept as {aside}")


def _train(model: PPO, steps: int, callbacks: CallbackList, evaluation: Evaluation) -> RunError | None:
    """Train, and evaluate what it came to; returns what ended it before its time, an environment or the weights."""
    finite = next(each for each in callbacks.callbacks if isinstance(each, FiniteWeights))
    try:
        model.learn(steps, callbacks, reset_num_timesteps=model.num_timesteps == 0)
        evaluation.finish()
    except (EnvironmentFailed, Diverged) as error:
        return error
    except ValueError as error:  # torch's, of an update whose first batches have made the weights NaN
        return finite.cause_of(error)
    return None


def _explain(failure: RunError, folder: Path, steps: int) -> RunError:
    """Say where the model was saved, and how to go on; the traceback of an environment's error goes to a file."""
    details = failure.details if isinstance(failure, EnvironmentFailed) else ""
    more = ""
    if details:
        file = folder / ERROR_FILE
        file.write_text(details, encoding="utf-8", errors="backslashreplace")
        more = f" Its traceback: {file}."
    command = typed_command("ppo", "fit", "--resume", folder.absolute())
    return RunError(f"{failure}{more} Saved as {folder / LAST}, at {steps:,} steps; to go on: {command}")


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
    """Write the run's configuration, the versions of its packages, and with what it was started."""
    content = asdict(replace(config, resume=None, output=str(folder)))
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    keep_unprinted(folder)
    write_atomic(folder / CONFIG_FILE, text.encode("utf-8"))
    versions: dict[str, Any] = {"aigp_lightning": __version__, "python": platform.python_version()}
    versions |= {name: version(name) for name in PACKAGES}
    seeds = {"seed": config.seed, "eval_env.seed": config.eval_env.seed}
    start = provenance(seeds, gpu_names())
    del start["versions"]
    write_atomic(folder / VERSIONS_FILE, json.dumps({**versions, **start}, indent=2).encode("utf-8"))


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
