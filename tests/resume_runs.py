"""What tests of resumed runs share: a stop between epochs, and what of two runs is to be equal."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback


class StopAfter(Callback):
    """Presses Ctrl-C when an epoch has been saved."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == self.epochs:
            raise KeyboardInterrupt


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key != "time"} for row in csv.DictReader(file)]


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, map_location="cpu", weights_only=True)


def differing(one: Any, two: Any, where: str = "") -> list[str]:
    """Names of values that are not equal bit for bit."""
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        return [name for key in one for name in differing(one[key], two[key], f"{where}/{key}")]
    if isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)) and len(one) == len(two):
        return [n for i, (a, b) in enumerate(zip(one, two, strict=True)) for n in differing(a, b, f"{where}/{i}")]
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        return [] if torch.equal(one, two) else [where]
    return [] if type(one) is type(two) and one == two else [where]


def check_complaint(errors: str, path: Path, advice: str) -> None:
    """One line that names the file and says what to do."""
    complaints = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(complaints) == 1
    assert errors.rstrip().endswith(complaints[0])
    assert str(path) in complaints[0]
    assert advice in complaints[0]
    assert "Traceback" not in errors
