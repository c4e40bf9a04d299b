"""The ledger's anchor over a run: in checkpoints, signed after every epoch, in loggers' summaries at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.checkpoints.schema import LEDGER
from aigp_lightning.errors import ConfigError, first_line
from aigp_lightning.files import read_regular
from aigp_lightning.media.ledger.anchor import HEAD, LINES, lacks, parse_anchor
from aigp_lightning.media.ledger.keys import read_private_key
from aigp_lightning.media.ledger.ledger import LEDGER_FILE
from aigp_lightning.media.ledger.signatures import SIGNATURE_FILE, Moment
from aigp_lightning.media.ledger.signer import Signer, check_same_key, read_signatures
from aigp_lightning.media.sinks import KeepsSummary

if TYPE_CHECKING:
    from aigp_lightning.media.ledger.anchor import Anchor
    from aigp_lightning.media.worker import RenderWorker


class RunAnchor:
    """Puts a ledger's head and totals where whoever rewrites the ledger does not reach them all.

    Args:
        worker: draws and delivers; its ledger is meant.
        folder: the run folder.
        sign: file of the private key; None: nothing is signed.
        say: called with what the user should know.

    Raises:
        ConfigError: the key or the file of signatures cannot be used, or the signatures so far are by another key.

    Example:
        >>> import tempfile
        >>> from aigp_lightning.media.patterns.image_patterns import ImagePatterns
        >>> from aigp_lightning.media.pipeline import start_pipeline
        >>> from aigp_lightning.media.routing import Routes, Routing
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     worker = start_pipeline(Path(folder), Routing(Routes(), []), ImagePatterns(None, "--media.private"))
        ...     run_anchor, checkpoint = RunAnchor(worker, Path(folder), None, say=print), {}
        ...     run_anchor.add_to(checkpoint)
        ...     worker.close()
        >>> checkpoint["ledger"]["lines"]
        0
    """

    def __init__(self, worker: RenderWorker, folder: Path, sign: str | None, say: Callable[[str], None]) -> None:
        self._worker, self._say, self._finished, self._epoch = worker, say, False, -1
        self._signer: Signer | None = None
        if sign:
            key = read_private_key(sign)
            check_same_key(folder, key)
            try:
                self._signer = Signer(worker.delivery.ledger, folder, key, say)
            except OSError as error:
                raise ConfigError(f"--media.sign: {folder / SIGNATURE_FILE} cannot be used: {error}.") from None
            self._signer.sign("start", self._epoch)
        elif (folder / SIGNATURE_FILE).exists():
            say("this run's ledger is signed so far; without --media.sign its lines from now on are not")

    def current(self) -> Anchor:
        """Return head, length and totals of the ledger as it is now."""
        return self._worker.delivery.ledger.anchor()

    def add_to(self, checkpoint: dict[str, Any]) -> None:
        """Add the anchor to a checkpoint; pictures that are still to be drawn are not in it."""
        checkpoint[LEDGER] = self.current().as_dict()
        self._worker.delivery.ledger.sync()

    def end_epoch(self, epoch: int) -> None:
        """Sign the ledger once all pictures so far are drawn and delivered, in the thread that does that.

        Args:
            epoch: that is complete.
        """
        self._epoch = epoch
        signer = self._signer
        if signer is not None:
            self._worker.call(lambda: signer.sign("epoch", epoch))

    def finish(self, complete: bool) -> None:
        """Sign the last lines and tell the loggers' summaries, once no more come. A second call does nothing.

        Args:
            complete: False if the run was stopped or failed.
        """
        if self._finished:
            return
        self._finished = True
        moment: Moment = "end" if complete else "stop"
        if self._signer is not None:
            self._signer.sign(moment, self._epoch)
        anchor = self.current()
        for sink in self._worker.delivery.routing.sinks:
            if isinstance(sink, KeepsSummary):
                try:
                    sink.summarize({HEAD: anchor.head, LINES: anchor.lines})
                except Exception as error:  # the server, or W&B's process: whatever it is, the run goes on
                    self._say(f"the summary of {sink.name} lacks the ledger's head: {first_line(error)}")


def check_ledger(folder: Path, kept: Mapping[str, object], remote: bool, say: Callable[[str], None]) -> None:
    """Check that the ledger of a run which goes on has all that was kept of it elsewhere, before it is opened.

    Without these lines nobody knows what was sent: the budget would begin anew, and pictures would go twice.

    Args:
        folder: the run folder. What its signatures know is compared too.
        kept: anchors as plain values, by where they were found; None where one has none.
        remote: whether pictures go to remote destinations.
        say: called with the difference if nothing remote is concerned.

    Raises:
        ConfigError: the ledger lacks lines, and pictures would go to remote destinations.

    Example:
        >>> check_ledger(Path("a run"), {"last.ckpt": {"head": "ab" * 32, "lines": 3}}, remote=False, say=print)
        a run/media.jsonl is not the ledger that last.ckpt knows: it had 3 lines, and has 0. `audit` tells more.
    """
    path = folder / LEDGER_FILE
    try:
        data = read_regular(path)
    except FileNotFoundError:
        data = b""
    except OSError:
        return  # it cannot be opened either: that is said, and nothing goes to remote destinations
    signed = [signature.anchor.as_dict() for signature in read_signatures(folder / SIGNATURE_FILE)[-1:]]
    for place, content in (*kept.items(), *((SIGNATURE_FILE, each) for each in signed)):
        anchor = parse_anchor(content)
        if content is None or (anchor is not None and not (problem := lacks(data, anchor))):
            continue
        text = f"{path} is not the ledger that {place} knows: "
        text += problem if anchor is not None else "what that says of it is none of what a run writes"
        if not remote:
            say(f"{text}. `audit` tells more.")
            return
        raise ConfigError(
            f"{text}. What was sent so far is not known, and counts against --media.max_mb. Put the file back, begin "
            "another run (--run.resume never), or go on without remote loggers (--trainer.logger false)."
        )
