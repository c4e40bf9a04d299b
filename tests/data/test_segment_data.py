"""The synthetic data set of outlines, and its labels against its pixels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from helpers import draw_masks

from aigp_lightning.data.augment import AugmentConfig
from aigp_lightning.data.augment.on_device.draws import draw
from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.dataset import TrainDataset
from aigp_lightning.data.device_dataset import DeviceTrainDataset
from aigp_lightning.data.masks import MaskDrawing
from aigp_lightning.data.sample_sets import training_set
from aigp_lightning.data.samplers import TrainRequest
from aigp_lightning.data.scan import scan_split
from aigp_lightning.data.synthetic.annotate import label_lines
from aigp_lightning.data.synthetic.draw import compose
from aigp_lightning.data.synthetic.outline import seen_outline


def test_outlines_of_synthetic_gates_are_their_pixels() -> None:
    """Filled in, an outline covers what is seen of its gate: openings are left out, and so is what something hides."""
    size, overlaps, openings = (320, 180), [], 0
    for seed in range(6):
        scene, picture = compose(np.random.default_rng(seed), "segment", background=False, size=size)
        rows = [line.split() for line in label_lines(picture, scene.camera, "segment")]
        gates = [index for index, body in enumerate(picture.bodies) if body.kind == "gate"]
        for row in rows:
            points = np.array(row[1:], np.float64).reshape(-1, 2) * size
            drawn = np.zeros(size[::-1], np.uint8)
            cv2.fillPoly(drawn, [points.astype(np.int32)], 1)
            shares = [
                (drawn.astype(bool) & (picture.owner == index)).sum()
                / max((drawn.astype(bool) | (picture.owner == index)).sum(), 1)
                for index in gates
            ]
            overlaps.append(max(shares))
            filled = cv2.drawContours(
                np.zeros_like(drawn), cv2.findContours(drawn, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], -1, 1, -1
            )
            openings += int(filled.sum() > 1.2 * drawn.sum())
    assert len(overlaps) > 6
    assert np.median(overlaps) > 0.95 and min(overlaps) > 0.75
    assert openings > 2


def test_parts_that_are_apart_are_one_outline() -> None:
    seen = np.zeros((40, 40), bool)
    seen[4:14, 4:14] = seen[24:36, 20:36] = True
    outline = seen_outline(seen)
    assert outline is not None
    drawn = np.zeros((40, 40), np.uint8)
    cv2.fillPoly(drawn, [outline.astype(np.int32)], 1)
    assert (drawn[seen] == 1).all()
    assert drawn[~seen].sum() < 25  # the cut is a line of pixels at this size, and has no width in between
    assert seen_outline(np.zeros((9, 9), bool)) is None


PLAIN = {
    **dict.fromkeys(("hsv_h", "hsv_s", "hsv_v", "flipud", "blur", "median_blur", "to_gray", "clahe"), 0.0),
    **{"degrees": 30.0, "shear": 5.0, "translate": 0.2},
}


def samples(folder: Path, kind: type[TrainDataset] = TrainDataset, fliplr: float = 0.0) -> TrainDataset:
    """Training samples at 96 px, turned and sheared, and nothing else."""
    if not (folder / "data.yaml").exists():
        draw_masks(folder, "train", 8, 4)
        (folder / "data.yaml").write_text("train: images/train\nval: images/train\nnames: [square, disc]\n")
    spec = read_data_yaml(folder / "data.yaml")
    records = scan_split(spec, "train", outlines="all", progress=False).records
    config = AugmentConfig(**PLAIN, fliplr=fliplr)
    return training_set(
        records, spec, config, imgsz=96, batch_size=4, pose=False, kind=kind, masks=MaskDrawing()
    )  # fmt: skip


@pytest.mark.usefixtures("offline_reference")
@pytest.mark.parametrize("partners", [(), (1, 4, 5)])
def test_a_training_sample_equals_ultralytics_by_the_same_transform(tmp_path: Path, partners: tuple[int, ...]) -> None:
    from ultralytics.data.augment import Format, Mosaic, RandomPerspective
    from ultralytics.utils.instance import Instances

    dataset, compared = samples(tmp_path), 0
    for seed in range(4):
        ours = dataset[TrainRequest(3, seed, partners)]
        mine, others = dataset.sample(3), [dataset.sample(other) for other in partners]
        drawn = draw(dataset.pipeline, mine, others, seed)
        matrix = np.vstack((cv2.invertAffineTransform(drawn.to_canvas), (0, 0, 1))).astype(np.float32)
        gain = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
        parts, canvas = [mine, *others], mine["image"]
        if partners:
            canvas = np.full((192, 192, 3), 114, np.uint8)
            for tile in drawn.tiles:
                (x, y), (left, top, right, bottom) = tile.offset, tile.rect
                canvas[y + top : y + bottom, x + left : x + right] = tile.image[top:bottom, left:right]
        instances = []
        for part, tile in zip(parts, drawn.tiles, strict=True):
            one = Instances(part["bboxes"].copy(), part["segments"].copy(), None, "xyxy", normalized=False)
            one.add_padding(*tile.offset)
            instances.append({"cls": part["cls"][:, None].copy(), "instances": one, "im_file": "", "ori_shape": (0, 0)})
        joined = instances[0]
        if partners:
            joined = Mosaic(SimpleNamespace(cache="ram", use_obb=False), imgsz=96)._cat_labels(instances)
        labels = {"img": canvas, "cls": joined["cls"], "instances": joined["instances"]}
        given = {"M": matrix, "scale": gain, "size": (96, 96), "orig_shape": canvas.shape[:2]}
        warp = RandomPerspective()
        labels = warp.apply_image(warp.apply_instances(labels, given), given)
        theirs = Format(return_mask=True, mask_ratio=4, mask_overlap=True)({**labels})
        if len(ours["cls"]) != len(theirs["cls"]):  # the gain is the scale that was drawn, and not that of the shear
            continue
        compared += 1
        picture = theirs["img"].numpy()[::-1].transpose(1, 2, 0).astype(int)  # `Format` turns the channels round
        assert np.abs(ours["image"].astype(int) - picture).mean() < 1
        assert ours["cls"].tolist() == theirs["cls"].squeeze(1).tolist()
        boxes = theirs["bboxes"].numpy() * 96
        corners = np.concatenate((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), 1)
        np.testing.assert_allclose(ours["bboxes"], corners, atol=0.05)
        assert (ours["masks"] != theirs["masks"][0].numpy()).mean() < 0.005
    assert compared >= 3


def test_the_device_augments_with_the_same_masks(tmp_path: Path) -> None:
    ours, theirs = samples(tmp_path, fliplr=0.5), samples(tmp_path, DeviceTrainDataset, fliplr=0.5)
    for seed in range(4):
        request = TrainRequest(seed, seed, (1, 2, 3) if seed % 2 else ())
        one, other = ours[request], theirs[request]
        assert one["masks"].shape == (24, 24)
        for key in ("masks", "bboxes", "cls"):
            np.testing.assert_array_equal(one[key], other[key])  # type: ignore[literal-required]
