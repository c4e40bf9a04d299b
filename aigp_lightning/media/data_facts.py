"""Optional questions to a datamodule: its root folder, all its image files, and that names are not printed."""

from __future__ import annotations

from collections.abc import Container
from typing import Protocol, runtime_checkable


@runtime_checkable
class HasImageFolder(Protocol):
    """A datamodule that knows where its data set lies, and all image files in it, usable or not.

    Example:
        >>> class Data:
        ...     def root_folder(self):
        ...         return "/gates"
        ...     def listed_files(self):
        ...         return ["/gates/images/test/0.jpg"]
        >>> isinstance(Data(), HasImageFolder)
        True
    """

    def root_folder(self) -> str:
        """Return the folder from which relative names of the data set start."""

    def listed_files(self) -> list[str]:
        """Return the paths of the images of all splits, those that cannot be used too."""


@runtime_checkable
class HidesNames(Protocol):
    """A datamodule that can be told not to print the names of some images.

    Example:
        >>> class Data:
        ...     def hide_names(self, private):
        ...         self.private = private
        >>> isinstance(Data(), HidesNames)
        True
    """

    def hide_names(self, private: Container[object]) -> None:
        """Print no names of these images."""


def image_root(data: object) -> str | None:
    """Return the folder from which relative names of a data set start; None where the datamodule does not know it.

    Args:
        data: the datamodule.

    Example:
        >>> print(image_root(object()))
        None
    """
    return data.root_folder() if isinstance(data, HasImageFolder) else None


def image_files_of_all_splits(data: object) -> list[str]:
    """Return the paths of the images of all splits, those that cannot be used too; none if they are not known.

    Args:
        data: the datamodule.

    Example:
        >>> image_files_of_all_splits(object())
        []
    """
    return data.listed_files() if isinstance(data, HasImageFolder) else []


def hide_names(data: object, private: Container[object]) -> None:
    """Tell a datamodule not to print the names of private images, which may leave by a logger's console.

    Args:
        data: the datamodule.
        private: the images.

    Example:
        >>> hide_names(object(), ["secret.jpg"])  # this one prints no names at all
    """
    if isinstance(data, HidesNames):
        data.hide_names(private)
