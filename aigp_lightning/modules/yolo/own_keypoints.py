"""The keypoints that an Ultralytics network itself says that it finds."""

from __future__ import annotations

from typing import Any, cast

from aigp_lightning.data.keypoint_yaml import default_edges
from aigp_lightning.types import Keypoints


def keypoints_of(network: Any, shape: tuple[int, int]) -> Keypoints:
    """Return what an Ultralytics pose model knows about its keypoints.

    Args:
        network: the model.
        shape: how many keypoints it finds, and how many numbers it gives for each.

    Example:
        >>> class Network:
        ...     kpt_names = {0: ["top", "bottom"]}
        >>> keypoints_of(Network(), (2, 3)).names
        ('top', 'bottom')
    """
    names = getattr(network, "kpt_names", None) or {}
    listed = next(iter(names.values()), None) if isinstance(names, dict) else names
    fits = isinstance(listed, (list, tuple)) and len(listed) == shape[0]
    own = tuple(map(str, cast("Any", listed))) if fits else tuple(map(str, range(shape[0])))
    sigmas = getattr(network, "kpt_oks_sigmas", None)
    return Keypoints(
        *shape, own, sigmas=None if sigmas is None else tuple(map(float, sigmas)), edges=default_edges(shape[0])
    )
