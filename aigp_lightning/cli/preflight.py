"""Checks before anything is built: checkpoint, weights, and options that contradict a run of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.checkpoints.paths import BEST, best_in
from aigp_lightning.checkpoints.weight_places import find_weights, located
from aigp_lightning.cli.start_weights import INSTEAD, check_published_for
from aigp_lightning.cli.target import check_target
from aigp_lightning.errors import ConfigError
from aigp_lightning.evaluation.named_model import EXPORTED as SUFFIXES
from aigp_lightning.modules.registry import check_family, kind_of_file

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule


def task_of(config: Any) -> str:
    """Return the task of the configured module: `detect` or `pose`.

    Args:
        config: the verb's.
    """
    return model_class(config).task


def model_class(config: Any) -> type[BaseModule]:
    """Return the class of the configured module.

    Args:
        config: the verb's.
    """
    from jsonargparse.typing import import_object  # type: ignore[attr-defined]

    return cast("type[BaseModule]", import_object(config.model.class_path))


def check_weights(config: Any, verb: str) -> None:
    """Refuse weights that are not there, or by their file's name of another family or network than the configured one.

    Raises:
        WeightsError: they are.
    """
    arguments = config.model.get("init_args")
    weights = None if arguments is None else arguments.get("weights")
    if weights is None:
        return
    if config.get("ckpt_path") is None:
        instead = INSTEAD if verb == "fit" else "a checkpoint of ours to --ckpt_path"
        found = find_weights(weights, "--model.weights", _own_kind(model_class(config)), instead)
        if verb == "fit":
            check_published_for(arguments.get("variant"), found)
    check_family(located(weights) or weights, model_class(config).family)


def _own_kind(model: type[BaseModule]) -> str:
    """Return the kind of weights file that a class's family has, for messages."""
    return kind_of_file(f"best{model.portable_suffix or ''}") or "a weights file"


def check_checkpoint(config: Any, verb: str = "fit") -> dict[str, Any] | None:
    """Read the checkpoint that `--ckpt_path` names, before Lightning does; None where it names no file.

    Of a run folder, verbs that do not train take the best checkpoint, which the configuration then names.

    Args:
        config: the verb's.
        verb: fit, validate, test or predict.

    Raises:
        ConfigError: it is no file, or another program's.
        WeightsError: it cannot be read, or is of another family or task than the configured one.
    """
    check_weights(config, verb)
    path = config.get("ckpt_path")
    if path is not None and verb != "fit" and (best := best_in(Path(path))) is not None:
        path = config.ckpt_path = str(best)
    if path is None or path in ("best", "hpc"):
        return None
    if (kind := kind_of_file(path)) is not None:
        raise ConfigError(f"--ckpt_path {path} is {kind}; it goes to --model.weights.")
    if Path(path).suffix in SUFFIXES and Path(path).is_file():
        raise ConfigError(f"--ckpt_path {path} is an exported file; it goes to --model.weights.")
    if Path(path).is_dir():
        lacks = "name the file" if verb == "fit" else f"it has no {BEST}; name the file"
        raise ConfigError(f"--ckpt_path {path} is a folder; {lacks}, such as weights/last.ckpt in it.")
    if not Path(path).is_file():
        raise ConfigError(f"--ckpt_path {path}: there is no such file.")
    from aigp_lightning.checkpoints.load import read_checkpoint
    from aigp_lightning.checkpoints.schema import METADATA, check_fits

    found = read_checkpoint(path)  # Lightning's own errors for a file that is cut off or foreign are tracebacks
    model = model_class(config)
    check_fits(found[METADATA], path, model.family, model.task)
    return found


def refuse_partial_epochs(checkpoint: Any) -> None:
    """Refuse checkpoints within an epoch: a run resumes exactly from an epoch's end, and only from there.

    Raises:
        ConfigError: checkpoints within an epoch are asked for.
    """
    if checkpoint.every_n_train_steps or checkpoint.train_time_interval:
        raise ConfigError(
            "--checkpoint.every_n_train_steps and train_time_interval: runs go on from the end of an epoch, so a "
            "checkpoint within one is not made. For shorter epochs: --trainer.limit_train_batches 0.1, and ten times "
            "--trainer.max_epochs."
        )


def check_json(config: Any) -> None:
    """Refuse a file for the metrics that cannot be one; see `check_target`."""
    check_target("--run.json", config.run.json)


def check_trained(config: Any) -> None:
    """Refuse to measure a network of random weights.

    Raises:
        ConfigError: nothing says which weights.
    """
    arguments = config.model.init_args
    if config.get("ckpt_path") is None and "weights" in arguments and arguments.weights is None:
        model = model_class(config)
        suffix = model.portable_suffix
        raise ConfigError(
            f"which model? Give --ckpt_path a checkpoint of ours, or --model.weights {_own_kind(model)}"
            f"{f' ({suffix})' if suffix else ''}."
        )


def on_gpu(accelerator: Any) -> bool:
    """Return whether training will be on a GPU of NVIDIA's or AMD's.

    Args:
        accelerator: `--trainer.accelerator`.
    """
    import torch

    return accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
