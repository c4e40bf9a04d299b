"""Options of the policy's training as dataclasses, for the command line, YAML files and Python alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.ppo_config import Linear, NormalizeConfig, PPOConfig
from aigp_lightning.ranges import COUNT, FINITE, NOT_NEGATIVE, POSITIVE, SEED, SHARE, Range, check_range

NETWORKS = ("pi", "vf")
UNITS = Range(1, 65536)
RANGES: dict[str, Range] = {
    "seed": SEED,
    "env.n_envs": COUNT,
    "eval_env.n_episodes": COUNT,
    "eval_env.n_envs": COUNT,
    "eval_env.seed": SEED,
    "eval_env.max_steps": COUNT,
    "normalize.clip_obs": POSITIVE,
    "normalize.clip_reward": POSITIVE,
    "total_timesteps": Range(1),
    "eval_freq": Range(0),
    "save_freq": Range(0),
    "early_stop.success": Range(0, 1, above=True),
    "early_stop.evaluations": COUNT,
    "ppo.n_steps": COUNT,
    "ppo.batch_size": COUNT,
    "ppo.n_epochs": COUNT,
    "ppo.gamma": SHARE,
    "ppo.gae_lambda": SHARE,
    "ppo.learning_rate": NOT_NEGATIVE,
    "ppo.clip_range": NOT_NEGATIVE,
    "ppo.clip_range_vf": POSITIVE,
    "ppo.ent_coef": FINITE,
    "ppo.vf_coef": NOT_NEGATIVE,
    "ppo.max_grad_norm": POSITIVE,
    "ppo.target_kl": POSITIVE,
    "ppo.log_std_init": Range(-20, 20),
    "ppo.torch_threads": Range(1, 4096),
    "ppo.stats_window": COUNT,
}
"""Of the numbers among the options; of those that change in the course of the training, both ends."""


@dataclass
class EnvConfig:
    """The environment to train in: any Gymnasium id.

    Args:
        module: imported first, so that it can register its environments, e.g. my_simulator; null for none.
        id: the environment, e.g. aigp/GateRace-v0 or Pendulum-v1.
        backend: native: the id's own vector version, all environments in one object; dummy: single environments, one
            after the other in this process; subproc: a process an environment.
        n_envs: environments at once.
        kwargs: given to the environment as they are, e.g. --env.kwargs.track my_track.yaml.
    """

    module: str | None = "aigp_lightning.policy"
    id: str = "aigp/GateRace-v0"
    backend: Literal["native", "dummy", "subproc"] = "native"
    n_envs: int = 128
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class EvalConfig:
    """Evaluations of the policy.

    Args:
        kwargs: in place of those of `env.kwargs` that have the same name, e.g. --eval_env.kwargs.start_noise 0.5.
        n_episodes: counted exactly; each environment plays its share of them.
        n_envs: environments at once; null for as many as in training, never more than episodes.
        seed: of the starts, which are the same at every evaluation of a training.
        max_steps: most steps of an episode; an evaluation in which one has not ended by then is left out, and said.
    """

    kwargs: dict[str, Any] = field(default_factory=dict)
    n_episodes: int = 256
    n_envs: int | None = None
    seed: int = 1000
    max_steps: int = 100_000


@dataclass
class EarlyStop:
    """End before `total_timesteps` when the policy is good enough.

    Args:
        success: share of an evaluation's episodes that has to succeed, e.g. 0.99; null never stops early.
        evaluations: in a row that have to reach it.
    """

    success: float | None = None
    evaluations: int = 2


@dataclass
class PolicyConfig:
    """A training of the policy.

    Args:
        seed: of everything random: weights, actions, environments.
        env: the environment to train in.
        eval_env: what the policy is judged on.
        normalize: observations and rewards on a common scale.
        ppo: how it learns.
        total_timesteps: environment steps of the whole training; a resumed one counts those before.
        eval_freq: environment steps between two evaluations; 0 for one at the end.
        save_freq: environment steps between two checkpoints; 0 for none but the last.
        early_stop: end sooner when good enough.
        output: folder of the run; a number is added when it exists. TensorBoard's files go to tb_apex/ in it.
        resume: go on with this run's folder or one of its models, e.g. --resume output/apex_policy.
        progress: a live view on a terminal, lines elsewhere; false for lines always.
    """

    seed: int = 0
    env: EnvConfig = field(default_factory=EnvConfig)
    eval_env: EvalConfig = field(default_factory=EvalConfig)
    normalize: NormalizeConfig = field(default_factory=NormalizeConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    total_timesteps: int = 6_000_000
    eval_freq: int = 250_000
    save_freq: int = 1_000_000
    early_stop: EarlyStop = field(default_factory=EarlyStop)
    output: str = "output/apex_policy"
    resume: str | None = None
    progress: bool = True

    def check(self) -> None:
        """Check the values of the options.

        Raises:
            ConfigError: a value is out of range; the message names the first such option.
        """
        for group, values in (
            ("", self), ("env.", self.env), ("eval_env.", self.eval_env), ("normalize.", self.normalize),
            ("ppo.", self.ppo), ("early_stop.", self.early_stop),
        ):  # fmt: skip
            for name, allowed in RANGES.items():
                if name.startswith(group) and "." not in (own := name.removeprefix(group)):
                    _check_value(f"--{name}", getattr(values, own), allowed)
        _check_layers(self.ppo.net_arch)

    def check_batch(self) -> None:
        """Check that a rollout can fill a batch.

        Raises:
            ConfigError: the batch is larger than a rollout, or one sample.
        """
        samples = self.ppo.n_steps * self.env.n_envs
        advice = f"A rollout has n_steps × n_envs = {samples} samples."
        check_range("--ppo.batch_size", self.ppo.batch_size, Range(2, samples), advice)


def _check_value(option: str, value: Any, allowed: Range) -> None:
    """Check a number, or a line from one to another, which has to stay within the range all along."""
    if isinstance(value, Linear):
        check_range(f"{option}.start", value.start, allowed)
        check_range(f"{option}.end", value.end, allowed)
        check_range(f"{option}.until", value.until, Range(0, 1, above=True))
    else:
        check_range(option, value, allowed)


def _check_layers(layers: list[int] | dict[str, list[int]]) -> None:
    """Check the units of the hidden layers.

    Raises:
        ConfigError: a network is none of PPO's two, or a layer has no units.
    """
    if isinstance(layers, dict) and (unknown := sorted(set(layers) - set(NETWORKS))):
        raise ConfigError(f"--ppo.net_arch {layers}: there is no network {unknown[0]}, only {' and '.join(NETWORKS)}.")
    for units in layers.values() if isinstance(layers, dict) else [layers]:
        if not all(unit in UNITS for unit in units):
            raise ConfigError(f"--ppo.net_arch {layers}: units of a layer are a number {UNITS}.")
