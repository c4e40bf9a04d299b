"""Lightning's own lines on the terminal: what a user did not ask for is left out, so that ours can be seen."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import lightning

HARMLESS = (
    ".*does not have many workers.*",
    ".*number of training batches.*smaller than the logging interval.*",
    ".*Checkpoint directory.*exists and is not empty.*",
    ".*isinstance\\(treespec, LeafSpec\\).*",
    ".*torch.jit.script.*deprecated.*",
    ".*args parameter is intended to run from within Python.*",
    ".*You are using a custom batch sampler.*",
    ".*callbacks used to create the checkpoint need to be provided.*",
    ".*You have overridden `on_after_batch_transfer`.*",
    ".*The last model of the previous `fit` call will be used.*",  # there is none: callbacks/users_callbacks.py
    ".*there is no last checkpoint available.*",
)
"""Python warnings that name no problem of a run of ours."""
LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
LIGHTNING = str(Path(lightning.__file__).parent)
WANTED_FILES = {
    "early_stopping", "model_checkpoint", "model_summary", "timer", "finetuning", "pruning", "stochastic_weight_avg",
    "profiler", "batch_size_scaling", "lr_finder",
}  # fmt: skip
"""Files of Lightning that print only what the user has switched on by an option."""
WANTED_WORDS = (
    "used: True",  # the GPU
    "will use only 1 of",  # … of several GPUs
    "Initializing distributed",  # each process says that it is there: a run that waits for one shows which
    "distributed_backend",
    "detect_anomaly",
    "barebones",
    "fast_dev_run",
    "was configured so",  # limit_train_batches, overfit_batches and their like
    "max_steps",
    "max_time",
)
"""Words of Lightning's messages that tell how a run will train."""
PROCESS_WORDS = ("Initializing distributed", "distributed_backend")
"""Words of Lightning's messages about the start of processes."""


def quiet_processes() -> None:
    """Leave out Lightning's lines about the start of processes, where ours has said it already."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        for place in (logger, *logger.handlers):
            place.addFilter(lambda record: not any(words in record.getMessage() for words in PROCESS_WORDS))


def quiet_lightning() -> None:
    """Leave out Lightning's information that tells nothing about a run of ours; its warnings and errors stay."""
    for pattern in HARMLESS:
        warnings.filterwarnings("ignore", pattern)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        for place in (logger, *logger.handlers):  # a logger's own filter does not see records of those below it
            place.addFilter(is_wanted)


def is_wanted(record: logging.LogRecord) -> bool:
    """True if a message is worth a line: another program's, a warning, or one of the few of Lightning's that are.

    Our own messages go through the same logger, so that the file a message comes from decides, not the logger.
    """
    source = Path(record.pathname)
    if record.levelno > logging.INFO or not record.pathname.startswith(LIGHTNING) or source.stem in WANTED_FILES:
        return True
    return any(words in record.getMessage() for words in WANTED_WORDS)
