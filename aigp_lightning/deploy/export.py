"""The `export` verb's work: a checkpoint in the forms that other programs open.

Every file is read back and held against the module before it takes its place: those in full precision on one picture,
those in fewer bits, and all where it is asked for, on the validation split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.data.input_size import USUAL_SIZE
from aigp_lightning.data.resizing import LETTERBOX
from aigp_lightning.deploy.accuracy import Comparison
from aigp_lightning.deploy.calibration import CalibrationPictures, data_yaml_of
from aigp_lightning.deploy.checks import (
    check_options,
    check_packages,
    deployment_of,
    missing_notes,
    packages_missing,
    wanted_forms,
)
from aigp_lightning.deploy.contract import Contracted
from aigp_lightning.deploy.contract_file import write_contract
from aigp_lightning.deploy.converted import NOT_MEASURED, Converter
from aigp_lightning.deploy.exporter import Exporter
from aigp_lightning.deploy.options import FULL, INT8, ExportOptions, Form
from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.files import is_stored
from aigp_lightning.terminal.output import print_line

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.modules.trained_with import TrainedWith

__all__ = ["export", "packages_missing"]


def export(options: ExportOptions, names_alone: bool = False, partly: bool = False) -> list[Path]:
    """Write the files that the options ask for, each checked, and atomically.

    Args:
        options: what and how.
        names_alone: say the files' names without their folder, which is one for a while.
        partly: where a package is missing, write the formats that do without it, and tell what it would add.

    Returns:
        The files written, in the order of `options.format`, or of the family's own; behind an OpenVINO `.xml` its
        `.bin`.

    Raises:
        ConfigError: an option is wrong, the model's family does not have the format, or a package is missing.
        WeightsError: the checkpoint is unreadable, or a file does not answer as the module does, or is less accurate
            than it may be; the files after that one are written.
        DataError: pictures are needed, for ranges of 8 bits or for a comparison that is asked for, and not there.
    """
    source = check_options(options, partly)
    folder = Path(options.out) if options.out else source.parent
    if is_stored(folder):
        raise ConfigError(
            f"{folder} is a version in a store of models, which stays as it is: --out FOLDER says where to."
        )
    module = _load(options)
    deployment, asked = deployment_of(module, source, options)
    if options.nms_free is not None:
        deployment.answer_nms_free(options.nms_free)
    check_packages(asked, partly)
    print_line(*(f"warning: {note}" for note in missing_notes(asked, options.precisions, source.stem)), err=True)
    forms = wanted_forms([form for form in asked if not packages_missing(form)], options.precisions)
    if options.dynamic and not deployment.any_size:
        raise ConfigError(
            f"--dynamic: files of family {module.family} are of one size and batch; leave it out, and export once for "
            "each --imgsz."
        )
    run = _told(source)
    options, resize = _sized(options, source, module.names, run.data)
    _check_size(options, deployment.stride)
    comparison = _comparison(options, source, run, forms)
    pictures = _pictures(options, source, run, module, forms)
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise ConfigError(f"--out {folder} cannot be a folder: {error.strerror}.") from error
    contracted = Contracted(deployment, module, source, resize)
    converter = Converter(contracted, options, resize, comparison is not None, pictures)
    exporter = Exporter(converter, comparison, source, folder, names_alone)
    try:
        return exporter.write_all(forms)
    finally:
        if exporter.entries:
            fields = {} if names_alone else contracted.fields
            write_contract(folder, fields, exporter.entries, options.with_runtime)
        else:
            _remove_empty(made)


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove the folders that were made for files of which none was written, innermost first."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _load(options: ExportOptions) -> BaseModule:
    from aigp_lightning.modules.registry import kind_of_file, load_module, open_weights

    if options.ckpt_path and (kind := kind_of_file(options.ckpt_path)) is not None:
        raise ConfigError(f"--ckpt_path {options.ckpt_path} is {kind}; it goes to --weights.")
    return load_module(options.ckpt_path) if options.ckpt_path else open_weights(str(options.weights))


def _told(source: Path) -> TrainedWith:
    from aigp_lightning.modules.registry import trained_with

    return trained_with(source)


def _sized(
    options: ExportOptions, source: Path, names: Mapping[int, str], data: Mapping[str, Any]
) -> tuple[ExportOptions, str]:
    """Fill in the image size that the checkpoint was trained at, and tell what is to know of it and its data set.

    Returns:
        The options, and how pictures were brought to that size: `letterbox` or `stretch`.
    """
    trained = data.get("imgsz")
    if options.imgsz is None:
        size = trained if type(trained) is int and trained > 0 else USUAL_SIZE
        why = "as it was trained" if size == trained else "since the checkpoint does not say at which it was trained"
        print_line(f"image size {size}, {why}; --imgsz takes another")
        options = replace(options, imgsz=size)
    elif trained is not None and trained != options.imgsz:
        print_line(f"--imgsz {options.imgsz} is not what {source} was trained at, {trained}")
    if (resize := str(data.get("resize", LETTERBOX.name))) != LETTERBOX.name:
        print_line(f"pictures were brought to that size by {resize}; whoever runs the files has to do the same")
    _tell_order(source, names, data)
    return options, resize


def _tell_order(source: Path, names: Mapping[int, str], data: Mapping[str, Any]) -> None:
    """Tell where the data set numbers its classes differently by now; one that is not there says nothing."""
    from aigp_lightning.data.data_yaml import read_data_yaml

    if data.get("single_cls") or not Path(str(data.get("data_yaml", ""))).is_file():
        return
    with suppress(DataError):
        ours = read_data_yaml(data["data_yaml"]).names
        if list(ours.values()) != list(names.values()):
            theirs, here = (", ".join(each.values()) for each in (names, ours))
            print_line(f"the files have the classes of {source}: {theirs}; those of {data['data_yaml']} are: {here}")


def _check_size(options: ExportOptions, stride: int) -> None:
    assert options.imgsz is not None
    if options.imgsz <= 0 or options.imgsz % stride:
        nearest = max(round(options.imgsz / stride), 1) * stride
        raise ConfigError(f"--imgsz {options.imgsz} is no multiple of this network's stride {stride}; try {nearest}.")


def _comparison(options: ExportOptions, source: Path, run: TrainedWith, forms: Sequence[Form]) -> Comparison | None:
    """Return what files are compared by; None where they are not to be, or, unless it is asked for, cannot be."""
    fewer_bits = any(form.precision != FULL for form in forms)
    if options.compare == "none" or (options.compare is None and not fewer_bits):
        return None
    try:
        data_yaml = data_yaml_of(run, options.data_yaml, source, "--compare val")
    except DataError as error:
        if options.compare is not None or options.data_yaml is not None:
            raise
        print_line(f"warning: accuracy is {NOT_MEASURED}: {error}", err=True)
        return None
    comparison = Comparison(source, run, data_yaml, options)
    if comparison.can_measure:
        return comparison
    why = f"no object is labelled in the validation split of {data_yaml}"
    if options.compare is not None:
        raise DataError(f"--compare val cannot measure: {why}.")
    print_line(f"warning: accuracy is {NOT_MEASURED}: {why}", err=True)
    return None


def _pictures(
    options: ExportOptions, source: Path, run: TrainedWith, module: BaseModule, forms: Sequence[Form]
) -> CalibrationPictures | None:
    """Return the pictures for ranges of 8 bits; None where nothing is quantised by them."""
    if not any(form.precision == INT8 for form in forms) or getattr(module, "qat", False):
        return None
    assert options.imgsz is not None
    data_yaml = data_yaml_of(run, options.data_yaml, source, "--precision int8")
    return CalibrationPictures(run, data_yaml, options.imgsz, options.calibration)
