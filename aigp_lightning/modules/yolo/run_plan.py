"""The plan of a run, which its checkpoints carry: its length, how it was extended, and its optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from aigp_lightning.checkpoints.schema import METADATA, options_of
from aigp_lightning.errors import ConfigError, WeightsError, warn_user
from aigp_lightning.modules.run_length import PLAN, Extension, RunLength, check_length
from aigp_lightning.modules.yolo.optim import OptimConfig, ResolvedOptimizer
from aigp_lightning.modules.yolo.schedule import Schedule
from aigp_lightning.run.lightning_internals import EpochProgress, epoch_progress

WAITING = "waiting_images"
"""Key in the metadata: images since the last optimizer step, whose gradients wait."""
LAST_STEP = "last_step"
"""The same in older checkpoints: the last step's iteration over all epochs, in batches of that run."""
NEAR = 1e-6
"""Relative difference of two learning rates that are the same one."""


@dataclass(frozen=True)
class RunPlan:
    """What a resumed run keeps, whatever its batch is now.

    Args:
        epochs: length of the run when it began; warm-up and losses that anneal go by it.
        optimizer: what `auto` was resolved to, by the number of steps at the beginning.
        extensions: how the run was made longer, in order.
    """

    epochs: int
    optimizer: ResolvedOptimizer
    extensions: tuple[Extension, ...] = ()

    @property
    def length(self) -> RunLength:
        """Epochs of the run, and its extensions."""
        return RunLength(self.epochs, self.extensions)

    @property
    def end(self) -> int:
        """Epochs of the run, extensions included."""
        return self.length.end

    def schedule(self, config: OptimConfig, batches: int, batch_size: int) -> Schedule:
        """Return the schedule for a number of batches an epoch and a global batch of so many images."""
        return Schedule.plan(config, self.optimizer, self.epochs, batches, batch_size, self.extensions)

    def extended(self, trained: int, epochs: int) -> RunPlan:
        """Return the plan of the run made longer after so many epochs."""
        return replace(self, extensions=self.length.extended(trained, epochs).extensions)

    def planned_anew(self, epochs: int) -> RunPlan:
        """Return the plan of a run of so many epochs, as if it had begun with it."""
        return replace(self, epochs=epochs, extensions=())

    def state(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {**self.length.state(), "optimizer": asdict(self.optimizer)}

    @classmethod
    def read(cls, state: Any) -> RunPlan:
        """Read the plan from a checkpoint's metadata.

        Raises:
            WeightsError: it is none.
        """
        try:
            settings = state["optimizer"]
            rates = {key: float(settings[key]) for key in ("lr", "momentum", "warmup_bias_lr")}
            optimizer = ResolvedOptimizer(str(settings["name"]), **rates)
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError("this checkpoint is damaged: its plan of the run cannot be read.") from error
        length = RunLength.read(state)
        return cls(length.epochs, optimizer, length.extensions)


@dataclass(frozen=True)
class ResumedRun:
    """Where a run was when the checkpoint was written from which it is resumed.

    Attributes:
        progress: epochs trained, batches an epoch.
        plan: None in checkpoints of earlier versions.
        config: the settings of its optimizer; None where they are not known.
        batch_size: images a batch, over all processes; None where it is not known.
        epochs: length of the run; None where it is not known.
        waiting: images since the last step; None where only `waiting_batches` is known.
        waiting_batches: the same in batches, in checkpoints of earlier versions.
        gradient_scale: by which waiting gradients are multiplied, under mixed precision.
        rates: learning rate now, at the start, and name of the optimizer's groups of parameters.
        muon: whether the optimizer is MuSGD.
    """

    progress: EpochProgress
    plan: RunPlan | None
    config: Mapping[str, Any] | None
    batch_size: int | None
    epochs: int | None
    waiting: int | None
    waiting_batches: int
    gradient_scale: float
    rates: tuple[tuple[float, float, object], ...]
    muon: bool

    @classmethod
    def read(cls, checkpoint: Mapping[str, Any]) -> ResumedRun:
        """Read a checkpoint of ours.

        Raises:
            WeightsError: it was changed, or written within an epoch.
        """
        progress = epoch_progress(checkpoint)
        if progress is None or not progress.whole:
            raise WeightsError(
                "this checkpoint was written within an epoch, by a callback; a run is resumed from the end of one. A "
                "new run can begin from its weights: `export`, then --model.weights."
            )
        try:
            return cls._read(checkpoint, progress)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise WeightsError("this checkpoint is damaged: what a resumed run needs cannot be read.") from error

    @classmethod
    def _read(cls, checkpoint: Mapping[str, Any], progress: EpochProgress) -> ResumedRun:
        ours = checkpoint[METADATA]
        plan = RunPlan.read(ours[PLAN]) if PLAN in ours else None
        states = checkpoint.get("optimizer_states") or [{}]
        groups = states[0].get("param_groups", [])
        batch, epochs = options_of(ours, "data").get("batch_size"), options_of(ours, "trainer").get("max_epochs")
        return cls(
            progress=progress,
            plan=plan,
            config=ours.get("optim"),
            batch_size=batch if isinstance(batch, int) else None,
            epochs=plan.end if plan else epochs if isinstance(epochs, int) else None,
            waiting=int(ours[WAITING]) if WAITING in ours else None,
            waiting_batches=progress.trained * progress.batches - 1 - int(ours.get(LAST_STEP, -1)),
            gradient_scale=float(checkpoint.get("MixedPrecision", {}).get("scale", 1.0)),
            rates=tuple((g["lr"], g["initial_lr"], g.get("param_group")) for g in groups if "initial_lr" in g),
            muon=any("use_muon" in group for group in groups),
        )

    def waiting_images(self, batches: int, batch_size: int) -> int:
        """Return how many images' gradients wait, whatever the batch was.

        Args:
            batches: an epoch has now.
            batch_size: now, over all processes.

        Raises:
            ConfigError: an earlier version's checkpoint does not say.
        """
        if self.waiting is not None:
            return self.waiting
        if self.waiting_batches < 0:  # an earlier version resumed with a larger batch, and has made no step since
            warn_user("the checkpoint counts steps of a smaller batch, and trained nothing since that was changed.")
            return 0
        then = self.batch_size or (batch_size if batches == self.progress.batches else None)
        if then is None and self.waiting_batches:
            raise ConfigError(
                f"--data.batch_size {batch_size}: an earlier version wrote this checkpoint. It had "
                f"{self.progress.batches} batches an epoch, now there are {batches}, and gradients of "
                f"{self.waiting_batches} of them wait. Resume with the --data.batch_size of the first start."
            )
        return self.waiting_batches * (then or 0)

    def check_config(self, config: OptimConfig) -> None:
        """Refuse other settings of the optimizer: its state in the checkpoint is of those of the first start.

        Raises:
            ConfigError: there are some.
        """
        now = asdict(config)
        changed = [key for key, value in (self.config or {}).items() if key in now and now[key] != value]
        if changed and self.config is not None:
            differing = ", ".join(f"--model.optim.{key} {now[key]} (was {self.config[key]})" for key in changed)
            raise ConfigError(f"{differing}: a resumed run keeps its optimizer. Resume with what it was begun with.")

    def check_length(self, epochs: int, extend: bool) -> None:
        """Refuse another number of epochs than the run's, unless it is to be extended.

        Args:
            epochs: of the trainer.
            extend: whether more are meant.

        Raises:
            ConfigError: there are others.
        """
        check_length(self.epochs, self.progress.trained, epochs, extend)

    def check_rates(self, schedule: Schedule) -> None:
        """Refuse a schedule that does not lead through the learning rates in an earlier version's checkpoint.

        Args:
            schedule: with the batches an epoch that there were.

        Raises:
            ConfigError: it does not.
        """
        place = self.progress.trained - 1, self.progress.batches - 1
        for rate, initial, group in self.rates:
            planned = schedule.rate(initial, group, *place)
            if abs(rate - planned) > NEAR * max(abs(rate), abs(planned)):
                raise ConfigError(
                    f"--trainer.max_epochs, --model.optim.lrf, cos_lr or warmup_epochs is another than at the first "
                    f"start: the learning rate was {rate:.6g} after epoch {self.progress.trained}, and would have been "
                    f"{planned:.6g}. Resume with what the run was begun with."
                )
