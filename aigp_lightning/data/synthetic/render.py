"""Paints a scene from far to near, and keeps the pixels that each body covers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.synthetic.clipping import onward
from aigp_lightning.data.synthetic.geometry import TRIANGLE, Camera, clipped_groups
from aigp_lightning.data.synthetic.motion import Array, Floats
from aigp_lightning.data.synthetic.objects import Body, Surface
from aigp_lightning.data.synthetic.textures import Pixels
from aigp_lightning.data.synthetic.warp import Window, rolling_map, warped_texture

Mask = NDArray[np.bool_]
SHIFT = 4
MARGIN = 4.0
MINIFIED = 0.7
HALF = 0.5
GROWN = 0.65
"""OpenCV draws smooth-edged polygons so many pixels too large on all sides: 0.58 to 0.70, by the edge's direction."""
TINY = 1e-6
WITH_ALPHA = 4


@dataclass
class Picture:
    """A painted scene.

    Args:
        image: (H, W, 3) uint8 BGR.
        bodies: the scene's bodies from far to near.
        outlines: (H, W) per body, every pixel it would cover if nothing stood before it.
        owner: (H, W) int16, which body (by its place in the list) is seen at a pixel; -1 is the background.
        nearness: (H, W) one over the depth of what is seen, 1/m, where the camera moves.

    Example:
        >>> picture = Picture(np.zeros((36, 64, 3), np.uint8), [], [], np.full((36, 64), -1, np.int16))
        >>> int((picture.owner == -1).sum())  # background everywhere
        2304
    """

    image: Pixels
    bodies: list[Body]
    outlines: list[Mask]
    owner: NDArray[np.int16]
    nearness: Floats | None = None


def _fixed(contours: list[Array]) -> list[NDArray[np.int32]]:
    """Turn continuous pixel positions (n, 2) into OpenCV's fixed point, whose zero is a pixel's centre."""
    return [np.round((contour - 0.5) * (1 << SHIFT)).astype(np.int32) for contour in contours]


def trimmed(contours: list[Array]) -> list[Array]:
    """Make up for what OpenCV adds around a smooth-edged polygon, by moving its edges.

    Args:
        contours: (n, 2) convex each, pixels; those after the first are holes.

    Returns:
        The same, the first one smaller and its holes larger by `GROWN`; tiny ones by less.

    Example:
        >>> square = np.array([[10.0, 10.0], [20.0, 10.0], [20.0, 20.0], [10.0, 20.0]])
        >>> trimmed([square])[0].tolist()
        [[10.65, 10.65], [19.35, 10.65], [19.35, 19.35], [10.65, 19.35]]
    """
    result = []
    for number, contour in enumerate(contours):
        distinct = contour[np.abs(onward(contour) - contour).max(axis=1) > TINY]
        if len(distinct) < TRIANGLE:
            result.append(contour)
            continue
        along = onward(distinct) - distinct
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        (x, y), (next_x, next_y) = distinct.T, onward(distinct).T
        turn = np.sign(x @ next_y - y @ next_x)
        inwards = turn * np.column_stack([-along[:, 1], along[:, 0]])
        before = np.concatenate((inwards[-1:], inwards[:-1]))
        # no corner goes further than twice as far as its edges
        corner = (inwards + before) / (1 + (inwards * before).sum(axis=1, keepdims=True)).clip(0.5)
        by = min(GROWN, float(np.ptp(distinct, axis=0).min()) / 4)
        result.append(distinct + (by if number == 0 else -by) * corner)
    return result


def _window(contours: list[Array], camera: Camera) -> Window | None:
    """Find the rows and columns (x0, y0, x1, y1) that contours (n, 2) can touch; None where they touch none."""
    points = np.concatenate(contours)
    x0, y0 = np.maximum(np.floor(points.min(axis=0)).astype(int) - 1, 0)
    x1, y1 = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, (camera.width, camera.height))
    return (int(x0), int(y0), int(x1), int(y1)) if x1 > x0 and y1 > y0 else None


def _note_nearness(nearness: Floats, camera: Camera, surface: Surface, flat: list[Array], solid: Mask | None) -> None:
    """Enter how near a surface is where it covers the picture, or where `solid` says that it does."""
    window = _window(flat, camera)
    if window is None:
        return
    x0, y0, x1, y1 = window
    if solid is None:
        cover = np.zeros((y1 - y0, x1 - x0), dtype=np.uint8)
        cv2.fillPoly(cover, _fixed([c - (x0, y0) for c in flat]), 1, cv2.LINE_8, SHIFT)
        covered = cover.astype(np.bool_)
    else:
        covered = solid[y0:y1, x0:x1]
    corner, one, other = surface.contours[0][:3]
    plane = np.stack([corner, one - corner, other - corner])
    near = rolling_map(camera, plane, window)[2]
    np.copyto(nearness[y0:y1, x0:x1], near.clip(0.0, 1 / camera.near), where=covered)


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
    warped = warped_texture(camera, surface, texture, window)
    cover = np.zeros((y1 - y0, x1 - x0), dtype=np.uint8)
    drawn = trimmed(flat) if camera.exact else flat
    cv2.fillPoly(cover, _fixed([c - (x0, y0) for c in drawn]), 255, cv2.LINE_AA, SHIFT)
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


def paint_body(image: Pixels, camera: Camera, body: Body, nearness: Floats | None = None) -> tuple[Mask, Mask]:
    """Paint one body over the picture.

    Args:
        image: (H, W, 3) uint8 BGR, painted in place.
        camera: who looks.
        body: what to paint.
        nearness: (H, W) one over the depth of what is seen, 1/m, changed in place; for the blur of a moving camera.

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
    flats = clipped_groups(camera, [surface.contours for surface in body.surfaces], MARGIN)
    for surface, flat in zip(body.surfaces, flats, strict=True):
        if not flat:
            continue
        cv2.fillPoly(outline, _fixed(flat), 1, cv2.LINE_8, SHIFT)
        solid = None
        if surface.texture is None:
            drawn = trimmed(flat) if camera.exact else flat
            cv2.fillPoly(image, _fixed(drawn), surface.color, cv2.LINE_AA, SHIFT)
        else:
            solid = _paint_texture(image, camera, surface, flat)
            hides = solid if solid is not None else hides
            if surface.glow:
                _add_glow(image, flat, surface)
        if nearness is not None and not surface.mounted:
            _note_nearness(nearness, camera, surface, flat, solid)
    covered = outline.astype(np.bool_)
    return covered, covered if hides is None else hides


def paint(background: Pixels, camera: Camera, bodies: list[Body], nearness: Floats | None = None) -> Picture:
    """Paint the bodies over a background, the farthest first (the painter's algorithm).

    Args:
        background: (H, W, 3) uint8 BGR, painted over in place.
        camera: who looks.
        bodies: what to paint.
        nearness: see `paint_body`.

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
        outline, hides = paint_body(background, camera, body, nearness)
        outlines.append(outline)
        owner[hides] = i
    return Picture(background, bodies, outlines, owner, nearness)
