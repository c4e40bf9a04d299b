"""A disk that does not take TensorBoard's events ends no run, and damages none that were written."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import largest_file

from aigp_lightning.loggers.tensorboard import ResilientTensorBoardLogger, quiet_writer


def test_events_go_to_a_new_file_after_a_full_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = ResilientTensorBoardLogger(save_dir=str(tmp_path), name="tensorboard", version="")
    logger.log_metrics({"train/loss": 3.0}, step=0)
    logger.save()
    with caplog.at_level("INFO"), quiet_writer(), largest_file(100_000):
        logger.experiment.add_text("large", "x" * 300_000, 0)
        for step in (1, 2):
            logger.log_metrics({"train/loss": 2.0}, step=step)
            logger.save()
    logger.log_metrics({"train/loss": 1.0}, step=3)
    logger.finalize("success")
    (said,) = [message for message in caplog.messages if "could not be written" in message]
    assert said.startswith("warning: TensorBoard's events could not be written ([Errno 27] File too large); some are")
    assert "Traceback" not in capfd.readouterr().err
    scalars = {}
    for file in (tmp_path / "tensorboard").glob("events.*"):
        events = EventAccumulator(str(file))
        events.Reload()
        if "train/loss" in events.Tags()["scalars"]:
            scalars.update({event.step: event.value for event in events.Scalars("train/loss")})
    assert scalars[0] == 3.0
    assert scalars[3] == 1.0


def test_other_mistakes_are_raised(tmp_path: Path) -> None:
    logger = ResilientTensorBoardLogger(save_dir=str(tmp_path), name="tensorboard", version="")
    with pytest.raises(ValueError, match="not supported"):
        logger.log_metrics({"train/loss": "words"}, step=0)  # type: ignore[dict-item]
    logger.finalize("success")
