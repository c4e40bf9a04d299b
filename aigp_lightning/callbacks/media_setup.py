"""What a run's pictures need before the first is drawn: who gets them, the ledger, the budget, the thread."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_utilities.core.rank_zero import rank_zero_info

from aigp_lightning.errors import ConfigError, warn_user
from aigp_lightning.media.budget import Budget
from aigp_lightning.media.delivery import Delivery
from aigp_lightning.media.ledger import Ledger
from aigp_lightning.media.routing import Routing, closing_kinds
from aigp_lightning.media.sinks import WandbSink, sinks_of
from aigp_lightning.media.worker import RenderWorker

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from aigp_lightning.callbacks.media import Media

LEDGER_FILE = "media.jsonl"


def start_render_worker(media: Media, trainer: pl.Trainer) -> RenderWorker:
    """Start the thread that draws, on the first process.

    Raises:
        ConfigError: see `check_images`.
    """
    folder = Path(trainer.default_root_dir)
    sinks = sinks_of(trainer.loggers, rank_zero_info)
    routing = Routing(media.routes, [sink for sink in sinks if not (isinstance(sink, WandbSink) and sink.discards)])
    if not media.checked:
        check_images(media, trainer.datamodule, routing)  # type: ignore[attr-defined]
    ledger = Ledger(folder / LEDGER_FILE, media.resuming or bool(trainer.ckpt_path))
    budget = Budget(media.max_mb, ledger.total(destinations=[s.name for s in routing.sinks if s.remote]), warn_user)
    budget.reserve_for({kind: routing.remote_takers(kind) for kind in closing_kinds(trainer.lightning_module)})
    delivery = Delivery(folder, ledger, routing, budget, warn_user)
    return RenderWorker(folder, delivery, media.private, media.private_action == "withhold", media.keep_history)


def check_images(media: Media, data: Any, routing: Routing) -> None:
    """Check the images that the options name, and say how many are private.

    Args:
        media: the run's callback.
        data: a datamodule with its splits read; one without `image_files` is passed over.
        routing: who would get which kind.

    Raises:
        ConfigError: private images would leave, and the run is to refuse that; or what is named fits no image.
    """
    media.checked = True
    if media.val.select == "files" and hasattr(data, "pictures"):
        media.val.open(data.pictures("val"))
        media.val.forget()
    if media.private and hasattr(data, "image_files"):
        _check_private(media, data, routing)


def _check_private(media: Media, data: Any, routing: Routing) -> None:
    train, val = data.image_files("train"), data.image_files("val")
    secret = [sum(image in media.private for image in images) for images in (train, val)]
    counts = f"{secret[0]} of {len(train)} training and {secret[1]} of {len(val)} validation images"
    rank_zero_info(f"media.private: {counts} are private")
    if not any(secret):
        raise ConfigError(
            f"media.private fits no image of this data set, such as {(train + val)[0]}. Before anything leaves "
            "unmasked: check the spelling, or set media.private to null for data without private images."
        )
    if unused := media.private.unused():
        warn_user(f"media.private: no image of this data set fits {', '.join(unused)}")
    shown = {
        "train_batch": secret[0] and media.train_batches,
        "val_labels": secret[1] and media.val_batches,
        "val_pred": secret[1] and media.val_batches,
    }
    leaving = [kind for kind, some in shown.items() if some and routing.remote_takers(kind)]
    if media.private_action == "refuse" and leaving:
        raise ConfigError(
            f"private images could be in pictures that leave this machine ({', '.join(leaving)}), and "
            f"--media.private_action is refuse. Route these kinds elsewhere, for instance "
            f"--media.routes.{leaving[0]} '[file]', or choose mask or withhold."
        )


def logged_step(trainer: pl.Trainer) -> int:
    """The step at which Lightning logs scalars now: batches, from 0, and not optimizer steps."""
    return int(getattr(trainer.fit_loop.epoch_loop, "_batches_that_stepped", trainer.global_step))


def gather(trainer: pl.Trainer, mine: Any) -> list[Any]:
    """Every process's share, on rank zero; elsewhere an empty list. All processes call it."""
    if trainer.world_size == 1:
        return [mine]
    import torch.distributed

    shares: list[Any] | None = [None] * trainer.world_size if trainer.is_global_zero else None
    torch.distributed.gather_object(mine, shares)
    return shares or []
