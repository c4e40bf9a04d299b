"""The `make-data` verb."""

from __future__ import annotations

from aigp_lightning.cli.parser import parse_options
from aigp_lightning.data.synthetic import MakeDataOptions, make_data
from aigp_lightning.terminal.output import print_line

CONFIGS = {"detect": "detector", "pose": "pose", "segment": "segment", "obstacle": "obstacle"}
"""By task, the file in `configs/` that trains on it."""


def main(verb: str, arguments: list[str]) -> None:
    """Make a synthetic data set, and print how to train on it.

    Args:
        verb: the word that stands on the command line.
        arguments: the words after it.

    Raises:
        ConfigError: an option makes no sense, or the folder cannot be written.
        DataError: something is in the way, or drawing failed.
    """
    description = "Write a synthetic data set of racing gates or obstacles, ready for `fit`."
    example = "make-data --out datasets/gates --train 512 --val 128 --seed 1"
    options = parse_options(MakeDataOptions, verb, arguments, description, example)
    made = make_data(options)
    print_line(f"made {made}; train on it with")
    print_line(f"  python -m aigp_lightning fit --config configs/{CONFIGS[options.task]}.yaml --data.data_yaml {made}")
