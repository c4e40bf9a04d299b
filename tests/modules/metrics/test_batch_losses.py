"""Validation losses of several processes' shares are those of the whole batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from aigp_lightning.modules.metrics.batch_losses import BatchLosses


def loss_of(values: list[float], weights: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """A loss as Ultralytics has them: a sum, divided by the sum of the targets' weights or by 1; and that sum."""
    divisor = torch.tensor(sum(weights))
    return torch.tensor(sum(values)) / divisor.clamp(min=1), divisor


SHARES = [  # of every batch: what each process has of it
    [([3.0, 1.0], [0.5, 0.25]), ([2.0], [4.0]), ([], [])],  # weights below 1 in one share; an empty share
    [([7.0], [0.0]), ([1.0], [0.25]), ([4.0], [0.0])],  # all together below 1: nothing but background, nearly
]


def test_shares_are_put_together() -> None:
    """The states are joined as torchmetrics joins them: process after process."""
    whole, ranks = BatchLosses(), [BatchLosses() for _ in range(3)]
    for batch in SHARES:
        item, divisor = loss_of([v for share in batch for v in share[0]], [w for share in batch for w in share[1]])
        whole.update([item], [divisor])
        for rank, share in zip(ranks, batch, strict=True):
            item, divisor = loss_of(*share)
            rank.update([item], [divisor])
    joined = BatchLosses()
    for state in ("items", "divisors", "steps"):
        setattr(joined, state, [one for rank in ranks for one in getattr(rank, state)])
    expected = (6 / 4.75 + 12 / 1) / 2
    assert whole.compute() == pytest.approx([expected], rel=1e-6)
    assert joined.compute() == pytest.approx([expected], rel=1e-6)


@pytest.mark.parametrize("variant", ["yolo11n-pose", "yolo26n-pose"])
def test_a_batch_in_parts_has_the_loss_of_the_batch(variant: str, corners: Path) -> None:
    """Also of the newer pose loss, whose components have divisors of their own."""
    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.pose import PoseModule

    torch.manual_seed(0)
    module, data = PoseModule(variant=variant, camera=None), YoloDataModule(str(corners), imgsz=96, workers=0)
    module.keypoints = data.spec.keypoints
    module.set_network(module.build_network(data.names))
    module.eval()
    whole, parts = BatchLosses(), BatchLosses()
    batch = module.on_after_batch_transfer(loaded(data), 0)
    with torch.no_grad():
        for metric, shares in ((whole, [batch]), (parts, [part(batch, [0, 2, 4]), part(batch, [1, 3])])):
            for share in shares:
                output = module.evaluate(share)
                assert list(output["loss_items"]) == list(module.loss_names)
                divisors = [output["loss_divisors"][name] for name in module.loss_names]
                metric.update(list(output["loss_items"].values()), divisors)
    parts.steps = [torch.tensor([0]), torch.tensor([0])]  # of one batch
    expected = whole.compute()
    assert min(expected[:3]) > 0, "there is something in every component"
    assert parts.compute() == pytest.approx(expected, rel=1e-4)


def loaded(data: Any) -> Any:
    """A batch of five pictures with keypoints, of one shape."""
    from aigp_lightning.data.collate import collate
    from aigp_lightning.data.dataset import EvalDataset
    from aigp_lightning.data.samplers import EvalRequest
    from aigp_lightning.data.scan import scan_split

    dataset = EvalDataset(scan_split(data.spec, "val", pose=True, progress=False).records, 96)
    return collate([dataset[EvalRequest(index, (96, 96))] for index in range(5)])


def part(batch: Any, images: list[int]) -> Any:
    """These images of a batch."""
    rows = torch.isin(batch["batch_idx"], torch.tensor(images))
    places = {image: place for place, image in enumerate(images)}
    share = {key: batch[key][rows] for key in ("cls", "bboxes", "keypoints")}
    share["batch_idx"] = torch.tensor([places[int(image)] for image in batch["batch_idx"][rows]])
    return {**batch, **share, "img": batch["img"][images], "im_file": [batch["im_file"][image] for image in images]}
