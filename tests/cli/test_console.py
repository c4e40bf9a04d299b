"""A newcomer's first screens: every line is one of ours."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import lightning.pytorch.callbacks.early_stopping
import lightning.pytorch.trainer.setup
import pytest
from helpers import small, tiny_network
from launching import launch

from aigp_lightning.cli import callbacks_setup
from aigp_lightning.cli.console import is_wanted
from aigp_lightning.cli.resolve import tell_precision

LINES = (
    r"(train|val): \d+ images, \d+ backgrounds, \d+ set aside, \d+ instances",
    r"no checkpoint in .* yet: the run begins again, in the same folder",
    r"resuming from .*/weights/last\.ckpt",
    r"computed in bfloat16 where float32 is not needed; --trainer\.precision 32-true: all in float32",  # by processor
    r"media\.val_batches is 3; \d+ images make 1 of up to 16\.",
    r"epoch \d+: mosaic closed for the rest of the run",
    r"epoch \d/\d  loss: box .* mAP50-95\(B\) \d\.\d{3}( \*)?  \d+ s",
    r"pictures: \d+ drawn, \d+ to loggers on this machine, none left this machine, 0 withheld, 0 failed",
    r"extended from 1 to 2 epochs: the learning rate goes on at .*",
    r"[┏┡└].*[┓┩┘]",
    r"┃ class .* mAP50-95 ┃",
    r"│ (all|square|disc) .*│",
    r"for an image: \d.* ms post \(\d+ in the first batch, which takes longer than others, cpu, \d+ threads?\)",
    r"run folder: .*/detect/gates",
    r"best weights: .*/weights/best\.pt",
    r"ledger: \d+ lines, head [0-9a-f]{64}",
    r"to compare it later: python -m aigp_lightning audit .*/detect/gates --head [0-9a-f]{64}",
)
"""What a run without a mistake prints, in whole lines."""


def foreign(output: str) -> list[str]:
    """Lines that are none of ours."""
    return [line for line in output.splitlines() if line and not any(re.fullmatch(form, line) for form in LINES)]


def test_fit_validate_and_resume_print_our_lines_alone(shapes: Path, tmp_path: Path) -> None:
    """One after the other in a process that has printed nothing yet."""
    words = [*small(shapes, tmp_path / "runs"), *tiny_network(tmp_path)]
    best = tmp_path / "runs" / "detect" / "gates" / "weights" / "best.ckpt"
    verbs = [
        ("fit", *words, "--trainer.max_epochs", 1),
        ("validate", *words, "--ckpt_path", best),
        ("fit", *words, "--trainer.max_epochs", 2, "--extend", "--ckpt_path", "last"),
    ]
    typed = [[str(word) for word in verb] for verb in verbs]
    code = f"from aigp_lightning.cli.main import main\nfor words in {typed!r}: assert main(words) == 0"
    status, output = launch("-c", code, cwd=tmp_path)
    assert status == 0, output
    assert foreign(output) == [], output
    assert output.count("│ all ") == len(verbs)
    assert output.count("resuming from ") == 1
    assert "epoch 2/2 " in output


def test_a_training_says_that_it_computes_in_fewer_digits(caplog: pytest.LogCaptureFixture) -> None:
    """In our words, once; not where all is float32, and not of a verb that trains nothing."""
    with caplog.at_level(logging.INFO):
        for precision, verb in (("32-true", "fit"), (None, "fit"), ("16-mixed", "validate"), ("bf16-mixed", "predict")):
            tell_precision(precision, verb)
        assert caplog.messages == []
        for precision in ("bf16-mixed", "16-mixed"):
            tell_precision(precision, "fit")
    told = "computed in {} where float32 is not needed; --trainer.precision 32-true: all in float32"
    assert caplog.messages == [told.format("bfloat16"), told.format("float16")]


@pytest.mark.parametrize(
    ("source", "level", "text", "wanted"),
    [
        (lightning.pytorch.trainer.setup, logging.INFO, "Seed set to 0", False),
        (lightning.pytorch.trainer.setup, logging.INFO, "GPU available: False, used: False", False),
        (lightning.pytorch.trainer.setup, logging.INFO, "GPU available: True (cuda), used: True", True),
        (lightning.pytorch.trainer.setup, logging.INFO, "Using 16bit Automatic Mixed Precision (AMP)", False),
        (lightning.pytorch.trainer.setup, logging.INFO, "Running in `fast_dev_run` mode: will run …", True),
        (lightning.pytorch.trainer.setup, logging.INFO, "`Trainer(overfit_batches=1)` was configured so 1 …", True),
        (lightning.pytorch.trainer.setup, logging.INFO, "`Trainer.fit` stopped: `max_steps=1` reached.", True),
        (lightning.pytorch.trainer.setup, logging.INFO, "`Trainer.fit` stopped: `max_epochs=1` reached.", False),
        (lightning.pytorch.trainer.setup, logging.WARNING, "a real problem", True),
        (lightning.pytorch.callbacks.early_stopping, logging.INFO, "Metric fitness improved", True),
        (callbacks_setup, logging.INFO, "Seed set to 0", True),
    ],
)
def test_the_file_a_message_comes_from_decides(source: object, level: int, text: str, wanted: bool) -> None:
    """Lightning's information goes, unless an option asked for it; our own goes through the same logger."""
    path = str(vars(source)["__file__"])
    record = logging.LogRecord("lightning.pytorch.utilities.rank_zero", level, path, 1, text, None, None)
    assert is_wanted(record) is wanted
