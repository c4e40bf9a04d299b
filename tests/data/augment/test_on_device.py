"""The device's augmentation against the processor's: the same labels exactly, the same pixels to a few grey levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pytest
import torch

from aigp_lightning.data.augment import AugmentConfig, Sample
from aigp_lightning.data.augment.on_device.contrast import equalised
from aigp_lightning.data.augment.on_device.draws import Draws, draw
from aigp_lightning.data.augment.on_device.inputs import AugmentInputs, pack_inputs, visible_parts
from aigp_lightning.data.augment.on_device.jpeg import EncodedPicture
from aigp_lightning.data.augment.on_device.lab import lab_to_rgb, rgb_to_lab
from aigp_lightning.data.augment.on_device.pictures import make_pictures
from aigp_lightning.data.augment.pipeline import Steps, TrainPipeline
from aigp_lightning.errors import ConfigError

SIZE = 96
SHAPES = ((72, 96), (96, 96), (96, 48), (54, 96))
STILL = AugmentConfig(
    translate=0, scale=0, hsv_h=0, hsv_s=0, hsv_v=0, fliplr=0, blur=0, median_blur=0, to_gray=0, clahe=0
)
MOVED = replace(STILL, translate=0.1, scale=0.5)
LEFT_RIGHT, UP_DOWN = (1, 0, 3, 2), (3, 2, 1, 0)


@pytest.fixture
def samples(make_sample: Callable[..., Sample]) -> list[Sample]:
    """Four samples of different shapes, with four corners a box; two are of pictures of other aspect ratios."""
    made = [make_sample(*shape, seed, corners=True) for seed, shape in enumerate(SHAPES)]
    made[1]["ori_shape"], made[2]["ori_shape"] = (1080, 1920), (640, 480)
    return made


def pack(draws: Sequence[Draws], config: AugmentConfig) -> AugmentInputs:
    straight = not (config.degrees or config.shear or config.perspective)
    return pack_inputs(draws, SIZE, straight=straight, recolour=bool(config.hsv_h or config.hsv_s or config.hsv_v))


def both(
    samples: list[Sample], config: AugmentConfig, mosaic: bool = True, count: int = 8
) -> tuple[list[Sample], list[Draws], np.ndarray]:
    """The processor's samples, what was drawn for them, and the device's pictures, (n, SIZE, SIZE, 3) int64."""
    pipeline = TrainPipeline(SIZE, config, LEFT_RIGHT, UP_DOWN)
    chosen = [(samples[i % 4], [samples[(i + k) % 4] for k in (1, 2, 3)] if mosaic else []) for i in range(count)]
    cpu = [pipeline(mine, others, seed) for seed, (mine, others) in enumerate(chosen)]
    draws = [draw(pipeline, mine, others, seed) for seed, (mine, others) in enumerate(chosen)]
    pictures = make_pictures(pack(draws, config))
    assert pictures.shape == (count, 3, SIZE, SIZE)
    assert pictures.dtype == torch.uint8
    assert pictures.is_contiguous(memory_format=torch.channels_last)  # as `collate` lays out a batch
    return cpu, draws, pictures.permute(0, 2, 3, 1).numpy().astype(int)


def differences(cpu: list[Sample], device: np.ndarray) -> np.ndarray:
    return np.abs(device - np.stack([sample["image"] for sample in cpu]))


def at_an_edge(draws: Draws) -> np.ndarray:
    """(SIZE, SIZE) bool: pixels within one and a half canvas pixels of a tile's edge, where two rounding rules meet."""
    y, x = np.mgrid[:SIZE, :SIZE]
    u, v, *depth = (row[0] * x + row[1] * y + row[2] for row in draws.to_canvas)
    u, v = (u / depth[0], v / depth[0]) if depth else (u, v)
    near = np.zeros((SIZE, SIZE), bool)
    for tile in draws.tiles:
        (x1, y1, x2, y2), (dx, dy) = tile.rect, tile.offset
        near |= np.minimum(abs(u - x1 - dx + 0.5), abs(u - x2 - dx + 0.5)) < 1.5
        near |= np.minimum(abs(v - y1 - dy + 0.5), abs(v - y2 - dy + 0.5)) < 1.5
    return near


@pytest.mark.parametrize("mosaic", [False, True], ids=["one", "mosaic"])
@pytest.mark.parametrize(
    "config",
    [
        AugmentConfig(),
        AugmentConfig(degrees=10, shear=5, flipud=0.5),
        AugmentConfig(blur=0.5, median_blur=0.5, to_gray=0.5, clahe=0.5),
        AugmentConfig(crop=0.7, degrees=10, flipud=0.5),
        AugmentConfig(perspective=0.003, bgr=0.5),
    ],
    ids=["defaults", "turned", "rare", "cropped", "tilted"],
)
def test_labels_are_the_processors_own(samples: list[Sample], config: AugmentConfig, mosaic: bool) -> None:
    cpu, draws, _ = both(samples, config, mosaic, count=12)
    for sample, drawn in zip(cpu, draws, strict=True):
        for key in ("bboxes", "cls", "keypoints"):
            np.testing.assert_array_equal(getattr(drawn.instances, key), sample[key])  # type: ignore[literal-required]
    assert sum(len(sample["cls"]) for sample in cpu) > 20


@pytest.mark.parametrize("mosaic", [False, True], ids=["one", "mosaic"])
@pytest.mark.parametrize(
    "config",
    [
        STILL,
        MOVED,
        replace(MOVED, fliplr=0.5, flipud=0.5),
        replace(MOVED, degrees=15, shear=5, fliplr=0.5),
        replace(MOVED, scale=0.9),
        replace(STILL, crop=1.0),
        replace(MOVED, crop=0.5, fliplr=0.5, flipud=0.5),
        replace(MOVED, crop=0.5, degrees=15, shear=5, fliplr=0.5),
        replace(MOVED, perspective=0.003, degrees=15, fliplr=0.5, flipud=0.5),
        replace(MOVED, perspective=0.003, crop=0.5, scale=(0.6, 0.8)),
    ],
    ids=["still", "moved", "flipped", "turned", "far", "cropped", "cropped and flipped", "cropped or turned", "tilted",
         "cropped or tilted"],
)  # fmt: skip
def test_geometry(samples: list[Sample], config: AugmentConfig, mosaic: bool) -> None:
    """The warp is exact to one level, but for a line of pixels along the edges of pictures."""
    cpu, draws, device = both(samples, config, mosaic)
    wrong = differences(cpu, device)
    assert wrong.mean() < 0.5
    edges = np.stack([at_an_edge(each) for each in draws])
    if not mosaic and config.degrees == 0 and config.perspective == 0:
        edges[:] = False  # here the edges agree too
    assert edges.mean() < 0.3
    assert wrong[~edges].max() <= 1


def test_channels_change_places(samples: list[Sample]) -> None:
    straight = both(samples, STILL, mosaic=False)[2]
    swapped = both(samples, replace(STILL, bgr=1.0), mosaic=False)[2]
    np.testing.assert_array_equal(swapped, straight[..., ::-1])
    cpu, draws, device = both(samples, replace(STILL, bgr=0.5), mosaic=False, count=16)
    assert 3 < sum(each.swapped for each in draws) < 13
    assert differences(cpu, device).max() == 0


def test_flips_are_drawn_and_done(samples: list[Sample]) -> None:
    straight = both(samples, STILL, mosaic=False)[2]
    for name, axis in (("fliplr", 2), ("flipud", 1)):
        flipped = both(samples, replace(STILL, **{name: 1.0}), mosaic=False)[2]
        np.testing.assert_array_equal(flipped, np.flip(straight, axis))


@pytest.mark.parametrize(
    ("name", "mean", "nearly_most"),
    # Local contrast makes a step of one in lightness, which is rounding, as large as the steepest of its curves.
    [("blur", 0.01, 1), ("median_blur", 0, 0), ("to_gray", 0.01, 1), ("clahe", 2, 8)],
)
def test_rare_transforms(samples: list[Sample], name: str, mean: float, nearly_most: int) -> None:
    """Alone, on every sample; blurs of all three sizes."""
    config = replace(STILL, **{name: 1.0})
    cpu, draws, device = both(samples, config, mosaic=False, count=12)
    if name.endswith("blur"):
        assert {each.rare[name] for each in draws} == {3, 5, 7}
    wrong = differences(cpu, device)
    assert wrong.mean() <= mean
    assert (wrong.max() if name != "clahe" else np.percentile(wrong, 98)) <= nearly_most
    untouched = both(samples, STILL, mosaic=False, count=12)[2]
    assert np.abs(device - untouched).mean() > 1


def test_only_the_drawn_samples_get_a_rare_transform(samples: list[Sample]) -> None:
    config = replace(STILL, blur=0.3, median_blur=0.3, to_gray=0.3)
    cpu, draws, device = both(samples, config, mosaic=False, count=24)
    plain = both(samples, STILL, mosaic=False, count=24)[2]
    changed = (device != plain).any((1, 2, 3))
    np.testing.assert_array_equal(changed, [bool(each.rare) for each in draws])
    assert 4 < changed.sum() < 22
    assert any(len(each.rare) > 1 for each in draws)  # in the right order, or the pixels would differ
    assert differences(cpu, device).max() <= 1


@pytest.mark.parametrize("strength", [1, 10], ids=["defaults", "strong"])
def test_colours(samples: list[Sample], strength: float) -> None:
    config = replace(STILL, hsv_h=min(0.05 * strength, 0.5), hsv_s=0.7, hsv_v=0.4)
    cpu, draws, device = both(samples, config, mosaic=False, count=16)
    wrong = differences(cpu, device)
    assert wrong.mean() < 0.3
    assert np.percentile(wrong, 99.9) <= 2
    assert wrong.max() <= 8
    assert len({each.colour for each in draws}) == 16


def test_lab_of_every_kind_of_colour_is_opencvs() -> None:
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, len(levels), 3)
    lab = cv2.cvtColor(cube, cv2.COLOR_RGB2LAB)
    wrong = np.abs(rgb_to_lab(torch.from_numpy(cube)[None])[0].numpy() - lab)
    assert wrong.max() <= 2
    assert wrong.mean() < 0.15
    back = lab_to_rgb(torch.from_numpy(lab).float()[None])[0].numpy().astype(int)
    assert np.abs(back - cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)).max() <= 2


@pytest.mark.parametrize("limit", [1.0, 2.5, 4.0])
def test_local_contrast_of_lightness_is_opencvs(photo: Callable[[int, int, int], np.ndarray], limit: float) -> None:
    lightness = np.ascontiguousarray(photo(SIZE, SIZE, 3)[..., 0])
    expected = cv2.createCLAHE(limit, (8, 8)).apply(lightness).astype(int)
    limits = torch.tensor([max(int(limit * (SIZE // 8) ** 2 / 256), 1)])
    found = equalised(torch.from_numpy(lightness).long()[None], limits)[0].numpy()
    assert np.abs(found - expected).max() <= 1
    assert np.abs(found - expected).mean() < 0.01


def test_a_whole_default_batch(samples: list[Sample]) -> None:
    cpu, draws, device = both(samples, AugmentConfig(), count=32)
    wrong = differences(cpu, device)
    edges = np.stack([at_an_edge(each) for each in draws])
    rare = np.array([bool(each.rare) for each in draws])
    assert wrong.mean() < 1
    assert np.percentile(wrong[~rare][~edges[~rare]], 99.9) <= 3


def test_only_visible_pixels_travel(samples: list[Sample]) -> None:
    """A mosaic has four pictures, of which the output shows the area of one, or a third more on average."""
    _, draws, _ = both(samples, MOVED, count=32)
    sent = pack(draws, MOVED)["pixels"].shape[0]
    there = sum(tile.image.shape[0] * tile.image.shape[1] for each in draws for tile in each.tiles)
    assert sent < 0.5 * there
    for each in draws:
        for part in visible_parts(each.tiles, each.to_canvas, SIZE):
            assert any(np.shares_memory(part.cut, tile.image) for tile in each.tiles)  # cut, not copied


def test_parts_of_a_batch_give_the_same_pictures(samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    """Large batches are made in parts, to bound the memory."""
    config = AugmentConfig(blur=0.5, clahe=0.5)
    whole = both(samples, config)[2]
    monkeypatch.setattr("aigp_lightning.data.augment.on_device.pictures.AT_ONCE", 3 * SIZE**2)
    np.testing.assert_array_equal(both(samples, config)[2], whole)


def test_a_transform_without_a_counterpart_is_refused(samples: list[Sample]) -> None:
    pipeline = TrainPipeline(SIZE, STILL, LEFT_RIGHT, UP_DOWN)
    pipeline._built = Steps(pipeline.transforms, [A.MotionBlur(p=1)], None)
    with pytest.raises(TypeError, match="MotionBlur cannot be done on the device"):
        draw(pipeline, samples[0], [], seed=0)


def test_more_pixels_than_can_be_counted_are_refused(samples: list[Sample]) -> None:
    pipeline = TrainPipeline(SIZE, STILL, LEFT_RIGHT, UP_DOWN)
    drawn = draw(pipeline, samples[0], [], seed=0)
    huge = EncodedPicture(np.zeros(1, np.uint8), (1 << 15, 1 << 15), (1 << 15, 1 << 15, 3), "huge.jpg")
    tile = drawn.tiles[0]._replace(image=huge)
    with pytest.raises(ConfigError, match=r"a batch with 1,073,741,825 pixels is too large; use cpu"):
        pack([drawn._replace(tiles=[tile])], STILL)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_makes_the_same_pictures_and_nothing_waits_for_it(samples: list[Sample]) -> None:
    config = AugmentConfig(degrees=5, blur=0.5, median_blur=0.5, to_gray=0.5, clahe=0.5)
    pipeline = TrainPipeline(SIZE, config, LEFT_RIGHT, UP_DOWN)
    inputs: Any = pack([draw(pipeline, samples[0], samples[1:], seed) for seed in range(8)], config)
    expected = make_pictures(inputs).int()
    moved = {key: value.cuda() if isinstance(value, torch.Tensor) else value for key, value in inputs.items()}
    make_pictures(moved)  # type: ignore[arg-type]  # what is done once, such as loading kernels, may wait
    torch.cuda.set_sync_debug_mode("error")
    try:
        pictures = make_pictures(moved)  # type: ignore[arg-type]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    wrong = (pictures.cpu().int() - expected).abs().float()
    assert wrong.mean() < 0.15
    assert wrong.quantile(0.999) <= 4
