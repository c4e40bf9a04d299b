"""The loggers as destinations of pictures, a file for each kind; the only room in `media/` that knows loggers.

A logger gets the very bytes of a file that is in the run folder. Nothing here draws, encodes or decides.
"""

from aigp_lightning.media.sinks.choice import expected_sinks, recording_sinks, sink_of, sinks_of
from aigp_lightning.media.sinks.mlflow import MLFlowSink
from aigp_lightning.media.sinks.other import LogsImages, OtherSink
from aigp_lightning.media.sinks.summary import KeepsSummary
from aigp_lightning.media.sinks.tensorboard import TensorBoardSink
from aigp_lightning.media.sinks.wandb import WandbSink

__all__ = [
    "KeepsSummary",
    "LogsImages",
    "MLFlowSink",
    "OtherSink",
    "TensorBoardSink",
    "WandbSink",
    "expected_sinks",
    "recording_sinks",
    "sink_of",
    "sinks_of",
]
