"""Turn a painted scene into label lines.

A gate or obstacle is labelled when at least `MIN_VISIBLE` of it can be seen, and its box is at least `MIN_BOX` pixels
wide and high. What can be seen is the share of its surface that lies in the picture (counted on the surface, so that a
thing that reaches behind the camera counts fairly) times the share of its outline that nothing nearer hides.
"""

from __future__ import annotations

import numpy as np

from aigp_lightning.boxes import to_fractions, xyxy_to_xywh
from aigp_lightning.data.synthetic.geometry import Camera, clipped_contours
from aigp_lightning.data.synthetic.motion import Array
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
        >>> from aigp_lightning.data.synthetic.gate import Gate
        >>> from aigp_lightning.data.synthetic.gate_body import make_gate
        >>> camera, light = Camera(64, 36, tilt=0.0), np.array([0.0, 0.0, -1.0])
        >>> body = make_gate(np.random.default_rng(0), Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0), light)
        >>> body_box(camera, body).round(1).tolist()
        [23.1, 9.1, 40.9, 26.9]
    """
    flat = clipped_contours(camera, [contour for surface in body.surfaces for contour in surface.contours])
    if not flat:
        return None
    points = np.concatenate(flat)
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    return np.asarray(box.clip(0, [camera.width, camera.height] * 2))


def share_in_picture(camera: Camera, body: Body) -> float:
    """Compute the share of a body's surface points (from a surface's middle to its edge) that is in the picture.

    Example:
        >>> from aigp_lightning.data.synthetic.gate import Gate
        >>> from aigp_lightning.data.synthetic.gate_body import make_gate
        >>> camera, light = Camera(64, 36, tilt=0.0), np.array([0.0, 0.0, -1.0])
        >>> body = make_gate(np.random.default_rng(0), Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0), light)
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
        >>> from aigp_lightning.data.synthetic.gate import Gate
        >>> from aigp_lightning.data.synthetic.gate_body import make_gate
        >>> from aigp_lightning.data.synthetic.render import paint
        >>> camera, light = Camera(64, 36, tilt=0.0), np.array([0.0, 0.0, -1.0])
        >>> body = make_gate(np.random.default_rng(0), Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0), light)
        >>> picture = paint(np.zeros((36, 64, 3), np.uint8), camera, [body])
        >>> share_unhidden(picture, 0)
        1.0
    """
    outline: Mask = picture.outlines[index]
    total = int(outline.sum())
    return float((picture.owner[outline] <= index).sum() / total) if total else 0.0


def keypoints(picture: Picture, camera: Camera, index: int, target: str = "gate-4") -> Array:
    """Project a gate's corners, with the visibility of each.

    Args:
        picture: the painted scene.
        camera: who looked.
        index: the gate's place in the picture's bodies.
        target: name of the built-in target that says where the keypoints are on the gate.

    Returns:
        (K, 3) x, y in pixels and visibility: 2 seen, 1 hidden by something nearer, 0 outside the picture (x = y = 0).

    Example:
        >>> from aigp_lightning.data.synthetic.gate import Gate
        >>> from aigp_lightning.data.synthetic.gate_body import make_gate
        >>> from aigp_lightning.data.synthetic.render import paint
        >>> camera, light = Camera(64, 36, tilt=0.0), np.array([0.0, 0.0, -1.0])
        >>> body = make_gate(np.random.default_rng(0), Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0), light)
        >>> picture = paint(np.zeros((36, 64, 3), np.uint8), camera, [body])
        >>> keypoints(picture, camera, 0).round(1).tolist()
        [[27.1, 13.1, 2.0], [36.9, 13.1, 2.0], [36.9, 22.9, 2.0], [27.1, 22.9, 2.0]]
    """
    gate = picture.bodies[index].gate
    assert gate is not None
    corners = gate.corners(camera, target)
    result = np.zeros((len(corners), 3))
    inside = camera.inside(corners)
    result[inside, :2] = camera.project(camera.to_camera(corners[inside]))
    for i in np.flatnonzero(inside):
        x, y = result[i, :2].astype(int)
        around = picture.owner[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        result[i, 2] = HIDDEN if (around > index).mean() > HALF else VISIBLE
    return result


def labelled(picture: Picture, camera: Camera, task: str) -> list[tuple[int, Array]]:
    """Choose the objects that the task labels, from far to near.

    Args:
        picture: the painted scene.
        camera: who looked.
        task: `detect`, `pose`, `segment` or `obstacle`.

    Returns:
        Of each its place in the picture's bodies, and its box (4,) xyxy, pixels.

    Example:
        >>> from aigp_lightning.data.synthetic.gate import Gate
        >>> from aigp_lightning.data.synthetic.gate_body import make_gate
        >>> from aigp_lightning.data.synthetic.render import paint
        >>> camera, light = Camera(64, 36, tilt=0.0), np.array([0.0, 0.0, -1.0])
        >>> body = make_gate(np.random.default_rng(0), Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0), light)
        >>> picture = paint(np.zeros((36, 64, 3), np.uint8), camera, [body])
        >>> [(index, box.round(1).tolist()) for index, box in labelled(picture, camera, "detect")]
        [(0, [23.1, 9.1, 40.9, 26.9])]
    """
    found = []
    for index, body in enumerate(picture.bodies):
        if body.kind not in CLASSES[task]:
            continue
        box = body_box(camera, body)
        if box is None or min(box[2:] - box[:2]) < MIN_BOX:
            continue
        if share_in_picture(camera, body) * share_unhidden(picture, index) >= MIN_VISIBLE:
            found.append((index, box))
    return found


def label_lines(picture: Picture, camera: Camera, task: str, target: str = "gate-4") -> list[str]:
    """Write YOLO label lines of the objects that the task labels, from far to near.

    Args:
        picture: the painted scene.
        camera: who looked.
        task: `detect`, `pose`, `segment` or `obstacle`.
        target: name of the built-in target that says where the keypoints are on a gate.

    Returns:
        `class cx cy w h`, as fractions of the picture; for `pose` followed by `x y v` of every keypoint; for
        `segment` `class x1 y1 x2 y2 …`, the outline of what is seen of the object, round its opening too.

    Example:
        >>> from aigp_lightning.data.synthetic.gate import Gate
        >>> from aigp_lightning.data.synthetic.gate_body import make_gate
        >>> from aigp_lightning.data.synthetic.render import paint
        >>> camera, light = Camera(64, 36, tilt=0.0), np.array([0.0, 0.0, -1.0])
        >>> body = make_gate(np.random.default_rng(0), Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0), light)
        >>> picture = paint(np.zeros((36, 64, 3), np.uint8), camera, [body])
        >>> label_lines(picture, camera, "detect")
        ['0 0.500000 0.500000 0.277207 0.492813']
    """
    lines = [label_line(picture, camera, task, target, index, box) for index, box in labelled(picture, camera, task)]
    return [line for line in lines if line]


def label_line(picture: Picture, camera: Camera, task: str, target: str, index: int, box: Array) -> str:
    """Write the label line of one object, see `label_lines`; empty where hardly anything of its outline is seen.

    Args:
        picture: the painted scene.
        camera: who looked.
        task: `detect`, `pose`, `segment` or `obstacle`.
        target: of its keypoints.
        index: its place in the picture's bodies.
        box: (4,) xyxy, pixels.
    """
    number, size = CLASSES[task].index(picture.bodies[index].kind), np.array([camera.width, camera.height])
    if task == "segment":
        outline = seen_outline(picture.owner == index)
        return "" if outline is None else " ".join([str(number), *(f"{v:.6f}" for v in (outline / size).ravel())])
    values = to_fractions(xyxy_to_xywh(box[None]), (camera.height, camera.width))[0]
    line = " ".join([str(number), *(f"{value:.6f}" for value in values)])
    if task == "pose":
        points = keypoints(picture, camera, index, target)
        line += "".join(f" {x / size[0]:.6f} {y / size[1]:.6f} {int(v)}" for x, y, v in points)
    return line
