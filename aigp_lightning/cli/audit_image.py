"""The image that `audit --image` asks for: in the ledger, in the run's data set, or mistyped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aigp_lightning.audit.images import Appearances, find_image, match_image, nearest_images
from aigp_lightning.errors import DataError, UserError
from aigp_lightning.logfiles.run_config import CONFIG_FILE, read_config
from aigp_lightning.logfiles.run_data import data_yaml_places, find_data_yaml
from aigp_lightning.media.ledger.ledger import Line


def look_for(run: Path, lines: Sequence[Line], image: str) -> Appearances:
    """Find the pictures that show an image of the run.

    Args:
        run: its folder.
        lines: of its ledger.
        image: a path, or the end of one.

    Returns:
        Those pictures; none of an image that is in the run's data set and was never drawn.

    Raises:
        DataError: neither ledger nor data set has such an image, or the data set cannot be read to find out.
    """
    found = find_image(lines, image)
    if found.source:
        return found
    listed, problem = _images_of(run)
    matches, how = match_image(listed, image)
    if matches:
        return Appearances(image, ", ".join(sorted(matches)), f"{how} in the run's data set".lstrip(), [])
    near = nearest_images({source for line in lines for source in line.sources}.union(listed), image)
    told = f" Did you mean {' or '.join(near)}?" if near else ""
    if problem:
        raise DataError(
            f"--image {image}: no picture in this run's ledger shows an image of this name.{told} Whether the run has "
            f"such an image is not known: {problem}"
        )
    raise DataError(f"--image {image} is no image of this run: neither its ledger nor its data set has it.{told}")


def _images_of(run: Path) -> tuple[set[str], str]:
    """Return the images of a run's data set, and why they are not known."""
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.listing import all_images

    config, problem = read_config(run)
    if config is None:
        return set(), f"{run / CONFIG_FILE} {problem}."
    if not (candidates := data_yaml_places(run, config)):
        return set(), f"{run / CONFIG_FILE} names no data set."
    path = find_data_yaml(run, config)
    if path is None:
        return set(), f"its data set, {candidates[0]}, is not there."
    try:
        return set(all_images(read_data_yaml(path))), ""
    except UserError as error:
        return set(), f"its data set cannot be read: {error}"
