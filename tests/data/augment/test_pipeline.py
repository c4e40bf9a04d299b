"""The list in order: seeds, flips, the user's own transforms, bad input."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from aigp_lightning.data.augment import AugmentConfig, Sample, TransformSpec
from aigp_lightning.data.augment.pipeline import TrainPipeline
from aigp_lightning.errors import ConfigError

SIZE = 160
NOTHING = AugmentConfig(
    translate=0, scale=0, hsv_h=0, hsv_s=0, hsv_v=0, fliplr=0, blur=0, median_blur=0, to_gray=0, clahe=0
)
LEFT_RIGHT, UP_DOWN = (1, 0, 3, 2), (3, 2, 1, 0)


@pytest.fixture
def samples(make_sample: Callable[..., Sample]) -> list[Sample]:
    """Four samples with corners, long side SIZE."""
    return [make_sample(120, SIZE, seed, corners=True) for seed in range(4)]


@pytest.fixture
def gate() -> Sample:
    """A black square image with one white gate; corners top left, top right, bottom right, bottom left."""
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[20:60, 30:100] = 255
    corners = np.array([[[30, 20, 2], [100, 20, 2], [100, 60, 1], [30, 60, 2]]], np.float32)
    box = np.array([[30, 20, 100, 60]], np.float32)
    return Sample(image=image, bboxes=box, cls=np.array([2]), keypoints=corners, im_file="gate.png")


def same(one: Sample, other: Sample) -> bool:
    """Whether two samples agree in every value."""
    return all(np.array_equal(one[key], other[key]) for key in ("image", "bboxes", "cls", "keypoints"))  # type: ignore[literal-required]


def test_seed_alone_decides(samples: list[Sample]) -> None:
    config = AugmentConfig(blur=0.5, clahe=0.5, degrees=5)
    pipeline = TrainPipeline(SIZE, config, flip_idx=LEFT_RIGHT)
    first = [pipeline(samples[0], samples[1:], seed) for seed in range(8)]
    other = TrainPipeline(SIZE, config, flip_idx=LEFT_RIGHT)
    for seed in reversed(range(8)):
        assert same(other(samples[0], samples[1:], seed), first[seed])
    assert all(not np.array_equal(first[0]["image"], later["image"]) for later in first[1:])
    assert all(sample["image"].shape == (SIZE, SIZE, 3) for sample in first)


def test_global_random_state_is_neither_read_nor_changed(samples: list[Sample]) -> None:
    pipeline = TrainPipeline(SIZE, AugmentConfig(), flip_idx=LEFT_RIGHT)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = pipeline(samples[0], samples[1:], 5)
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(99)  # noqa: NPY002
    assert same(first, pipeline(samples[0], samples[1:], 5))


def test_pickled_before_and_after_use(samples: list[Sample]) -> None:
    pipeline = TrainPipeline(SIZE, AugmentConfig(), flip_idx=LEFT_RIGHT)
    fresh = pickle.loads(pickle.dumps(pipeline))
    expected = pipeline(samples[0], samples[1:], 1)
    used = pickle.loads(pickle.dumps(pipeline))
    assert same(fresh(samples[0], samples[1:], 1), expected)
    assert same(used(samples[0], samples[1:], 1), expected)
    assert len(pickle.dumps(pipeline)) < 2000


def test_nothing_switched_on_changes_nothing(gate: Sample) -> None:
    result = TrainPipeline(SIZE, NOTHING, LEFT_RIGHT)(gate, (), 0)
    assert same(result, gate)


@pytest.mark.parametrize("axis", [0, 1], ids=["left-right", "upside-down"])
def test_flip_moves_pixels_boxes_and_corner_names(gate: Sample, axis: int) -> None:
    config = replace(NOTHING, fliplr=1.0 - axis, flipud=float(axis))
    result = TrainPipeline(SIZE, config, LEFT_RIGHT, UP_DOWN)(gate, (), 0)
    box = [[60, 20, 130, 60], [30, 100, 100, 140]][axis]
    x1, y1, x2, y2 = box
    assert result["bboxes"].tolist() == [box]
    # The corner seen at the bottom right before was the half-hidden one.
    hidden = (x1, y2) if axis == 0 else (x2, y1)
    corners = [[x, y, 1 if (x, y) == hidden else 2] for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))]
    assert result["keypoints"].tolist() == [corners]
    assert (result["image"][y1:y2, x1:x2] == 255).all()
    assert int(result["image"].astype(int).sum()) == (x2 - x1) * (y2 - y1) * 3 * 255


def test_flip_happens_half_of_the_time(gate: Sample) -> None:
    pipeline = TrainPipeline(SIZE, replace(NOTHING, fliplr=0.5), LEFT_RIGHT)
    flips = [pipeline(gate, (), seed)["bboxes"][0, 0] == 60 for seed in range(300)]
    assert 0.4 < np.mean(flips) < 0.6


def test_random_decisions_do_not_hang_together(gate: Sample) -> None:
    """One state for all transforms: a flip says nothing about the draws before it."""
    pipeline = TrainPipeline(SIZE, replace(NOTHING, fliplr=0.5, scale=0.3), LEFT_RIGHT)
    results = [pipeline(gate, (), seed) for seed in range(400)]
    widths = np.array([float(result["bboxes"][0, 2] - result["bboxes"][0, 0]) for result in results])
    flips = np.array([result["bboxes"][0].sum() > 0 and result["keypoints"][0, 2, 2] != 1 for result in results])
    assert abs(np.corrcoef(widths, flips)[0, 1]) < 0.15


def test_keypoints_need_a_permutation_for_each_flip(gate: Sample) -> None:
    with pytest.raises(ConfigError, match="flip_idx_vertical"):
        TrainPipeline(SIZE, AugmentConfig(flipud=0.5), flip_idx=LEFT_RIGHT)
    with pytest.raises(ConfigError, match="fliplr"):
        TrainPipeline(SIZE, AugmentConfig())(gate, (), 0)
    TrainPipeline(SIZE, AugmentConfig(flipud=0.5))  # boxes alone need none


def test_background_images_pass(make_sample: Callable[..., Sample]) -> None:
    empty = make_sample(120, SIZE, 0, boxes=0)
    result = TrainPipeline(SIZE, AugmentConfig())(empty, [empty] * 3, 0)
    assert result["bboxes"].shape == (0, 4)
    assert result["cls"].shape == (0,)
    assert result["image"].std() > 5


def test_the_list_is_visible_and_in_order() -> None:
    config = AugmentConfig(flipud=0.1, to_gray=0, extra=[TransformSpec("albumentations.InvertImg", {"p": 0.3})])
    names = [type(transform).__name__ for transform in TrainPipeline(SIZE, config).transforms]
    assert names == ["MosaicAffine", "Blur", "MedianBlur", "CLAHE", "RandomHSV", "InvertImg", "Flip", "Flip"]


def test_own_image_transform_changes_pixels(gate: Sample) -> None:
    config = replace(NOTHING, extra=[TransformSpec("albumentations.InvertImg", {"p": 1.0})])
    result = TrainPipeline(SIZE, config, LEFT_RIGHT)(gate, (), 0)
    assert np.array_equal(result["image"], 255 - gate["image"])
    assert result["bboxes"].tolist() == gate["bboxes"].tolist()


def test_own_spatial_transform_moves_labels(gate: Sample) -> None:
    """A left-right mirror among the user's transforms renames the corners as the built-in one does."""
    config = replace(NOTHING, extra=[TransformSpec("albumentations.HorizontalFlip", {"p": 1.0})])
    ours = TrainPipeline(SIZE, config, LEFT_RIGHT)(gate, (), 0)
    built_in = TrainPipeline(SIZE, replace(NOTHING, fliplr=1.0), LEFT_RIGHT)(gate, (), 0)
    assert np.array_equal(ours["image"], built_in["image"])
    assert np.allclose(ours["bboxes"], built_in["bboxes"], atol=1e-3)
    assert np.allclose(ours["keypoints"], built_in["keypoints"], atol=1e-3)


def test_own_spatial_transform_drops_and_hides(gate: Sample) -> None:
    """A shift to the right by half the image: the gate's right corners leave, then the gate."""
    for shift, left in ((0.5, 1), (0.9, 0)):
        spec = TransformSpec(
            "albumentations.Affine", {"translate_percent": {"x": (shift, shift), "y": (0, 0)}, "p": 1.0}
        )
        result = TrainPipeline(SIZE, replace(NOTHING, extra=[spec]), LEFT_RIGHT)(gate, (), 0)
        assert len(result["bboxes"]) == len(result["cls"]) == len(result["keypoints"]) == left
        if left:
            assert np.allclose(result["bboxes"], [[110, 20, 160, 60]], atol=1)
            assert result["keypoints"][0, :, 2].tolist() == [2, 0, 0, 2]


def test_nested_transforms(gate: Sample) -> None:
    choice = [{"class_path": "albumentations.InvertImg", "init_args": {"p": 1.0}}]
    config = replace(NOTHING, extra=[TransformSpec("albumentations.OneOf", {"transforms": choice, "p": 1.0})])
    result = TrainPipeline(SIZE, config, LEFT_RIGHT)(gate, (), 0)
    assert np.array_equal(result["image"], 255 - gate["image"])


def test_own_transforms_are_seeded(gate: Sample) -> None:
    config = replace(NOTHING, extra=[TransformSpec("albumentations.GaussNoise", {"p": 1.0})])
    pipeline = TrainPipeline(SIZE, config, LEFT_RIGHT)
    assert same(pipeline(gate, (), 1), pipeline(gate, (), 1))
    assert not same(pipeline(gate, (), 1), pipeline(gate, (), 2))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TransformSpec("albumentations.NoSuchThing"), "albumentations.NoSuchThing"),
        (TransformSpec("no_such_package.Blur"), "no_such_package"),
        (TransformSpec("Blur"), "full path"),
        (TransformSpec("collections.OrderedDict"), "not an Albumentations transform"),
        (TransformSpec("albumentations.Blur", {"blur_limits": 3}), "blur_limits"),
        (TransformSpec("albumentations.Blur", {"blur_limit": "much"}), "blur_limit"),
        (TransformSpec("albumentations.CenterCrop", {"height": 50, "width": 50}), "size"),
        (TransformSpec("albumentations.Normalize"), "float32"),
    ],
)
def test_wrong_transform_is_refused_at_construction(spec: TransformSpec, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        TrainPipeline(SIZE, AugmentConfig(extra=[spec]))
    assert spec.class_path in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("mosaic", 1.5), ("scale", 1.0), ("hsv_s", -0.1), ("blur", 7)])
def test_values_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        TrainPipeline(SIZE, AugmentConfig(**{name: value}))


def test_transform_as_yaml_gives_it() -> None:
    """The mapping of the configuration file means the same as the spec."""
    plain = {"class_path": "albumentations.InvertImg", "init_args": {"p": 1.0}}
    assert [type(item).__name__ for item in TrainPipeline(64, replace(NOTHING, extra=[plain])).transforms][
        -1
    ] == "InvertImg"
    with pytest.raises(ConfigError, match="is no transform"):
        TrainPipeline(64, replace(NOTHING, extra=[{"class": "albumentations.InvertImg"}]))
