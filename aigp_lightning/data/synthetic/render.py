"""Paints a scene from far to near, and keeps the pixels that each body covers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.synthetic.geometry import Array, Camera, clipped_contours
from aigp_lightning.data.synthetic.objects import Body, Surface
from aigp_lightning.data.synthetic.textures import Pixels

Mask = NDArray[np.bool_]
SHIFT = 4
MARGIN = 4.0
MINIFIED = 0.7
HALF = 0.5
WITH_ALPHA = 4


@dataclass
class Picture:
    """A painted scene.

    Args:
        image: (H, W, 3) uint8 BGR.
        bodies: the scene's bodies from far to near.
        outlines: (H, W) per body, every pixel it would cover if nothing stood before it.
        owner: (H, W) int16, which body (by its place in the list) is seen at a pixel; -1 is the background.

    Example:
        >>> picture = Picture(np.zeros((36, 64, 3), np.uint8), [], [], np.full((36, 64), -1, np.int16))
        >>> int((picture.owner == -1).sum())  # background everywhere
        2304
    """

    image: Pixels
    bodies: list[Body]
    outlines: list[Mask]
    owner: NDArray[np.int16]


def _fixed(contours: list[Array]) -> list[NDArray[np.int32]]:
    """Turn continuous pixel positions (n, 2) into OpenCV's fixed point, whose zero is a pixel's centre."""
    return [np.round((contour - 0.5) * (1 << SHIFT)).astype(np.int32) for contour in contours]


def _window(contours: list[Array], camera: Camera) -> tuple[int, int, int, int] | None:
    """Find the rows and columns (x0, y0, x1, y1) that contours (n, 2) can touch; None where they touch none."""
    points = np.concatenate(contours)
    x0, y0 = np.maximum(np.floor(points.min(axis=0)).astype(int) - 1, 0)
    x1, y1 = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, (camera.width, camera.height))
    return (int(x0), int(y0), int(x1), int(y1)) if x1 > x0 and y1 > y0 else None


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


def _paint_texture(image: Pixels, camera: Camera, surface: Surface, flat: list[Array]) -> Mask | None:
    """Paint a textured surface; return where a see-through texture covers more than half of a pixel."""
    window = _window(flat, camera)
    if window is None or surface.texture is None:
        return None
    x0, y0, x1, y1 = window
    texture = surface.texture
    size = np.ptp(np.concatenate(flat), axis=0).max()
    ratio = float(np.clip(size / max(texture.shape[:2]), 0.02, 1.0))
    if ratio < MINIFIED:  # a minified texture would sparkle: take its average first
        shape = (max(2, round(texture.shape[1] * ratio)), max(2, round(texture.shape[0] * ratio)))
        texture = cv2.resize(texture, shape, interpolation=cv2.INTER_AREA).astype(np.uint8)
    matrix = texture_homography(camera, surface, texture.shape, (x0, y0))
    warped = cv2.warpPerspective(texture, matrix, (x1 - x0, y1 - y0), borderMode=cv2.BORDER_REPLICATE)
    cover = np.zeros((y1 - y0, x1 - x0), dtype=np.uint8)
    cv2.fillPoly(cover, _fixed([c - (x0, y0) for c in flat]), 255, cv2.LINE_AA, SHIFT)
    alpha = cover.astype(np.float32) * np.float32(1 / 255)
    see_through = warped.shape[2] == WITH_ALPHA
    if see_through:
        alpha *= warped[..., 3] * np.float32(1 / 255)
    patch = image[y0:y1, x0:x1]
    color = cv2.convertScaleAbs(np.ascontiguousarray(warped[..., :3]), alpha=surface.light)
    patch[:] = cv2.blendLinear(color, np.ascontiguousarray(patch), alpha, 1 - alpha)
    if not see_through:
        return None
    solid = np.zeros(image.shape[:2], dtype=np.bool_)
    solid[y0:y1, x0:x1] = alpha > HALF
    return solid


def _add_glow(image: Pixels, flat: list[Array], surface: Surface) -> None:
    """Let a lit surface bloom into its surroundings."""
    assert surface.texture is not None
    small = np.zeros((image.shape[0] // 4, image.shape[1] // 4), dtype=np.uint8)
    cv2.fillPoly(small, _fixed([c / 4 for c in flat]), 255, cv2.LINE_AA, SHIFT)
    reach = max(1.0, 0.04 * float(np.ptp(np.concatenate(flat), axis=0).max()) / 4)
    bloom = cv2.resize(cv2.GaussianBlur(small, (0, 0), reach), (image.shape[1], image.shape[0]))
    color = np.array(surface.texture.reshape(-1, 3).max(axis=0), dtype=np.float32)
    halo = bloom[..., None].astype(np.float32) * (color * (0.4 / 255))
    cv2.add(image, halo.astype(np.uint8), dst=image)


def paint_body(image: Pixels, camera: Camera, body: Body) -> tuple[Mask, Mask]:
    """Paint one body over the picture.

    Args:
        image: (H, W, 3) uint8 BGR, painted in place.
        camera: who looks.
        body: what to paint.

    Returns:
        Two maps (H, W): what the body's outline covers, and where it hides what stands behind it.

    Example:
        >>> from aigp_lightning.data.synthetic.objects import quad
        >>> wall = quad(np.array([4.0, -1.0, -1.0]), np.array([0.0, 2.0, 0.0]), np.array([0.0, 0.0, 2.0]))
        >>> body = Body("box", wall.mean(axis=0), [Surface([wall], (0, 0, 255))])
        >>> image = np.zeros((36, 64, 3), np.uint8)
        >>> covered, hides = paint_body(image, Camera(64, 36, tilt=0.0), body)
        >>> image[18, 32].tolist(), int(covered.sum())
        ([0, 0, 255], 289)
    """
    outline = np.zeros(image.shape[:2], dtype=np.uint8)
    hides: Mask | None = None
    for surface in body.surfaces:
        flat = clipped_contours(camera, surface.contours, MARGIN)
        if not flat:
            continue
        cv2.fillPoly(outline, _fixed(flat), 1, cv2.LINE_8, SHIFT)
        if surface.texture is None:
            cv2.fillPoly(image, _fixed(flat), surface.color, cv2.LINE_AA, SHIFT)
        else:
            solid = _paint_texture(image, camera, surface, flat)
            hides = solid if solid is not None else hides
            if surface.glow:
                _add_glow(image, flat, surface)
    covered = outline.astype(np.bool_)
    return covered, covered if hides is None else hides


def paint(background: Pixels, camera: Camera, bodies: list[Body]) -> Picture:
    """Paint the bodies over a background, the farthest first (the painter's algorithm).

    Example:
        >>> from aigp_lightning.data.synthetic.objects import quad
        >>> wall = quad(np.array([4.0, -1.0, -1.0]), np.array([0.0, 2.0, 0.0]), np.array([0.0, 0.0, 2.0]))
        >>> bodies = [Body("box", wall.mean(axis=0) * far, [Surface([wall * far])]) for far in (1, 2)]
        >>> picture = paint(np.zeros((36, 64, 3), np.uint8), Camera(64, 36, tilt=0.0), bodies)
        >>> int(picture.owner[18, 32]), picture.bodies[1] is bodies[0]  # the nearest comes last
        (1, True)
    """
    bodies = sorted(bodies, key=lambda body: -float(np.linalg.norm(body.centre)))
    owner = np.full(background.shape[:2], -1, dtype=np.int16)
    outlines = []
    for i, body in enumerate(bodies):
        outline, hides = paint_body(background, camera, body)
        outlines.append(outline)
        owner[hides] = i
    return Picture(background, bodies, outlines, owner)
