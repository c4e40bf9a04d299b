"""The axis of TensorBoard's scalars: epochs, as of its pictures, so that one slider goes with all charts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aigp_lightning.errors import tell_user
from aigp_lightning.logfiles.event_file import EPOCH


class EpochAxis:
    """Places metrics at their epoch, from 0; those that come several times an epoch at Lightning's step.

    A folder that an earlier version has begun keeps its axis, Lightning's steps: half of a chart would else lie
    on the other half.

    Args:
        logged: where the folder says which epoch it is: steps, and the epochs said there.

    Attributes:
        by_step: whether all metrics lie at Lightning's steps, as an earlier version began.

    Example:
        >>> axis = EpochAxis()
        >>> [axis.place({"val/loss": 0.5, "epoch": epoch}, step) for epoch, step in ((0, 3), (1, 7))]
        [0, 1]
        >>> EpochAxis([(3, 0.0), (7, 1.0)]).place({"val/loss": 0.4, "epoch": 2}, 11)
        11
    """

    def __init__(self, logged: Iterable[tuple[int, float]] = ()) -> None:
        known = set(logged)
        later = {(step, epoch) for step, epoch in known if epoch > 0} or known  # both begin at 0
        self.by_step = bool(later) and all(step != epoch for step, epoch in later)
        self._last: dict[str, tuple[float, int | None]] = {}
        self._often: set[str] = set()

    def place(self, metrics: Mapping[str, float], step: int | None) -> int | None:
        """Return the step at which metrics are written.

        Args:
            metrics: by name; Lightning adds the epoch.
            step: Lightning's own.
        """
        epoch = metrics.get(EPOCH)
        if self.by_step or epoch is None:
            return step
        names = frozenset(metrics) - {EPOCH}
        again = {name for name in names if self._last.get(name, (None, None))[0] == epoch} - self._often
        if again and self._often.isdisjoint(again):
            tell_user(f"TensorBoard: {min(again)} is logged several times an epoch; from now on its points count steps")
        self._often |= again
        self._last.update(dict.fromkeys(names, (float(epoch), step)))
        return step if names & self._often else int(epoch)
