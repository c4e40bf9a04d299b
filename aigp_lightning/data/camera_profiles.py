"""Built-in cameras, with the gate that each was specified with."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class CameraProfile:
    """A camera, its place on the drone, and the gates of its competition round.

    Attributes:
        width: of the pictures that the network gets, pixels.
        height: their height, pixels.
        angle: field of view across, degrees; square pixels, the axis in the picture's middle.
        tilt: how far the camera looks up from the drone's forward axis, degrees.
        gate_depth: how thick gates are, metres.
        rolling_ms: time from the exposure of the first row to that of the last, milliseconds; 0: a global shutter.

    Example:
        >>> round(PROFILES["ts-002"].focal, 2), round(PROFILES["ts-005"].focal, 2)
        (320.0, 424.65)
    """

    width: int
    height: int
    angle: float
    tilt: float
    gate_depth: float
    rolling_ms: float = 0.0

    @property
    def focal(self) -> float:
        """Focal length, pixels."""
        # by the tangent of half an angle, sin a / (1 + cos a), which is exact at 90 degrees
        angle = math.radians(self.angle)
        return self.width / 2 * (1 + math.cos(angle)) / math.sin(angle)


PROFILES: dict[str, CameraProfile] = {
    "ts-002": CameraProfile(640, 360, angle=90.0, tilt=20.0, gate_depth=0.26),
    "ts-005": CameraProfile(640, 360, angle=74.0, tilt=20.0, gate_depth=0.08, rolling_ms=16.0),
}
"""The virtual rounds' camera (VADR-TS-002), and the physical qualifier's (VADR-TS-005): 1920 × 1080 at 60 Hz with a
rolling shutter, scaled down to 640 × 360; teams calibrated 73.7 to 74.1 degrees."""
