"""W&B's part of a configuration of loggers: what its options leave open is filled in, before it is built."""

from __future__ import annotations

import json
import os
import re
import secrets
import string
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.loggers.environment import YES_OR_NO, read_switch
from aigp_lightning.loggers.wandb_gate import check_wandb
from aigp_lightning.loggers.wandb_options import WORDS, SideChannel, WandbOptions, wandb_settings
from aigp_lightning.loggers.wandb_sources import git_state
from aigp_lightning.run.folder import RUN_FILE, write_run_file
from aigp_lightning.run.versions import check_version
from aigp_lightning.terminal.output import print_line

ENV_PROJECT = "WANDB_PROJECT"
"""wandb's own variable: the project, where the logger's options name none."""
OUTDONE = {
    ENV_PROJECT: ("project", "--wandb.project"),
    "WANDB_NAME": ("name", "--run.name"),
    "WANDB_ENTITY": ("entity", "--wandb.entity"),
    "WANDB_TAGS": ("tags", "--wandb.tags"),
    "WANDB_RUN_GROUP": ("group", "--wandb.group"),
    "WANDB_JOB_TYPE": ("job_type", "--wandb.job_type"),
    "WANDB_NOTES": ("notes", "--wandb.notes"),
}
"""Variables of wandb's that count only where the logger's options leave theirs open, and ours that says the same."""
ENV_LOG_MODEL = "WANDB_LOG_MODEL"
LOG_MODEL: dict[str, bool | str] = {**YES_OR_NO, "end": True, "checkpoint": "all", "all": "all", "": False}
RUN_ID = "wandb_run_id"


def print_wandb(text: str) -> None:
    """Print one line about W&B for the person at the terminal."""
    print_line(f"W&B: {text}", err=True)


def is_installed(folder: Path, first: bool) -> bool:
    """True if wandb can be imported; if not, a line says so on the first process.

    Args:
        folder: the run folder, for the line.
        first: whether this is the first process.
    """
    # wandb reads these when it is imported; nothing is to be reported to its makers
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    os.environ["WANDB_DISABLE_WEAVE"] = "true"
    check_version("wandb")
    try:
        import wandb  # noqa: F401
    except ImportError as error:
        if first:
            print_wandb(
                f"not installed ({error}), so this run does without; everything is in {folder}. `pip install wandb`."
            )
        return False
    return True


def resolve_wandb(
    arguments: MutableMapping[str, Any],
    others: Mapping[str, Any],
    folder: Path,
    options: WandbOptions,
    resumed: bool = False,
    first: bool = True,
) -> dict[str, Any]:
    """Fill in the arguments of a W&B logger: project, run id, mode, and the settings by which channels are closed.

    Args:
        arguments: those that the logger's class names; changed in place.
        others: those that it passes on to `wandb.init`.
        folder: the run folder.
        options: the group `wandb`.
        resumed: whether the run is resumed in its folder; then so is its W&B run.
        first: whether this is the first process, the one that writes and prints.

    Returns:
        The others, with `settings`.

    Raises:
        ConfigError: a setting of wandb's is refused, or has a value that means nothing.
    """
    others = {**others, **_words(options, {**arguments, **others})}
    if first:
        _tell_without_effect({**arguments, **others})
    if not others.get("project"):
        arguments["project"] = arguments.get("project") or os.environ.get(ENV_PROJECT) or options.project
    settings = {**wandb_settings(options), **check_wandb({**arguments, **others}, options)}
    if arguments.get("offline"):
        arguments["offline"] = False  # Lightning would make every later run of this process offline too
        settings["mode"] = "offline"
    arguments["log_model"] = asked_for_weights(arguments.get("log_model") or False, options)
    mode = str(
        others.get("mode") or arguments.get("mode") or settings.get("mode") or os.environ.get("WANDB_MODE") or "online"
    )
    if mode == "offline":
        settings.setdefault("silent", True)  # where the record is and how it is sent is said at the end, in our words
    if arguments["log_model"] and mode not in ("online", "run"):
        arguments["log_model"] = False  # Lightning refuses the two together
        if first:
            print_wandb(f"the mode is {mode}, so no weights are uploaded; they stay in the run folder.")
    if save_dir := arguments.get("save_dir"):
        os.environ["WANDB_DIR"] = str(save_dir)  # processes that are spawned find the run's media folder by it
    if first:
        settings.update(_git(options))
        given = arguments.get("version") or arguments.get("id") or others.get("id") or settings.get("run_id")
        arguments["id"] = run_id(folder, given or os.environ.get("WANDB_RUN_ID"), resumed)
        _check({**settings, "project": others.get("project") or arguments["project"]})
    if not any(arguments.get(key) or others.get(key) for key in ("resume", "resume_from", "fork_from")):
        arguments["resume"] = "allow"  # Lightning's default; jsonargparse finds `wandb.init`'s own, None, and passes it
    return {**others, "settings": settings}


def _words(options: WandbOptions, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words about the run that the group `wandb` has and the logger's own options leave open."""
    words = {name: getattr(options, name) for name in WORDS}
    return {name: value for name, value in words.items() if value and not given.get(name)}


def channels_without_switch(options: WandbOptions, loggers: Sequence[Mapping[str, Any]]) -> list[SideChannel]:
    """List what goes along without a switch of its own: the words about the run, as they are, and W&B's telemetry.

    Args:
        options: the group `wandb`.
        loggers: arguments of W&B's loggers, which win; a variable of wandb's is the last to be asked.

    Example:
        >>> rows = channels_without_switch(WandbOptions(tags=["night", "640px"]), [{"notes": "a try", "tags": None}])
        >>> [(row.name, row.on) for row in rows], rows[0].sends
        ([('notes', True), ('telemetry', True)], 'tags night, 640px; notes a try')
    """
    variables = {name: os.environ.get(variable) for variable, (name, _) in OUTDONE.items()}
    said: dict[str, None] = {}
    for given in loggers:
        settings = given.get("settings")
        inner = settings if isinstance(settings, Mapping) else {}
        for name in WORDS:
            value = given.get(name) or getattr(options, name) or inner.get(f"run_{name}", inner.get(name))
            value = value or variables[name]
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            said |= {f"{name} {shown}": None} if value else {}
    words = "; ".join(said)
    return [
        SideChannel("notes", bool(words), words or "entity, tags, group, job_type and notes, as they are given"),
        SideChannel("telemetry", True, "versions, platform, features of W&B in use; W&B has no switch for it"),
    ]


def _tell_without_effect(arguments: Mapping[str, Any]) -> None:
    """Say which variables the logger's options outdo: whoever set them expects them to count."""
    for variable, (argument, option) in OUTDONE.items():
        given, chosen = os.environ.get(variable), arguments.get(argument)
        chosen = ",".join(map(str, chosen)) if isinstance(chosen, list | tuple) else chosen
        if given and chosen and given != str(chosen):
            print_wandb(f"{variable} has no effect, the configuration says {argument} {chosen}; {option} chooses.")


def asked_for_weights(log_model: bool | str = False, options: WandbOptions | None = None) -> bool | str:
    """Find out whether weights are to be uploaded: by the logger's option, by ours, or by `WANDB_LOG_MODEL`.

    Returns:
        Lightning's `log_model`: False, True (the best, at the end) or `all`.

    Raises:
        ConfigError: `WANDB_LOG_MODEL` has a value that means nothing.
    """
    asked = (read_switch(ENV_LOG_MODEL, LOG_MODEL, False), log_model, options is not None and options.weights)
    return "all" if "all" in asked else any(asked)


def written_settings(settings: Any) -> dict[str, Any]:
    """Return of `settings` those that differ from wandb's defaults."""
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


def _git(options: WandbOptions) -> dict[str, Any]:
    if not options.git:
        return {}
    remote, commit = git_state(Path.cwd())
    if not commit:
        print_wandb(f"--wandb.git: {Path.cwd()} is in no git repository with a commit, so there is nothing to send.")
    return {"git_remote_url": remote, "git_commit": commit}


def _check(settings: dict[str, Any]) -> None:
    import wandb

    if not settings["project"]:
        raise ConfigError("--wandb.project is empty; name the W&B project that the run goes to.")
    try:
        wandb.Settings(**settings)
    except (ValueError, wandb.errors.Error) as error:  # pydantic's is a ValueError
        raise ConfigError(f"trainer.logger: wandb does not take these settings: {error}") from None


def run_id(folder: Path, given: str | None, resumed: bool) -> str:
    """Choose the id of the W&B run, and keep it in the run folder so that a resumed run is the same W&B run.

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
