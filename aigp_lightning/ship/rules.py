"""The rules that a run was configured with: who may have which kind, what is private, how much may leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from aigp_lightning.errors import ConfigError, UserError
from aigp_lightning.logfiles.folders import configured_loggers
from aigp_lightning.logfiles.paths import is_file
from aigp_lightning.logfiles.run_config import CONFIG_FILE, read_config
from aigp_lightning.loggers.wandb_options import WandbOptions
from aigp_lightning.media.routing import DESTINATIONS, Routes
from aigp_lightning.ranges import NOT_NEGATIVE, check_range
from aigp_lightning.run.private_images import PrivateImages


@dataclass
class RunRules:
    """The part of a run's configuration by which pictures are handed over.

    Attributes:
        config: the whole configuration.
        routes: the destinations of each kind.
        private: images that must not leave; None: there are none.
        masks: whether a picture with private images may leave with their cells masked; else it stays.
        max_mb: most megabytes for all remote destinations together; None: no limit.
        skip_unchanged: whether a logger gets a validation's picture only if it has other bytes.
        sign: file of the private key that the ledger is signed with; None: it is not signed.
        wandb: what W&B may see.
    """

    config: Mapping[str, Any]
    routes: Routes
    private: PrivateImages | None = None
    masks: bool = True
    max_mb: float | None = None
    sign: str | None = None
    wandb: WandbOptions = field(default_factory=WandbOptions)
    skip_unchanged: bool = False

    def shows_private(self, images: Iterable[str]) -> bool:
        """True if one of these images must not leave. When in doubt, one is meant."""
        return self.private is not None and any(image in self.private for image in images)

    def check_private(self) -> None:
        """Refuse to let anything leave while it is in doubt which images are private.

        Raises:
            ConfigError: an entry of `media.private` fits no image, or cannot be read.
        """
        if self.private is not None and (refusal := self.private.refusal()):
            raise ConfigError(refusal)

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
    except UserError as error:
        raise ConfigError(f"{run / CONFIG_FILE}: {error}") from None
    except TypeError as error:  # an option that there is not
        raise ConfigError(f"{run / CONFIG_FILE}: {error}; it is no configuration of a run of this version.") from None
    masks = media.get("private_action", "mask") == "mask"
    private = PrivateImages(run, config, images, lambda: _images_of_results(run))
    routes, skip = _routes(run, media.get("routes")), media.get("unchanged") == "skip"
    return RunRules(config, routes, private, masks, max_mb, sign or None, wandb, skip)


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


def _images_of_results(run: Path) -> tuple[str, ...]:
    """Return the images that the run was measured on; none if that is not known."""
    from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, read_results

    try:
        return read_results(run / RESULTS_FILE).files if is_file(run / RESULTS_FILE) else ()
    except UserError:
        return ()


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
