"""The contract that an exported file carries, as options of its module, keypoints and thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aigp_lightning.data.keypoint_yaml import default_edges
from aigp_lightning.deploy import runtime
from aigp_lightning.deploy.exports_file import read_exports
from aigp_lightning.errors import WeightsError, first_line
from aigp_lightning.files import sha256_of
from aigp_lightning.modules.metrics.camera_values import INTRINSICS, as_given, profile_of
from aigp_lightning.modules.metrics.gate_camera import GateCamera
from aigp_lightning.modules.thresholds import Thresholds
from aigp_lightning.types import Keypoints

EXPORTED_FROM = "exported_from"
"""Entry of a file's metadata: name and SHA-256 of the file that it was exported from."""


def read_contract(told: Mapping[str, Any], path: Path) -> dict[str, Any] | None:
    """Return the fields of a file's contract; None where it has none, as those of earlier versions.

    Args:
        told: metadata of the file.
        path: of the file, for errors.

    Raises:
        WeightsError: it was altered, or lacks a field.

    Example:
        >>> read_contract({}, Path("best.onnx")) is None
        True
    """
    if runtime.CONTRACT not in told:
        return None
    try:
        fields = runtime.check_contract(told)
    except runtime.ContractError as error:
        raise WeightsError(f"{path}: {error}.") from error
    if missing := [name for name in runtime.FIELDS if name not in fields]:
        raise WeightsError(f"{path}: its contract does not say {', '.join(missing)}; export it again.")
    return fields


def source_of(told: Mapping[str, Any], path: Path) -> str | None:
    """Return the SHA-256 of the file that an exported one was written from; None where nothing says it.

    The file itself does, or for those of earlier versions the `exports.json` beside it.

    Args:
        told: metadata of the file.
        path: of the file.

    Example:
        >>> source_of({EXPORTED_FROM: {"file": "best.ckpt", "sha256": "ab"}}, Path("best.onnx"))
        'ab'
    """
    said = told.get(EXPORTED_FROM)
    if isinstance(said, Mapping) and isinstance(said.get("sha256"), str):
        return str(said["sha256"])
    listed = read_exports(path.parent)
    entry = next((each for each in listed.get("files", ()) if each["file"] == path.name), None)
    digest = listed["model"].get("sha256") if entry is not None and entry["sha256"] == sha256_of(path) else None
    return digest if isinstance(digest, str) else None


def model_options(path: Path, fields: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the module that a contract says, in the place of those that are known otherwise.

    Thresholds that were chosen are not among them: they decide what is used in the air, and not by which a validation
    sweeps all confidences.

    Args:
        path: of the file, for errors.
        fields: of its contract.
        known: arguments by which the file's run is known, if it is.

    Raises:
        WeightsError: a value is none that a module can have.
    """
    try:
        found: dict[str, Any] = {"agnostic_nms": bool(fields["output"].get("agnostic"))}
        if not fields["thresholds"]["chosen"]:
            found |= contract_thresholds(fields).limits()
        if fields["camera"] is not None:
            found["camera"] = camera_options(fields, known.get("camera"))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: its contract cannot be followed: {first_line(error)}; export it again.") from error
    return {**known, **found}


def camera_options(fields: Mapping[str, Any], known: Any) -> dict[str, Any]:
    """Return the options of the contract's camera, by the names of `GateCamera`.

    Args:
        fields: of the contract, which has a camera.
        known: options of the run's camera: what a contract does not say, such as bands of distance.
    """
    own = fields["camera"]
    limits = {} if fields["thresholds"]["chosen"] else {"reprojection_px": fields["thresholds"]["reprojection_px"]}
    given = {name: own[name] for name in INTRINSICS}
    values = as_given({"profile": profile_of(own["fx"], own["fy"]), **given})
    points = {} if fields["object_points"] is None else {"object_points": fields["object_points"]}
    before = known if isinstance(known, Mapping) else {}
    return {**before, **limits, **values, "distortion": list(own["distortion"]), **points}


def contract_keypoints(fields: Mapping[str, Any]) -> Keypoints | None:
    """Return the keypoints that a contract says, with their places on the object; None where there are none.

    Args:
        fields: of the contract.
    """
    own, points = fields["keypoints"], fields["object_points"]
    if own is None:
        return None
    flip = own.get("flip_idx")
    return Keypoints(
        int(own["count"]), int(own["numbers"]), tuple(map(str, own["names"])),
        flip_idx=None if flip is None else tuple(flip), edges=default_edges(int(own["count"])),
        points=None if points is None else tuple((float(x), float(y), float(z)) for x, y, z in points),
    )  # fmt: skip


def contract_thresholds(fields: Mapping[str, Any]) -> Thresholds:
    """Return the thresholds that a contract carries.

    Args:
        fields: of the contract.

    Example:
        >>> values = {"conf": 0.3, "keypoint_conf": 0.5, "iou": 0.7, "reprojection_px": None, "max_det": 9}
        >>> contract_thresholds({"thresholds": {**values, "chosen": True}}).conf
        0.3
    """
    return Thresholds(**{name: value for name, value in fields["thresholds"].items() if name != "chosen"})


def other_cameras(ours: Any, theirs: Any) -> str:
    """Say by name in which numbers two cameras differ; empty where they do not, or one of them is not known.

    Args:
        ours: options by the names of `GateCamera`, or such a camera.
        theirs: the other's.

    Example:
        >>> other_cameras({"profile": "ts-002"}, {"fx": 400.0})
        'fx 320 (there: 400)'
    """
    if not ours or not theirs:
        return ""
    one, other = (
        (each if isinstance(each, GateCamera) else GateCamera(**dict(each))).runtime for each in (ours, theirs)
    )
    told = [
        f"{name} {getattr(one, name):.6g} (there: {getattr(other, name):.6g})"
        for name in INTRINSICS
        if getattr(one, name) != getattr(other, name)
    ]
    if not np.array_equal(one.distortion, other.distortion):
        told.append(f"distortion {list(one.distortion)} (there: {list(other.distortion)})")
    return ", ".join(told)
