"""The loggers of a configuration, before they are built."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

from lightning.pytorch.cli import LightningArgumentParser

from aigp_lightning.errors import ConfigError
from aigp_lightning.loggers.environment import said_of_wandb, wandb_switched_off
from aigp_lightning.loggers.mlflow_config import HOW_TO_INSTALL, NO_PACKAGE, print_mlflow, resolve_mlflow
from aigp_lightning.loggers.mlflow_config import is_installed as mlflow_is_installed
from aigp_lightning.loggers.wandb_config import is_installed, print_wandb, resolve_wandb, written_settings
from aigp_lightning.loggers.wandb_options import WandbOptions

LIGHTNINGS_OWN = {f"lightning.pytorch.loggers.{place}WandbLogger" for place in ("", "wandb.")}
OURS = "aigp_lightning.loggers.wandb.ResilientWandbLogger"
"""Lightning's, with fences. A user's own subclass gets its fence in `open_wandb`."""
OUR_CSV = "aigp_lightning.loggers.csv_file.ResilientCSVLogger"
RESILIENT = {
    **dict.fromkeys(LIGHTNINGS_OWN, OURS),
    **dict.fromkeys(
        (f"lightning.pytorch.loggers.{place}TensorBoardLogger" for place in ("", "tensorboard.")),
        "aigp_lightning.loggers.tensorboard.ResilientTensorBoardLogger",
    ),
    **dict.fromkeys(
        (f"lightning.pytorch.loggers.{place}MLFlowLogger" for place in ("", "mlflow.")),
        "aigp_lightning.loggers.mlflow.ResilientMLFlowLogger",
    ),
    **dict.fromkeys((f"lightning.pytorch.loggers.{place}CSVLogger" for place in ("", "csv_logs.")), OUR_CSV),
}
PLACEHOLDER = re.compile(r"\{(run_folder|run_name|wandb_project)\}")


def resolve_loggers(
    configured: Any,
    folder: Path,
    options: WandbOptions | None = None,
    resumed: bool = False,
    first: bool = True,
    skip_logged: bool = False,
    left_out: list[str] | None = None,
) -> Any:
    """Fill in what a logger's options leave open: the run's folder and name, and what W&B may see.

    Args:
        configured: what `trainer.logger` holds: one logger, a list, a bool or None. It is changed in place.
        folder: the run folder; `{run_folder}` and `{run_name}` in a logger's options stand for it.
        options: the group `wandb`; the default is private. `{wandb_project}` in a logger's options is its project.
        resumed: whether the run is resumed in its folder; then so is its W&B run.
        first: whether this is the first process, the one that writes and prints.
        skip_logged: the loggers are not to log again what their files hold; see `RunContext.resumes_last`.
        left_out: gets the loggers that are configured and left out, each with the reason.

    Returns:
        What `trainer.logger` should hold instead: W&B is left out when `AIGP_WANDB` is off, and so is what is not
        installed.

    Raises:
        ConfigError: a setting of wandb's is refused or means nothing, there are two W&B loggers, or `AIGP_WANDB` has a
            value that means nothing.
    """
    kept: list[Any] = []
    options, off = options or WandbOptions(), wandb_switched_off()
    left_out = [] if left_out is None else left_out
    words = {"{run_folder}": str(folder), "{run_name}": folder.name, "{wandb_project}": options.project}
    for logger in configured if isinstance(configured, list) else [configured]:
        if is_mlflow(logger) and not mlflow_is_installed():
            left_out.append(f"{class_name(logger)} ({NO_PACKAGE})")
            if first:
                print_mlflow(f"{HOW_TO_INSTALL}; this run does without, and everything is in {folder}.")
        elif not is_wandb(logger):
            _fill_in(logger, words)
            if is_mlflow(logger):
                resolve_mlflow(_init_args(logger), folder, sum(map(is_mlflow, kept)), resumed, first)
            _use_resilient_class(logger, skip_logged and first)
            if resumed and _part(logger, "class_path") == OUR_CSV:
                _init_args(logger)["keep_logged"] = True
            kept.append(logger)
        elif off:
            left_out.append(f"{class_name(logger)} ({said_of_wandb()})")
            if first:
                print_wandb(f"{class_name(logger)} is left out, as {said_of_wandb()}.")
        elif not is_installed(folder, first):
            left_out.append(f"{class_name(logger)} (wandb is not installed)")
        else:
            if any(is_wandb(other) for other in kept):
                raise ConfigError(
                    "trainer.logger names two W&B loggers, and a training run is one W&B run; keep one of them."
                )
            _fill_in(logger, words)
            trim_settings(logger)
            others = dict(_part(logger, "dict_kwargs") or {})
            logger["dict_kwargs"] = resolve_wandb(_init_args(logger), others, folder, options, resumed, first)
            _use_resilient_class(logger, skip_logged and first)
            _check_taken(logger)
            kept.append(logger)
    if isinstance(configured, list):
        return kept
    return kept[0] if kept else False


def is_wandb(logger: Any) -> bool:
    """True if an entry of `trainer.logger` is Lightning's W&B logger, or makes a subclass of it."""
    from lightning.pytorch.loggers import WandbLogger

    return _makes(logger, WandbLogger)


def is_mlflow(logger: Any) -> bool:
    """True if an entry of `trainer.logger` is Lightning's MLflow logger, or makes a subclass of it."""
    from lightning.pytorch.loggers import MLFlowLogger

    return _makes(logger, MLFlowLogger)


def _makes(logger: Any, kind: type) -> bool:
    """True if an entry of `trainer.logger` makes a logger of a class, or seems to by its name."""
    path = _part(logger, "class_path")
    if not isinstance(path, str):
        return False
    found = _made_by(path)
    return issubclass(found, kind) if isinstance(found, type) else kind.__name__ in path


def class_name(logger: Any) -> str:
    """Return the name of the class, or of the function, that an entry of `trainer.logger` names."""
    return str(_part(logger, "class_path")).rpartition(".")[2]


def _made_by(path: str) -> Any:
    """Import the class that an entry names; of a function, what it says that it returns. None where there is none."""
    found = _named(path)
    try:
        return found if isinstance(found, type) else get_type_hints(found).get("return")
    except Exception:  # of no use, or its hints cannot be resolved
        return None


def _named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except Exception:  # a user's module: what is wrong with it is told where it is used
        return None


def arguments_of(logger: Any) -> dict[str, Any]:
    """Return all arguments of an entry of `trainer.logger`; those that its class doesn't name come last and win."""
    return {**dict(_part(logger, "init_args") or {}), **dict(_part(logger, "dict_kwargs") or {})}


def trim_settings(configured: Any) -> None:
    """Keep of `settings` what the user wrote; jsonargparse fills in all of wandb's, which cannot even be saved.

    Args:
        configured: what `trainer.logger` holds. It is changed in place.
    """
    for logger in configured if isinstance(configured, list) else [configured]:
        arguments = _part(logger, "init_args")
        if is_wandb(logger) and arguments is not None and arguments.get("settings") is not None:
            others = dict(_part(logger, "dict_kwargs") or {})
            logger["dict_kwargs"] = {**others, "settings": written_settings(arguments["settings"])}
            arguments["settings"] = None


def _fill_in(logger: Any, words: Mapping[str, str]) -> None:
    arguments = _part(logger, "init_args") or {}
    for key, value in dict(arguments).items():
        if isinstance(value, str):
            # in one go: a folder's name may look like another placeholder
            arguments[key] = PLACEHOLDER.sub(lambda found: words[found[0]], value)


def _use_resilient_class(logger: Any, skip_logged: bool) -> None:
    """Replace Lightning's own class by our fenced one; its options are the same, and one is ours."""
    path = str(_part(logger, "class_path"))
    if (resilient := RESILIENT.get(path)) is not None:
        logger["class_path"] = resilient
    if skip_logged and (resilient or path) in RESILIENT.values():
        _init_args(logger)["skip_logged"] = True


def _check_taken(logger: Any) -> None:
    """Refuse a class or function of the user's own that does not take what a W&B logger is given."""
    path = str(_part(logger, "class_path"))
    if path in RESILIENT.values() or (made := _named(path)) is None:
        return
    parser = LightningArgumentParser(exit_on_error=False)
    try:
        add = parser.add_class_arguments if isinstance(made, type) else parser.add_function_arguments
        taken = set(add(made, "x", fail_untyped=False))
        open_ended = any(one.kind == one.VAR_KEYWORD for one in signature(made).parameters.values())
    except Exception:  # what cannot be read is told where it is built
        return
    others = () if open_ended else dict(_part(logger, "dict_kwargs") or {})
    if lacking := sorted({*(name for name in dict(_init_args(logger)) if f"x.{name}" not in taken), *others}):
        raise ConfigError(
            f"trainer.logger: {path} does not take {', '.join(lacking)}, which every W&B logger is given; take "
            "**kwargs, and pass them on to WandbLogger."
        )


def _init_args(logger: Any) -> MutableMapping[str, Any]:
    """Return the arguments of an entry; they are made where it has none."""
    if _part(logger, "init_args") is None:
        logger["init_args"] = {}
    arguments: MutableMapping[str, Any] = _part(logger, "init_args")
    return arguments


def _part(logger: Any, key: str) -> Any:
    get = getattr(logger, "get", None)
    return get(key) if get is not None else None
