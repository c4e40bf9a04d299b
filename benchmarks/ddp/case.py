"""A keypoint model that was not trained, and pictures on which it scores: labels are its own best finds, shaken.

Metrics are then well inside 0…1 without a training that takes time and may fail, and every figure has something to
count: boxes of three classes, corners, gates with and without a solvable place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

NAMES = ("small", "middle", "large")
IMGSZ = 96
SIZES = ((96, 96), (64, 96), (96, 64))
KEEP, SHAKE, MOST = 0.6, 0.6, 12
"""Share of the finds that become labels; how far sides and corners are moved, pixels (standard deviation); labels of a
picture, at most."""


def build(folder: Path, images: int, group: int, seed: int = 0) -> tuple[Path, Path]:
    """Write `model.pt` and a data set.

    Args:
        folder: an empty one.
        images: of the validation split.
        group: images that are letterboxed alike, twice `--data.batch_size`.
        seed: of everything.

    Returns:
        The paths of the weights and of data.yaml.
    """
    import torch

    from aigp_lightning.modules.yolo.build import build_model
    from aigp_lightning.modules.yolo.weights import save_pt
    from aigp_lightning.types import Keypoints

    torch.manual_seed(seed)
    keypoints = Keypoints(4, 3, ("tl", "tr", "br", "bl"), (1, 0, 3, 2))
    model = build_model("yolo11n-pose", dict(enumerate(NAMES)), {}, "pose", keypoints)
    _wake_up(model, seed)
    save_pt(folder / "model.pt", model)
    yaml = folder / "data.yaml"
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(NAMES))
    yaml.write_text(f"train: images/val\nval: images/val\nkpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]\nnames:\n{names}")
    _draw(folder, images, seed)
    _label(folder, yaml, group, seed)
    return folder / "model.pt", yaml


def _wake_up(model: object, seed: int) -> None:
    """Give an untrained model boxes, scores and corners that differ from place to place."""
    import numpy as np
    import torch

    network: torch.nn.Module = model  # type: ignore[assignment]
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    random = np.random.default_rng(seed)
    pictures = np.stack([_picture(random, IMGSZ, IMGSZ) for _ in range(16)])
    network.train()(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255)
    head = network.model[-1]  # type: ignore[index,operator]
    corners = torch.tensor([[-1.0, -1.0, 2.0], [1.0, -1.0, 2.0], [1.0, 1.0, 2.0], [-1.0, 1.0, 2.0]]) * 0.75
    for box, score, point in zip(head.cv2, head.cv3, head.cv4, strict=True):  # type: ignore[union-attr,arg-type]
        torch.nn.init.normal_(box[-1].weight, std=0.3)
        torch.nn.init.normal_(score[-1].weight, std=0.3)
        torch.nn.init.normal_(point[-1].weight, std=0.1)
        score[-1].bias.data.fill_(-4)
        box[-1].bias.data.copy_(-1.5 * torch.arange(16.0).sub(1.5).abs().repeat(4))
        point[-1].bias.data.copy_(corners.flatten())


def _picture(random: Any, height: int, width: int) -> Any:
    """Noise in blocks: cheap, and no two pictures alike."""
    import cv2
    import numpy as np

    blocks = random.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
    return cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST)


def _draw(folder: Path, images: int, seed: int) -> None:
    import cv2
    import numpy as np

    random = np.random.default_rng(seed)
    (folder / "images" / "val").mkdir(parents=True)
    (folder / "labels" / "val").mkdir(parents=True)
    for number in range(images):
        picture = _picture(random, *SIZES[number % len(SIZES)])
        cv2.imwrite(str(folder / "images" / "val" / f"{number:03d}.png"), picture)


def _label(folder: Path, yaml: Path, group: int, seed: int) -> None:
    """Make labels of what the model finds."""
    import numpy as np
    import torch

    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.dataset import EvalDataset
    from aigp_lightning.data.images import label_path
    from aigp_lightning.data.samplers import EvalBatchSampler
    from aigp_lightning.data.scan import scan_split
    from aigp_lightning.modules.pose import PoseModule

    module, random = PoseModule(weights=str(folder / "model.pt")), np.random.default_rng(seed)
    module.set_network(module.build_network(None))
    module.eval()
    records = scan_split(read_data_yaml(yaml), "val", progress=False).records
    dataset = EvalDataset(records, IMGSZ)
    for request in (one for batch in EvalBatchSampler([r.shape for r in records], group, IMGSZ) for one in batch):
        item = dataset[request]
        pixels = torch.from_numpy(item["image"]).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            found = module.predict_batch({"img": pixels}, 0.001)[0]  # type: ignore[typeddict-item]
        (gain, _), pad = item["ratio_pad"]
        size = np.array(item["ori_shape"][::-1], dtype=float)
        points = (
            (found.keypoints[..., :2].numpy() + random.normal(0, SHAKE, (len(found.boxes), 4, 2)) - pad) / gain / size
        )  # type: ignore[index]
        boxes = found.boxes.numpy().reshape(-1, 2, 2) + random.normal(0, SHAKE, (len(found.boxes), 2, 2))
        boxes = ((boxes - pad) / gain / size).clip(0, 1)
        inside = ((points > 0) & (points < 1)).all((1, 2)) & (np.diff(boxes, axis=1) > 0.02).all((1, 2))
        chosen = np.flatnonzero(inside & (random.random(len(boxes)) < KEEP))[:MOST]
        rows = []
        for place in chosen:
            (low, high), corners = boxes[place], points[place]
            seen = random.integers(1, 3, 4)
            numbers = [*(low + high) / 2, *(high - low), *np.column_stack((corners, seen)).ravel()]
            rows.append(f"{int(found.labels[place])} " + " ".join(f"{number:.6f}" for number in numbers))
        Path(label_path(item["im_file"])).write_text("\n".join(rows), encoding="utf-8")
