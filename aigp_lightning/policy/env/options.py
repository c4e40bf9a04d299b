"""Options of the environment, from keywords or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.env.dynamics import PHYSICS_HZ, Randomize, Vehicle
from aigp_lightning.policy.env.observation import Noise
from aigp_lightning.policy.env.reward import RewardWeights

Group = TypeVar("Group", Vehicle, Randomize, Noise, RewardWeights)


@dataclass(frozen=True)
class RaceOptions:
    """Options of a race.

    Attributes:
        track: `circuit`, `sprint`, `random`, or a YAML file.
        loop: continue after the last lap until the time limit; for training. An open course then ends by truncation.
        laps: of a closed track.
        control_hz: actions a second, a divisor of 120.
        max_seconds: time limit, at which an episode is truncated.
        gate_seconds: time limit for passing a gate, at which the episode ends.
        end_on_miss: True if flying past a gate's frame ends the episode.
        start: `line`, or `random`: half of the episodes start on the line, the others before any gate, in flight.
        start_noise: perturbation of the start: each coordinate by up to so many m, velocity by as many m/s,
            roll, pitch and yaw by 0.2 rad for each of them.
        noise, vehicle, randomize, reward: see `Noise`, `Vehicle`, `Randomize`, `RewardWeights`.
    """

    track: str = "circuit"
    loop: bool = False
    laps: int = 3
    control_hz: int = 60
    max_seconds: float = 60.0
    gate_seconds: float = 8.0
    end_on_miss: bool = True
    start: Literal["line", "random"] = "line"
    start_noise: float = 0.0
    noise: Noise = field(default_factory=Noise)
    vehicle: Vehicle = field(default_factory=Vehicle)
    randomize: Randomize = field(default_factory=Randomize)
    reward: RewardWeights = field(default_factory=RewardWeights)

    def __post_init__(self) -> None:
        if self.control_hz < 1 or PHYSICS_HZ % self.control_hz:
            raise ConfigError(f"control_hz is {self.control_hz}: give a divisor of {PHYSICS_HZ}, such as 60 or 40")
        if self.laps < 1:
            raise ConfigError(f"laps is {self.laps}: give at least 1")
        if self.max_seconds <= 0 or self.gate_seconds <= 0:
            raise ConfigError("max_seconds and gate_seconds must be above 0")
        if self.start not in ("line", "random"):
            raise ConfigError(f"start is {self.start!r}: give line or random")
        if self.start_noise < 0:
            raise ConfigError(f"start_noise is {self.start_noise}: it can't be negative")


def race_options(
    *,
    noise: Mapping[str, Any] | Noise | None = None,
    vehicle: Mapping[str, Any] | Vehicle | None = None,
    randomize: Mapping[str, Any] | Randomize | float | None = None,
    reward: Mapping[str, Any] | RewardWeights | None = None,
    **values: Any,
) -> RaceOptions:
    """Return the options given by keywords; groups may be mappings, `randomize` one number for all but delay.

    Raises:
        ConfigError: an option is unknown or its value is wrong.
    """
    if isinstance(randomize, int | float):
        randomize = {"thrust": randomize, "rates": randomize, "drag": randomize, "lag": randomize}
    known = {item.name for item in fields(RaceOptions)}
    if unknown := set(values) - known:
        raise ConfigError(f"{', '.join(sorted(unknown))}: no such option of the race; there are {_list(known)}")
    return RaceOptions(
        **values,
        noise=_group(Noise, noise, "noise"),
        vehicle=_group(Vehicle, vehicle, "vehicle"),
        randomize=_group(Randomize, randomize, "randomize"),
        reward=_group(RewardWeights, reward, "reward"),
    )


def _group(kind: type[Group], values: Mapping[str, Any] | Group | None, name: str) -> Group:
    if isinstance(values, kind):
        return values
    if values is not None and not isinstance(values, Mapping):
        raise ConfigError(f"{name} is {values!r}: give a mapping")
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in (values or {}).items()}
    known = {item.name for item in fields(kind)}
    if unknown := set(given) - known:
        raise ConfigError(f"{name}.{', '.join(sorted(unknown))}: no such option; there are {_list(known)}")
    try:
        return kind(**given)  # type: ignore[arg-type]  # checked above, by name
    except TypeError as error:
        raise ConfigError(f"{name}: {error}") from error


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))
