"""Devices as Ultralytics names them, as options of Lightning's trainer."""

from __future__ import annotations

from typing import Any

from aigp_lightning.recipes.outcome import Outcome, carried, to_replace
from aigp_lightning.recipes.recipe import Recipe

OTHER_DEVICES = ("npu", "xpu", "mlu", "hpu")
"""Kinds of devices that Ultralytics knows, and that are not tried here."""


def device(value: Any, recipe: Recipe) -> Outcome:
    """Return the options that choose the devices of a setting.

    Args:
        value: of `device`: a number, a text such as `0,1` or `cpu`, a list, or none.
        recipe: that has it.

    Example:
        >>> device("0,1", Recipe("text")).options
        {'trainer.accelerator': 'gpu', 'trainer.devices': [0, 1]}
    """
    words = [str(each).strip() for each in value] if isinstance(value, list | tuple) else str(value or "").split(",")
    words = [word.strip(" []()'\"").removeprefix("cuda:").removeprefix("cuda") for word in words]
    if any(word.split(":")[0] in OTHER_DEVICES for word in words):
        return to_replace("no such device is known here: choose --trainer.accelerator and --trainer.devices",
                          trainer__accelerator="auto", trainer__devices=1)  # fmt: skip
    if words in (["cpu"], ["mps"]):
        return carried(trainer__accelerator=words[0], trainer__devices=1)
    if all(word == "-1" for word in words):
        why = "the first, not the idlest one: CUDA_VISIBLE_DEVICES chooses"
        return carried(why, trainer__accelerator="auto", trainer__devices=len(words))
    if words in ([""], ["0"], ["None"]):
        return carried("the first GPU, or the CPU; `auto` for all GPUs", trainer__accelerator="auto",
                       trainer__devices=1)  # fmt: skip
    if not all(word.isdigit() for word in words):
        return to_replace("no such device is known here: choose --trainer.accelerator and --trainer.devices",
                          trainer__accelerator="auto", trainer__devices=1)  # fmt: skip
    return carried(trainer__accelerator="gpu", trainer__devices=[int(word) for word in words])
