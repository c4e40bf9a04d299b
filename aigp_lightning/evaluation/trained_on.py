"""Finds frames among the pictures that a model was trained on: what is measured on those says nothing about others."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.listing import list_images
from aigp_lightning.errors import UserError, warn_user


def count_trained_on(files: Sequence[str], data: Mapping[str, Any]) -> int | None:
    """Return how many files are training pictures of a run; None where that cannot be known.

    Files are compared by their places, links followed; copies elsewhere are not found.

    Args:
        files: frames.
        data: options of the run's data.

    Example:
        >>> count_trained_on(["000000.jpg"], {}) is None
        True
    """
    data_yaml = data.get("data_yaml")
    if data_yaml is None or not os.path.isfile(data_yaml):
        return None
    names = {os.path.basename(file) for file in files}
    try:
        train = list_images(read_data_yaml(data_yaml), "train")
    except (UserError, OSError):
        return None
    there = {os.path.realpath(file) for file in train if os.path.basename(file) in names}
    return sum(os.path.realpath(file) in there for file in files)


def warn_if_trained_on(files: Sequence[str], data: Mapping[str, Any]) -> int | None:
    """Count as `count_trained_on` does, and warn if there are any.

    Args:
        files: frames.
        data: options of the run's data.
    """
    found = count_trained_on(files, data)
    if found:
        warn_user(
            f"{found} of {len(files)} frames are training pictures of this model ({data['data_yaml']}): what is "
            "measured on them says little about a new flight"
        )
    return found
