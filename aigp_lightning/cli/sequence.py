"""`validate --sequence`: a model measured on frames in order."""

from __future__ import annotations

from pathlib import Path

from aigp_lightning.cli.parser import parse_options
from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.evaluation.named_model import find_model
from aigp_lightning.evaluation.sequence.options import SequenceOptions
from aigp_lightning.paths import expand_home
from aigp_lightning.terminal.output import print_line, print_tables

SAME = {
    "--model.weights": "--weights",
    "--data.imgsz": "--imgsz",
    "--model.camera": "--camera",
}
"""Names that options have in the other verbs."""
DESCRIPTION = (
    "Measure a model on frames in order: how often corners flip and are lost, and for how long, stretches with a "
    "usable pose, jitter, duplicates, false alarms. Labels and truth are used where there are any. Writes "
    "sequence.json, dropout.json for the policy's environment, a timeline and a video of each flight."
)
EXAMPLE = "validate --sequence flights/ --ckpt_path runs/pose/gates"


def main(verb: str, arguments: list[str]) -> int:
    """Measure a model on frames in order, print the figures and where the files are.

    Args:
        verb: `validate`.
        arguments: the words after it.

    Returns:
        The exit status.

    Raises:
        UserError: an option, the model or the frames are wrong.
    """
    words = [_renamed(word) for word in arguments]
    if any(word.partition("=")[0] == "--config" for word in words):
        raise ConfigError("validate --sequence takes no --config: the model brings its options along.")
    options = parse_options(SequenceOptions, f"{verb} --sequence", words, DESCRIPTION, EXAMPLE)
    options.check()
    find_model(options.ckpt_path or options.weights or "")
    if not Path(expand_home(options.sequence)).exists():
        raise DataError(f"--sequence {options.sequence}: no data set, folder of pictures or video is there.")
    from aigp_lightning.cli.console import quiet_lightning

    quiet_lightning()
    from aigp_lightning.evaluation.sequence.measure import measure_sequence
    from aigp_lightning.evaluation.sequence.tables import tables_of

    result = measure_sequence(options)
    print_tables(*tables_of(result.content))
    for name, why in result.content["not_measured"].items():
        print_line(f"not measured: {name}: {why}")
    for name, why in result.content["not_written"].items():
        print_line(f"not written: {name}: {why}")
    print_line(f"kept, and sent nowhere: {', '.join(map(str, result.files))}")
    return 0


def _renamed(word: str) -> str:
    """Return an option by its name here."""
    option, joined, value = word.partition("=")
    for theirs, ours in SAME.items():
        if option == theirs or option.startswith(f"{theirs}."):
            return f"{ours}{option.removeprefix(theirs)}{joined}{value}"
    return word
