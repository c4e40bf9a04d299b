"""Options of the policy's training as dataclasses, for the command line, YAML files and Python alike."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.ppo_config import NormalizeConfig, PPOConfig

RATIOS = {"gamma", "gae_lambda"}
"""Options of PPO that lie in 0…1, both ends included."""


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
        counts = {
            "env.n_envs": self.env.n_envs, "eval_env.n_episodes": self.eval_env.n_episodes,
            "total_timesteps": self.total_timesteps, "early_stop.evaluations": self.early_stop.evaluations,
        }  # fmt: skip
        counts |= {f"ppo.{name}": getattr(self.ppo, name) for name in ("n_steps", "n_epochs", "torch_threads")}
        counts |= {"eval_env.n_envs": self.eval_env.n_envs or 1, "ppo.stats_window": self.ppo.stats_window}
        counts |= {"eval_env.max_steps": self.eval_env.max_steps}
        for name, value in counts.items():
            _require(value >= 1, name, value, "must be 1 or more")
        for name in ("eval_freq", "save_freq"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "must be 0 or more")
        for each in fields(self.ppo):
            if each.name in RATIOS:
                value = getattr(self.ppo, each.name)
                _require(0 <= value <= 1, f"ppo.{each.name}", value, "must lie in 0…1")
        wanted = self.early_stop.success
        _require(wanted is None or 0 < wanted <= 1, "early_stop.success", wanted, "must lie in 0…1, and be above 0")

    def check_batch(self) -> None:
        """Check that a rollout can fill a batch.

        Raises:
            ConfigError: the batch is larger than a rollout, or one sample.
        """
        samples = self.ppo.n_steps * self.env.n_envs
        what = f"must be 2 or more, and no more than n_steps × n_envs = {samples}"
        _require(2 <= self.ppo.batch_size <= samples, "ppo.batch_size", self.ppo.batch_size, what)  # noqa: PLR2004


def _require(holds: bool, option: str, value: Any, what: str) -> None:
    if not holds:
        raise ConfigError(f"--{option} is {value}; it {what}.")
