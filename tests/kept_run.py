"""A finished run of six epochs, without the training: the real pipeline draws, writes and notes its pictures."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from aigp_lightning.audit.check import audit
from aigp_lightning.files import write_atomic
from aigp_lightning.logfiles.event_file import event_files, read_event_file
from aigp_lightning.logfiles.wandb_run import read_wandb_run, wandb_folders
from aigp_lightning.media.ledger.ledger import Line, read_ledger
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.pipeline import start_pipeline
from aigp_lightning.media.routing import Routes, Routing
from aigp_lightning.media.sinks import OtherSink
from aigp_lightning.media.types import RenderGroup, RenderJob
from aigp_lightning.run.folder import mark_run_folder
from aigp_lightning.ship.destinations import Destination, build_destination
from aigp_lightning.ship.rules import read_rules, read_run_config

EPOCHS, STEPS = 6, 3
HOME = "data/home/1.jpg"
"""The image that some runs keep private; it is in the second validation mosaic."""


class Board:
    """A remote logger; because of it a run masks what is private."""

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        """Take pictures."""


def make_run(
    run: Path, media: Mapping[str, Any] | None = None, board: bool = False, config: Mapping[str, Any] | None = None,
    to: Sequence[str] = (), routes: Routes | None = None,
) -> Path:  # fmt: skip
    """Make the folder of a run.

    Args:
        run: the folder.
        media: of the configuration.
        board: the run had a remote logger, `Board`, which got the pictures too.
        config: further groups of the configuration.
        to: loggers that it had, as `ship --to` calls them.
        routes: that the pictures took; the configuration names those of `media`.
    """
    media = {"keep_history": True, **(media or {})}
    run.mkdir(parents=True)
    mark_run_folder(run)
    groups = {"seed_everything": 0, "trainer": {"logger": False}, "model": {"optim": {"lr0": 0.01}}, "run": {}}
    (run / "config.yaml").write_text(yaml.safe_dump({**groups, "media": media, **(config or {})}), encoding="utf-8")
    loggers = [open_logger(name, run) for name in to]
    sinks = [*([OtherSink(Board())] if board else []), *(each.sink for each in loggers)]
    private = ImagePatterns(media.get("private"), "--media.private")
    worker = start_pipeline(run, Routing(routes or Routes(), sinks), private, keep_history=media["keep_history"])
    worker.put(RenderGroup([job("labels", "labels.jpg", 1)], 0, 0))
    worker.put(RenderGroup([job("train_batch", "train_batch0.jpg", 2, "data/street/7.jpg")], 0, 1))
    for epoch in range(EPOCHS):
        jobs = [
            job(f"val_{what}", f"val_batch{mosaic}_{what}.jpg", 10 * epoch + 3 * mosaic + 100, *images)
            for mosaic, images in enumerate((["data/street/1.jpg"], ["data/street/2.jpg", HOME]))
            for what in ("labels", "pred")
        ]
        worker.put(RenderGroup(jobs, epoch, STEPS * (epoch + 1) - 1))
    worker.put(RenderGroup([job("curves", "PR_curve.png", 5), job("results", "results.png", 6)], EPOCHS - 1, 18))
    worker.call(lambda: keep_anchor(run, worker.delivery.ledger.anchor().as_dict()))
    worker.close()
    for each in loggers:
        each.close(complete=True)
    rows = [f"{epoch + 1},1.5,{0.9 - epoch / 10:.6g},{epoch / 10:.6g}" for epoch in range(EPOCHS)]
    text = "\n".join(["epoch,time,train/box_loss,metrics/mAP50(B)", *rows, ""])
    (run / "results.csv").write_text(text, encoding="utf-8")
    return run


def open_logger(name: str, run: Path) -> Destination:
    """Open a logger of a run's own, which is noted in its folder."""
    destination = build_destination(name, run, read_rules(run, read_run_config(run), ()), write=True)
    destination.begin()
    return destination


def job(kind: str, name: str, seed: int, *images: str) -> RenderJob:
    """A picture of noise with a cell for each image; a masked cell is black."""

    def draw(masked: frozenset[int]) -> Any:
        pixels = np.random.default_rng(seed).integers(0, 256, (32, 48, 3), dtype=np.uint8)
        for number in masked:
            pixels[:, 24 * number : 24 * number + 24] = 0
        return pixels

    return RenderJob(kind, name, draw, tuple((image,) for image in images), int(name[9]) if "val_" in name else 0)


def keep_anchor(run: Path, anchor: Mapping[str, Any]) -> None:
    """Write a checkpoint that knows the ledger as it is now."""
    (run / "weights").mkdir()
    torch.save({"ledger": dict(anchor)}, run / "weights" / "last.ckpt")


def lines_of(run: Path, destination: str, outcome: str = "sent") -> list[Line]:
    """The ledger's lines of a destination."""
    return [x for x in read_ledger(run / "media.jsonl") if (x.destination, x.outcome) == (destination, outcome)]


def identities(lines: Sequence[Line]) -> list[tuple[str, int, str]]:
    """Key, epoch and hash of each line."""
    return sorted((line.key, line.epoch, line.sha256) for line in lines)


def in_event_files(run: Path) -> list[tuple[str, int, str]]:
    """Tag, step and hash of each picture in TensorBoard's files."""
    images = [image for path in event_files(run) for image in read_event_file(path).images]
    return sorted((image.tag, image.step, image.sha256) for image in images)


def in_wandb(run: Path) -> list[tuple[str, int | None, str]]:
    """Key, epoch and hash of each picture in W&B's folders, by the bytes in their mirrors."""
    found = []
    for record in map(read_wandb_run, wandb_folders(run)):
        for media in record.media:
            assert sha256((record.mirror / media.path).read_bytes()).hexdigest() == media.sha256
            found.append((media.key, media.epoch, media.sha256))
    return sorted(found, key=str)


def contents(run: Path) -> dict[str, str]:
    """The SHA-256 of every file of a folder."""
    files = (path for path in run.rglob("*") if path.is_file())
    return {path.relative_to(run).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


def differences(run: Path) -> list[str]:
    """What an audit finds."""
    return [f"{finding.what} {finding.file}: {finding.message}" for finding in audit(run).findings]


def edit_config(run: Path, **media: Any) -> None:
    """Change options of the group `media` in a run's configuration."""
    content = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    content["media"].update(media)
    write_atomic(run / "config.yaml", yaml.safe_dump(content).encode())


def copied(run: Path, to: Path) -> Path:
    """A copy to ship."""
    return shutil.copytree(run, to / "runs" / "gates")
