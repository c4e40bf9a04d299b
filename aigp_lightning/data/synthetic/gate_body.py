"""The racing gate as flat surfaces in its paint."""

from __future__ import annotations

import numpy as np

from aigp_lightning.data.synthetic.gate import Gate
from aigp_lightning.data.synthetic.motion import Array
from aigp_lightning.data.synthetic.objects import Body, Surface, lit, shade
from aigp_lightning.data.synthetic.textures import Paint, gate_paint
from aigp_lightning.data.targets.built_in import GATE_INNER, GATE_OUTER


def make_gate(rng: np.random.Generator, gate: Gate, light: Array) -> Body:
    """Build a gate in a paint drawn at random.

    Example:
        >>> gate = Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0)
        >>> make_gate(np.random.default_rng(0), gate, light=np.array([0.0, 0.0, -1.0])).kind
        'gate'
    """
    return painted_gate(gate_paint(rng), gate, light)


def painted_gate(paint: Paint, gate: Gate, light: Array, number: int = 0) -> Body:
    """Build the box frame: the walls of the opening, the outer walls, then the face that looks at the origin.

    Args:
        paint: of the gate.
        gate: place and attitude, with the camera as the origin.
        light: (3,) unit vector towards the light.
        number: of the gate on its course.

    Example:
        >>> gate = Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0)
        >>> paint = gate_paint(np.random.default_rng(0))
        >>> len(painted_gate(paint, gate, light=np.array([0.0, 0.0, -1.0])).surfaces)  # face, and inside the opening
        5
    """
    half = gate.depth / 2
    surfaces: list[Surface] = []
    for side, outward in ((GATE_INNER, -1.0), (GATE_OUTER, 1.0)):
        near, far = gate.square(side, -half), gate.square(side, half)
        for i in range(4):
            wall = np.stack([near[i], near[(i + 1) % 4], far[(i + 1) % 4], far[i]])
            offset = wall.mean(axis=0) - gate.centre
            normal = outward * offset / float(np.linalg.norm(offset))
            if -wall[0] @ normal > 0:
                surfaces.append(Surface([wall], shade(paint.wall, 0.85 * lit(normal, light))))
    sign = 1.0 if gate.seen_from_front() else -1.0
    outer = gate.square(GATE_OUTER, -half * sign)
    if -outer[0] @ (-sign * gate.axes[:, 2]) > 0:
        plane = np.stack([outer[0], outer[1] - outer[0], outer[3] - outer[0]])
        strength = 1.0 if paint.glow else lit(-sign * gate.axes[:, 2], light)
        holes = gate.square(GATE_INNER, -half * sign)
        surfaces.append(Surface([outer, holes], texture=paint.face, plane=plane, light=strength, glow=paint.glow))
    return Body("gate", gate.centre, surfaces, gate, number)
