"""Names that Ultralytics, and earlier versions of Lightning, have for options, and ours."""

from __future__ import annotations

from aigp_lightning.recipes import ultralytics_keys

MEANT = {
    "model": "model.weights",
    "devices": "trainer.devices",
    "trainer.gpus": "trainer.devices",
    "gpus": "trainer.devices",
    "accelerator": "trainer.accelerator",
    "trainer.resume_from_checkpoint": "ckpt_path",
    "weights": "model.weights",
    "lr": "model.optim.lr0",
}
"""Words that are no settings of Ultralytics', to our options, without dashes."""


def our_option(word: str, verb: str = "fit") -> str | None:
    """Return the option here that another program's word stands for, without dashes; None where there is none.

    Args:
        word: its name, without dashes.
        verb: of ours, where it is asked for.

    Example:
        >>> our_option("epochs"), our_option("gpus"), our_option("mosaic9")
        ('trainer.max_epochs', 'trainer.devices', None)
    """
    return MEANT.get(word) or ultralytics_keys.our_option(word, verb)
