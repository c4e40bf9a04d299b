"""Asks a module for what pictures need: class names, keypoints, metrics, and the kinds of picture that it adds."""

from __future__ import annotations

from collections.abc import Mapping

from aigp_lightning.media.routing import CLOSING, OF_SOME
from aigp_lightning.types import HasClassNames, HasClosingKinds, HasKeypoints, Keypoints


def class_names(module: object) -> Mapping[int, str]:
    """Return a module's class names by id; empty for a module without any.

    Example:
        >>> class_names(object())
        {}
    """
    return module.names if isinstance(module, HasClassNames) else {}


def keypoints_of(module: object) -> Keypoints | None:
    """Return what a module knows about its keypoints; None for a module without any.

    Example:
        >>> keypoints_of(object()) is None
        True
    """
    found = module.keypoints if isinstance(module, HasKeypoints) else None
    return found if isinstance(found, Keypoints) else None


def keypoint_conf_of(module: object) -> float | None:
    """Return the confidence from which a module's keypoints count as seen; None where it has none such.

    Example:
        >>> keypoint_conf_of(object()) is None
        True
    """
    found = getattr(module, "keypoint_conf", None)
    return None if found is None else float(found)


def metrics_of(module: object) -> object:
    """Return a module's metrics; None for a module without any.

    Example:
        >>> metrics_of(object()) is None
        True
    """
    # Not by a protocol: torch's modules keep their parts where those do not look from Python 3.12 on.
    return getattr(module, "metrics", None)


def closing_kinds(module: object) -> tuple[str, ...]:
    """Return the kinds of picture that are drawn when this module's training ends.

    Example:
        >>> closing_kinds(object())
        ('curves', 'confusion_matrix', 'results')
    """
    own = module.closing_kinds if isinstance(module, HasClosingKinds) else ()
    return tuple(kind for kind in CLOSING if kind not in OF_SOME or kind in own)
