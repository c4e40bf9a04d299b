"""The table of families: one that fails costs its own cells, and its cases are what they should be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import REPO


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPO / "benchmarks"))


def test_a_cell_that_failed_says_why() -> None:
    from family_table import HEADER, fill, table

    def refuse() -> list[str]:
        raise ValueError("a long story\nno such head")

    row = dict.fromkeys(HEADER, "–") | {"network": "`x`"}
    fill(row, ["trains", "resumes"], refuse)
    fill(row, ["loss"], lambda: ["1e-07"])
    wrong = "failed: ValueError: no such head"
    assert table([row]).splitlines()[-1] == f"| `x` | {wrong} | 1e-07 | – | – | – | – | {wrong} |"


def test_masks_that_would_be_drawn_over_each_other_are_no_labels() -> None:
    from family_cases import apart, outline_of

    from aigp_lightning.types import Prediction

    masks = torch.zeros(4, 96, 96, dtype=torch.uint8)
    masks[0, 10:40, 10:40] = masks[1, 20:50, 10:40] = masks[2, 38:70, 10:40] = 1
    masks[3, 80:83, 80:83] = 1  # too small for an outline
    found = Prediction(torch.zeros(4, 4), torch.ones(4), torch.zeros(4, dtype=torch.int64), masks=masks)
    assert apart(found, [0, 1, 2, 3]) == [0, 2, 3]
    assert outline_of(found, 3, np.random.default_rng(0)) is None
    points = np.array(outline_of(found, 0, np.random.default_rng(0))).reshape(-1, 2) * 96
    assert np.abs(points - [[10, 10], [10, 39], [39, 39], [39, 10]]).max() < 2


def test_a_batch_has_a_mask_for_every_object() -> None:
    from family_cases import labelled_batch, task_of

    batch = labelled_batch("yolo26n-seg")
    assert [torch.unique(mask).tolist() for mask in batch["masks"]] == [[0, 1, 2, 3, 4]] * 2
    assert [task_of(name) for name in ("yolov9t", "yolov8n-pose", "yolov9c-seg")] == ["detect", "pose", "segment"]
