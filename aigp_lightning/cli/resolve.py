"""The configuration of a run, before anything is built: which folder and checkpoint, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aigp_lightning.callbacks.best_checkpoint import check_best_options
from aigp_lightning.callbacks.resumed_run import ResumedRun
from aigp_lightning.checkpoints.paths import LAST, run_folder_of
from aigp_lightning.checkpoints.schema import METADATA, options_of
from aigp_lightning.cli.cpu_options import on_cpu
from aigp_lightning.cli.preflight import on_gpu, refuse_partial_epochs, task_of
from aigp_lightning.cli.resume_options import (
    MAX_EPOCHS,
    PRECISION,
    check_resumed,
    check_step_limit,
    earlier_options,
    named_options,
)
from aigp_lightning.cli.trainer_modes import check_trainer_modes
from aigp_lightning.data.batch_choice import memory_share, settled_batch
from aigp_lightning.errors import ConfigError, tell_user
from aigp_lightning.loggers.config import resolve_loggers
from aigp_lightning.loggers.wandb_options import WandbOptions
from aigp_lightning.modules.run_length import PLAN, RunLength
from aigp_lightning.run.context import RunContext
from aigp_lightning.run.folder import RunConfig, find_last_checkpoint
from aigp_lightning.run.lightning_internals import epoch_progress
from aigp_lightning.run.precision import default_precision as precision_of_machine
from aigp_lightning.run.processes import first_process
from aigp_lightning.run.signals import SignalHandler
from aigp_lightning.run.start import start_run
from aigp_lightning.terminal.output import has_live_terminal, keep_unprinted, print_line

NAMES = {"validate": "val", "test": "test", "predict": "predict"}
"""Folders of verbs that train nothing, where the command line names none."""
DEFAULTS: dict[str, Any] = {
    "max_epochs": 100,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,  # our samplers count every image once; Lightning's would pad
    "enable_model_summary": False,
    "logger": {
        "class_path": "lightning.pytorch.loggers.TensorBoardLogger",
        "init_args": {"save_dir": "{run_folder}", "name": "tensorboard", "version": ""},
    },
}
"""The trainer's options, where ours are others than Lightning's."""


def choose_run(config: Any, verb: str, signals: SignalHandler, words: Sequence[str] = ()) -> RunContext:
    """Choose the run folder, which is locked from here on, and the checkpoint.

    Args:
        config: of the verb; `ckpt_path` is changed in place.
        verb: fit, validate, test or predict. All but `fit` begin a folder of their own.
        signals: the run's handler of signals.
        words: of the command line, by which `--run.name` names a folder of `validate`, `test` or `predict`, and not
            only the run that a configuration is of.

    Raises:
        ConfigError: there is no such run, another process writes to its folder, or nothing can be written there.
    """
    check_trainer_modes(config, verb)
    task, run = task_of(config), RunConfig(**config.run.as_dict())
    if verb != "fit":
        last = config.get("ckpt_path") == "last"
        typed = {"--run.name", "--run"} & {word.partition("=")[0] for word in words}
        name = run.name if typed and not last else NAMES[verb]
        if last:
            config.ckpt_path = str(find_last_checkpoint(Path(run.root) / task, run.name))
            if first_process():
                print_line(f"{verb}: {config.ckpt_path}, of the run {run.name}")
        # validate and test write nothing of their own, and go on beside a run whose folder `exist_ok` would take
        fresh = RunConfig(name, run.root, run.exist_ok and verb == "predict", "never")
        return start_run(fresh, task, None, first_process(), signals, verb)
    refuse_partial_epochs(config.checkpoint)
    check_best_options(config.checkpoint)
    if config.trainer.fast_dev_run:
        run = replace(run, exist_ok=False, resume="never")
    context = start_run(run, task, config.get("ckpt_path"), first_process(), signals)
    config.ckpt_path = context.checkpoint
    if first_process() and context.resuming and context.checkpoint is None:
        print_line(f"no checkpoint in {context.folder} yet: the run begins again, in the same folder")
    if first_process() and context.checkpoint is not None:
        print_line(f"resuming from {context.checkpoint}")
    return context


def compare_options(config: Any, checkpoint: Mapping[str, Any] | None, any_seed: bool) -> ResumedRun:
    """Compare the options of `fit` with those of the run that is resumed, if one is.

    Args:
        config: of the verb, not resolved yet; `extend` and, if any will do, the seed are changed in place.
        checkpoint: that the run resumes from; None where it begins.
        any_seed: whether `--seed_everything true` left the seed to chance; then it is the one of the first start.

    Returns:
        The callback that says which are taken up, and keeps those of this start in its checkpoints.

    Raises:
        ConfigError: options that change what the checkpoint means, or nothing is there to be extended.
    """
    extend, config.extend = bool(config.extend), False  # `config.yaml` must not extend whoever resumes with it
    earlier: dict[str, Any] = {}
    if checkpoint is not None:
        earlier = earlier_options(checkpoint, run_folder_of(Path(config.ckpt_path)))
    elif extend:
        raise ConfigError("--extend: no run is resumed, so none can be extended. Say which: --ckpt_path last")
    settle_open_batch(config, earlier.get("data.batch_size"))
    if any_seed and "seed_everything" in earlier:
        config.seed_everything = earlier["seed_everything"]
    precision = config.trainer.precision or default_precision(config.trainer.accelerator)
    options = {**named_options(config.as_dict()), PRECISION: str(precision)}
    if config.run.hours is not None:
        options.pop(MAX_EPOCHS, None)  # the hours decide
    taken = ""
    if checkpoint is not None and checkpoint[METADATA].get("task") == task_of(config):  # else the module refuses it
        progress = epoch_progress(checkpoint)
        trained = progress.trained if progress is not None else None
        taken = check_resumed(options, earlier, str(config.ckpt_path), trained, extend)
        check_step_limit(config.trainer.max_steps)
        if config.run.hours is not None:
            if extend:
                raise ConfigError(
                    "--extend: the length of the run follows from --run.hours; give more of them instead."
                )
            planned = planned_length(checkpoint, config.trainer.max_epochs)
            config.trainer.max_epochs = max(planned, (trained or 0) + 1)  # whether there is time left, the hours say
    before = earlier.get(MAX_EPOCHS)
    return ResumedRun(options, taken, before if isinstance(before, int) else None)


def settle_open_batch(config: Any, before: Any) -> None:
    """Take the batch of the run that is resumed, or on a CPU the usual one, where it is to be chosen by memory.

    Args:
        config: of `fit`; `data.batch_size` is changed in place.
        before: batch of the run that is resumed; None where none is, or it is not known.
    """
    asked = config.data.batch_size
    if memory_share(asked) is None:
        return
    if isinstance(before, int):
        config.data.batch_size = before
        tell_user(f"--data.batch_size {asked}: {before} images, as the run has chosen")
    elif on_cpu(config.trainer.accelerator):
        config.data.batch_size = settled_batch(asked)
        tell_user(
            f"--data.batch_size {asked}: a GPU's memory is measured, a CPU's is not: {settled_batch(asked)} images"
        )


def planned_length(checkpoint: Mapping[str, Any], epochs: int) -> int:
    """Return for how many epochs a run was planned when its checkpoint was written.

    Args:
        checkpoint: of ours.
        epochs: where it does not say.
    """
    ours = checkpoint[METADATA]
    planned = RunLength.read(ours[PLAN]).end if PLAN in ours else options_of(ours, "trainer").get("max_epochs")
    return planned if isinstance(planned, int) else epochs


def default_precision(accelerator: Any, verb: str = "fit") -> str:
    """Return the precision in which a run computes where none is asked for.

    Args:
        accelerator: `--trainer.accelerator`.
        verb: fit, validate, test or predict.
    """
    return precision_of_machine(on_gpu(accelerator), verb == "fit")


def tell_precision(precision: Any, verb: str) -> None:
    """Say, in a training, that not all is computed in float32.

    Args:
        precision: `--trainer.precision`, filled in.
        verb: fit, validate, test or predict.
    """
    kind = {"bf16-mixed": "bfloat16", "16-mixed": "float16"}.get(str(precision))
    if verb == "fit" and kind is not None:
        tell_user(f"computed in {kind} where float32 is not needed; --trainer.precision 32-true: all in float32")


def resolve_config(config: Any, verb: str, context: RunContext) -> None:
    """Fill in what depends on the run folder and on the machine.

    Args:
        config: of the verb; changed in place.
        verb: fit, validate, test or predict.
        context: of the run.

    Raises:
        ConfigError: a logger's options are wrong.
    """
    trainer = config.trainer
    trainer.default_root_dir = str(context.folder)
    if first_process():
        keep_unprinted(context.folder)
    if verb == "fit":
        config.checkpoint.dirpath = str(context.folder / LAST.parent)
        options = WandbOptions(**config.wandb.as_dict())
        trainer.logger = resolve_loggers(
            trainer.logger, context.folder, options, context.resuming, first_process(), context.resumes_last,
            context.left_out,
        )  # fmt: skip
    else:
        trainer.logger = False
    if trainer.precision is None:
        trainer.precision = default_precision(trainer.accelerator, verb)
    if verb != "fit" and trainer.enable_progress_bar is None and not has_live_terminal():
        trainer.enable_progress_bar = False
    if verb in ("validate", "test"):
        config.verbose = False  # our table says it
    if verb == "predict":
        config.return_predictions = False  # the writer takes them; a video's would fill the memory
