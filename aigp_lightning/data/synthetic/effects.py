"""What light and the camera do to a picture: shadows, glare, vignette, colour cast, blur, noise, JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from aigp_lightning.data.synthetic.geometry import Camera, clipped_contours
from aigp_lightning.data.synthetic.motion import Array
from aigp_lightning.data.synthetic.objects import Body
from aigp_lightning.data.synthetic.textures import Pixels, chance

GAIN_STEP = 8
DARKEST, BRIGHTEST = 62.0, 185.0


def ground_shadows(image: Pixels, camera: Camera, bodies: list[Body], ground: float, light: Array) -> None:
    """Darken the ground where bodies keep the light off.

    Args:
        image: (H, W, 3) uint8 BGR, changed in place.
        camera: who looks.
        bodies: what casts shadows.
        ground: how far the ground is below the camera, metres.
        light: (3,) unit vector towards the light.

    Example:
        >>> from aigp_lightning.data.synthetic.objects import Surface, quad
        >>> camera, image = Camera(64, 36, tilt=0.0), np.full((36, 64, 3), 200, np.uint8)
        >>> wall = quad(np.array([4.0, -1.0, -1.0]), np.array([0.0, 2.0, 0.0]), np.array([0.0, 0.0, 2.0]))
        >>> body = Body("box", np.array([4.0, 0.0, 0.0]), [Surface([wall])])
        >>> ground_shadows(image, camera, [body], ground=1.0, light=np.array([0.6, 0.0, -0.8]))
        >>> int(image.min()) < 200
        True
    """
    dark = np.zeros((image.shape[0] // 2, image.shape[1] // 2), dtype=np.uint8)
    for body in bodies:
        for surface in body.surfaces:
            cast = [c + ((ground - c[:, 2:]) / -light[2]) * -light for c in surface.contours]
            flat = [np.round((c / 2 - 0.5) * 16).astype(np.int32) for c in clipped_contours(camera, cast, 4.0)]
            if flat:
                cv2.fillPoly(dark, flat, 255, cv2.LINE_8, 4)
    dark = cv2.resize(cv2.blur(dark, (3, 3)), (image.shape[1], image.shape[0])).astype(np.uint8)
    if dark.any():
        factor = 1.0 - dark.astype(np.float32) * np.float32(0.45 / 255)
        image[:] = (image * factor[..., None]).astype(np.uint8)


def _gain(rng: np.random.Generator, height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Draw the light's map (height, width, 3): exposure, cast, vignette and soft shadows."""
    rows, columns = height // GAIN_STEP + 1, width // GAIN_STEP + 1
    yy, xx = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j].astype(np.float32)
    gain = np.full((rows, columns), np.exp(rng.normal(0.0, 0.28)), dtype=np.float32)
    if chance(rng, 0.5):
        gain *= 1 - rng.uniform(0.1, 0.5) * (xx**2 + yy**2) / 2
    for _ in range(int(rng.choice([0, 1, 2], p=[0.6, 0.25, 0.15]))):
        turn, offset, width_ = rng.uniform(0, np.pi), rng.uniform(-0.8, 0.8), rng.uniform(0.1, 0.6)
        distance = np.abs(xx * np.cos(turn) + yy * np.sin(turn) - offset) - width_
        gain *= 1 - rng.uniform(0.2, 0.5) / (1 + np.exp(distance.clip(-1, 1) * 30))
    cast = 1 + rng.normal(0.0, 0.06, 3).clip(-0.15, 0.15)
    coarse = (gain[..., None] * cast).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height)), dtype=np.float32)


def _hall_gain(rng: np.random.Generator, height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Draw the map (height, width, 3) of a hall's light: warm or cold lamps, brighter under some of them."""
    rows, columns = height // GAIN_STEP + 1, width // GAIN_STEP + 1
    yy, xx = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j].astype(np.float32)
    gain = np.full((rows, columns), np.exp(rng.normal(-0.1, 0.25)), dtype=np.float32)
    gain *= 1 - rng.uniform(0.0, 0.4) * (xx**2 + yy**2) / 2
    for _ in range(int(rng.integers(0, 4))):
        x, y, reach = rng.uniform(-1, 1), rng.uniform(-0.6, 1), rng.uniform(0.2, 0.7)
        gain *= 1 + rng.uniform(0.05, 0.3) * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * reach**2))
    warm, green = rng.normal(0.0, 0.09), rng.normal(0.0, 0.03)
    coarse = (gain[..., None] * np.exp(np.array([-warm, green, warm]))).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height)), dtype=np.float32)


def _glare(rng: np.random.Generator, height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Draw light to add (height, width, 1): a bright spot with a streak, as of a lamp or the sun."""
    rows, columns = height // 4, width // 4
    yy, xx = np.mgrid[0:rows, 0:columns].astype(np.float32)
    y, x, reach = rng.uniform(-0.1, 0.7) * rows, rng.uniform(0, 1) * columns, rng.uniform(0.02, 0.12) * columns
    square = (xx - x) ** 2 + (yy - y) ** 2
    light = rng.uniform(80, 220) * np.exp(-square / (2 * reach**2)) + 40 * np.exp(-square / (2 * (5 * reach) ** 2))
    light += rng.uniform(0, 80) * np.exp(-np.abs(yy - y) / 1.5 - np.abs(xx - x) / (4 * reach))
    return np.asarray(cv2.resize(light.astype(np.float32), (width, height))[..., None], dtype=np.float32)


def _motion(rng: np.random.Generator, image: Pixels, longest: float) -> Pixels:
    """Smear the picture along a line of up to `longest` pixels."""
    length, turn = rng.uniform(1.5, max(2.0, longest)), rng.uniform(0, np.pi)
    size = int(np.ceil(length)) // 2 * 2 + 3
    along = np.linspace(-0.5, 0.5, 4 * size)[:, None] * length * np.array([np.cos(turn), np.sin(turn)])
    at = np.round(along + size // 2).astype(int)
    kernel = np.zeros((size, size), dtype=np.float32)
    np.add.at(kernel, (at[:, 1], at[:, 0]), 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), dtype=np.uint8)


def expose(rng: np.random.Generator, image: Pixels, hall: bool = False) -> Pixels:
    """Light the painted scene and take its picture.

    Args:
        rng: source of randomness.
        image: (H, W, 3) uint8 BGR.
        hall: in the light of a hall, and without smear by chance: that of the camera's own motion is there already.

    Returns:
        (H, W, 3) uint8 BGR with light, blur and sensor noise.

    Example:
        >>> picture = expose(np.random.default_rng(0), np.full((36, 64, 3), 128, np.uint8))
        >>> picture.shape, picture.dtype.name
        ((36, 64, 3), 'uint8')
    """
    scale = image.shape[1] / 640
    image = light_up(rng, image, hall)
    if not hall and chance(rng, 0.4):
        image = _motion(rng, image, 9 * scale)
    return grain(rng, soften(rng, image))


def light_up(rng: np.random.Generator, image: Pixels, soft: bool, glare: float = 0.2) -> Pixels:
    """Give the painted scene its light, and expose it automatically.

    Args:
        rng: source of randomness.
        image: (H, W, 3) uint8 BGR.
        soft: light as in a hall, without the edges of shadows.
        glare: share of the pictures that have one.

    Returns:
        (H, W, 3) uint8 BGR.

    Example:
        >>> light_up(np.random.default_rng(0), np.full((36, 64, 3), 80, np.uint8), soft=True).shape
        (36, 64, 3)
    """
    height, width = image.shape[:2]
    gain = (_hall_gain if soft else _gain)(rng, height, width)
    # automatic exposure, as in every camera: too dark or too bright a mean is pulled back
    mean = float(image.mean() * gain.mean())
    gain *= np.float32(np.clip(mean, DARKEST, BRIGHTEST) / max(mean, 1.0))
    lit = np.asarray(cv2.multiply(image, gain, dtype=cv2.CV_32F), dtype=np.float32)
    if chance(rng, glare):
        lit = lit + _glare(rng, height, width)
    return np.asarray(cv2.convertScaleAbs(np.maximum(lit, 0, out=lit)), dtype=np.uint8)


def soften(rng: np.random.Generator, image: Pixels) -> Pixels:
    """Put the picture out of focus, now and then.

    Example:
        >>> soften(np.random.default_rng(0), np.zeros((36, 64, 3), np.uint8)).shape
        (36, 64, 3)
    """
    if chance(rng, 0.3):
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.4) * (image.shape[1] / 640)).astype(np.uint8)
    return image


def grain(rng: np.random.Generator, image: Pixels, strength: float | None = None) -> Pixels:
    """Add the sensor's noise.

    Args:
        rng: source of randomness.
        image: (H, W, 3) uint8 BGR.
        strength: standard deviation, grey levels; None: by chance.

    Returns:
        (H, W, 3) uint8 BGR.

    Example:
        >>> grey = np.full((36, 64, 3), 128, np.uint8)
        >>> bool(3 < grain(np.random.default_rng(0), grey, strength=4.0).std() < 5)
        True
    """
    height, width = image.shape[:2]
    strength = rng.uniform(0.5, 7.0) if strength is None else strength
    grains = rng.standard_normal((height, width), dtype=np.float32) * np.float32(strength)
    if chance(rng, 0.5):  # the same grain, moved, is as good as another one for each colour
        tinted = cv2.merge([grains, np.roll(grains, 37, 0), np.roll(grains, 53, 1)])
    else:
        tinted = cv2.merge([grains, grains, grains])
    return np.asarray(cv2.add(image, tinted, dtype=cv2.CV_8U), dtype=np.uint8)


def encode(rng: np.random.Generator, image: Pixels) -> bytes:
    r"""Compress to JPEG of a quality drawn from 80 to 95.

    Example:
        >>> encode(np.random.default_rng(0), np.zeros((36, 64, 3), np.uint8))[:2]
        b'\xff\xd8'
    """
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(80, 96))])
    if not done:
        raise RuntimeError("OpenCV cannot write JPEG")
    return bytes(data.tobytes())
