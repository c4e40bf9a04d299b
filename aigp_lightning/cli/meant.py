"""Names that Ultralytics, and earlier versions of Lightning, have for options, and ours."""

from __future__ import annotations

MEANT = {
    "epochs": "trainer.max_epochs",
    "time": "trainer.max_time",
    "batch": "data.batch_size",
    "imgsz": "data.imgsz",
    "data": "data.data_yaml",
    "model": "model.weights",
    "source": "data.source",
    "workers": "data.workers",
    "device": "trainer.devices",
    "devices": "trainer.devices",
    "trainer.gpus": "trainer.devices",
    "gpus": "trainer.devices",
    "accelerator": "trainer.accelerator",
    "amp": "trainer.precision",
    "half": "trainer.precision",
    "name": "run.name",
    "project": "run.root",
    "exist_ok": "run.exist_ok",
    "resume": "ckpt_path",
    "trainer.resume_from_checkpoint": "ckpt_path",
    "weights": "model.weights",
    "pretrained": "model.weights",
    "optimizer": "model.optim.name",
    "lr": "model.optim.lr0",
    "patience": "early_stopping.patience",
    "seed": "data.seed",
    "fraction": "trainer.limit_train_batches",
    "conf": "model.predict_conf",
    "iou": "model.iou",
    "max_det": "model.max_det",
}
"""Their name to ours, without dashes."""


def our_option(word: str) -> str | None:
    """Return the option here that another program's word stands for, without dashes; None where there is none.

    Args:
        word: its name, without dashes.

    Example:
        >>> our_option("epochs"), our_option("mosaic9")
        ('trainer.max_epochs', None)
    """
    return MEANT.get(word)
