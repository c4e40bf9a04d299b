"""The racing gate: its measures, and where its corners are. Lengths in metres, frames as in `geometry.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aigp_lightning.data.camera_profiles import PROFILES
from aigp_lightning.data.synthetic.geometry import BODY_TO_CAMERA, SQUARE, USUAL_PROFILE, Camera, rotation
from aigp_lightning.data.synthetic.motion import Array
from aigp_lightning.data.targets.built_in import TARGETS

GATE_DEPTH = PROFILES[USUAL_PROFILE].gate_depth


@dataclass(frozen=True)
class Gate:
    """Place and attitude of a gate.

    Args:
        centre: (3,) middle of the frame's volume, world.
        axes: (3, 3) columns are the gate's right, down and into axes in the world.
        depth: thickness of the frame, metres.

    Example:
        >>> gate = Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0)
        >>> gate.seen_from_front(), gate.square(2.0, 0.0)[0].tolist()
        (True, [5.0, -1.0, -1.0])
        >>> gate.corners(Camera(640, 360, tilt=0.0))[0].tolist()  # top left
        [4.87, -0.75, -0.75]
    """

    centre: Array
    axes: Array
    depth: float = GATE_DEPTH

    @classmethod
    def facing(
        cls, centre: Array, yaw: float, pitch: float = 0.0, roll: float = 0.0, depth: float = GATE_DEPTH
    ) -> Gate:
        """Make a gate whose front is seen by a body that flies with this attitude towards it."""
        return cls(np.asarray(centre, dtype=np.float64), rotation(yaw, pitch, roll) @ BODY_TO_CAMERA.T, depth)

    def seen_from_front(self) -> bool:
        """True if the camera, at the origin, is on the front's side."""
        return bool(-self.centre @ self.axes[:, 2] < 0)

    def square(self, side: float, z: float) -> Array:
        """Return the corners (4, 3) in the world of a square of this side at depth z of the gate's own frame."""
        flat = np.column_stack([SQUARE * (side / 2), np.full(4, z)])
        return np.asarray(self.centre + flat @ self.axes.T)

    def near_face(self, camera: Camera) -> tuple[Array, Array]:
        """Return the frame that keypoints and poses are in: that of the face which looks towards the camera.

        The rule: right and down are those of who looks from the camera's side, so corners that run clockwise on the
        gate always run clockwise in the picture. A gate seen from its front and less than 45° askew keeps its own
        frame. Seen from behind, left and right are the viewer's. Turned further than 45° in the picture, the corners
        start at the one that is top-left in the picture: the gate is the same after a quarter turn, so nothing in the
        picture could tell the difference. The near face is taken because its corners are edges that can be seen at any
        angle; a pose solved from them is that of this face, half the gate's depth from its middle.

        Args:
            camera: who looks.

        Returns:
            The face's middle (3,) in the world, and its right, down and into axes as columns (3, 3).
        """
        sign = 1.0 if self.seen_from_front() else -1.0
        right, down, into = sign * self.axes[:, 0], self.axes[:, 1], sign * self.axes[:, 2]
        turns = [(right, down), (down, -right), (-right, -down), (-down, right)]
        upright = [r @ camera.axes[0] + d @ camera.axes[1] for r, d in turns]
        r, d = turns[int(np.argmax(upright))]
        return self.centre - into * (self.depth / 2), np.column_stack([r, d, into])

    def corners(self, camera: Camera, target: str = "gate-4") -> Array:
        """Return the keypoints of the gate in the world, on its near face.

        Args:
            camera: who looks.
            target: name of the built-in target that says where they are on the face.

        Returns:
            (K, 3) corners.
        """
        middle, axes = self.near_face(camera)
        return np.asarray(middle + np.array(TARGETS[target]) @ axes.T)
