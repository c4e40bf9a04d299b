"""A promotion from a run to the store: what is promoted, whether the gates let it, and the change itself."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aigp_lightning.deploy.options import FORMATS, form_of
from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.files import RECEIPT_FILE
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE
from aigp_lightning.ranges import COUNT, check_range
from aigp_lightning.store.candidate import Candidate, candidate_of, made_anew, with_exports
from aigp_lightning.store.checked_files import with_checked_files
from aigp_lightning.store.decision import DRAWS, Decider, Decision
from aigp_lightning.store.gates import Gate, parse_gate
from aigp_lightning.store.kept_results import as_kept
from aigp_lightning.store.locked_store import WAIT, LockedStore, latest_of, warn_of_journal
from aigp_lightning.store.places import StorePlaces, check_model_name
from aigp_lightning.store.promotion import Promoted, check_link, promote_files, refuse, staged_id
from aigp_lightning.store.receipt import FileFact, build_receipt, read_receipt, write_receipt
from aigp_lightning.terminal.output import print_line

KEEP = 5


@dataclass(frozen=True)
class PromoteOptions:
    """What is promoted, and under which conditions.

    Args:
        run: the run folder.
        store: folder of the store.
        name: of the model; None: the run's own name.
        formats: exports that are made anew.
        gates: as they are typed; none: not worse than the latest within the noise.
        keep: backups that stay.
        force: why it is promoted whatever the gates say; empty: it is not.
        draws: of the bootstrap.
        wait: seconds for which to wait for another promotion.
    """

    run: Path
    store: Path = Path("models")
    name: str | None = None
    formats: Sequence[str] = ()
    gates: Sequence[str] = ()
    keep: int = KEEP
    force: str | None = None
    draws: int = DRAWS
    wait: float = WAIT


@dataclass(frozen=True)
class Outcome:
    """The end of a promotion.

    Attributes:
        name: of the model.
        candidate: that was to be promoted.
        decision: of the gates.
        promoted: the version that is latest now; None: it was refused.
    """

    name: str
    candidate: Candidate
    decision: Decision
    promoted: Promoted | None


def promote(options: PromoteOptions) -> Outcome:
    """Promote a run's model, if the gates let it; a refusal is noted in the journal.

    Args:
        options: see `PromoteOptions`.

    Raises:
        UserError: an option, the run or its model cannot be used.
        OSError: a file cannot be read or written, as on a full disk. The store is as before.
    """
    gates = _check(options)
    candidate = candidate_of(options.run)
    name = candidate.name if options.name is None else options.name
    check_model_name(name, "--name" if options.name is not None else "the run's name, without --name,")
    places = StorePlaces(options.store)
    check_link(places, name)
    latest_of(places, name, options.wait)  # before anything is made or measured
    with tempfile.TemporaryDirectory() as folder:
        candidate = with_checked_files(candidate, Path(folder), options.formats)
        candidate = with_exports(candidate, options.formats, Path(folder))
        decider = Decider(candidate, places, name, gates, options.draws)
        decision = decider.decide(latest_of(places, name, options.wait))
        files = _with_results(candidate, decision, Path(folder))
        with LockedStore(places, options.wait) as store:
            warn_of_journal(store)
            if (latest := store.agreed_latest(name)) != decision.against:
                print_line("another version has become the latest meanwhile: the comparison is made again")
                decision = decider.decide(latest)
            rows = decision.judgement.rows
            if not decision.judgement.passed and options.force is None:
                messages = dict.fromkeys(row["message"] for row in rows if not row["passed"])
                refuse(store, name, staged_id(files), rows, "; ".join(messages))
                return Outcome(name, candidate, decision, None)
            writer = ReceiptWriter(candidate, decision, name, options.force)
            promoted = promote_files(store, name, files, writer, options.keep, rows, options.force or "")
        lost = _lost_formats(places, promoted.before, files)
        candidate = replace(candidate, notes=[*candidate.notes, *lost])
    return Outcome(name, candidate, decision, promoted)


def _check(options: PromoteOptions) -> list[Gate]:
    """Refuse options that cannot be meant, before anything is read; returns the gates."""
    check_range("--keep", options.keep, COUNT)
    check_range("--draws", options.draws, COUNT)
    if options.force is not None and not options.force.strip():
        raise ConfigError('--force needs the reason, which stands in the receipt: --force "flown on Friday".')
    return [parse_gate(text) for text in options.gates]


def _lost_formats(places: StorePlaces, before: str | None, files: Mapping[str, Path]) -> list[str]:
    """Say which exports the version before had, and this one has not: whoever loads them from `latest` finds none."""
    with suppress(DataError, OSError):
        had = read_receipt(places.version(before) / RECEIPT_FILE)["files"] if before is not None else {}
        lost = sorted(name for name in had if form_of(Path(name)).format in FORMATS and name not in files)
        adding = ", ".join(made_anew(form_of(Path(name))) for name in lost)
        return [f"{', '.join(lost)}: {before} had that, and this version has not; {adding} adds it"] * bool(lost)
    return []


def _with_results(candidate: Candidate, decision: Decision, folder: Path) -> dict[str, Path]:
    """Return the files to be promoted, with the results image by image, by which later candidates are compared."""
    files = dict(candidate.files)
    if decision.results is not None:
        as_kept(decision.results).save(folder / RESULTS_FILE)
        files[RESULTS_FILE] = folder / RESULTS_FILE
    return files


@dataclass(frozen=True)
class ReceiptWriter:
    """Writes the receipt of what was copied."""

    candidate: Candidate
    decision: Decision
    name: str
    reason: str | None

    def __call__(self, path: Path, version: str, facts: Mapping[str, FileFact]) -> None:
        """Write it.

        Raises:
            ConfigError: a file is another one by now than the one that was measured or checked.
        """
        for each, fact in self.candidate.facts.items():
            if each in facts and facts[each] != fact:
                raise ConfigError(f"{self.candidate.files[each]} has changed since it was checked. Promote it again.")
        results = self.decision.results
        measured = None if results is None else results.about.get("model", {}).get("sha256")
        copied = facts.get(self.candidate.model.name)
        if measured and copied is not None and copied.sha256 != measured:
            raise ConfigError(f"{self.candidate.model} has changed since it was measured. Promote it again.")
        decision: dict[str, Any] = {
            "name": self.name,
            "version": version,
            "latest": self.decision.against,
            "passed": self.decision.judgement.passed,
            "gates": self.decision.judgement.rows,
            "notes": list(self.decision.notes),
            "forced": self.reason,
        }
        write_receipt(path, build_receipt(self.candidate.run, facts, results, decision))
