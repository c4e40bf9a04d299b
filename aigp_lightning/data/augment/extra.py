"""The user's own Albumentations transforms: imported by class path, tried once, run with boxes and keypoints."""

from __future__ import annotations

import importlib
import random
import warnings
from collections.abc import Sequence
from typing import Any

import albumentations as A  # type: ignore[import-untyped,unused-ignore]
import numpy as np

from aigp_lightning.data.augment.config import TransformSpec
from aigp_lightning.data.augment.followed_points import PIXEL_CENTRE, moved_outlines, part_of_points
from aigp_lightning.data.augment.instances import Instances, areas, require_permutation
from aigp_lightning.errors import ConfigError

Transform = Any
"""`A.BasicTransform` or `A.BaseCompose`; Albumentations has no types of its own."""

TRIES = 8
"""A transform that only sometimes mirrors is found out in so many tries, nearly always."""


def as_spec(item: TransformSpec | dict[str, Any]) -> TransformSpec:
    """Read an entry as YAML gives it.

    Raises:
        ConfigError: it is not a mapping of `class_path` and `init_args`.

    Example:
        >>> as_spec({"class_path": "albumentations.MotionBlur", "init_args": {"p": 0.1}})
        TransformSpec(class_path='albumentations.MotionBlur', init_args={'p': 0.1})
    """
    if isinstance(item, TransformSpec):
        return item
    wrong = set(item) - {"class_path", "init_args"}
    if wrong or not isinstance(item.get("class_path"), str) or not isinstance(item.get("init_args") or {}, dict):
        raise ConfigError(
            f"augment.extra: {item} is no transform; write class_path: albumentations.MotionBlur and, if need be, "
            "init_args: {p: 0.1}"
        )
    return TransformSpec(item["class_path"], item.get("init_args") or {})


def build_transform(spec: TransformSpec) -> Transform:
    """Make a transform from its class path and arguments.

    Args:
        spec: Class path and arguments.

    Raises:
        ConfigError: The class is not there, is no Albumentations transform, or refuses its arguments.

    Example:
        >>> blur = build_transform(TransformSpec("albumentations.MotionBlur", {"p": 0.25}))
        >>> type(blur).__name__, blur.p
        ('MotionBlur', 0.25)
    """
    where = f"augment.extra: {spec.class_path}"
    module_name, _, name = spec.class_path.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{where} cannot be imported ({error}); give the full path, package.module.Class.") from error
    if not (isinstance(cls, type) and issubclass(cls, (A.BasicTransform, A.BaseCompose))):
        raise ConfigError(f"{where} is not an Albumentations transform class.")
    arguments = {key: _resolve(value) for key, value in spec.init_args.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Albumentations only warns of unknown arguments; they are refused below
            transform: Transform = cls(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where} does not accept its init_args {spec.init_args}: {error}") from error
    unknown = getattr(transform, "invalid_args", [])
    if unknown:
        raise ConfigError(f"{where} has no argument {', '.join(map(repr, unknown))}; correct its init_args.")
    return transform


def _resolve(value: Any) -> Any:
    """Build nested transforms; leave everything else as it is."""
    if isinstance(value, list):
        return [_resolve(item) for item in value]
    if isinstance(value, dict) and "class_path" in value:
        return build_transform(TransformSpec(value["class_path"], value.get("init_args") or {}))
    return value


def _leaves(transform: Transform) -> list[A.BasicTransform]:
    """Return the transforms inside a composition, at any depth."""
    if isinstance(transform, A.BaseCompose):
        return [leaf for child in transform.transforms for leaf in _leaves(child)]
    return [transform]


class UserTransforms:
    """The user's transforms in order; boxes and keypoints follow where one of them is spatial.

    Args:
        transforms: Albumentations transforms.
        flip_idx: (K,) keypoint permutation of a left-right mirror, or None.
        flip_idx_vertical: (K,) keypoint permutation of an upside-down mirror, or None.

    Example:
        >>> mirror = UserTransforms([A.HorizontalFlip(p=1.0)], flip_idx=None, flip_idx_vertical=None)
        >>> labels = Instances(np.array([[0, 0, 16, 32]], np.float32), np.zeros(1, np.int64), None)
        >>> mirror(image=np.zeros((32, 64, 3), np.uint8), instances=labels)["instances"].bboxes.tolist()
        [[48.0, 0.0, 64.0, 32.0]]
    """

    def __init__(
        self,
        transforms: Sequence[Transform],
        flip_idx: Sequence[int] | None,
        flip_idx_vertical: Sequence[int] | None,
    ) -> None:
        self.transforms = list(transforms)
        self.permutations = (flip_idx, flip_idx_vertical)
        self.spatial = not all(
            isinstance(leaf, A.ImageOnlyTransform) for item in self.transforms for leaf in _leaves(item)
        )
        labels: dict[str, Any] = {}
        if self.spatial:
            labels["bbox_params"] = A.BboxParams(format="pascal_voc", label_fields=["row"], clip=True)
            labels["keypoint_params"] = A.KeypointParams(format="xy", label_fields=["point"], remove_invisible=False)
        self._compose = A.Compose(self.transforms, **labels)

    def set_random_state(self, generator: np.random.Generator, py_random: random.Random) -> None:
        """Give every transform the sample's own random state.

        Args:
            generator: NumPy's.
            py_random: Python's.
        """
        self._compose.set_random_state(generator, py_random)

    def __call__(self, **data: Any) -> dict[str, Any]:
        """Transform one sample.

        Args:
            **data: With `image` and `instances`.
        """
        if not self.spatial:
            return {**data, "image": self._compose(image=data["image"])["image"]}
        image, instances = data["image"], data["instances"]
        height, width = image.shape[:2]
        points = np.array(((0, 0), (width, 0), (0, height)), np.float32)  # anchors: they tell a mirror from a turn
        if instances.keypoints is not None:
            points = np.concatenate((points, instances.keypoints[..., :2].reshape(-1, 2)))
        first = len(points)
        if instances.segments is not None:
            points = np.concatenate((points, instances.segments.reshape(-1, 2)))
        result = self._compose(
            image=image,
            bboxes=instances.bboxes,
            row=np.arange(len(instances.bboxes)),
            keypoints=points - PIXEL_CENTRE,
            point=np.arange(len(points)),
        )
        height, width = result["image"].shape[:2]
        followed = self._follow(instances, points[:first], part_of_points(result, 0, first))
        if instances.segments is not None:
            moved = moved_outlines(instances.segments, part_of_points(result, first, len(points)))
            followed.segments = moved[np.asarray(result["row"], dtype=np.int64)]
            followed = followed.boxed(width, height)
            followed = followed.select(areas(followed.bboxes) > 0)
        return {**data, "image": result["image"], "instances": followed.clipped(width, height)}

    def blame(self, error: BaseException) -> str:
        """Name the transforms that raised an error: the innermost that was running, else all.

        Args:
            error: raised by `__call__`.
        """
        leaves, trace, found = [leaf for item in self.transforms for leaf in _leaves(item)], error.__traceback__, None
        while trace is not None:
            mine = trace.tb_frame.f_locals.get("self")
            found = mine if any(mine is leaf for leaf in leaves) else found
            trace = trace.tb_next
        names = [type(found)] if found is not None else [type(item) for item in self.transforms]
        return ", ".join(f"{kind.__module__}.{kind.__qualname__}" for kind in names)

    def _follow(self, instances: Instances, points: np.ndarray, result: dict[str, Any]) -> Instances:
        """Return the labels as Albumentations moved them; keypoints that it lost are invisible."""
        rows = np.asarray(result["row"], dtype=np.int64)
        bboxes = np.asarray(result["bboxes"], dtype=np.float32).reshape(-1, 4)[:, :4]
        keypoints = instances.keypoints
        if keypoints is not None:
            moved, lost = points.copy(), np.ones(len(points), bool)
            kept = np.asarray(result["point"], dtype=np.int64)
            moved[kept] = np.asarray(result["keypoints"], dtype=np.float32).reshape(-1, 2) + PIXEL_CENTRE
            lost[kept] = False
            xy = moved[3:].reshape(*keypoints.shape[:2], 2)
            visible = np.where(lost[3:].reshape(keypoints.shape[:2]), 0, keypoints[..., 2])
            keypoints = np.concatenate((xy, visible[..., None]), axis=-1)
            order = None if lost[:3].any() else self._mirror_order(moved[:3])
            keypoints = keypoints[rows] if order is None else keypoints[rows][:, order]
        return Instances(bboxes, instances.cls[rows], keypoints)

    def _mirror_order(self, anchors: np.ndarray) -> list[int] | None:
        """Return the keypoints' permutation if the image was mirrored, as three of its corners show, else None."""
        x_axis, y_axis = anchors[1] - anchors[0], anchors[2] - anchors[0]
        if x_axis[0] * y_axis[1] - x_axis[1] * y_axis[0] >= 0:
            return None
        axis = 1 if y_axis[1] < 0 else 0
        return require_permutation(self.permutations[axis], axis)


def check_extras(
    specs: Sequence[TransformSpec],
    imgsz: int,
    permutations: tuple[Sequence[int] | None, Sequence[int] | None] | None = None,
) -> None:
    """Build and try the user's transforms, so that a mistake is reported at the start and not by a worker.

    Args:
        specs: Class paths and arguments.
        imgsz: Side of the images they will get, pixels.
        permutations: Of the keypoints, left-right and upside-down; None where there are no keypoints.

    Raises:
        ConfigError: One cannot be built, fails on an image, or changes its size or type.

    Example:
        >>> check_extras([TransformSpec("albumentations.MotionBlur")], imgsz=64)  # nothing to report
    """
    image = np.random.default_rng(0).integers(0, 256, (imgsz, imgsz, 3), dtype=np.uint8)
    for spec in specs:
        transform = build_transform(spec)
        runner = UserTransforms([transform], *(permutations or (None, None)))
        count = max((len(order) for order in permutations or () if order), default=1)
        points = None if permutations is None else np.full((1, count, 3), imgsz / 2, np.float32)
        labels = Instances(np.array([[1, 1, imgsz - 1, imgsz - 1]], np.float32), np.zeros(1, np.int64), points)
        for leaf in _leaves(transform):
            leaf.p = 1.0
        transform.p = 1.0
        try:
            for seed in range(1 if points is None else TRIES):
                runner.set_random_state(np.random.default_rng(seed), random.Random(seed))
                result = runner(image=image.copy(), instances=labels)["image"]
        except Exception as error:
            raise ConfigError(f"augment.extra: {spec.class_path} fails on a {imgsz} px image: {error}") from error
        if result.shape != image.shape or result.dtype != np.uint8:
            raise ConfigError(
                f"augment.extra: {spec.class_path} turns a {image.shape} uint8 image into {result.shape} {result.dtype}"
                "; size and type must stay, the model and the loader rely on them."
            )
