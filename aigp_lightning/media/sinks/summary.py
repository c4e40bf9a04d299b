"""The interface of destinations that show a few values beside a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class KeepsSummary(Protocol):
    """A destination that shows a few values beside a run.

    Example:
        >>> isinstance(object(), KeepsSummary)
        False
    """

    def summarize(self, values: Mapping[str, str | int]) -> None:
        """Add values to what is shown; what is raised is the caller's to report."""
