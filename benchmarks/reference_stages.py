"""The stages of a training step of Ultralytics' trainer, as far as its hooks and torch's tell them apart."""

from __future__ import annotations

from typing import Any

from common import quiet_reference
from stage_times import Stages
from step_borders import LOADER, EpochTimes


def their_step(spec: dict[str, Any], warm_up: int, plain: int) -> dict[str, Any]:
    """Time the step of `DetectionTrainer`, without validation, plots and checkpoints.

    Args:
        spec: data, model and settings, as for ours.
        warm_up: first epochs, not timed.
        plain: epochs after them, timed without borders.

    Returns:
        Wall and processor milliseconds an image of every stage, and those of a step without borders.
    """
    quiet_reference()
    import torch
    from ultralytics.models.yolo.detect import DetectionTrainer

    gpu = spec["device"] != "cpu"
    stages = Stages(gpu)
    times = EpochTimes(stages, warm_up, plain)

    class Trainer(DetectionTrainer):
        def preprocess_batch(self, batch: Any) -> Any:
            done = super().preprocess_batch(batch)
            stages.mark("transfer, bytes to fractions")
            return done

        def optimizer_step(self) -> None:
            super().optimizer_step()
            stages.mark("clip, optimizer step, EMA")

    def hook(trainer: Any) -> None:
        trainer.model.model[-1].register_forward_hook(lambda *_: stages.mark("forward"))
        trainer.model.register_forward_hook(lambda *_: stages.mark("loss"))
        first = next(trainer.model.parameters())  # the last one to get its gradient
        first.register_post_accumulate_grad_hook(lambda *_: stages.mark("backward"))

    settings = {
        **{"model": f"{spec['model']}.yaml", "data": spec["data"], "epochs": spec["epochs"] + warm_up + plain},
        **{"batch": spec["batch"], "imgsz": spec["imgsz"], "workers": spec["workers"], "device": "0" if gpu else "cpu"},
        **{"project": spec["folder"], "name": "theirs", "plots": False, "val": False, "save": False},
        **{"close_mosaic": 0, "verbose": False, "pretrained": False, "amp": gpu},
    }
    trainer: Any = Trainer(overrides=settings)
    trainer.final_eval = lambda: None  # the last epoch would be validated even with val=False
    trainer.validate = lambda: ({}, 0.0)
    torch.set_num_threads(spec["threads"])  # on a CPU it has just set them to cores - 1
    trainer.add_callback("on_train_start", hook)
    trainer.add_callback("on_train_epoch_start", lambda trainer: times.start(trainer.epoch))
    trainer.add_callback("on_train_batch_start", lambda _: stages.mark(LOADER))
    trainer.add_callback("on_train_batch_end", lambda _: stages.mark("logging"))
    trainer.add_callback("on_train_epoch_end", lambda trainer: times.stop(trainer.epoch))
    trainer.train()
    images = len(trainer.train_loader.dataset)
    return {"stages": stages.per_image(images * spec["epochs"]), "plain": 1000 * times.plain / images / plain}
