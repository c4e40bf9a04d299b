"""The gate in front of W&B: settings from wherever wandb takes them pass only as the table of allowed ones says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aigp_lightning.errors import ConfigError, first_line
from aigp_lightning.loggers.wandb_allowed import ARGUMENTS, FIELDS, VARIABLES, Rule
from aigp_lightning.loggers.wandb_options import WandbOptions

DEFAULTS_FILE = "config-defaults.yaml"
"""File of default options that wandb sends, unasked, if it is in the working directory."""
MODES = ("online", "run", "offline", "dryrun", "disabled")
"""Modes of wandb that pass. `shared` is left out: several machines write one run, and none knows what is on disk."""
FILLED = {"settings_system", "x_executable", "x_stats_pid", "x_jupyter_name", "x_jupyter_path", "x_jupyter_root"}
"""Refused fields into which wandb itself puts something; `x_disable_meta` keeps it here."""
ALIASES = {"x_primary_node": "x_primary"}
_UNKNOWN = Rule("refused", "unknown here, so nobody can tell what it sends; remove it")


class Given(NamedTuple):
    """A setting as somebody gave it.

    Attributes:
        where: variable, file and line, or argument.
        field: of `wandb.Settings`; empty if the rule is not a field's.
        rule: what becomes of it.
        value: as given.
    """

    where: str
    field: str
    rule: Rule
    value: Any


def check_wandb(arguments: Mapping[str, Any], options: WandbOptions) -> dict[str, Any]:
    """Refuse settings of wandb's that would open what our own switches close, before wandb sees any of them.

    Args:
        arguments: of the logger: those that its class names, and those that it passes on to `wandb.init`.
        options: the group `wandb`.

    Returns:
        What is to be used of the arguments' `settings`, by the names of wandb's fields.

    Raises:
        ConfigError: a setting is refused; the message names where it was found and what to use instead.
    """
    check_surroundings(options)
    settings = list(_settings(_as_dict(arguments.get("settings"))))
    _check([*_arguments(arguments), *settings], options)
    return {one.field: one.value for one in settings if _is_used(one.rule, options)}


def check_surroundings(options: WandbOptions) -> None:
    """Refuse what wandb would take from the environment, its settings files and the working directory.

    Raises:
        ConfigError: a setting is refused.
    """
    _check([*_variables(os.environ), *_files()], options)
    if os.path.lexists(DEFAULTS_FILE):
        raise ConfigError(
            f"{Path(DEFAULTS_FILE).absolute()}: wandb would send what this file holds; rename it, or start elsewhere. "
            "--wandb.config true sends the run's options."
        )
    import wandb

    if wandb.patched["tensorboard"]:
        raise ConfigError(
            "wandb.tensorboard.patch was called: W&B would get TensorBoard's whole event files; remove the call. "
            "media.routes says which pictures W&B gets."
        )


def check_session() -> None:
    """Refuse what wandb has put together on its own from all its sources, a moment before a run is opened.

    Raises:
        ConfigError: a field is set that the table refuses, by a source that nobody thought of.
    """
    import wandb
    from wandb.sdk import wandb_setup

    merged, usual = wandb_setup.singleton().settings, wandb.Settings()
    for field in type(merged).model_fields:
        rule, value = FIELDS.get(field, _UNKNOWN), getattr(merged, field)
        if rule.verdict == "refused" and field not in FILLED and value not in ("", getattr(usual, field)):
            raise ConfigError(_refusal(Given(f"wandb's setting {field}", field, rule, value)))


def check_logger(logger: Any, closing: Mapping[str, Any], options: WandbOptions) -> None:
    """Refuse a W&B logger that was built with other arguments than those that were checked.

    Args:
        logger: Lightning's, or a subclass.
        closing: the settings that close channels; each has to be there.
        options: the group `wandb`.

    Raises:
        ConfigError: an argument is refused, or a setting is missing.
    """
    name = type(logger).__name__
    arguments = dict(getattr(logger, "_wandb_init", {}))
    settings = {canonical(key): value for key, value in _as_dict(arguments.get("settings")).items()}
    if missing := [field for field in closing if field not in settings]:  # before wandb itself is imported
        raise ConfigError(
            f"trainer.logger: {name} does not pass on the settings that it is given ({missing[0]} is missing), so "
            "W&B's own channels would be open; pass **kwargs on to WandbLogger, and annotate a function that makes "
            "one with `-> WandbLogger`."
        )
    others = {key: value for key, value in settings.items() if key not in closing or closing[key] != value}
    check_wandb({**arguments, "settings": others}, options)
    if getattr(logger, "_experiment", None) is not None:
        raise ConfigError(
            f"trainer.logger: {name} has opened a W&B run of its own, with settings that nobody checked; leave that "
            "to WandbLogger, which opens it when training begins."
        )


# ---- sources ---------------------------------------------------------------------------------------------------------


def field_of_variable(name: str) -> str:
    """Return the field that wandb sets from a variable: the rest of the name in lower case, whatever its case is."""
    known = VARIABLES.get(name)
    if isinstance(known, str):
        return known
    rest = name.removeprefix("WANDB_")
    return canonical(rest.lower())


def canonical(field: str) -> str:
    """Return a field's proper name: wandb takes `_a` for `x_a`, too."""
    field = f"x{field}" if field.startswith("_") else field
    return ALIASES.get(field, field)


def rule_of_variable(name: str) -> tuple[str, Rule]:
    """Find a variable's field, empty if it is none's, and its rule."""
    known = VARIABLES.get(name)
    if isinstance(known, Rule):
        return "", known
    field = field_of_variable(name)
    return field, FIELDS.get(field, _UNKNOWN)


def _variables(environment: Mapping[str, str]) -> Iterator[Given]:
    for name, value in sorted(environment.items()):
        if name.startswith("WANDB_"):
            if os.name == "nt":
                name = name.upper()  # noqa: PLW2901
            numbered = re.fullmatch(r"WANDB_CONFIG_\d+", name)
            field, rule = rule_of_variable("WANDB_CONFIG" if numbered else name)
            yield Given(f"environment variable {name}", field, rule, value)


def _files() -> Iterator[Given]:
    import wandb

    folder = os.environ.get("WANDB_CONFIG_DIR")
    place = Path(folder).expanduser() if folder else Path("~/.config/wandb").expanduser()
    try:
        found = wandb.Settings(settings_system=str(place / "settings")).read_system_settings()
        values = found.all()
    except Exception as error:  # the parser's own, and the operating system's
        raise ConfigError(
            f"{place / 'settings'} or wandb/settings in the working directory: wandb's settings cannot be read "
            f"({first_line(error)}); mend or delete the file."
        ) from None
    for key, value in values.items():
        field = canonical(key)
        yield Given(_line_of(key, reversed(found.sources)), field, FIELDS.get(field, _UNKNOWN), value)


def _line_of(key: str, files: Iterable[Path]) -> str:
    """Say where a key stands; the last file wins."""
    places = list(files)
    for path in places:
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if re.match(rf"\s*{re.escape(key)}\s*[:=]", line, re.IGNORECASE):
                return f"{path.absolute()}, line {number}: {key}"
    return f"{places[0].absolute()}: {key}"


def _arguments(arguments: Mapping[str, Any]) -> Iterator[Given]:
    for name, value in arguments.items():
        known = ARGUMENTS.get(name, _UNKNOWN)
        field = known if isinstance(known, str) else ""
        if value is not None:
            yield Given(f"trainer.logger: {name}", field, known if isinstance(known, Rule) else FIELDS[field], value)


def _as_dict(settings: Any) -> dict[str, Any]:
    """Return settings by name; of wandb's own class those that were set."""
    if settings is None or isinstance(settings, Mapping):
        return dict(settings or {})
    return {name: getattr(settings, name) for name in settings.model_fields_set}


def _settings(settings: Mapping[str, Any]) -> Iterator[Given]:
    for name, value in settings.items():
        field = canonical(name)
        if value is not None:
            yield Given(f"trainer.logger: settings.{name}", field, FIELDS.get(field, _UNKNOWN), value)


# ---- judgement -------------------------------------------------------------------------------------------------------


def _check(given: Iterable[Given], options: WandbOptions) -> None:
    for one in given:
        if one.field == "mode" and not isinstance(one.value, bool) and one.value not in ("", *MODES):
            raise ConfigError(f"{one.where}={one.value} means nothing; use online, offline or disabled.")
        if not _passes(one, options):
            raise ConfigError(_refusal(one))


def _passes(given: Given, options: WandbOptions) -> bool:
    field, rule = given.field, given.rule
    if rule.verdict == "harmless" or (rule.verdict == "ours" and not rule.passes):
        return True
    if rule.channel and getattr(options, rule.channel):
        return True
    if not field or rule is _UNKNOWN:
        return not field and given.value in rule.passes
    import wandb

    try:
        value = getattr(wandb.Settings(**{field: given.value}), field)
        usual = getattr(wandb.Settings(), field)
    except Exception:  # pydantic's, wandb's: it means nothing, so it is not what passes
        return False
    return value in rule.passes if rule.verdict == "ours" else bool(value in ("", usual))


def _is_used(rule: Rule, options: WandbOptions) -> bool:
    return rule.verdict == "harmless" or (rule.taken and bool(getattr(options, rule.channel)))


def _refusal(given: Given) -> str:
    text = given.rule.text
    why = f"W&B's own switches open nothing here ({text}). Remove it" if given.rule.verdict == "ours" else text
    return f"{given.where} is refused: {why}."
