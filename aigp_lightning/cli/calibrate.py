"""The `calibrate` verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigp_lightning.cli.export import with_model
from aigp_lightning.evaluation.calibration.options import CalibrateOptions
from aigp_lightning.terminal.output import print_line, print_tables

if TYPE_CHECKING:
    from aigp_lightning.evaluation.bootstrap import Interval
    from aigp_lightning.evaluation.calibration.calibrate import Calibration

DESCRIPTION = (
    "Choose confidence, keypoint confidence, NMS overlap and reprojection limit of a model from frames, by a rule, and "
    "write them to thresholds.json, which predict takes. The model is a run folder, a checkpoint, a weights file or an "
    "exported file; of --config, which may be repeated, the newest run that its run.name names is taken."
)
EXAMPLE = "calibrate runs/pose/gates --target 'false_alarms <= 0.05' --maximize usable"
UNBOUNDED = "false_alarms", "precision"
"""Figures of which a limit keeps false alarms out."""


def main(verb: str, arguments: list[str]) -> int:
    """Choose a model's thresholds as the options say.

    Args:
        verb: `calibrate`.
        arguments: the words after it.

    Returns:
        The exit status: 1 if no combination of thresholds meets the targets.

    Raises:
        UserError: an option, the model or the frames cannot be used.
    """
    options = with_model(CalibrateOptions, verb, arguments, DESCRIPTION, EXAMPLE)
    from aigp_lightning.evaluation.calibration.possible import parse

    parse(options)
    from aigp_lightning.evaluation.calibration.calibrate import calibrate
    from aigp_lightning.evaluation.calibration.result_files import place_of, write_results
    from aigp_lightning.evaluation.named_model import find_model

    folder = place_of(find_model(str(options.ckpt_path or options.weights)), options.out)
    found = calibrate(options)
    if found.best is None:
        print_line(f"error: {unmet(found)}", err=True)
        return 1
    print_calibration(found)
    for path in write_results(found, folder):
        print_line(f"written: {path}")
    return 0


def unmet(found: Calibration) -> str:
    """Return a line on why nothing is chosen, and how near a combination comes to targets that none meets.

    Args:
        found: a calibration that has chosen nothing.
    """
    targets, place = found.rule.targets, found.choice.nearest
    wanted = " and ".join(map(str, targets)) if targets else f"any {found.rule.figure}"
    if found.choice.meeting:
        those = f" that keep {' and '.join(map(str, found.rule.targets))}" if found.rule.targets else ""
        return (
            f"{found.rule.figure} is 0 at all of the {found.choice.meeting:,} combinations{those}; nothing is written. "
            "The model finds nothing of use in these frames so: train it further, or set another --target."
        )
    start = f"none of {found.figures[found.rule.figure].size:,} combinations meets {wanted}"
    if place is None:
        return f"{start}; nothing is written. Nothing was found in these frames at any of them."
    near = ", ".join(f"{target.figure} {found.figures[target.figure][place]:.3g}" for target in targets)
    return f"{start}; nothing is written. Nearest comes {found.grid.at(place)}, with {near}."


def print_calibration(found: Calibration) -> None:
    """Print the chosen thresholds and their figures beside those that the model has without.

    Args:
        found: a calibration that has chosen some.
    """
    from rich.table import Table

    from aigp_lightning.evaluation.calibration.rule import FIGURES

    best, now, frames = found.best, found.subject.now, found.frames
    print_line(
        f"{found.read} frames of {frames.source}: {int(frames.empty.sum())} empty, {len(frames.image)} objects, "
        f"{int((~frames.labelled).sum())} not labelled",
        f"rule: {found.rule}; {found.choice.meeting:,} of {found.figures['usable'].size:,} combinations keep the "
        f"targets, {found.choice.plateau:,} are as good as the chosen one",
    )
    table = Table(title="thresholds and figures, with 95 % intervals", title_justify="left", padding=(0, 1))
    for heading in ("", "chosen", "without"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, values in found.grid.axes.items():
        if values != (None,) or (name == "reprojection_px" and not found.lacking["usable"]):
            table.add_row(name, *(_limit(getattr(each, name)) for each in (best, now)))
    table.add_section()
    for name in FIGURES:
        if not found.lacking[name]:
            table.add_row(name, *(_figure(figures.get(name)) for figures in (found.chosen, found.now)))
    print_tables(table)
    missing = {why: [name for name, each in found.lacking.items() if each == why] for why in found.lacking.values()}
    for why, names in missing.items():
        if why:
            print_line(f"no {', '.join(names)}: {why}")
    print_line(*found.notes, *_hints(found))


def _hints(found: Calibration) -> list[str]:
    """Return what the rule leaves open."""
    limited = {target.figure for target in found.rule.targets} | {found.rule.figure}
    hints = []
    if not limited & {*UNBOUNDED, "f1"}:
        known = next((name for name in UNBOUNDED if not found.lacking[name]), None)
        more = f"add --target '{known} …'" if known else "add frames that are labelled as empty"
        hints.append(f"nothing in this rule keeps false alarms out: {more}")
    if found.rule.figure == "usable" and not found.lacking["position_m"] and "position_m" not in limited:
        hints.append("nothing in this rule limits how far off poses are: add --target 'position_m <= …'")
    return hints


def _limit(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _figure(found: Interval | None) -> str:
    """Return a figure with its interval; a dash where it could not be had at these thresholds."""
    if found is None:
        return "–"
    known = found.low <= found.high  # not of a single block
    return f"{found.value:.3f} ({found.low:.3f} … {found.high:.3f})" if known else f"{found.value:.3f} (–)"
