"""Which destinations leave this machine, however their address is put together."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import fsspec
import numpy as np
import pytest
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

from aigp_lightning.errors import ConfigError
from aigp_lightning.loggers.tensorboard import ResilientTensorBoardLogger
from aigp_lightning.media.hand_over import HandOver
from aigp_lightning.media.ledger.ledger import read_ledger
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.pipeline import start_pipeline
from aigp_lightning.media.routing import Routes, Routing
from aigp_lightning.media.sinks import expected_sinks, sinks_of
from aigp_lightning.media.types import RenderedImage, RenderGroup, RenderJob


class LazyLogger(TensorBoardLogger):
    """Lightning's, for folders at which fsspec would be asked for a package that is not installed."""

    def __init__(self, save_dir: str, *args: Any, **kwargs: Any) -> None:
        super().__init__("", *args, **kwargs)
        self._root_dir = save_dir


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a place that is no disk; by variables too."""
    monkeypatch.setenv("BUCKET", "memory://bucket")
    monkeypatch.setenv("HERE", "logs")
    monkeypatch.setenv("NOTHING", "")
    yield "memory://bucket"
    fsspec.filesystem("memory").rm("/", recursive=True)


@pytest.mark.parametrize(
    "arguments",
    [("$BUCKET",), ("${BUCKET}/x",), ("$BUCKET", ""), ("memory:/$NOTHING/bucket",), ("memory:$NOTHING//bucket",),
     ("", "$BUCKET"), ("", "memory://bucket"), ("", "", "$BUCKET"), ("logs", "a", "memory://x"), ("s3:",), ("gs:/x",),
     ("file:///tmp/x",), ("FILE:///tmp/x",), ("logs", "x", 1, "memory://y"), ("logs", "x", 1, "$BUCKET"), (" s3://x",),
     ("simplecache::memory://x",), ("memory::x",), ("logs", "x::memory:")],
    ids=str,
)  # fmt: skip
def test_what_is_not_certainly_a_disk_is_remote(arguments: tuple[Any, ...], bucket: str) -> None:
    """Lightning expands variables in the whole; TensorBoard, TensorFlow and fsspec read schemes each their way."""
    save_dir, name, version, sub_dir = (*arguments, *("x", "", None)[len(arguments) - 1 :])
    (sink,) = sinks_of([LazyLogger(save_dir, name, version, sub_dir=sub_dir)])
    assert sink.remote


@pytest.mark.parametrize(
    "arguments",
    [("logs",), ("$HERE", "x"), ("~/logs",), ("$UNKNOWN",), ("logs", "run 10:30"), ("logs", "", "a#b%20[c]"),
     ("./a:b",)],
    ids=str,
)  # fmt: skip
def test_a_disk_is_local(arguments: tuple[str, ...], bucket: str, tmp_path: Path) -> None:
    (sink,) = sinks_of([TensorBoardLogger(*arguments)])
    assert not sink.remote
    (sink,) = sinks_of([TensorBoardLogger(tmp_path / arguments[0], *arguments[1:])])
    assert not sink.remote


def test_a_class_of_one_s_own_is_asked(bucket: str, tmp_path: Path) -> None:
    class Elsewhere(TensorBoardLogger):
        log_dir = bucket  # type: ignore[assignment]

    class Broken(TensorBoardLogger):
        @property
        def log_dir(self) -> str:
            raise ImportError("no gcsfs here")

    assert [sink.remote for sink in sinks_of([Elsewhere(tmp_path), Broken(tmp_path)])] == [True, True]


def test_a_variable_that_changes_meanwhile_sends_nothing(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", str(tmp_path))
    (sink,) = sinks_of([TensorBoardLogger("$PLACE", name="", version="")])
    assert not sink.remote
    monkeypatch.setenv("PLACE", bucket)
    with pytest.raises(ConfigError, match="another place"):
        sink.send(
            HandOver([RenderedImage(RenderJob("val_pred", "a.jpg", picture), tmp_path / "a.jpg", b"")]), epoch=0, step=0
        )


def picture(masked: frozenset[int]) -> np.ndarray[Any, Any]:
    return np.full((8, 8, 3), 40 if masked else 200, np.uint8)


def test_a_bucket_named_by_a_variable_gets_masked_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read back from its event file; the address of a folder stands in for a bucket's."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("BUCKET", (tmp_path / "bucket").as_uri())
    logger = ResilientTensorBoardLogger("$BUCKET", name="tensorboard", version="")
    routing, said = Routing(Routes(), sinks_of([logger])), list[str]()
    private = ImagePatterns("secret.jpg", "--media.private")
    worker = start_pipeline(
        tmp_path, routing, private, withhold=False, max_mb=None, keep_history=False, closing=(), resuming=False,
        say=said.append,
    )  # fmt: skip
    worker.put(RenderGroup([RenderJob("val_pred", "val_batch0_pred.png", picture, (("secret.jpg",),))], 0, 0))
    worker.close()
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "bucket" / "tensorboard"))
    events.Reload()
    (image,) = events.Images("val_batch0_pred")
    pixels = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).max() for data in
              (image.encoded_image_string, (tmp_path / "val_batch0_pred.png").read_bytes())]  # fmt: skip
    assert pixels == [40, 200]
    (line,) = [line for line in read_ledger(tmp_path / "media.jsonl") if line.destination == "tensorboard"]
    assert (line.is_remote, line.sha256) == (True, sha256(image.encoded_image_string).hexdigest())


@pytest.mark.parametrize(
    ("environment", "arguments", "names"),
    [("disabled", {}, []), ("online", {"mode": "disabled"}, []), ("offline", {}, ["wandb"]),
     ("disabled", {"mode": "offline"}, ["wandb"]), ("disabled", {"settings": {"mode": "offline"}}, ["wandb"]),
     ("disabled", {"offline": True}, ["wandb"]), ("offline", {"settings": {"mode": "disabled"}}, [])],
    ids=str,
)  # fmt: skip
def test_wandb_switched_off_is_no_destination(
    environment: str, arguments: dict[str, Any], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", environment)
    assert [sink.name for sink in expected_sinks([WandbLogger(**arguments)])] == names
