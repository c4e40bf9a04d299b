"""Tells what W&B has sent from what it has on this disk alone, recorded offline and not synced."""

from __future__ import annotations

from collections.abc import Sequence

from aigp_lightning.audit.findings import Audit
from aigp_lightning.logfiles.folders import logger_folders
from aigp_lightning.logfiles.wandb_places import OFFLINE, waits_for_sync
from aigp_lightning.logfiles.wandb_run import WandbRun
from aigp_lightning.media.ledger.ledger import LEFT, Line


def find_waiting(result: Audit, lines: Sequence[Line], destinations: Sequence[str], runs: Sequence[WandbRun]) -> None:
    """Find the lines whose pictures only folders have that wait to be synced, and what is in these beside pictures.

    Args:
        result: the audit; what is found is added.
        lines: of the ledger.
        destinations: names of the loggers that share the folders.
        runs: the folders' contents.
    """
    waiting = [run for run in runs if waits_for_sync(run.folder)]
    others = [run for run in runs if run not in waiting]
    name = destinations[0]
    for some, beside in ((others, result.beside_left), (waiting, result.beside_waiting)):
        if some:
            rows = sum(len(run.history) for run in some)
            beside.append(f"{rows} row{'s' * (rows != 1)} with {name}, and what the table above says that it got")
    mine = [line for line in lines if line.destination in destinations and line.outcome in LEFT]
    if not mine:
        return
    noted = [each for each in logger_folders(result.run, "wandb") if each.destination in destinations]
    if not runs and noted and all(OFFLINE in each.place for each in noted):
        result.notes.append(
            f"{name} recorded offline, and its folder is not there any more: whether that was synced before is not "
            "known. What it had counts as left."
        )
    kept, sent = ({(x.key, x.epoch, x.sha256) for run in some for x in run.media} for some in (waiting, others))
    for line in mine:
        which = line.key, line.epoch, line.sha256
        if waiting and (not others or (which in kept and which not in sent)):
            result.waiting.add(line.number)
