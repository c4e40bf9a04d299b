"""Thresholds that `calibrate` chose for a model, as the limits of `predict` where nobody gives others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.cli.start_weights import NOTHING, said_values
from aigp_lightning.errors import tell_user, warn_user
from aigp_lightning.modules.run_options import accepted_options
from aigp_lightning.modules.thresholds import OF_THE_RUN, ChosenThresholds, choose_thresholds
from aigp_lightning.paths import expand_home

if TYPE_CHECKING:
    from aigp_lightning.evaluation.exported_graph import ExportedGraph

OPTION = "model.thresholds"


@dataclass(frozen=True)
class CarriedThresholds:
    """The thresholds of a model, as arguments of its module.

    Attributes:
        chosen: which count.
        limits: arguments of the module, by name; none where no thresholds count.
    """

    chosen: ChosenThresholds = field(default_factory=ChosenThresholds)
    limits: Mapping[str, Any] = field(default_factory=dict)

    def tell(self, arguments: Mapping[str, Any]) -> None:
        """Say which limits come from the thresholds, and which were given otherwise.

        Args:
            arguments: of the module, as they count.
        """
        if self.chosen.warning:
            warn_user(self.chosen.warning)
        if not self.limits:
            return
        taken = [f"{name} {value:g}" for name, value in self.limits.items() if arguments.get(name) == value]
        other = [
            f"{name} {arguments[name]} (there: {value:g})"
            for name, value in self.limits.items()
            if arguments.get(name) != value
        ]
        text = f"from {self.chosen.file}: {', '.join(taken) or 'nothing'}"
        tell_user(f"{text}; given otherwise: {', '.join(other)}" if other else text)


def carried_thresholds(
    path: Path, kind: type, words: Sequence[str], asked: str | None, graph: ExportedGraph | None = None
) -> CarriedThresholds:
    """Find the thresholds that count for `predict`.

    Args:
        path: of the model.
        kind: class of its module.
        words: of the command line.
        asked: name of the class that is asked for, if one is.
        graph: the exported file, opened; it may carry thresholds of its own.

    Raises:
        ConfigError: the file of the thresholds cannot be read.
    """
    said = said_values(words, asked, (OPTION,)).get(OPTION, OF_THE_RUN)
    named = None if said in NOTHING else said if said == OF_THE_RUN else expand_home(said)
    if graph is None:
        chosen = choose_thresholds(path, named)
    else:
        from aigp_lightning.evaluation.file_thresholds import thresholds_of_file

        chosen = thresholds_of_file(path, graph, named)
    if chosen.thresholds is None:
        return CarriedThresholds(chosen)
    return CarriedThresholds(chosen, accepted_options(kind, chosen.thresholds.arguments()))
