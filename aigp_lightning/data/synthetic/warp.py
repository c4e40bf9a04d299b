"""Where a picture's pixels lie on a flat surface, for a camera that stands still and for one that moves."""

from __future__ import annotations

import cv2
import numpy as np

from aigp_lightning.data.synthetic.geometry import Camera
from aigp_lightning.data.synthetic.motion import Array, Floats, plane_maps
from aigp_lightning.data.synthetic.objects import Surface
from aigp_lightning.data.synthetic.textures import Pixels

Window = tuple[int, int, int, int]
"""Left, top, right and bottom, pixels."""
FAR_OFF = 1e3
"""Places on a texture, in shares of its side, are cut there: OpenCV's coordinates are bounded."""


def texture_homography(camera: Camera, surface: Surface, shape: tuple[int, ...], offset: tuple[int, int]) -> Array:
    """Map a texture's pixel indices to those of a window of the picture.

    Args:
        camera: who looks.
        surface: a surface with a plane.
        shape: the texture's height and width first.
        offset: the window's left and top, pixels.

    Returns:
        (3, 3) homography.

    Example:
        >>> plane = np.array([[4.0, -1.0, -1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
        >>> matrix = texture_homography(Camera(64, 36, tilt=0.0), Surface([], plane=plane), (8, 8), (0, 0))
        >>> (matrix / matrix[2, 2]).round(3).tolist()
        [[2.0, 0.0, 24.5], [0.0, 2.0, 10.5], [0.0, 0.0, 1.0]]
    """
    assert surface.plane is not None
    corner, across, down = surface.plane
    height, width = shape[:2]
    units = np.array([[1 / width, 0, 0.5 / width], [0, 1 / height, 0.5 / height], [0, 0, 1.0]])
    shift = np.array([[1, 0, -0.5 - offset[0]], [0, 1, -0.5 - offset[1]], [0, 0, 1.0]])
    columns = camera.axes @ np.column_stack([across, down, corner])
    return np.asarray(shift @ camera.matrix @ columns @ units)


def rolling_map(camera: Camera, plane: Array, window: Window) -> tuple[Floats, Floats, Floats]:
    """Look up a plane for each pixel of a window, as a moving camera's rows see it one after the other.

    Args:
        camera: who looks, in motion.
        plane: (3, 3) rows in the world: a corner, and two edges from it.
        window: left, top, right and bottom, pixels.

    Returns:
        Place along either edge in shares of it, and one over the depth, 1/m; (h, w) each.

    Example:
        >>> from aigp_lightning.data.synthetic.motion import Motion
        >>> moving = Motion(np.zeros(3), np.zeros(3), rolling=0.02)
        >>> camera = Camera(64, 36, tilt=0.0, motion=moving)
        >>> plane = np.array([[4.0, -1.0, -1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
        >>> [round(float(each[0, 0]), 3) for each in rolling_map(camera, plane, (24, 10, 40, 26))]
        [0.031, 0.031, 0.25]
    """
    assert camera.motion is not None
    x0, y0, x1, y1 = window
    rows = np.arange(y0, y1, dtype=np.float64) + 0.5
    rays_x = ((np.arange(x0, x1) + 0.5 - camera.width / 2) / camera.focal).astype(np.float32)
    rays_y = (rows - camera.height / 2) / camera.focal
    maps = plane_maps(camera.axes, plane, camera.motion, rows, camera.height)
    first, rest = maps[:, :, 0].astype(np.float32), maps[:, :, 1] * rays_y[:, None] + maps[:, :, 2]
    across, down, near = (first[:, i, None] * rays_x + rest[:, i, None].astype(np.float32) for i in range(len(maps[0])))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        places = [np.nan_to_num(each / near, nan=0.0).clip(-FAR_OFF, FAR_OFF) for each in (across, down)]
    return places[0], places[1], np.nan_to_num(near, nan=0.0, posinf=0.0, neginf=0.0)


def warped_texture(camera: Camera, surface: Surface, texture: Pixels, window: Window) -> Pixels:
    """Fill a window of the picture with a texture as the camera sees it.

    Args:
        camera: who looks.
        surface: with a plane.
        texture: (h, w, 3 or 4), the surface's or a smaller one.
        window: left, top, right and bottom, pixels.

    Returns:
        (height, width, 3 or 4) uint8 of the window; beyond the texture its edge goes on.

    Example:
        >>> plane = np.array([[4.0, -1.0, -1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
        >>> texture = np.full((8, 8, 3), 7, np.uint8)
        >>> warped_texture(Camera(64, 36, tilt=0.0), Surface([], plane=plane), texture, (24, 10, 40, 26)).shape
        (16, 16, 3)
    """
    assert surface.plane is not None
    x0, y0, x1, y1 = window
    if camera.motion is None:
        matrix = texture_homography(camera, surface, texture.shape, (x0, y0))
        seen = cv2.warpPerspective(texture, matrix, (x1 - x0, y1 - y0), borderMode=cv2.BORDER_REPLICATE)
    else:
        across, down, _ = rolling_map(camera, surface.plane, window)
        height, width = texture.shape[:2]
        at = (across * np.float32(width) - np.float32(0.5), down * np.float32(height) - np.float32(0.5))
        seen = cv2.remap(texture, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen, dtype=np.uint8)
