"""The limit of what may go to remote destinations, and the order in which pictures are given up."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aigp_lightning.media.routing import CLOSING, PER_EPOCH

RESERVE = {"curves": 4 * 120_000, "confusion_matrix": 2 * 120_000, "corner_error": 120_000, "results": 250_000}
"""Bytes kept for what is drawn when training ends, until it is drawn."""
MEGA = 1_000_000


class Budget:
    """Keeps what leaves the machine below a limit.

    Given up are, in this order: validation mosaics, one by one, so that every epoch to come has its share; the last
    one only when there is no room for it; then all mosaics and label statistics, so that the closing curves still fit;
    then all pictures. Scalars always go.

    Args:
        megabytes: the limit, 10⁶ bytes, over all remote destinations and over resumed runs; None: no limit.
        sent: bytes that went there before, when a run is resumed.
        say: called once for every step down.

    Example:
        >>> said = []
        >>> budget = Budget(6, sent=0, say=said.append)
        >>> budget.allocate(dict.fromkeys(range(4), 1_000_000), epochs=3)  # four mosaics an epoch would be 12 MB
        >>> [budget.admits("val_pred", 1_000_000, mosaic) for mosaic in range(4)]
        [True, True, False, False]
        >>> said[0][:72]
        'media.max_mb is 6, 0.0 MB of it used: 2 of 4 validation mosaics an epoch'
    """

    def __init__(self, megabytes: float | None, sent: int, say: Callable[[str], None]) -> None:
        self.limit = None if megabytes is None else megabytes * MEGA
        self.sent, self.say = sent, say
        self.mosaics: int | None = None  # validation mosaics an epoch that still go; None: all
        self._allowed: set[int] | None = None  # their numbers; None: all
        self._reserve = 0
        self._said: set[str] = set()

    def reserve_for(self, recipients: Mapping[str, int]) -> None:
        """Keep room for the closing pictures.

        Args:
            recipients: for each closing kind, the number of remote destinations that get it.
        """
        self._reserve = sum(RESERVE[kind] * count for kind, count in recipients.items())

    def allocate(self, mosaics: Mapping[int, int], epochs: int, once: Mapping[int, int] | None = None) -> None:
        """Decide how many validation mosaics may still go in each of the epochs to come.

        Args:
            mosaics: bytes of each by its number, labels and predictions and all remote destinations together.
            epochs: validations that still come, this one included.
            once: bytes of each that go now and will not again.
        """
        order = sorted(mosaics)
        sizes = [mosaics[number] for number in order]
        fixed = [(once or {}).get(number, 0) for number in order]
        if self.limit is None or not any(sizes + fixed):
            return
        before = len(sizes) if self.mosaics is None else min(self.mosaics, len(sizes))
        now, room = before, self.limit - self._reserve - self.sent
        while now > 1 and sum(sizes[:now]) * epochs + sum(fixed[:now]) > room:
            now -= 1
        if now and sum(sizes[:now] + fixed[:now]) > room:  # the last one goes as long as there is room
            now = 0
        self.mosaics = now if self.mosaics is not None or now < len(sizes) else None
        self._allowed = None if self.mosaics is None else set(order[: self.mosaics])
        if now and now < before:
            self._tell(f"{now} of {len(sizes)} validation mosaics an epoch go to remote destinations from now on")
        elif before and not now:
            self._tell("no more mosaics go to remote destinations, only the curves when training ends")

    def admits(self, kind: str, size: int, mosaic: int = 0) -> bool:
        """True if a picture of so many bytes may still go.

        Args:
            kind: of the picture.
            size: bytes.
            mosaic: its number among the mosaics of its kind.
        """
        if self.limit is None:
            return True
        if kind in PER_EPOCH and self._allowed is not None and mosaic not in self._allowed:
            return False
        closing = kind in CLOSING
        room = self.limit - self.sent - (0 if closing else self._reserve)
        if size <= room:
            return True
        if closing:
            self._tell("no more pictures go to remote destinations, only scalars")
        elif kind not in PER_EPOCH:
            self._tell(f"there is no room for {kind}")
        return False

    def _tell(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            limit = (self.limit or 0) / MEGA
            self.say(f"media.max_mb is {limit:g}, {self.sent / MEGA:.1f} MB of it used: {what}. Files stay complete.")
