"""The loggers of a configuration, before they are built."""

from __future__ import annotations

import json
import os
import re
import secrets
import string
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.loggers.wandb_options import WandbOptions, wandb_settings
from aigp_lightning.loggers.wandb_sources import git_state
from aigp_lightning.run.folder import RUN_FILE, write_run_file

ENV_WANDB = "AIGP_WANDB"
"""`0` switches Weights & Biases off, whatever the configuration says."""
ENV_PROJECT = "WANDB_PROJECT"
"""wandb's own variable: the project, where the logger's options name none."""
ENV_LOG_MODEL = "WANDB_LOG_MODEL"
LOG_MODEL: dict[str, bool | str] = {
    **{"true": True, "1": True, "end": True, "checkpoint": "all", "all": "all"},
    **{"false": False, "0": False, "": False},
}
RUN_ID = "wandb_run_id"
LIGHTNINGS_OWN = {f"lightning.pytorch.loggers.{place}WandbLogger" for place in ("", "wandb.")}
OURS = "aigp_lightning.loggers.wandb.ResilientWandbLogger"
"""Lightning's, with fences: what a user's own subclass does is theirs."""
RESILIENT = {
    **dict.fromkeys(LIGHTNINGS_OWN, OURS),
    **dict.fromkeys(
        (f"lightning.pytorch.loggers.{place}TensorBoardLogger" for place in ("", "tensorboard.")),
        "aigp_lightning.loggers.tensorboard.ResilientTensorBoardLogger",
    ),
}
PLACEHOLDER = re.compile(r"\{(run_folder|run_name|wandb_project)\}")
MODES = ("online", "run", "offline", "dryrun", "disabled", "shared")


def say(text: str) -> None:
    """One line about W&B for the person at the terminal."""
    print(f"W&B: {text}", file=sys.stderr, flush=True)


def resolve_loggers(
    configured: Any,
    folder: Path,
    options: WandbOptions | None = None,
    resumed: bool = False,
    first: bool = True,
) -> Any:
    """Fill in what a logger's options leave open: the run's folder and name, and what W&B may see.

    Args:
        configured: what `trainer.logger` holds: one logger, a list, a bool or None. It is changed in place.
        folder: the run folder; `{run_folder}` and `{run_name}` in a logger's options stand for it.
        options: the group `wandb`; the default is private. `{wandb_project}` in a logger's options is its project.
        resumed: whether the run goes on in its folder; then it goes on in its W&B run.
        first: whether this is the first process, the one that writes and talks.

    Returns:
        What `trainer.logger` should hold instead: W&B is left out when `AIGP_WANDB=0` or when it is not installed.

    Raises:
        ConfigError: an environment variable or a W&B setting has a value that means nothing.
    """
    options, kept = options or WandbOptions(), []
    words = {"{run_folder}": str(folder), "{run_name}": folder.name, "{wandb_project}": options.project}
    for logger in configured if isinstance(configured, list) else [configured]:
        if not is_wandb(logger):
            _fill_in(logger, words)
            _strengthen(logger)
            kept.append(logger)
        elif os.environ.get(ENV_WANDB) != "0" and _importable(folder, first):
            _fill_in(logger, words)
            _resolve_wandb(logger, folder, options, resumed, first)
            _strengthen(logger)
            kept.append(logger)
    if isinstance(configured, list):
        return kept
    return kept[0] if kept else False


def is_wandb(logger: Any) -> bool:
    """Whether an entry of `trainer.logger` is Lightning's W&B logger."""
    return "WandbLogger" in str(_part(logger, "class_path"))


def arguments_of(logger: Any) -> dict[str, Any]:
    """All arguments of an entry of `trainer.logger`; those that its class doesn't name come last and win."""
    return {**dict(_part(logger, "init_args") or {}), **dict(_part(logger, "dict_kwargs") or {})}


def asked_for_weights(log_model: bool | str = False, options: WandbOptions | None = None) -> bool | str:
    """Whether anybody asked for weights to be uploaded: the logger's option, ours, or `WANDB_LOG_MODEL`.

    Returns:
        Lightning's `log_model`: False, True (the best, at the end) or `all`.

    Raises:
        ConfigError: `WANDB_LOG_MODEL` has a value that means nothing.
    """
    value = os.environ.get(ENV_LOG_MODEL, "").lower()
    if value not in LOG_MODEL:
        raise ConfigError(f"{ENV_LOG_MODEL}={value} means nothing; use true, all or false.")
    asked = (LOG_MODEL[value], log_model, options is not None and options.weights)
    return "all" if "all" in asked else any(asked)


def _fill_in(logger: Any, words: Mapping[str, str]) -> None:
    arguments = _part(logger, "init_args") or {}
    for key, value in dict(arguments).items():
        if isinstance(value, str):
            # in one go: a folder's name may look like another placeholder
            arguments[key] = PLACEHOLDER.sub(lambda found: words[found[0]], value)


def _strengthen(logger: Any) -> None:
    """Take our fenced class for Lightning's own; its options are the same."""
    if (sturdy := RESILIENT.get(str(_part(logger, "class_path")))) is not None:
        logger["class_path"] = sturdy


def _part(logger: Any, key: str) -> Any:
    get = getattr(logger, "get", None)
    return get(key) if get is not None else None


# ---- Weights & Biases ------------------------------------------------------------------------------------------------


def _importable(folder: Path, first: bool) -> bool:
    # wandb reads these when it is imported; nothing is to be reported to its makers
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        import wandb  # noqa: F401
    except ImportError as error:
        if first:
            say(f"not installed ({error}), so this run does without; everything is in {folder}. `pip install wandb`.")
        return False
    return True


def _resolve_wandb(logger: Any, folder: Path, options: WandbOptions, resumed: bool, first: bool) -> None:
    arguments: MutableMapping[str, Any] = _part(logger, "init_args")
    if arguments is None:
        arguments = logger["init_args"] = {}
    trim_settings(logger)
    others = dict(_part(logger, "dict_kwargs") or {})
    if not others.get("project"):
        arguments["project"] = arguments.get("project") or os.environ.get(ENV_PROJECT) or options.project
    settings = {**wandb_settings(options), **dict(others.get("settings") or {})}
    if arguments.get("offline"):
        arguments["offline"] = False  # Lightning would make every later run of this process offline too
        settings["mode"] = "offline"
    arguments["log_model"] = asked_for_weights(arguments.get("log_model") or False, options)
    mode = str(others.get("mode") or arguments.get("mode") or settings.get("mode") or _mode_of_environment())
    if arguments["log_model"] and mode not in ("online", "run", "shared"):
        arguments["log_model"] = False  # Lightning refuses the two together
        if first:
            say(f"the mode is {mode}, so no weights are uploaded; they stay in the run folder.")
    if save_dir := arguments.get("save_dir"):
        os.environ["WANDB_DIR"] = str(save_dir)  # processes that are spawned find the run's media folder by it
    if first:
        settings = {**_git(options), **settings}
        given = arguments.get("version") or arguments.get("id") or others.get("id") or os.environ.get("WANDB_RUN_ID")
        arguments["id"] = run_id(folder, given, resumed)
        _check({**settings, "project": others.get("project") or arguments["project"]})
    if not any(arguments.get(key) or others.get(key) for key in ("resume", "resume_from", "fork_from")):
        arguments["resume"] = "allow"  # Lightning's default; jsonargparse finds `wandb.init`'s own, None, and passes it
    logger["dict_kwargs"] = {**others, "settings": settings}


def trim_settings(configured: Any) -> None:
    """Leave of `settings` what the user wrote; jsonargparse fills in all of wandb's, which cannot even be saved.

    Args:
        configured: what `trainer.logger` holds. It is changed in place.
    """
    for logger in configured if isinstance(configured, list) else [configured]:
        arguments = _part(logger, "init_args")
        if is_wandb(logger) and arguments is not None and arguments.get("settings") is not None:
            others = dict(_part(logger, "dict_kwargs") or {})
            logger["dict_kwargs"] = {**others, "settings": _written(arguments["settings"])}
            arguments["settings"] = None


def _written(settings: Any) -> dict[str, Any]:
    if isinstance(settings, dict):
        return settings
    import wandb

    written = {}
    for key, field in wandb.Settings.model_fields.items():
        value, usual = getattr(settings, key, None), field.get_default(call_default_factory=True)
        value = tuple(value) if isinstance(value, list) else value
        if isinstance(value, (bool, int, float, str, tuple, dict)) and value != usual:
            written[key] = value
    return written


def _mode_of_environment() -> str:
    mode = os.environ.get("WANDB_MODE") or "online"
    if mode not in MODES:
        raise ConfigError(f"WANDB_MODE={mode} means nothing; use online, offline or disabled.")
    return mode


def _git(options: WandbOptions) -> dict[str, Any]:
    if not options.git:
        return {}
    remote, commit = git_state(Path.cwd())
    if not commit:
        say(f"--wandb.git: {Path.cwd()} is in no git repository with a commit, so there is nothing to send.")
    return {"git_remote_url": remote or None, "git_commit": commit or None}


def _check(settings: dict[str, Any]) -> None:
    import wandb

    if not settings["project"]:
        raise ConfigError("--wandb.project is empty; name the W&B project that the run goes to.")
    try:
        wandb.Settings(**settings)
    except (ValueError, wandb.errors.Error) as error:  # pydantic's is a ValueError
        raise ConfigError(f"trainer.logger: wandb does not take these settings: {error}") from None


def run_id(folder: Path, given: str | None, resumed: bool) -> str:
    """The W&B run that this run is, kept in the run folder so that a resumed run goes on in it.

    Args:
        folder: the run folder.
        given: the user's own choice; it wins.
        resumed: whether to take what the folder holds.

    Raises:
        ConfigError: the file in the folder cannot be read.
    """
    path, known = folder / RUN_FILE, {}
    if path.is_file():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(known, dict) or not re.fullmatch(r"[\w.-]{1,128}", known.get(RUN_ID, "x")):
                raise ValueError("not what a run writes")
        except (ValueError, TypeError, RecursionError) as error:
            raise ConfigError(
                f"{path} is damaged ({error}). It holds the W&B run's id; delete it for a new one."
            ) from None
    alphabet = string.ascii_lowercase + string.digits
    chosen = given or (known.get(RUN_ID) if resumed else None) or "".join(secrets.choice(alphabet) for _ in range(8))
    if folder.is_dir():
        write_run_file(folder, **{RUN_ID: chosen})
    return str(chosen)
