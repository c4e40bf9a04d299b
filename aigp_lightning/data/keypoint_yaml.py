"""Reads the keys of a `data.yaml` about keypoints: number, names, mirror orders, tolerances, and lines between them."""

from __future__ import annotations

from collections.abc import Mapping

from aigp_lightning.data.limits import MAX_KEYPOINTS, is_name, quoted
from aigp_lightning.data.targets.built_in import Points
from aigp_lightning.data.targets.object_points import Fault, mirror_of, read_points, rings_of
from aigp_lightning.data.yaml_document import Value, number, whole_number
from aigp_lightning.types import Keypoints

RING = 4
"""This many keypoints are the corners of something with four sides, in order, unless `skeleton` says otherwise."""
# Joints of COCO's persons, counted from 0, as pairs that people draw lines between.
PERSON = (
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10)),
    *((1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
)
PERSON_JOINTS = 17
SIGMAS = "kpt_oks_sigmas"
"""The key of the tolerances."""
MOST_SIGMA = 1e30  # float32 holds it


def read_keypoints(values: Mapping[str, Value], fault: Fault) -> Keypoints | None:
    """Read and check all keys about keypoints.

    Args:
        values: those of the YAML, as they are written.
        fault: makes an error about a key.

    Raises:
        DataError: a key is not what it has to be, or does not fit `kpt_shape`.

    Example:
        >>> values = {"kpt_shape": ["4", "3"], "flip_idx": ["1", "0", "3", "2"]}
        >>> keypoints = read_keypoints(values, fault=lambda key, text: DataError(text))
        >>> keypoints.count, keypoints.flip_idx_vertical
        (4, (3, 2, 1, 0))
    """
    shape = _shape(values, fault)
    if shape is None:
        return None
    count, numbers = shape
    flip = _permutation(values, "flip_idx", count, fault)
    vertical = _permutation(values, "flip_idx_vertical", count, fault)
    points = read_points(values, count, fault)
    edges = _edges(values, count, points, fault)
    return Keypoints(
        count=count,
        numbers=numbers,
        names=_names(values, count, fault) or tuple(map(str, range(count))),
        flip_idx=flip or mirror_of(points, 0),
        flip_idx_vertical=vertical or mirror_of(points, 1) or _other_mirror(flip, edges),
        sigmas=_sigmas(values, count, fault),
        edges=edges,
        points=points,
    )


def unread_sigmas(keypoints: Keypoints | None) -> str:
    """Say which tolerances count instead of those under a key that is not read; nothing where some are read.

    Args:
        keypoints: of the data set; None where it has none.

    Example:
        >>> unread_sigmas(Keypoints(8, 3, tuple("abcdefgh")))
        ' Ultralytics does not read it either: 0.125 counts for each of the 8 keypoints, in the loss and in the metrics'
    """
    if keypoints is None or keypoints.sigmas is not None:
        return ""
    person = (keypoints.count, keypoints.numbers) == (PERSON_JOINTS, 3)
    counts = "COCO's count" if person else f"{1 / keypoints.count:.4g} counts"
    whom = f"for each of the {keypoints.count} keypoints, in the loss and in the metrics"
    return f" Ultralytics does not read it either: {counts} {whom}"


def default_edges(count: int) -> tuple[tuple[int, int], ...]:
    """Return the lines between so many keypoints where none are given: round four corners, COCO's person, else none.

    Example:
        >>> default_edges(4), default_edges(5)
        (((0, 1), (1, 2), (2, 3), (3, 0)), ())
    """
    ring = tuple((place, (place + 1) % RING) for place in range(RING))
    return ring if count == RING else PERSON if count == PERSON_JOINTS else ()


def _other_mirror(flip: tuple[int, ...] | None, edges: tuple[tuple[int, int], ...]) -> tuple[int, ...] | None:
    """Derive the upside-down order of four corners that go round from their left-right order.

    One mirror after the other is half a turn, which takes every corner to the one across. A mirror order of a ring
    counts backwards: place and keypoint add up to the same, round the ring.
    """
    if flip is None or len(flip) != RING or edges != default_edges(RING):
        return None
    if len({(place + mate) % RING for place, mate in enumerate(flip)}) > 1:
        return None
    return tuple(flip[(place + 2) % RING] for place in range(RING))


def _integers(values: Mapping[str, Value], key: str, fault: Fault) -> tuple[int, ...] | None:
    """Read a list of whole numbers, or None where the key is missing."""
    value = values.get(key)
    if value is None:
        return None
    found = [whole_number(v) for v in value] if isinstance(value, list) else [None]
    numbers = tuple(v for v in found if v is not None)
    if len(numbers) != len(found):
        raise fault(key, f"'{key}' must be a list of whole numbers, not {quoted(value)}")
    return numbers


def _shape(values: Mapping[str, Value], fault: Fault) -> tuple[int, int] | None:
    """Read the number of keypoints and of numbers for each."""
    match _integers(values, "kpt_shape", fault):
        case None:
            return None
        case (int(count), (2 | 3) as numbers) if 0 < count <= MAX_KEYPOINTS:
            return count, numbers
        case other:
            raise fault(
                "kpt_shape", f"'kpt_shape' must be [keypoints, 2 or 3], such as [4, 3], not {quoted(list(other))}"
            )


def _permutation(values: Mapping[str, Value], key: str, count: int, fault: Fault) -> tuple[int, ...] | None:
    """Read a mirror order: each keypoint once, and unchanged when mirrored twice."""
    flip = _integers(values, key, fault)
    if not flip:
        return None
    if sorted(flip) != list(range(count)):
        raise fault(
            key, f"'{key}' must hold each of 0 to {count - 1} once, as 'kpt_shape' says, not {quoted(list(flip))}"
        )
    if wrong := [place for place, other in enumerate(flip) if flip[other] != place]:
        one, other = wrong[0], flip[wrong[0]]
        raise fault(
            key,
            f"'{key}' {quoted(list(flip))} turns keypoint {one} into {other}, but {other} into {flip[other]}: "
            "mirrored twice, every keypoint must be itself again",
        )
    return flip


def _names(values: Mapping[str, Value], count: int, fault: Fault) -> tuple[str, ...] | None:
    """Read keypoint names, from a list or, as Ultralytics writes them, from the first class of a mapping."""
    value = values.get("kpt_names")
    if isinstance(value, Mapping):
        value = next(iter(value.values()), None)
    if value is None:
        return None
    names = [v for v in value if isinstance(v, str) and is_name(v)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(names) != len(value):
        raise fault("kpt_names", "'kpt_names' must be a list with one name for each keypoint, short and printable")
    if len(value) != count:
        raise fault("kpt_names", f"'kpt_names' has {len(value)} names, but 'kpt_shape' says {count} keypoints")
    return tuple(names)


def _sigmas(values: Mapping[str, Value], count: int, fault: Fault) -> tuple[float, ...] | None:
    """Read the keypoints' tolerances (COCO's OKS sigmas)."""
    key = SIGMAS
    value = values.get(key)
    if value is None:
        return None
    found = [number(v) for v in value] if isinstance(value, list) else []
    sigmas = tuple(v for v in found if v is not None and 0 < v <= MOST_SIGMA)
    if not isinstance(value, list) or not len(sigmas) == len(value) == count:
        raise fault(key, f"'{key}' must be {count} numbers over 0, one for each keypoint, not {quoted(value)}")
    return sigmas


def _edges(values: Mapping[str, Value], count: int, points: Points | None, fault: Fault) -> tuple[tuple[int, int], ...]:
    """Read the lines between keypoints: as `skeleton` says, else round a flat object, four corners, COCO's person."""
    value = values.get("skeleton")
    if value is None:
        return default_edges(count) if points is None else rings_of(points) or default_edges(count)
    edges = []
    for pair in value if isinstance(value, list) else [value]:
        ends = [whole_number(v) for v in pair] if isinstance(pair, list) else []
        one, other = ends if len(ends) == len(("from", "to")) else (None, None)
        if one is None or other is None or not (0 <= one < count and 0 <= other < count):
            raise fault(
                "skeleton",
                f"'skeleton' must be pairs of keypoints from 0 to {count - 1}, such as [[0, 1]], not {quoted(pair)}",
            )
        edges.append((one, other))
    return tuple(edges)
