"""Checks the options for pictures before a run: numbers, and the images that are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from aigp_lightning.errors import ConfigError, warn_user
from aigp_lightning.media.data_facts import image_files_of_all_splits, image_root
from aigp_lightning.media.patterns.entries import shown
from aigp_lightning.media.routing import SHOWS_BOXES
from aigp_lightning.ranges import COUNT, COUNT_OR_NONE, NOT_NEGATIVE, SHARE, check_range
from aigp_lightning.types import HasImageFiles

if TYPE_CHECKING:
    from aigp_lightning.media.patterns.image_patterns import ImagePatterns
    from aigp_lightning.media.routing import Routes, Routing
    from aigp_lightning.media.val_selection import Select

MOST_NAMED = 5
"""Entries that an error names; the others are counted."""


def check_numbers(
    train: int, val: int, every: int, images: int, conf: float, max_mb: float | None, errors: int = 0, table: int = 0
) -> None:
    """Check that the numbers among the options are in their ranges.

    Args:
        train: training mosaics.
        val: validation mosaics.
        every: epochs from one validation with pictures to the next.
        images: most images in a mosaic.
        conf: lowest confidence that is drawn.
        max_mb: most megabytes for remote destinations; None: no limit.
        errors: mosaics of the images with the most mistakes.
        table: images that are shown one by one.

    Raises:
        ConfigError: one is not.

    Example:
        >>> check_numbers(train=3, val=3, every=1, images=16, conf=1.25, max_mb=None)
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --media.conf 1.25: a number from 0 to 1.
    """
    check_range("--media.train_batches", train, COUNT_OR_NONE)
    check_range("--media.val_batches", val, COUNT_OR_NONE)
    check_range("--media.val_errors", errors, COUNT_OR_NONE)
    check_range("--media.val_table", table, COUNT_OR_NONE)
    check_range("--media.val_every_n_epochs", every, COUNT)
    check_range("--media.max_images", images, COUNT)
    check_range("--media.conf", conf, SHARE)
    check_range("--media.max_mb", max_mb, NOT_NEGATIVE, "null is no limit.")


def check_table_route(routes: Routes) -> None:
    """Check that `val_table` is sent to nobody who cannot show its boxes.

    Raises:
        ConfigError: its own route names such a logger.

    Example:
        >>> from aigp_lightning.media.routing import Routes
        >>> check_table_route(Routes(val_table=["tensorboard"]))
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --media.routes.val_table: tensorboard shows no boxes that are data; it goes \
to file, wandb. For the others there is val_pred.
    """
    if others := [name for name in routes.val_table or () if name not in SHOWS_BOXES]:
        verb = "shows" if len(others) == 1 else "show"
        raise ConfigError(
            f"--media.routes.val_table: {', '.join(others)} {verb} no boxes that are data; it goes to "
            f"{', '.join(SHOWS_BOXES)}. For the others there is val_pred."
        )


def resolve_select(select: Select, files: str | list[str] | None) -> Select:
    """Return how validation images are selected: naming files is enough.

    Raises:
        ConfigError: files are named for another selection, or none for `files`.

    Example:
        >>> resolve_select("first", ["a.jpg"])
        'files'
    """
    if files and select == "first":
        select = "files"
    if bool(files) != (select == "files"):
        raise ConfigError("--media.val_select files and --media.val_files go together: name the files to show.")
    return select


def check_private_images(
    data: object, private: ImagePatterns, routing: Routing, drawn: Mapping[str, int], refuse: bool,
    say: Callable[[str], None],
) -> None:  # fmt: skip
    """Count the private images of a data set, and check that no picture of them leaves where that is refused.

    Args:
        data: the datamodule, its splits read; one without `image_files` has nothing to check.
        private: which images are private.
        routing: the destinations of each kind.
        drawn: pictures of each kind that shows images.
        refuse: start no run in which pictures of private images would leave.
        say: called with the counts.

    Raises:
        ConfigError: an entry fits no image and pictures of images would leave, or one of a private image would and that
            is refused.

    Example:
        >>> from aigp_lightning.media.patterns.image_patterns import ImagePatterns
        >>> from aigp_lightning.media.routing import Routes, Routing
        >>> class Data:
        ...     def image_files(self, split):
        ...         return [f"{split}/home/0.jpg", f"{split}/hall/0.jpg"]
        >>> private = ImagePatterns("*/home/*", "--media.private")
        >>> check_private_images(Data(), private, Routing(Routes(), []), {"val_pred": 3}, refuse=True, say=print)
        media.private: 1 of 2 training and 1 of 2 validation images are private
    """
    leaving = [kind for kind, some in drawn.items() if some and routing.remote_recipients(kind)]
    if private and leaving and not isinstance(data, HasImageFiles):
        warn_user("media.private: the data cannot list its images (image_files), so what fits none cannot be told")
    if not private or not isinstance(data, HasImageFiles):
        return
    train, val = data.image_files("train"), data.image_files("val")
    private.survey([*train, *val], image_root(data))
    secret = [sum(image in private for image in images) for images in (train, val)]
    say(
        f"media.private: {secret[0]} of {len(train)} training and {secret[1]} of {len(val)} validation images are "
        "private"
    )
    # An entry may well name images of the test split, or such as cannot be used: they are in no picture.
    if private.unused() and (unused := private.unused(image_files_of_all_splits(data))):
        _tell_unused(unused, any(secret), (train + val)[0] if train or val else "(none)", leaving)
    if refuse and (shows := [kind for kind in leaving if secret[kind != "train_batch"]]):
        raise ConfigError(_refusal(shows))


def _tell_unused(unused: list[str], others_fit: bool, example: str, leaving: list[str]) -> None:
    """Warn of entries that fit nothing; where pictures of images leave, that is an error."""
    names = ", ".join(unused[:MOST_NAMED]) + (f" and {more} more" if (more := len(unused) - MOST_NAMED) > 0 else "")
    if others_fit:
        told = f"media.private: no image of this data set fits {names}; its images are named like {shown(example)}"
    else:
        told = f"media.private fits no image of this data set, such as {shown(example)}: {names}"
    if not leaving:
        warn_user(told)
        return
    raise ConfigError(
        f"{told}. Before anything leaves unmasked in {', '.join(leaving)}: mend or remove what fits nothing under "
        "--media.private, or set it to null for data without private images."
    )


def _refusal(leaving: list[str]) -> str:
    return (
        f"private images could be in pictures that leave this machine ({', '.join(leaving)}), and "
        f"--media.private_action is refuse. Route these kinds elsewhere, for instance "
        f"--media.routes.{leaving[0]} '[file]', or choose mask or withhold."
    )
