"""Train autonomous-racing models on PyTorch Lightning, in charge of every picture that leaves the machine."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from aigp_lightning.run.caches import redirect_caches

if TYPE_CHECKING:
    from pathlib import Path

    from aigp_lightning.api.model import Model

# Ultralytics and Albumentations look for updates over the network when they are imported; ONNX Runtime (since 1.29)
# reports its use to Microsoft, and MLflow (since 3.2) to its makers. They read these switches at that moment. This file
# runs before any of them can be imported, so nothing here ever asks. A user's own value wins.
if "YOLO_OFFLINE" not in os.environ:
    # The second one is for `fetch`, which obeys a YOLO_OFFLINE of the user's own, in processes started from here too.
    os.environ.update(YOLO_OFFLINE="true", AIGP_HAS_SET="YOLO_OFFLINE")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

# OpenVINO reports its import to Google Analytics, and writes an id for that into the home folder; no switch of its own
# keeps it from that, but it does without the package that does this where there is none.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

# PyTorch's idle CPU threads spin while they wait for one another. Where anything else runs on the same cores they take
# each other's time, and a step takes ten times as long; sleeping threads share. Read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Nothing of theirs goes into the home folder. They read where to write when they are imported.
redirect_caches()

__version__ = "0.1.0"


def load(file: str | Path, device: str | None = None, thresholds: str | Path | None = "auto") -> Model:
    """Open a trained model; `load("best.ckpt").predict("a.jpg")` finds what is in a picture.

    Args:
        file: a checkpoint, `.pt`, `.pth`, `.onnx` or `.torchscript`; a run folder; or a folder of the model store.
        device: such as `cuda:0` or `cpu`; None takes a GPU where there is one.
        thresholds: file of `calibrate` whose limits count; `auto`: that of the model's run, if any; None: none.

    Raises:
        WeightsError: there is no such file, or it cannot be opened.
        ConfigError: the folder holds no model or several, or a package is missing.

    Example:
        >>> load("best.onnx")
        Traceback (most recent call last):
        aigp_lightning.errors.WeightsError: best.onnx: there is no such file or folder.
    """
    from aigp_lightning.api.model import Model  # torch, for those who need it

    return Model(file, device, thresholds)
