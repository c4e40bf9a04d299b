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
    description = (
        "Write a synthetic data set of racing gates or obstacles, ready for `fit`: single pictures, or with "
        "--sequences flights frame by frame, ready for `validate --sequence`."
    )
    example = "make-data --out datasets/gates --train 512 --val 128 --seed 1"
    options = parse_options(MakeDataOptions, verb, arguments, description, example)
    made = make_data(options)
    camera = f" --model.camera.profile {options.profile}" if has_poses_of_another_camera(options) else ""
    print_line(f"made {made}; train on it with")
    print_line(
        f"  python -m aigp_lightning fit --config configs/{CONFIGS[options.task]}.yaml --data.data_yaml {made}{camera}"
    )
    if options.sequences:
        print_line("and measure a trained model frame after frame with")
        print_line(f"  python -m aigp_lightning validate --sequence {made.parent} --ckpt_path RUN")


def has_poses_of_another_camera(options: MakeDataOptions) -> bool:
    """True if poses need a camera that is not the one a training has by default.

    Example:
        >>> has_poses_of_another_camera(MakeDataOptions(task="pose", profile="ts-005"))
        True
    """
    return options.task == "pose" and options.profile != MakeDataOptions().profile
