"""What tests of the YOLO family share: names, gains, and a batch of random boxes."""

from __future__ import annotations

import torch

NAMES = {0: "gate", 1: "tree"}
SIZE = 64
GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}


def labelled_batch(count=3, seed=0) -> dict:
    """Four boxes an image, but none in the last one."""
    random = torch.Generator().manual_seed(seed)
    boxes = (count - 1) * 4
    return {
        "img": torch.rand(count, 3, SIZE, SIZE, generator=random),
        "cls": torch.randint(0, 2, (boxes,), generator=random),
        "bboxes": torch.rand(boxes, 4, generator=random) * 0.4 + 0.2,
        "batch_idx": torch.arange(count - 1).repeat_interleave(4),
    }
