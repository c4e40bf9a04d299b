"""One picture with its labels, from its seed alone."""

from __future__ import annotations

import numpy as np

from aigp_lightning.data.synthetic.annotate import label_lines
from aigp_lightning.data.synthetic.backdrop import backdrop
from aigp_lightning.data.synthetic.effects import encode, expose, ground_shadows
from aigp_lightning.data.synthetic.geometry import USUAL_PROFILE
from aigp_lightning.data.synthetic.hall_scene import HALL_PROFILE, sample_hall_scene
from aigp_lightning.data.synthetic.motion import blurred
from aigp_lightning.data.synthetic.options import KEYPOINTS, SPLITS, MakeDataOptions
from aigp_lightning.data.synthetic.render import Picture, paint
from aigp_lightning.data.synthetic.scene import Scene, sample_scene
from aigp_lightning.data.synthetic.textures import chance

TRIES = 20


def is_background(index: int, share: float) -> bool:
    """True if a picture is a background.

    They are spread evenly: of any first n pictures, the share that is backgrounds is right to within one.

    Example:
        >>> [is_background(index, share=0.25) for index in range(4)]
        [False, False, False, True]
    """
    return int((index + 1) * share + 1e-9) > int(index * share + 1e-9)


def compose(
    rng: np.random.Generator, task: str, background: bool, size: tuple[int, int], profile: str = USUAL_PROFILE
) -> tuple[Scene, Picture]:
    """Draw a scene and paint it.

    Args:
        rng: source of randomness.
        task: `detect`, `pose`, `segment` or `obstacle`.
        background: leave out what the task labels.
        size: width and height, pixels.
        profile: of the camera and its course.

    Returns:
        The scene and its picture, without the camera's effects.

    Example:
        >>> scene, picture = compose(np.random.default_rng(0), "detect", background=False, size=(64, 36))
        >>> picture.image.shape, len(picture.bodies) == len(scene.bodies)
        ((36, 64, 3), True)
    """
    hall = profile == HALL_PROFILE
    scene = sample_hall_scene(rng, task, background, size) if hall else sample_scene(rng, task, background, size)
    nearness = np.zeros((size[1], size[0]), np.float32) if scene.camera.motion is not None else None
    image = backdrop(rng, scene.camera, scene.place, scene.ground, scene.light, nearness)
    if scene.place == "field" and chance(rng, 0.7):
        ground_shadows(image, scene.camera, scene.bodies, scene.ground, scene.light)
    return scene, paint(image, scene.camera, scene.bodies, nearness)


def draw(options: MakeDataOptions, split: str, index: int) -> tuple[bytes, list[str]]:
    r"""Make one picture; it depends on the seed, the split and the index, and on no other picture.

    Args:
        options: the data set's options, checked.
        split: `train`, `val` or `test`.
        index: the picture's number in its split.

    Returns:
        JPEG bytes and label lines.

    Example:
        >>> data, lines = draw(MakeDataOptions(imgsz=(64, 36), backgrounds=0.0), "train", index=0)
        >>> data[:2], lines[0].split()[0]
        (b'\xff\xd8', '0')
    """
    rng = np.random.default_rng([options.seed, SPLITS.index(split), index])
    background = is_background(index, options.backgrounds)
    size = (int(options.imgsz[0]), int(options.imgsz[1]))
    for _ in range(TRIES):
        scene, picture = compose(rng, options.task, background, size, options.profile)
        lines = label_lines(picture, scene.camera, options.task, KEYPOINTS[options.keypoints])
        if lines or background:
            break
    image, camera = picture.image, scene.camera
    if camera.motion is not None and picture.nearness is not None:
        image = blurred(image, picture.nearness, camera.motion, camera.focal)
    return encode(rng, expose(rng, image, options.profile == HALL_PROFILE)), lines
