"""The `export` verb's work: a checkpoint in the forms that other programs open.

Every file is read back and held against the module on one picture before it takes its place.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.checkpoints.weight_places import find_weights
from aigp_lightning.data.input_size import USUAL_SIZE
from aigp_lightning.data.resizing import LETTERBOX
from aigp_lightning.deploy.difference import Difference, greatest_difference
from aigp_lightning.deploy.options import FORMATS, GRAPHS, OF_ULTRALYTICS, OWN_FORMATS, THEIR_CALL, ExportOptions
from aigp_lightning.errors import ConfigError, DataError, UserError, WeightsError, lacking
from aigp_lightning.files import is_stored
from aigp_lightning.modules.deployment import Deployment
from aigp_lightning.ranges import COUNT, POSITIVE, Range, check_range
from aigp_lightning.terminal.output import print_line

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule

PACKAGES = {"onnx": ("onnx", "onnxruntime")}
"""Packages that a format needs beside those of a training."""
CALL = "python -m aigp_lightning export runs/detect/gates --format onnx"
INSTALL = "pip install 'aigp_lightning[export]'"


def export(options: ExportOptions, names_alone: bool = False, partly: bool = False) -> list[Path]:
    """Write the files that the options ask for, each checked, and atomically.

    Args:
        options: what and how.
        names_alone: say the files' names without their folder, which is one for a while.
        partly: where a package is missing, write the formats that do without it, and tell what it would add.

    Returns:
        The files written, in the order of `options.format`, or of the family's own.

    Raises:
        ConfigError: an option is wrong, the model's family does not have the format, or a package is missing.
        WeightsError: the checkpoint is unreadable, or a written file does not answer as the module does.
    """
    source = _check(options, partly)
    folder = Path(options.out) if options.out else source.parent
    if is_stored(folder):
        raise ConfigError(
            f"{folder} is a version in a store of models, which stays as it is: --out FOLDER says where to."
        )
    module = _load(options)
    deployment, asked = _deployment(module, source, options)
    if options.nms_free is not None:
        deployment.answer_nms_free(options.nms_free)
    _check_packages(asked, partly)
    forms = [form for form in dict.fromkeys(asked) if not packages_missing(form)]
    if options.dynamic and not deployment.any_size:
        raise ConfigError(
            f"--dynamic: files of family {module.family} are of one size and batch; leave it out, and export once for "
            "each --imgsz."
        )
    options, resize = _sized(options, source, module.names)
    stride = deployment.stride
    assert options.imgsz is not None
    if options.imgsz <= 0 or options.imgsz % stride:
        nearest = max(round(options.imgsz / stride), 1) * stride
        raise ConfigError(f"--imgsz {options.imgsz} is no multiple of this network's stride {stride}; try {nearest}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise ConfigError(f"--out {folder} cannot be a folder: {error.strerror}.") from error
    written = []
    for form in forms:
        target = folder / f"{source.stem}.{form}"
        if target.resolve() == source.resolve():
            print_line(f"{target}  (the source itself; --out FOLDER writes a copy elsewhere)")
        else:
            written.append(_write(form, target, deployment, options, resize, target.name if names_alone else target))
    for form in sorted(set(asked) - set(forms)):
        needs = " and ".join(packages_missing(form))
        told = f"{source.stem}.{form} is not written, since it needs {needs}. To have it too: {INSTALL}"
        print_line(f"warning: {told}", err=True)
    return written


def _check(options: ExportOptions, partly: bool) -> Path:
    """Refuse what cannot work before any work is done; return the source's path."""
    if bool(options.ckpt_path) == bool(options.weights):
        theirs = ", ".join(f"FILE.{form} ({whose})" for form, whose in OWN_FORMATS.items())
        raise ConfigError(
            f"export needs one model: a run folder, as in `{CALL}`, --ckpt_path FILE.ckpt (ours) or --weights {theirs}."
        )
    if options.formats is not None:
        unknown = sorted(set(options.formats) - set(FORMATS))
        if unknown or not options.formats:
            other = next((form for form in unknown if form in OF_ULTRALYTICS), None)
            advice = f" Of a YOLO's best.pt Ultralytics makes it: `{THEIR_CALL}{other}`." if other else ""
            raise ConfigError(f"--format {', '.join(unknown) or '[]'}: known are {', '.join(FORMATS)}.{advice}")
        _check_packages(options.formats, partly)
    check_range("--tolerance", options.tolerance, POSITIVE)
    check_range("--imgsz", options.imgsz, Range(1, 16384))
    check_range("--opset", options.opset, COUNT)
    option, source = ("--ckpt_path", options.ckpt_path) if options.ckpt_path else ("--weights", options.weights)
    if options.weights:
        return find_weights(str(source), option)
    if not Path(str(source)).is_file():
        raise WeightsError(f"{option} {source}: there is no such file.")
    return Path(str(source))


def packages_missing(form: str) -> list[str]:
    """Return the packages that a format needs, to be written and read back, and that cannot be imported, with reasons.

    Args:
        form: pt, pth, onnx or torchscript.
    """
    return [words for name in PACKAGES.get(form, ()) if (words := lacking(name))]


def _check_packages(forms: Sequence[str], partly: bool) -> None:
    """Refuse formats that cannot be written and read back; `partly`, if there is no other."""
    needy = {form: missing for form in forms if (missing := packages_missing(form))}
    others = ",".join(form for form in forms if form not in needy)
    if needy and not (partly and others):
        instead = f", or leave it out with --format {others}" if others else ""
        names = " and ".join(dict.fromkeys(name for missing in needy.values() for name in missing))
        raise ConfigError(f"{' and '.join(needy).upper()} export needs {names}: {INSTALL}{instead}.")


def _load(options: ExportOptions) -> BaseModule:
    from aigp_lightning.modules.registry import kind_of_file, load_module, open_weights

    if options.ckpt_path and (kind := kind_of_file(options.ckpt_path)) is not None:
        raise ConfigError(f"--ckpt_path {options.ckpt_path} is {kind}; it goes to --weights.")
    return load_module(options.ckpt_path) if options.ckpt_path else open_weights(str(options.weights))


def _sized(options: ExportOptions, source: Path, names: Mapping[int, str]) -> tuple[ExportOptions, str]:
    """Fill in the image size that the checkpoint was trained at, and tell what is to know of it and its data set.

    Returns:
        The options, and how pictures were brought to that size: `letterbox` or `stretch`.
    """
    from aigp_lightning.modules.registry import trained_with

    data = trained_with(source).data
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


def _deployment(module: BaseModule, source: Path, options: ExportOptions) -> tuple[Deployment, Sequence[str]]:
    """Return how the module is deployed, and the formats to write, if its family has all that is asked for."""
    deployment = module.deployment
    formats = () if deployment is None else deployment.formats
    missing = [form for form in options.formats or () if form not in formats]
    if deployment is None or missing:
        told = f"{source} is of family {module.family}, which exports {', '.join(formats) or 'nothing'}"
        if missing:
            told += f"; --format asks for {', '.join(missing)}"
        owners = [
            f" A .{form} is {OWN_FORMATS[form]} own format, and no other family has it."
            for form in missing
            if form in OWN_FORMATS
        ]
        raise ConfigError(f"{told}.{''.join(owners)}")
    if options.formats is not None:
        return deployment, options.formats
    return deployment, formats


def _write(
    form: str, path: Path, deployment: Deployment, options: ExportOptions, resize: str, shown: str | Path
) -> Path:
    """Write one file under a temporary name, check it, and only then move it into place."""
    assert options.imgsz is not None
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with warnings.catch_warnings():  # on tracing and its future; what was traced is checked by its answers
            warnings.simplefilter("ignore")
            difference = _write_and_compare(form, temporary, deployment, options, resize)
        if not difference.within(options.tolerance, options.imgsz):
            raise WeightsError(
                f"{path.name} does not answer as the module does: {difference}; the tolerance {options.tolerance:g} "
                f"allows {options.tolerance * options.imgsz:.2g} px and {options.tolerance:g}. It was removed."
            )
        os.replace(temporary, path)
    except UserError:
        raise
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    reference = "the module" if form in GRAPHS else deployment.portable_reference
    print_line(f"{shown}  ({path.stat().st_size / 1e6:.1f} MB; greatest difference from {reference}: {difference})")
    return path


def _write_and_compare(
    form: str, path: Path, deployment: Deployment, options: ExportOptions, resize: str
) -> Difference:
    """Write one file, read it back, and compare its answers with the module's."""
    from aigp_lightning.deploy.graphs import write_onnx, write_torchscript

    imgsz, dynamic = options.imgsz, options.dynamic
    assert imgsz is not None
    if form not in GRAPHS:
        deployment.write_portable(path, settings={"imgsz": imgsz, "resize": resize})
        answers, graph = deployment.portable_graph(path, imgsz)
        return greatest_difference(answers, graph, imgsz, deployment.stride if dynamic else None)
    graph = deployment.graph(imgsz, dynamic)
    if resize != LETTERBOX.name:
        graph = replace(graph, metadata={**graph.metadata, "resize": resize})
    if form == "onnx":
        answers = write_onnx(path, graph, imgsz, dynamic, options.opset)
    else:
        answers = write_torchscript(path, graph, imgsz)
    return greatest_difference(answers, graph, imgsz, deployment.stride if dynamic else None)
