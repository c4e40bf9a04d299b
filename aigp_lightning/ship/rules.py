"""The rules that a run was configured with: who may have which kind, what is private, how much may leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.errors import ConfigError, UserError
from aigp_lightning.logfiles.folders import configured_loggers
from aigp_lightning.logfiles.run_config import CONFIG_FILE, read_config
from aigp_lightning.loggers.wandb_options import WandbOptions
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.routing import DESTINATIONS, Routes
from aigp_lightning.ranges import NOT_NEGATIVE, check_range

OPTION = "media.private"


@dataclass
class RunRules:
    """The part of a run's configuration by which pictures are handed over.

    Attributes:
        config: the whole configuration.
        routes: the destinations of each kind.
        private: images that must not leave, and the same names as folders: where the run was started, a name may have
            been a folder's that is none here.
        masks: whether a picture with private images may leave with their cells masked; else it stays.
        max_mb: most megabytes for all remote destinations together; None: no limit.
        sign: file of the private key that the ledger is signed with; None: it is not signed.
        wandb: what W&B may see.
    """

    config: Mapping[str, Any]
    routes: Routes
    private: Sequence[ImagePatterns] = ()
    masks: bool = True
    max_mb: float | None = None
    sign: str | None = None
    wandb: WandbOptions = field(default_factory=WandbOptions)

    def shows_private(self, images: Iterable[str]) -> bool:
        """True if one of these images must not leave. When in doubt, one is meant."""
        images = list(images)
        return any(patterns.any(images) for patterns in self.private)

    def logger_entry(self, name: str) -> dict[str, Any] | None:
        """Return the entry of `trainer.logger` for a class of this name, copied; None where there is none."""
        entries = (entry for entry in configured_loggers(self.config) if name in str(entry.get("class_path")))
        found = next(entries, None)
        return None if found is None else {key: _copied(value) for key, value in found.items()}


def read_run_config(run: Path) -> dict[str, Any]:
    """Read the configuration in a run folder.

    Args:
        run: the folder.

    Raises:
        ConfigError: it cannot be read, or is a policy's.
    """
    config, problem = read_config(run)
    if config is None:
        raise ConfigError(f"{run / CONFIG_FILE} {problem}: who may get pictures, and what is private, is not known.")
    if "ppo" in config:
        raise ConfigError(f"{run} is a policy's run: it has no pictures, and nothing of it goes to a logger.")
    return config


def read_rules(run: Path, config: Mapping[str, Any], images: Iterable[str]) -> RunRules:
    """Read the rules in a configuration.

    Args:
        run: the run folder, for messages.
        config: in it.
        images: that its pictures show, by the names in the ledger.

    Raises:
        ConfigError: it has a value that no run has.
    """
    media = _group(config, "media")
    max_mb, sign = media.get("max_mb"), media.get("sign")
    try:
        check_range("media.max_mb", max_mb, NOT_NEGATIVE, "null is no limit.")
        wandb = WandbOptions(**_group(config, "wandb"))
        private = _private(media.get("private"), images, _data_folder(config))
    except UserError as error:
        raise ConfigError(f"{run / CONFIG_FILE}: {error}") from None
    except TypeError as error:  # an option that there is not
        raise ConfigError(f"{run / CONFIG_FILE}: {error}; it is no configuration of a run of this version.") from None
    masks = media.get("private_action", "mask") == "mask"
    return RunRules(config, _routes(run, media.get("routes")), private, masks, max_mb, sign or None, wandb)


def _group(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    group = config.get(name)
    return dict(group) if isinstance(group, Mapping) else {}


def _routes(run: Path, content: Any) -> Routes:
    """Read the routes, each a list of destinations."""
    given = dict(content) if isinstance(content, Mapping) else {}
    known = {each.name for each in fields(Routes)}
    for name, value in given.items():
        fits = value is None or (isinstance(value, list) and all(each in DESTINATIONS for each in value))
        if name not in known or not fits or (name == "everything" and value is None):
            raise ConfigError(f"{run / CONFIG_FILE}: media.routes.{name} is no list of {', '.join(DESTINATIONS)}.")
    return Routes(**given)


def _private(entries: Any, images: Iterable[str], root: str | None) -> list[ImagePatterns]:
    if entries is None:
        return []
    given = ImagePatterns(entries, OPTION)
    below = [f"{name.rstrip('/')}/*" for name in given.patterns if name.strip("/ ")]
    found = [given, *([ImagePatterns(below, OPTION)] if below else [])]
    images = list(images)
    for patterns in found:
        patterns.survey(images, root)
    return found


def _data_folder(config: Mapping[str, Any]) -> str | None:
    """Return the folder of the run's data set, from which names of images start too; None if it is not there."""
    path = _group(config, "data").get("data_yaml")
    if not isinstance(path, str):
        return None
    try:
        return str(read_data_yaml(path).root)
    except (UserError, OSError):
        return None


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
