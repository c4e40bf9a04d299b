"""Errors of constructors and of Lightning's classes name the option; a defect of ours keeps its traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, Timer
from option_sweep import small_run

from aigp_lightning.cli.building import errors_as_options, fault_of_class
from aigp_lightning.data.preparation import check_options
from aigp_lightning.errors import ConfigError

CLASSES = {"ModelCheckpoint": "checkpoint", "EarlyStopping": "early_stopping"}


class Breaks(Callback):
    """A user's own, with a fault in it."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Fail."""
        raise ValueError("mine to mend")


@pytest.mark.parametrize(
    ("make", "options", "told"),
    [
        (lambda: ModelCheckpoint(save_top_k=3), {"checkpoint": {"save_top_k": 3, "monitor": None}}, "save_top_k 3: M"),
        (lambda: EarlyStopping("x", mode="up"), {"early_stopping": {"mode": "up"}}, "--early_stopping.mode up: `mode`"),
        (lambda: Trainer(profiler="zzz"), {"trainer": {"profiler": "zzz"}}, "--trainer.profiler zzz: When passing"),
        (
            lambda: Timer(duration="soon"),
            {"trainer": {"callbacks": [{"class_path": "a.Timer", "init_args": {"duration": "soon"}}]}},
            "--trainer.callbacks.duration soon: `Timer(duration='soon')` is not a valid duration.",
        ),
        (lambda: Timer(nothing=1), {"trainer": {"callbacks": {"class_path": "a.Timer"}}}, "callbacks Timer: "),
    ],
)  # fmt: skip
def test_a_constructors_error_names_the_option(make: Callable[[], Any], options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as refused, errors_as_options(options, CLASSES):
        make()
    assert told in str(refused.value) and str(refused.value).startswith("--") and "\n" not in str(refused.value)


def test_what_jsonargparse_tried_is_left_out() -> None:
    """It wraps what a constructor raises in a list of all the types that the option might have had."""
    tried = "Does not validate against any of the Union subtypes\nSubtypes: [A, B]\nErrors:\n"
    wrapped = ValueError(f"{tried}  - Requirement 'x' not met.\n  - Expected a <class 'bool'>\nGiven value: 3")
    with pytest.raises(ConfigError) as refused, errors_as_options({"trainer": {}}):
        raise_elsewhere(wrapped)
    assert str(refused.value) == "--trainer: Requirement 'x' not met."
    wrapped.__cause__ = ConfigError("--model.gains.box -1: a number 0 or more.")
    with pytest.raises(ConfigError) as refused, errors_as_options({"trainer": {}}):
        raise_elsewhere(wrapped)
    assert str(refused.value) == "--model.gains.box -1: a number 0 or more."


def raise_elsewhere(error: Exception) -> None:
    raise error


def test_a_defect_of_ours_comes_through() -> None:
    with pytest.raises(TypeError), errors_as_options({"trainer": {}}):
        check_options("a", 1, 1, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--early_stopping.monitor", "nothing"), "error: --early_stopping.monitor nothing: there is no figure of"),
        (
            ("--trainer.callbacks", "ModelSummary", "--trainer.callbacks.max_depth", -7),
            "error: --trainer.callbacks.max_depth -7: `max_depth` can be -1, 0 or > 0, got -7.",
        ),
        (("--trainer.callbacks", "Timer", "--trainer.callbacks.interval", "day"), "error: --trainer.callbacks.int"),
        (("--trainer.callbacks", "Timer", "--trainer.callbacks.duration", "00:00:00:09"), "run folder: "),
    ],
)  # fmt: skip
def test_runs_that_lightnings_callbacks_end(
    words: tuple[object, ...], told: str, gates: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: Any
) -> None:
    words = (*words, "--trainer.limit_train_batches", 1, "--media.routes.everything", "[]", "--trainer.logger", "false")
    status = run_cli("fit", *small_run(gates, tmp_path), "--model", "families.toy.ToyModule", *words)
    printed = capfd.readouterr()
    assert status == (2 if told.startswith("error") else 0), printed.err
    assert told in printed.out + printed.err and "Traceback" not in printed.err


def test_a_users_own_callback_keeps_its_traceback(gates: Path, tmp_path: Path, run_cli: Callable[..., int]) -> None:
    words = ("--model", "families.toy.ToyModule", "--trainer.callbacks", f"{__name__}.Breaks")
    with pytest.raises(ValueError, match="mine to mend") as raised:
        run_cli("fit", *small_run(gates, tmp_path), *words, "--trainer.logger", "false")
    assert fault_of_class(raised.value, {"trainer": {"callbacks": {"class_path": f"{__name__}.Breaks"}}}) is None
