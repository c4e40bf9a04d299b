"""Options of `ppo evaluate` and `ppo export`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from aigp_lightning.policy.config import PolicyConfig
from aigp_lightning.ranges import COUNT, COUNT_OR_NONE, POSITIVE, SEED, check_range


@dataclass
class EvaluateConfig(PolicyConfig):
    """Options of an evaluation: those of a training, by default the run's own that `model` lies in, and these.

    Args:
        model: a model's folder, e.g. output/apex_policy/best; of a run's folder, the last one is taken.
        policy: model, or follower: the hand-written gate follower, as a baseline; it needs no model.
        episodes: counted exactly; null for eval_env.n_episodes.
        starts: seed of the starts; others than those that the best model was chosen by.
        trajectories: episodes whose paths are drawn and written; 0 for none.
        out: folder of the results; beside the model's folder, or output/follower, if not given.
    """

    model: str | None = None
    policy: Literal["model", "follower"] = "model"
    episodes: int | None = None
    starts: int = 2000
    trajectories: int = 8
    out: str | None = None

    def check(self) -> None:
        """Check the values of the options.

        Raises:
            ConfigError: a value is out of range; the message names the first such option.
        """
        super().check()
        check_range("--episodes", self.episodes, COUNT)
        check_range("--starts", self.starts, SEED)
        check_range("--trajectories", self.trajectories, COUNT_OR_NONE)


@dataclass
class ExportConfig:
    """Options of an export.

    Args:
        model: a model's folder, e.g. output/apex_policy/best; of a run's folder, the last one is taken.
        format: any of onnx, torchscript.
        out: folder of the files; the model's own if not given.
        opset: ONNX operator set.
        tolerance: how far a file's actions may be from the policy's, as a share of the action's range, or nothing is
            written.
        samples: random observations that the two are compared on.
    """

    model: str = "output/apex_policy/best"
    format: list[str] = field(default_factory=lambda: ["onnx", "torchscript"])
    out: str | None = None
    opset: int = 17
    tolerance: float = 1e-4
    samples: int = 1024

    def check(self) -> None:
        """Check the numbers.

        Raises:
            ConfigError: a value is out of range; the message names the first such option.
        """
        check_range("--opset", self.opset, COUNT)
        check_range("--tolerance", self.tolerance, POSITIVE)
        check_range("--samples", self.samples, COUNT)
