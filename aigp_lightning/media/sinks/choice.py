"""The sink of each logger that takes pictures, chosen by the logger's class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import singledispatch

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import DummyLogger

from aigp_lightning.media.hand_over import Sink
from aigp_lightning.media.sinks.mlflow import MLFlowSink
from aigp_lightning.media.sinks.other import LogsImages, OtherSink
from aigp_lightning.media.sinks.tensorboard import TensorBoardSink
from aigp_lightning.media.sinks.wandb import WandbSink


@singledispatch
def sink_of(logger: Logger) -> Sink | None:
    """Find the sink for a logger; None if it takes no pictures.

    Args:
        logger: any of Lightning's; classes derived from W&B's, MLflow's or TensorBoard's count as these.

    Example:
        >>> sink_of(TensorBoardLogger("logs")).remote, sink_of(CSVLogger("logs"))
        (False, None)
    """
    return OtherSink(logger) if isinstance(logger, LogsImages) and callable(logger.log_image) else None


@sink_of.register(CSVLogger)
@sink_of.register(DummyLogger)
def _(logger: Logger) -> Sink | None:
    return None


@sink_of.register
def _(logger: TensorBoardLogger) -> Sink | None:
    return TensorBoardSink(logger)


@sink_of.register
def _(logger: WandbLogger) -> Sink | None:
    return WandbSink(logger)


@sink_of.register
def _(logger: MLFlowLogger) -> Sink | None:
    return MLFlowSink(logger)


def sinks_of(loggers: Iterable[Logger], say: Callable[[str], None] = lambda text: None) -> list[Sink]:
    """Find the sinks of those loggers that take pictures, and say which unknown ones take none.

    The second of a name is called `tensorboard:2` and so on: it is a destination of its own.

    Args:
        loggers: a run's, in the order of its configuration.
        say: called once for each logger that gets scalars only, though it is none of those known for that.

    Example:
        >>> from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
        >>> [sink.name for sink in sinks_of([CSVLogger("logs"), TensorBoardLogger("logs")])]
        ['tensorboard']
    """
    sinks: list[Sink] = []
    names = Counter[str]()
    for logger in loggers:
        if (sink := sink_of(logger)) is not None:
            names[sink.name] += 1
            sink.name += f":{names[sink.name]}" if names[sink.name] > 1 else ""
            sinks.append(sink)
        elif not isinstance(logger, (CSVLogger, DummyLogger)):
            say(f"{type(logger).__name__} gets scalars only: it has no log_image to take pictures with")
    return sinks


def expected_sinks(loggers: Iterable[Logger], say: Callable[[str], None] = lambda text: None) -> list[Sink]:
    """Find the sinks as `recording_sinks` will when the run has started; opens nothing.

    Args:
        loggers: a run's.
        say: see `sinks_of`.

    Example:
        >>> [sink.name for sink in expected_sinks([WandbLogger(mode="disabled"), WandbLogger(mode="offline")])]
        ['wandb:2']
    """
    return [sink for sink in sinks_of(loggers, say) if not isinstance(sink, WandbSink) or not sink.is_off()]


def recording_sinks(loggers: Iterable[Logger], say: Callable[[str], None]) -> list[Sink]:
    """Find the sinks as `sinks_of` does, without those that drop what they are given; opens W&B's run.

    Args:
        loggers: a run's.
        say: see `sinks_of`.

    Example:
        >>> [sink.name for sink in recording_sinks([CSVLogger("logs"), TensorBoardLogger("logs")], say=print)]
        ['tensorboard']
    """
    return [sink for sink in sinks_of(loggers, say) if not isinstance(sink, WandbSink) or sink.records]
