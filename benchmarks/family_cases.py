"""Networks and pictures for `family_table.py`: small ones from random weights, which score without training.

Labels of the validation pictures are most of a network's own finds, shaken, so that its metrics are well inside 0…1.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import REPO

sys.path.insert(0, str(REPO / "tests"))  # drawn pictures, and networks that score without having been trained

SIZE, EPOCHS = 96, 6
NAMES = {0: "gate"}
CORNERS = ("tl", "tr", "br", "bl")
MOST_LABELS = 40
"""Finds of a picture from which its labels are chosen."""
SMALLEST_MASK = 20
"""Area of the smallest mask of which an outline is written, pixels."""
LARGEST_OVERLAP = 0.2
"""Share of a mask that may lie on earlier ones."""


def task_of(variant: str) -> str:
    """Return the task of a network.

    Args:
        variant: its name.
    """
    return next((task for mark, task in (("-pose", "pose"), ("-seg", "segment")) if mark in variant), "detect")


def two_heads(variant: str) -> bool:
    """True if a variant has a head without NMS.

    Args:
        variant: its name.
    """
    return variant.startswith(("yolov10", "yolo26"))


def random_network(variant: str, calm: bool = False) -> Any:
    """Build a network whose scores and boxes differ from place to place.

    Args:
        variant: its name.
        calm: with statistics as a trained network has them; otherwise with those of noise, to find much in it.
    """
    import torch
    from yolo_scored import wake_up

    from aigp_lightning.modules.gains import LossGains
    from aigp_lightning.modules.pose import PoseGains
    from aigp_lightning.modules.yolo.build import build_model
    from aigp_lightning.types import Keypoints

    torch.manual_seed(0)
    task = task_of(variant)
    keypoints = Keypoints(4, 3, CORNERS) if task == "pose" else None
    gains = vars(PoseGains() if task == "pose" else LossGains())
    network: Any = build_model(variant, NAMES, gains, task, keypoints, EPOCHS)
    head = network.model[-1]
    if not calm:
        wake_up(network)
        for branch in (*head.cv2, *getattr(head, "cv4_kpts", ())) if head.reg_max == 1 else ():  # no inverted boxes
            (branch if isinstance(branch, torch.nn.Conv2d) else branch[-1]).weight.data.mul_(0.1)
        if task == "segment":
            fill_masks(head)
        for name, branch in head.named_children():  # the other head finds about the same, but not quite
            if name.startswith("one2one_"):
                branch.load_state_dict(getattr(head, name.removeprefix("one2one_")).state_dict())
        for branch in head.one2one_cv3 if two_heads(variant) else ():
            branch[-1].weight.data.add_(torch.randn_like(branch[-1].weight), alpha=0.1)
        return network
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.1)
    for branch in (*head.cv3, *(head.one2one_cv3 if two_heads(variant) else ())):
        branch[-1].weight.data.normal_(0, 0.5)
        branch[-1].bias.data[:] = -1.0
    return network


def fill_masks(head: Any) -> None:
    """Have a head that was not trained make masks that fill most of their boxes.

    Args:
        head: of a segmentation network.
    """
    for coefficients in head.cv4:
        coefficients[-1].weight.data.normal_(0, 0.03)
        coefficients[-1].bias.data.fill_(0.4)
    head.proto.cv3.bn.bias.data.fill_(0.5)


def labelled_batch(variant: str) -> dict[str, Any]:
    """Return a batch of two pictures of noise with four objects each, as the loss wants it.

    Args:
        variant: name of the network that it is for.
    """
    import torch

    from aigp_lightning.modules.yolo.masks import classes_of_pixels

    random = torch.Generator().manual_seed(0)
    batch: dict[str, Any] = {
        "img": torch.rand(2, 3, SIZE, SIZE, generator=random),
        "cls": torch.zeros(8, dtype=torch.int64),
        "bboxes": torch.rand(8, 4, generator=random) * 0.4 + 0.2,
        "batch_idx": torch.arange(2).repeat_interleave(4),
    }
    if task_of(variant) == "pose":
        batch["keypoints"] = torch.cat((torch.rand(8, 4, 2, generator=random), torch.ones(8, 4, 1)), -1)
    if task_of(variant) == "segment":
        side = SIZE // 4
        masks = torch.zeros(2, side, side, dtype=torch.uint8)
        grid = (torch.arange(side) + 0.5) / side
        area = batch["bboxes"][:, 2] * batch["bboxes"][:, 3]
        for number in area.argsort(descending=True).tolist():  # an ellipse in each box, small ones on top
            x, y, width, height = batch["bboxes"][number].tolist()
            inside = ((grid[:, None] - y) / height * 2) ** 2 + ((grid - x) / width * 2) ** 2 < 1
            masks[number // 4][inside] = number % 4 + 1
        batch |= {"masks": masks, "overlap_mask": True, "counts": [4, 4]}
        batch["sem_masks"] = classes_of_pixels(batch)
    return batch


def label_pictures(weights: Path, folder: Path, variant: str) -> Path:
    """Draw pictures to train on, and some of noise, labelled by a network itself; return the data set's YAML.

    Args:
        weights: the network's file, see `random_network`.
        folder: where to.
        variant: its name.
    """
    import torch
    from helpers import CORNERS_YAML, draw_corners, draw_masks
    from PIL import Image

    from aigp_lightning.data.images import label_path, read_image
    from aigp_lightning.modules.registry import open_weights

    task = task_of(variant)
    for split, count in (("train", 64), ("val", 6)):
        (draw_masks if task == "segment" else draw_corners)(folder, split, count, seed=5)
    for file in (folder / "labels" / "train").iterdir():  # of one class; to a detector boxes alone
        rows = [row.split()[1 : 5 if task == "detect" else None] for row in file.read_text("utf-8").splitlines()]
        file.write_text("\n".join(" ".join(["0", *row]) for row in rows), encoding="utf-8")
    module, random = open_weights(weights), np.random.default_rng(3)
    for file in sorted((folder / "images" / "val").iterdir()):
        Image.fromarray(random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(file)
        pixels = torch.from_numpy(read_image(str(file)).copy()).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            found = module.predict_batch({"img": pixels}, 0.001)[0]
        chosen = np.flatnonzero(random.random(min(len(found.boxes), MOST_LABELS)) < 0.6)
        chosen = apart(found, chosen) if task == "segment" else chosen
        label_of = outline_of if task == "segment" else row_of
        kept = [label_of(found, index, random) for index in chosen]
        lines = [" ".join(["0", *(f"{value:.6f}" for value in row)]) for row in kept if row is not None]
        Path(label_path(str(file))).write_text("\n".join(lines), encoding="utf-8")
    yaml = CORNERS_YAML if task == "pose" else "train: images/train\nval: images/val\nnames: {0: gate}\n"
    (folder / "data.yaml").write_text(yaml, encoding="utf-8")
    return folder / "data.yaml"


def apart(found: Any, chosen: Any) -> list[int]:
    """Return those objects whose masks lie mostly free of earlier ones, which would be drawn over each other.

    Args:
        found: a `Prediction`.
        chosen: indices of objects.
    """
    taken, kept = np.zeros(found.masks.shape[1:], bool), []
    for index in chosen:
        mask = found.masks[index].numpy() > 0
        if (mask & taken).sum() <= mask.sum() * LARGEST_OVERLAP:
            taken |= mask
            kept.append(index)
    return kept


def row_of(found: Any, index: int, random: np.random.Generator) -> list[float] | None:
    """Return the label of a box and its keypoints, shaken; None for one that is too small.

    Args:
        found: a `Prediction`.
        index: of the object.
        random: that shakes.
    """
    box = np.clip((found.boxes[index].numpy() + random.normal(0, 0.8, 4)) / SIZE, 0, 1)
    sides = box[2:] - box[:2]
    if (sides <= 0.05).any():
        return None
    row = [*(box[:2] + box[2:]) / 2, *sides]
    if found.keypoints is not None:
        points = found.keypoints[index].numpy().copy()
        points[:, :2] = np.clip((points[:, :2] + random.normal(0, 0.8, (len(points), 2))) / SIZE, 0, 1)
        points[:, 2] = 2
        row += points.ravel().tolist()
    return row


def outline_of(found: Any, index: int, random: np.random.Generator) -> list[float] | None:
    """Return the outline of a mask, shaken; None for one that is too small.

    Args:
        found: a `Prediction`.
        index: of the object.
        random: that shakes.
    """
    import cv2

    rings, _ = cv2.findContours(found.masks[index].numpy(), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    ring = max(rings, key=cv2.contourArea, default=None)
    if ring is None or cv2.contourArea(ring) < SMALLEST_MASK:
        return None
    points = np.clip((ring[:, 0] + random.normal(0, 0.5, 2)) / SIZE, 0, 1)
    return points.ravel().tolist() if (np.ptp(points, axis=0) > 0.05).all() else None
