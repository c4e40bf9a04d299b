"""The camera's own motion while a picture is exposed: when each row sees what, and the blur.

Rows of a rolling shutter are exposed one after the other. Over the milliseconds of one picture the velocity and the
angular rate are taken as constant; a point is seen by the row whose own time it is in. That is exact, for pixels and
labels alike. The blur is made from the sharp picture: each pixel is averaged along the way that what is seen there
moves in the picture, which is exact but for curved ways and for what a nearer edge uncovers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
SAMPLE, MOST_SAMPLES = 1.5, 10
"""A smear is averaged from pictures that are so many pixels apart, at most so many."""


@dataclass(frozen=True)
class Motion:
    """Velocity and angular rate of a camera, and how long its shutter takes.

    Args:
        velocity: (3,) m/s, camera frame at the readout's middle.
        rate: (3,) rad/s, camera frame.
        rolling: from the exposure of the first row to that of the last, seconds.
        exposure: of each row, seconds; a row's time is its exposure's middle.

    Example:
        >>> motion = Motion(np.array([0.0, 0.0, 10.0]), np.zeros(3), rolling=0.02)
        >>> motion.times(np.array([0.5, 180.0, 359.5]), height=360).round(3).tolist()
        [-0.01, 0.0, 0.01]
        >>> motion.moved(np.array([[0.0, 0.0, 5.0]]), np.array([0.01])).round(3).tolist()  # 0.1 m nearer
        [[0.0, 0.0, 4.9]]
    """

    velocity: Array
    rate: Array
    rolling: float = 0.0
    exposure: float = 0.0

    @property
    def reach(self) -> float:
        """Way that the camera makes from the readout's middle to its end, metres."""
        return float(np.linalg.norm(self.velocity)) * self.rolling / 2

    def times(self, v: Array, height: int) -> Array:
        """Return when the rows at positions v, pixels from the top, are exposed: seconds after the readout's middle."""
        return np.asarray(((v - height / 2) / (height - 1) * self.rolling).clip(-self.rolling / 2, self.rolling / 2))

    def turns(self, times: Array) -> Array:
        """Return the rotations (n, 3, 3) from the camera's frame at times (n,) to that of the middle.

        By Rodrigues' formula.
        """
        speed = float(np.linalg.norm(self.rate))
        x, y, z = self.rate / speed if speed > 0 else (0.0, 0.0, 0.0)
        cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        angle = (speed * times)[:, None, None]
        return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross))

    def moved(self, points: Array, times: Array) -> Array:
        """Turn points (n, 3) of the middle's camera frame into that of their own times (n,)."""
        speed = float(np.linalg.norm(self.rate))
        axis = self.rate / speed if speed > 0 else np.zeros(3)
        angle, still = (speed * times)[:, None], points - times[:, None] * self.velocity
        across = still @ np.array([[0.0, axis[2], -axis[1]], [-axis[2], 0.0, axis[0]], [axis[1], -axis[0], 0.0]])
        # Rodrigues' formula, turned back; `across` is the cross product of the axis and the points
        return np.asarray(
            np.cos(angle) * still - np.sin(angle) * across + (1 - np.cos(angle)) * (still @ axis)[:, None] * axis
        )


def plane_maps(axes: Array, plane: Array, motion: Motion, rows: Array, height: int) -> Array:
    """Return, for each row of a picture, what turns rays into places on a plane.

    Args:
        axes: (3, 3) rotation from world to camera, at the readout's middle.
        plane: (3, 3) rows in the world: a corner, and two edges from it.
        motion: of the camera.
        rows: (n,) their middles, pixels from the top.
        height: of the whole picture, pixels.

    Returns:
        (n, 3, 3), to be multiplied by rays (x, y, 1): the first two components by the third are the place in shares
        of the edges, and the third is one over the depth. A row that looks along the plane has values that are not
        finite.

    Example:
        >>> plane = np.array([[0.0, 0.0, 4.0], [2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
        >>> still = Motion(np.zeros(3), np.zeros(3))
        >>> (plane_maps(np.eye(3), plane, still, np.array([18.0]), 36)[0] @ (0.25, 0.0, 1.0)).tolist()
        [0.125, 0.0, 0.25]
    """
    times = motion.times(rows, height)
    corner, across, down = plane @ axes.T
    back = np.swapaxes(motion.turns(times), 1, 2)
    a, b = back @ across, back @ down
    c = np.einsum("nij,nj->ni", back, corner - times[:, None] * motion.velocity)
    adjugate = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(adjugate / np.einsum("ni,ni->n", a, adjugate[:, 0])[:, None, None])


def blurred(
    image: NDArray[np.uint8], nearness: Floats, motion: Motion, focal: float, longest: float = 40.0
) -> NDArray[np.uint8]:
    """Smear a sharp picture as the camera's motion does while a row is exposed.

    What is seen at a pixel moves by the motion field of a rigid scene (Longuet-Higgins and Prazdny, Proc. R. Soc. B
    208, 1980); several pictures of the exposure, each taken from the sharp one along that way, are averaged. Around a
    near thing, as far as its smear reaches, its own motion counts, so that its edges stay where they are.

    Args:
        image: (H, W, 3) uint8.
        nearness: (H, W) one over the depth of what is seen, 1/m; 0 is far away.
        motion: of the camera.
        focal: pixels.
        longest: the smear is cut at so many pixels.

    Returns:
        (H, W, 3) uint8.

    Example:
        >>> image = np.zeros((9, 21, 3), np.uint8)
        >>> image[:, 10:] = 200
        >>> turning = Motion(np.zeros(3), np.array([0.0, 1.0, 0.0]), exposure=0.01)
        >>> blurred(image, np.zeros((9, 21), np.float32), turning, focal=600.0)[4, 6:15, 0].tolist()
        [0, 16, 48, 80, 120, 152, 184, 200, 200]
    """
    import cv2

    height, width = image.shape[:2]
    flow = _flow(nearness, motion, focal) * np.float32(motion.exposure)
    length = float(np.abs(flow).max(initial=0.0))
    if length < 0.25:  # noqa: PLR2004
        return image
    reach = 2 * int(np.ceil(min(length, longest) / 2)) + 1
    near = np.asarray(cv2.dilate(nearness, np.ones((reach, reach), np.uint8)), np.float32)
    flow = (_flow(near, motion, focal) * np.float32(motion.exposure)).clip(-longest, longest)
    steps = int(np.clip(np.ceil(length / SAMPLE), 2, MOST_SAMPLES))
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    total = np.zeros(image.shape, np.float32)
    for share in (np.arange(steps, dtype=np.float32) + np.float32(0.5)) / np.float32(steps) - np.float32(0.5):
        at = (xx - flow[0] * share, yy - flow[1] * share)
        cv2.accumulate(cv2.remap(image, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), total)
    return np.asarray(cv2.convertScaleAbs(total, alpha=1 / steps), np.uint8)


def _flow(nearness: Floats, motion: Motion, focal: float) -> Floats:
    """Return how fast what is seen moves in a picture read out row by row, (2, H, W) pixels a second."""
    height, width = nearness.shape
    x = ((np.arange(width, dtype=np.float32) + np.float32(0.5 - width / 2)) / np.float32(focal))[None]
    y = ((np.arange(height, dtype=np.float32) + np.float32(0.5 - height / 2)) / np.float32(focal))[:, None]
    vx, vy, vz = motion.velocity.astype(np.float32)
    wx, wy, wz = motion.rate.astype(np.float32)
    turn = wx * y - wy * x
    across = nearness * (x * vz - vx) + (wz * y - wy) + x * turn
    down = nearness * (y * vz - vy) + (wx - wz * x) + y * turn
    # what moves down meets the rows that are read later
    met = np.float32(focal) / (1 - down * np.float32(focal * motion.rolling / max(height - 1, 1)))
    return np.asarray(np.stack([across * met, down * met]), np.float32)
