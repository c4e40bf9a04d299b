"""Turn a painted scene into label lines.

A gate or obstacle is labelled when at least `MIN_VISIBLE` of it can be seen, and its box is at least `MIN_BOX` pixels
wide and high. What can be seen is the share of its surface that lies in the picture (counted on the surface, so that a
thing that reaches behind the camera counts fairly) times the share of its outline that nothing nearer hides.
"""

from __future__ import annotations

import numpy as np

from aigp_lightning.boxes import to_fractions, xyxy_to_xywh
from aigp_lightning.data.synthetic.geometry import Array, Camera, clipped_contours
from aigp_lightning.data.synthetic.objects import Body
from aigp_lightning.data.synthetic.options import CLASSES
from aigp_lightning.data.synthetic.outline import seen_outline
from aigp_lightning.data.synthetic.render import Mask, Picture

MIN_VISIBLE = 0.35
MIN_BOX = 6.0
HALF = 0.5
HIDDEN, VISIBLE = 1, 2


def body_box(camera: Camera, body: Body) -> Array | None:
    """Bound a body's projection within the picture, hidden parts included.

    Args:
        camera: who looks.
        body: what to bound.

    Returns:
        (4,) xyxy pixels, or None where it is not in the picture.

    Example:
        >>> from aigp_lightning.data.synthetic.geometry import Gate
        >>> from aigp_lightning.data.synthetic.objects import make_gate
        >>> camera, light = Camera(64, 36, tilt=0.0), np.array([0.0, 0.0, -1.0])
        >>> body = make_gate(np.random.default_rng(0), Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0), camera, light)
        >>> body_box(camera, body).round(1).tolist()
        [23.1, 9.1, 40.9, 26.9]
    """
    flat = [points for surface in body.surfaces for points in clipped_contours(camera, surface.contours)]
    if not flat:
        return None
    points = np.concatenate(flat)
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    return np.asarray(box.clip(0, [camera.width, camera.height] * 2))


def share_in_picture(camera: Camera, body: Body) -> float:
    """Compute the share of a body's surface points (from a surface's middle to its edge) that is in the picture.

    Example:
        >>> from aigp_lightning.data.synthetic.geometry import Gate
        >>> from aigp_lightning.data.synthetic.objects import make_gate
        >>> camera, light = Camera(64, 36, tilt=0.0), np.array([0.0, 0.0, -1.0])
        >>> body = make_gate(np.random.default_rng(0), Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0), camera, light)
        >>> share_in_picture(camera, body)
        1.0
    """
    steps = np.linspace(0.0, 1.0, 8)[:, None, None]
    samples = []
    for surface in body.surfaces:
        outer = surface.contours[0]
        edge = np.concatenate([outer * (1 - t) + np.roll(outer, -1, axis=0) * t for t in np.linspace(0, 1, 8)[:-1]])
        inside = outer.mean(axis=0) if len(surface.contours) == 1 else edge * 0.56 + outer.mean(axis=0) * 0.44
        samples.append((edge + steps * (inside - edge)).reshape(-1, 3))
    return float(camera.inside(np.concatenate(samples)).mean())


def share_unhidden(picture: Picture, index: int) -> float:
    """Compute the share of a body's outline that no nearer body hides.

    Example:
        >>> from aigp_lightning.data.synthetic.geometry import Gate
        >>> from aigp_lightning.data.synthetic.objects import make_gate
        >>> from aigp_lightning.data.synthetic.render import paint
        >>> camera, light = Camera(64, 36, tilt=0.0), np.array([0.0, 0.0, -1.0])
        >>> body = make_gate(np.random.default_rng(0), Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0), camera, light)
        >>> picture = paint(np.zeros((36, 64, 3), np.uint8), camera, [body])
        >>> share_unhidden(picture, 0)
        1.0
    """
    outline: Mask = picture.outlines[index]
    total = int(outline.sum())
    return float((picture.owner[outline] <= index).sum() / total) if total else 0.0


def keypoints(picture: Picture, camera: Camera, index: int) -> Array:
    """Project a gate's corners, with the visibility of each.

    Args:
        picture: the painted scene.
        camera: who looked.
        index: the gate's place in the picture's bodies.

    Returns:
        (4, 3) x, y in pixels and visibility: 2 seen, 1 hidden by something nearer, 0 outside the picture (x = y = 0).

    Example:
        >>> from aigp_lightning.data.synthetic.geometry import Gate
        >>> from aigp_lightning.data.synthetic.objects import make_gate
        >>> from aigp_lightning.data.synthetic.render import paint
        >>> camera, light = Camera(64, 36, tilt=0.0), np.array([0.0, 0.0, -1.0])
        >>> body = make_gate(np.random.default_rng(0), Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0), camera, light)
        >>> picture = paint(np.zeros((36, 64, 3), np.uint8), camera, [body])
        >>> keypoints(picture, camera, 0).round(1).tolist()
        [[27.1, 13.1, 2.0], [36.9, 13.1, 2.0], [36.9, 22.9, 2.0], [27.1, 22.9, 2.0]]
    """
    corners = picture.bodies[index].corners
    assert corners is not None
    result = np.zeros((4, 3))
    inside = camera.inside(corners)
    result[inside, :2] = camera.project(camera.to_camera(corners[inside]))
    for i in np.flatnonzero(inside):
        x, y = result[i, :2].astype(int)
        around = picture.owner[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        result[i, 2] = HIDDEN if (around > index).mean() > HALF else VISIBLE
    return result


def label_lines(picture: Picture, camera: Camera, task: str) -> list[str]:
    """Write YOLO label lines of the objects that the task labels, from far to near.

    Args:
        picture: the painted scene.
        camera: who looked.
        task: `detect`, `pose`, `segment` or `obstacle`.

    Returns:
        `class cx cy w h`, as fractions of the picture; for `pose` followed by `x y v` of four corners; for
        `segment` `class x1 y1 x2 y2 …`, the outline of what is seen of the object, round its opening too.

    Example:
        >>> from aigp_lightning.data.synthetic.geometry import Gate
        >>> from aigp_lightning.data.synthetic.objects import make_gate
        >>> from aigp_lightning.data.synthetic.render import paint
        >>> camera, light = Camera(64, 36, tilt=0.0), np.array([0.0, 0.0, -1.0])
        >>> body = make_gate(np.random.default_rng(0), Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0), camera, light)
        >>> picture = paint(np.zeros((36, 64, 3), np.uint8), camera, [body])
        >>> label_lines(picture, camera, "detect")
        ['0 0.500000 0.500000 0.277207 0.492813']
    """
    names, size = CLASSES[task], np.array([camera.width, camera.height], dtype=np.float64)
    lines = []
    for index, body in enumerate(picture.bodies):
        if body.kind not in names:
            continue
        box = body_box(camera, body)
        if box is None or min(box[2:] - box[:2]) < MIN_BOX:
            continue
        if share_in_picture(camera, body) * share_unhidden(picture, index) < MIN_VISIBLE:
            continue
        if task == "segment":
            if (outline := seen_outline(picture.owner == index)) is not None:
                numbers = (f"{value:.6f}" for value in (outline / size).ravel())
                lines.append(" ".join([str(names.index(body.kind)), *numbers]))
            continue
        values = to_fractions(xyxy_to_xywh(box[None]), (camera.height, camera.width))[0]
        line = " ".join([str(names.index(body.kind)), *(f"{value:.6f}" for value in values)])
        if task == "pose":
            points = keypoints(picture, camera, index)
            line += "".join(f" {x / size[0]:.6f} {y / size[1]:.6f} {int(v)}" for x, y, v in points)
        lines.append(line)
    return lines
