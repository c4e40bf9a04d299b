"""The text of a synthetic data set's data.yaml."""

from __future__ import annotations

from itertools import combinations

from aigp_lightning.data.synthetic.options import CLASSES, KEYPOINTS, MakeDataOptions
from aigp_lightning.data.synthetic.record import header
from aigp_lightning.data.targets.built_in import TARGET_NAMES, TARGETS, Points

USUAL_TARGET = "gate-4"
ONE_FLIGHT = "# one flight alone: it is in both splits, so what is measured on it says nothing about new pictures"


def data_yaml(options: MakeDataOptions) -> str:
    """Write data.yaml's text; it has no `path`, so that its own folder is the root and the set can be moved.

    Example:
        >>> data_yaml(MakeDataOptions(test=0)).splitlines()[1:]
        ['train: images/train', 'val: images/val', 'names:', '  0: gate']
        >>> data_yaml(MakeDataOptions(sequences=3)).splitlines()[1:3]
        ['train: [images/flight_000, images/flight_001]', 'val: [images/flight_002]']
    """
    lines = [header(options)]
    flights = options.flights()
    if flights and flights["train"] == flights["val"]:
        lines.append(ONE_FLIGHT)
    for split, names in flights.items():
        lines.append(f"{split}: [{', '.join(f'images/{name}' for name in names)}]")
    if not flights:
        lines += [f"{split}: images/{split}" for split in options.counts()]
    lines.append("names:")
    lines += [f"  {i}: {name}" for i, name in enumerate(CLASSES[options.task])]
    if options.task == "pose":
        lines += _keypoint_lines(KEYPOINTS[options.keypoints])
    return "\n".join(lines) + "\n"


def _keypoint_lines(target: str) -> list[str]:
    """Write the keys about the keypoints of a built-in target."""
    points = TARGETS[target]
    lines = [
        f"kpt_shape: [{len(points)}, 3]",
        f"flip_idx: {_mirrored(points, axis=0)}",
        f"flip_idx_vertical: {_mirrored(points, axis=1)}",
        "kpt_names:",
        f"  0: [{', '.join(TARGET_NAMES[target])}]",
    ]
    if target != USUAL_TARGET:  # whose ring is drawn without being asked for
        lines.append(f"skeleton: {[list(edge) for edge in _edges(points)]}")
    return [*lines, f"object_points: {target}"]


def _mirrored(points: Points, axis: int) -> list[int]:
    """Return which point each becomes where one axis is turned round."""
    return [points.index(tuple(-v if i == axis else v for i, v in enumerate(point))) for point in points]  # type: ignore[arg-type]


def _edges(points: Points) -> list[tuple[int, int]]:
    """Return the pairs of points that a side of a square joins."""
    return [
        (one, other)
        for one, other in combinations(range(len(points)), 2)
        if sorted(abs(a - b) for a, b in zip(points[one], points[other], strict=True))
        == [0.0, 0.0, 2 * abs(points[one][0])]
    ]
