"""The thresholds of a model's file: those calibrated for its weights, else those that its contract carries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.evaluation.exported import ExportedModule
from aigp_lightning.evaluation.exported_contract import contract_thresholds
from aigp_lightning.modules.thresholds import OF_THE_RUN, ChosenThresholds, Thresholds, choose_thresholds

if TYPE_CHECKING:
    from aigp_lightning.evaluation.exported_graph import ExportedGraph
    from aigp_lightning.modules.base import BaseModule


def graph_of(module: BaseModule) -> ExportedGraph | None:
    """Return the file that a module runs, where that is an exported one.

    Args:
        module: opened.
    """
    return module.graph if isinstance(module, ExportedModule) else None


def thresholds_of_file(
    file: Path, graph: ExportedGraph | None = None, asked: str | None = OF_THE_RUN
) -> ChosenThresholds:
    """Return the thresholds that count for a file.

    A `thresholds.json` of the weights that an exported file was written from is its own; without one count those that
    the file carries, by which `deploy/runtime.py` flies it.

    Args:
        file: a checkpoint, a weights file or an exported file.
        graph: the exported file, opened.
        asked: see `choose_thresholds`.

    Raises:
        ConfigError: the file of the thresholds cannot be read.

    Example:
        >>> thresholds_of_file(Path("best.ckpt"), asked=None).thresholds is None
        True
    """
    choice = choose_thresholds(file, asked, None if graph is None else graph.source)
    if graph is None or graph.contract is None or asked != OF_THE_RUN:
        return choice
    own, chosen = contract_thresholds(graph.contract), bool(graph.contract["thresholds"]["chosen"])
    if choice.thresholds is None:
        warning = f"{choice.warning}. Those that the file carries count until then" if choice.warning else ""
        return ChosenThresholds(own, file, warning, chosen)
    if differ := _differing(choice.thresholds, own):
        text = (
            f"{choice.file} and {file} have other thresholds: {differ}; on the drone the file's count: export it again"
        )
        return replace(choice, warning=text)
    return choice


def _differing(ours: Thresholds, theirs: Thresholds) -> str:
    others = theirs.values()
    found = [(name, value, others[name]) for name, value in ours.values().items() if value != others[name]]
    return ", ".join(f"{name} {value} (the file: {other})" for name, value, other in found)
