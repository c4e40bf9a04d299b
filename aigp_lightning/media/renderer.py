"""From what to draw to the bytes of its file: as it is, and as remote destinations may have it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.errors import first_line
from aigp_lightning.media.encode import encode
from aigp_lightning.media.ledger.lines import PRIVATE_IMAGE
from aigp_lightning.media.types import RenderedImage, RenderGroup, RenderJob

if TYPE_CHECKING:
    from aigp_lightning.media.ledger.ledger import Ledger
    from aigp_lightning.media.patterns.image_patterns import ImagePatterns
    from aigp_lightning.media.routing import Routing

MASKED = "masked"
"""Folder of the variants with masked cells."""


@dataclass
class Renderer:
    """Draws and encodes pictures; it writes nothing and gives nothing away.

    Args:
        folder: the run folder.
        routing: the destinations of each kind.
        private: images that must not leave the machine.
        withhold: keep a picture with a private image from remote destinations, rather than mask its cell.

    Example:
        >>> import numpy as np
        >>> from aigp_lightning.media.patterns.image_patterns import ImagePatterns
        >>> from aigp_lightning.media.routing import Routes, Routing
        >>> grey = RenderJob("results", "results.png", lambda masked: np.full((8, 8, 3), 90, np.uint8))
        >>> renderer = Renderer(Path("run"), Routing(Routes(), []), ImagePatterns(None, "--media.private"))
        >>> image = renderer.render(grey)
        >>> image.path.as_posix(), image.data[1:4]
        ('run/results.png', b'PNG')
    """

    folder: Path
    routing: Routing
    private: ImagePatterns
    withhold: bool = False
    _cache: dict[tuple[str, bool], tuple[str, bytes]] = field(default_factory=dict)

    def render_group(self, group: RenderGroup, ledger: Ledger) -> list[RenderedImage]:
        """Draw what is asked for and not delivered yet. A picture that fails comes without bytes, but with the reason.

        Args:
            group: what to draw.
            ledger: tells what a resumed run has delivered already.
        """
        return [self._try(job) for job in group.jobs if self._is_due(job, group.epoch, ledger)]

    def render(self, job: RenderJob) -> RenderedImage:
        """Draw a picture and, where a remote destination is to get another one, that one too.

        Raises:
            Exception: whatever drawing and encoding raise. If only masking fails, the picture is withheld.
        """
        attachments = job.attachments() if job.attachments is not None else {}
        data = self._encoded(job, frozenset())
        local = RenderedImage(job, self.folder / job.name, data, attachments=attachments)
        hidden = job.private_cells(self.private)
        if not hidden or not self.routing.remote_recipients(job.kind):
            return local
        if self.withhold:
            return replace(local, masked=replace(local, reason=PRIVATE_IMAGE))
        try:
            data = self._encoded(job, hidden)
        except Exception as error:
            reason = f"private image, and masking it failed: {self._reason(error, job)}"
            return replace(local, masked=replace(local, reason=reason))
        return replace(local, masked=RenderedImage(job, self.folder / MASKED / job.name, data, hidden))

    def _try(self, job: RenderJob) -> RenderedImage:
        try:
            return self.render(job)
        except Exception as error:
            return RenderedImage(job, self.folder / job.name, b"", reason=self._reason(error, job))

    def _reason(self, error: Exception, job: RenderJob) -> str:
        """Say why something failed; of pictures with private images, which an error may name, only the kind of error.

        The reason is printed, and a logger may record the terminal.
        """
        try:
            tells = not job.private_cells(self.private)
        except Exception:  # which of them are private is what failed
            tells = False
        return first_line(error) if tells else f"{type(error).__name__}, which may name a private image"

    def _is_due(self, job: RenderJob, epoch: int, ledger: Ledger) -> bool:
        """True if somebody is to get the picture who, before the run was resumed, did not."""
        destinations = ("file", *(sink.name for sink in self.routing.recipients(job.kind)))
        delivered = all(ledger.has(destination, job.key, epoch) for destination in destinations)
        return self.routing.wanted(job.kind) and not delivered

    def _encoded(self, job: RenderJob, masked: frozenset[int]) -> bytes:
        """Return the file's bytes, from the cache where the picture stays the same."""
        suffix, place = Path(job.name).suffix, (job.name, bool(masked))
        if job.cache_key is None:
            return encode(job.draw(masked), suffix)
        known = self._cache.get(place)
        if known is None or known[0] != job.cache_key:
            known = self._cache[place] = (job.cache_key, encode(job.draw(masked), suffix))
        return known[1]
