"""Steps before the first batch: make a data set that is missing, and tell what is wrong with one that is there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.data.lint import lint
from aigp_lightning.data.missing_data import make_command, not_there, shipped_set
from aigp_lightning.data.repeats import in_two_splits
from aigp_lightning.data.synthetic.options import MakeDataOptions
from aigp_lightning.data.synthetic.record import read_header, recorded_values
from aigp_lightning.errors import ConfigError, DataError, tell_user, warn_user
from aigp_lightning.paths import expand_home
from aigp_lightning.ranges import COUNT_OR_NONE, SEED, SHARE, check_range

if TYPE_CHECKING:
    from aigp_lightning.data.data_yaml import DataSpec
    from aigp_lightning.data.records import ScanResult

TASK = "{task}"
"""In the path of a `data.yaml`: one overlay serves several tasks, each with its own synthetic data set."""
LARGEST = 16384
"""Longest side of the network's input, pixels."""
SMALLEST = 32
"""Shortest side, pixels."""
PROBLEMS_FILE = "data_problems_{}.txt"


def check_options(
    imgsz: int, workers: int, seed: int, lost_limit: float, leak_limit: float | None = None
) -> None:  # fmt: skip
    """Refuse sizes and shares that no run can have; which multiples a network takes, `input_size` knows.

    Args:
        imgsz: side of the network's input, pixels.
        workers: processes that load images.
        seed: of shuffling and augmentation.
        lost_limit: share of the images that may be lost.
        leak_limit: share of validation pictures that may have a near neighbour in training; None: not measured.

    Raises:
        ConfigError: naming the option and what it may be.

    Example:
        >>> try:
        ...     check_options(imgsz=16, workers=0, seed=0, lost_limit=0.02)
        ... except ConfigError as error:
        ...     print(error)
        --data.imgsz is 16; no network's input is that small: at least 32.
    """
    if imgsz < SMALLEST:
        raise ConfigError(f"--data.imgsz is {imgsz}; no network's input is that small: at least {SMALLEST}.")
    if imgsz > LARGEST:
        raise ConfigError(f"--data.imgsz is {imgsz}; no network's input is that large: at most {LARGEST}.")
    check_range("--data.workers", workers, COUNT_OR_NONE)
    check_range("--data.seed", seed, SEED)
    check_range("--data.lost_limit", lost_limit, SHARE)
    check_range("--data.leak_limit", leak_limit, SHARE)


def resolve_path(data_yaml: str, synthetic: MakeDataOptions | None) -> str:
    """Put the task of the synthetic data set into the path of its `data.yaml`.

    Args:
        data_yaml: path, maybe with `{task}` in it.
        synthetic: the data set to make.

    Raises:
        ConfigError: the path has `{task}`, and there is no synthetic data set.

    Example:
        >>> resolve_path("datasets/{task}/data.yaml", MakeDataOptions(task="pose"))
        'datasets/pose/data.yaml'
    """
    if TASK not in data_yaml or os.path.exists(data_yaml):
        return data_yaml
    if synthetic is None:
        raise ConfigError(
            f"--data.data_yaml is {data_yaml}, where {TASK} stands for --data.synthetic.task, and there is no "
            "--data.synthetic. Name your own data.yaml, after every --config."
        )
    return data_yaml.replace(TASK, synthetic.task)


def provide_data(data_yaml: str, synthetic: MakeDataOptions | None, *, make: bool, progress: bool) -> None:
    """See that there is a data set: make a shipped configuration's own that is missing, and refuse any other.

    Args:
        data_yaml: its `data.yaml`.
        synthetic: the data set that is configured; its `out` is replaced.
        make: make it if need be; only a training does.
        progress: show a progress bar.

    Raises:
        ConfigError: it is not there, and must not be made; or an option is wrong.
        DataError: it cannot be written.

    Example:
        >>> import lightning.pytorch  # sets the rank, by which one process alone prints
        >>> options = MakeDataOptions(train=1, val=1, test=0, imgsz=(64, 64), seed=4, workers=1)
        >>> provide_data("datasets/gates/data.yaml", options, make=True, progress=False)
        >>> sorted(path.name for path in Path("datasets/gates").iterdir())
        ['data.yaml', 'images', 'labels']
    """
    if Path(expand_home(data_yaml)).exists():
        tell_differences(data_yaml, synthetic)
        return
    shipped = shipped_set(data_yaml)
    if synthetic is None or not make or shipped is None or shipped.task != synthetic.task:
        raise ConfigError(f"--data.data_yaml {not_there(data_yaml, synthetic)}")
    from aigp_lightning.data.synthetic import make_data

    options = replace(synthetic, out=str(Path(data_yaml).parent))
    tell_user(f"{data_yaml} is not there: making {options.train + options.val + options.test} pictures")
    try:
        make_data(options, progress=progress)
    except DataError:
        if not Path(data_yaml).exists():  # else complete, by another run or by a machine that shares this disk
            raise


def tell_differences(data_yaml: str, synthetic: MakeDataOptions | None) -> None:
    """Say which options of `data.synthetic` are not those that the data set on the disk was made with.

    Of flights nothing is said where single pictures are configured.

    Args:
        data_yaml: its `data.yaml`; one that `make-data` has not written says nothing about it.
        synthetic: the data set that is configured.
    """
    path = Path(expand_home(data_yaml))
    made = read_header(path / "data.yaml" if path.is_dir() else path)
    if synthetic is None or not made or made["sequences"] != recorded_values(synthetic)["sequences"]:
        return  # flights are what somebody chose on purpose, not a configuration's set that has become old
    asked = {name: value for name, value in recorded_values(synthetic).items() if made.get(name, value) != value}
    if asked:
        there = ", ".join(f"{name} {made[name]}" for name in asked)
        wanted = ", ".join(f"{name} {value}" for name, value in asked.items())
        folder = str(path if path.is_dir() else path.parent)
        tell_user(
            f"{data_yaml} is used as it is, made with {there}; data.synthetic says {wanted}. "
            f"To make it anew: {make_command(synthetic, folder, force=True)}"
        )


def tell_problems(scan: ScanResult, spec: DataSpec, folder: Path, *, pose: bool, strict: bool) -> None:
    r"""Print a scan's summary, and write its problems to a file in the run folder.

    Args:
        scan: outcome of the split's scan.
        spec: the data set.
        folder: the run folder.
        pose: keypoints are wanted, and so are checked too.
        strict: keypoints that make no sense are an error.

    Raises:
        DataError: `strict` is set, and some keypoints make no sense.

    Example:
        >>> import tempfile
        >>> import lightning.pytorch  # sets the rank, by which one process alone prints
        >>> from aigp_lightning.data.data_yaml import DataSpec
        >>> from aigp_lightning.data.problems import Problem
        >>> from aigp_lightning.data.records import ScanResult
        >>> scan = ScanResult("val", [], [Problem("000.jpg", None, "missing image", "there is no such file", True)], 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     spec = DataSpec(Path(folder, "data.yaml"), Path(folder), {0: "gate"}, {})
        ...     tell_problems(scan, spec, Path(folder), pose=False, strict=False)
        ...     Path(folder, "data_problems_val.txt").read_text()
        '000.jpg missing image: there is no such file\n'
    """
    tell_user(scan.summary())
    linted = lint(scan.split, scan.records, spec, outside=scan.outside) if pose else None
    odd = linted.problems if linted is not None else []
    if scan.problems or odd:
        scan.write_problems(folder / PROBLEMS_FILE.format(scan.split), odd)
    if linted is None or not odd:
        return
    if strict:
        raise DataError(
            f"{spec.file}: strict is set and '{scan.split}' has keypoints that make no sense; mend them\n"
            f"{linted.summary()}"
        )
    tell_user(linted.summary())


def tell_common(scans: Mapping[str, ScanResult]) -> None:
    """Say how many images are in more than one split.

    Args:
        scans: outcomes by split.

    Example:
        >>> tell_common({})
    """
    common = len(in_two_splits({split: [record.im_file for record in scan.records] for split, scan in scans.items()}))
    if common:
        warn_user(
            f"{common} image{'s are' if common > 1 else ' is'} in more than one of {', '.join(scans)}, so what is "
            f"measured there is not about new images; `lint` names {'them' if common > 1 else 'it'}."
        )
