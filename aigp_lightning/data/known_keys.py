"""Finds the keys of a `data.yaml` that are not read and nearly are known ones: `sigmas`, `flipidx`, `vale`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import SequenceMatcher

OF_KEYPOINTS = ("flip_idx", "flip_idx_vertical", "kpt_names", "kpt_oks_sigmas", "skeleton", "object_points")
"""The keys that are read where there is a `kpt_shape`."""
READ = ("path", "train", "val", "validation", "test", "nc", "names", "kpt_shape", *OF_KEYPOINTS)
"""The keys that are read."""
OTHERS = frozenset({"download", "channels", "minival", "yaml_file"})
"""Keys of Ultralytics' that mean nothing here."""
OTHER_WORDS = {
    **dict.fromkeys(("class", "classes", "class_names", "label_names", "categories"), "names"),
    **dict.fromkeys(("num_classes", "n_classes", "number_of_classes", "classes_count"), "nc"),
    **dict.fromkeys(("root", "dataset_path", "data_path"), "path"),
    **dict.fromkeys(("keypoints", "keypoint_names", "keypoint_labels"), "kpt_names"),
    **dict.fromkeys(("keypoint_shape", "num_keypoints"), "kpt_shape"),
    **dict.fromkeys(("flip", "fliplr", "flip_pairs", "flip_indices", "flip_index"), "flip_idx"),
    **dict.fromkeys(("flipud", "flip_vertical", "flip_idx_ud"), "flip_idx_vertical"),
    **dict.fromkeys(("edges", "bones", "limbs"), "skeleton"),
    **dict.fromkeys(("points_3d", "keypoints_3d", "model_points", "corners_3d"), "object_points"),
}
"""Keys that other programs use for the same things."""
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
PLACES = frozenset(("image", "images", "img", "imgs", "path", "dir", "folder", "set", "data", "list"))
"""Words that follow a split's: `test_images`."""
RARE_WORDS = {
    **dict.fromkeys(("sigma", "sigmas", "oks"), "kpt_oks_sigmas"),
    "skeleton": "skeleton",
}
"""Words that say which key is meant, whatever stands beside them."""
LIKE = 0.74
"""So much of two keys is the same where one was meant: `vale` and `val`, but not `task` and `test`."""


def meant_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return the keys that are not read, with the one that was probably meant.

    Args:
        keys: of the file's top level.

    Example:
        >>> meant_keys(["train", "vale", "names", "sigmas", "Flip-Idx", "roboflow", "license", "task"])
        {'vale': 'val', 'sigmas': 'kpt_oks_sigmas', 'Flip-Idx': 'flip_idx'}
    """
    found = {key: _nearest(key) for key in keys if key not in READ and key not in OTHERS}
    return {key: meant for key, meant in found.items() if meant is not None}


def idle_keys(keys: Collection[str]) -> dict[str, str]:
    """Return the keys that are read in other files and say nothing in this one, with what to do.

    Args:
        keys: of the file's top level.

    Example:
        >>> idle_keys(["train", "val", "validation", "names", "flip_idx"])
        {'validation': "'validation' is not read beside 'val'; leave one of the two", \
'flip_idx': "'flip_idx' is not read without 'kpt_shape'; add 'kpt_shape', or remove it"}
    """
    found = {}
    if "val" in keys and "validation" in keys:
        found["validation"] = "'validation' is not read beside 'val'; leave one of the two"
    if "kpt_shape" not in keys:
        for key in (key for key in OF_KEYPOINTS if key in keys):
            found[key] = f"'{key}' is not read without 'kpt_shape'; add 'kpt_shape', or remove it"
    return found


def _nearest(key: str) -> str | None:
    """Return the known key that is most like another, if one is: in its spelling, or as one of its words."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower())[:8]
    if (known := OTHER_WORDS.get("_".join(words))) is not None:
        return known
    if len(words) > 1 and words[0] in SPLITS and set(words[1:]) <= PLACES:
        return SPLITS[words[0]]
    spelled = "".join(words)[:40]
    likeness = {known: SequenceMatcher(None, spelled, known.replace("_", "")).ratio() for known in READ}
    best = max(likeness, key=likeness.__getitem__)
    if likeness[best] >= LIKE:
        return "val" if best == "validation" else best
    return next((RARE_WORDS[word] for word in words if word in RARE_WORDS), None)
