"""Puts a picture's way together: renderer, worker, delivery with its budget, and the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.errors import first_line
from aigp_lightning.media.budget import MEGA, Budget
from aigp_lightning.media.delivery import Delivery
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Ledger
from aigp_lightning.media.ledger.writer import unfailing
from aigp_lightning.media.renderer import Renderer
from aigp_lightning.media.types import MediaStatus
from aigp_lightning.media.worker import RenderWorker

if TYPE_CHECKING:
    from aigp_lightning.media.patterns.image_patterns import ImagePatterns
    from aigp_lightning.media.routing import Routing


def start_pipeline(
    folder: Path, routing: Routing, private: ImagePatterns, *, withhold: bool = False, max_mb: float | None = None,
    keep_history: bool = False, closing: Sequence[str] = (), resuming: bool = False, skip_unchanged: bool = False,
    say: Callable[[str], None] = print,
) -> RenderWorker:  # fmt: skip
    """Open the ledger and start the thread that renders and delivers.

    Without a ledger, pictures are drawn and local loggers get them; remote destinations get none.

    Args:
        folder: the run folder.
        routing: the destinations of each kind.
        private: images that must not leave the machine.
        withhold: keep a picture with a private image from remote destinations, rather than mask its cell.
        max_mb: most megabytes for all remote destinations together; None: no limit.
        keep_history: keep every epoch's file.
        closing: kinds that are drawn when training ends, for which the budget keeps room.
        resuming: the ledger that is there is of this run.
        skip_unchanged: send what is drawn after every validation only if a logger has other bytes.
        say: called with what the user should know.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from aigp_lightning.media.patterns.image_patterns import ImagePatterns
        >>> from aigp_lightning.media.routing import Routes, Routing
        >>> from aigp_lightning.media.types import RenderGroup, RenderJob
        >>> job = RenderJob("results", "results.png", lambda masked: np.full((8, 8, 3), 90, np.uint8))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     worker = start_pipeline(Path(folder), Routing(Routes(), []), ImagePatterns(None, "--media.private"))
        ...     worker.put(RenderGroup([job], epoch=0, step=0))
        ...     worker.close()
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['media.jsonl', 'results.png']
    """
    path, say = folder / LEDGER_FILE, unfailing(say)
    try:
        ledger = Ledger(path, resuming)
    except OSError:
        ledger = Ledger(path, resuming, required=False)
    if ledger.failure is not None:
        why = f"the ledger cannot be opened ({first_line(ledger.failure)})"
        say(f"{why}: pictures are drawn, and none goes to a remote destination")
    budget = Budget(max_mb, ledger.left, say)
    budget.reserve_for({kind: routing.remote_recipients(kind) for kind in closing})
    renderer, status = Renderer(folder, routing, private, withhold), MediaStatus(earlier=ledger.left / MEGA)
    delivery = Delivery(folder, ledger, routing, budget, say, keep_history, status, skip_unchanged)
    return RenderWorker(renderer, delivery)
