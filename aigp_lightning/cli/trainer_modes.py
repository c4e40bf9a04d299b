"""Modes of Lightning's trainer in which there would be no run of ours: refused before anything is made."""

from __future__ import annotations

from typing import Any

from aigp_lightning.errors import ConfigError

PRECISIONS = (None, "32-true", "16-mixed", "bf16-mixed", 32, 16, "32", "16", "bf16")
"""Precisions that the losses, the metrics and the averaged weights are computed right in."""


def check_trainer_modes(config: Any, verb: str) -> None:
    """Refuse modes of the trainer that a verb cannot work in.

    Args:
        config: of the verb.
        verb: fit, validate, test or predict.

    Raises:
        ConfigError: naming the option, and what to take instead.
    """
    trainer = config.trainer
    if trainer.precision not in PRECISIONS:
        raise ConfigError(
            f"--trainer.precision {trainer.precision}: the loss and the averaged weights need 32 bits where they are "
            "kept. Take 32-true, or 16-mixed or bf16-mixed, which compute in 16 bits what loses nothing by it."
        )
    if trainer.barebones:
        raise ConfigError(
            "--trainer.barebones true: it turns off what a run consists of: figures, checkpoints and logs. For a quick "
            "check of everything take --trainer.fast_dev_run true; for where the time goes --trainer.profiler simple."
        )
    if verb != "fit":
        return
    if trainer.enable_checkpointing is False:
        raise ConfigError(
            "--trainer.enable_checkpointing false: a run is what its checkpoints hold. To try one out, and keep "
            "nothing, take --trainer.fast_dev_run true."
        )
    if trainer.fast_dev_run and config.get("ckpt_path") is not None:
        raise ConfigError("--trainer.fast_dev_run keeps nothing, and so resumes nothing: leave --ckpt_path out.")
