"""Refusals of the `export` verb before any work: options that cannot be meant, packages and machines that lack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.checkpoints.weight_places import find_weights
from aigp_lightning.deploy.options import (
    COMPARED_ON,
    CONVERTED,
    FORMATS,
    FULL,
    OF_ULTRALYTICS,
    OWN_FORMATS,
    PRECISIONS,
    THEIR_CALL,
    WITH_PRECISION,
    ExportOptions,
    Form,
)
from aigp_lightning.errors import ConfigError, WeightsError, lacking
from aigp_lightning.ranges import COUNT, POSITIVE, SHARE, Range, check_range

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.modules.deployment import Deployment

ONNX_PACKAGES = ("onnx", "onnxruntime")
PACKAGES = {
    "onnx": ONNX_PACKAGES,
    "openvino": (*ONNX_PACKAGES, "openvino"),
    "tensorrt": (*ONNX_PACKAGES, "tensorrt"),
}
"""Packages that a format needs beside those of a training."""
INSTALL = {
    "onnx": "pip install 'aigp_lightning[export]'",
    "openvino": "pip install 'aigp_lightning[openvino]'",
    "tensorrt": "pip install 'aigp_lightning[export]' tensorrt, on the machine that runs the engine",
}
GPU = "an NVIDIA GPU that PyTorch can use"
CALL = "python -m aigp_lightning export runs/detect/gates --format onnx"


def check_options(options: ExportOptions, partly: bool) -> Path:
    """Refuse what cannot work before any work is done.

    Args:
        options: what and how.
        partly: formats whose packages are missing may be left out.

    Returns:
        The source's path.

    Raises:
        ConfigError: an option is wrong, or a package is missing.
        WeightsError: there is no such model.
    """
    if bool(options.ckpt_path) == bool(options.weights):
        theirs = ", ".join(f"FILE.{form} ({whose})" for form, whose in OWN_FORMATS.items())
        raise ConfigError(
            f"export needs one model: a run folder, as in `{CALL}`, --ckpt_path FILE.ckpt (ours) or --weights {theirs}."
        )
    if options.formats is not None:
        _check_formats(options.formats)
    _check_precisions(options)
    if options.formats is not None:
        check_packages(options.formats, partly)
    check_range("--tolerance", options.tolerance, POSITIVE)
    check_range("--imgsz", options.imgsz, Range(1, 16384))
    check_range("--opset", options.opset, COUNT)
    check_range("--calibration", options.calibration, COUNT)
    check_range("--max_drop", options.max_drop, SHARE)
    option, source = ("--ckpt_path", options.ckpt_path) if options.ckpt_path else ("--weights", options.weights)
    if options.weights:
        return find_weights(str(source), option)
    if not Path(str(source)).is_file():
        raise WeightsError(f"{option} {source}: there is no such file.")
    return Path(str(source))


def _check_formats(formats: Sequence[str]) -> None:
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        other = next((form for form in unknown if form in OF_ULTRALYTICS), None)
        advice = f" Of a YOLO's best.pt Ultralytics makes it: `{THEIR_CALL}{other}`." if other else ""
        raise ConfigError(f"--format {', '.join(unknown) or '[]'}: known are {', '.join(FORMATS)}.{advice}")


def _check_precisions(options: ExportOptions) -> None:
    """Refuse precisions that are none, and formats of which none that is asked for can be written."""
    asked = options.precisions
    unknown = sorted(set(asked) - set(PRECISIONS))
    if unknown or not asked:
        raise ConfigError(f"--precision {', '.join(unknown) or '[]'}: known are {', '.join(PRECISIONS)}.")
    left = [form for form in options.formats or () if form not in WITH_PRECISION and FULL not in asked]
    if left:
        raise ConfigError(
            f"--precision {','.join(asked)}: files of format {', '.join(left)} compute in {FULL} alone; "
            f"{', '.join(WITH_PRECISION)} have others."
        )
    if options.compare is not None and options.compare not in COMPARED_ON:
        raise ConfigError(f"--compare {options.compare}: known are {', '.join(COMPARED_ON)}.")


def packages_missing(form: str) -> list[str]:
    """Return what a format needs, to be written and read back, and is not here: packages, with reasons, and a GPU.

    Args:
        form: of `FORMATS`.
    """
    missing = [words for name in PACKAGES.get(form, ()) if (words := lacking(name))]
    return [*missing, GPU] if form == "tensorrt" and not _has_gpu() else missing


def _has_gpu() -> bool:
    """True if PyTorch can use a GPU of NVIDIA's."""
    import torch

    return torch.cuda.is_available() and torch.version.cuda is not None


def check_packages(forms: Sequence[str], partly: bool) -> None:
    """Refuse formats that cannot be written and read back; `partly`, if there is no other.

    Args:
        forms: that are asked for.
        partly: formats whose packages are missing may be left out.

    Raises:
        ConfigError: a package or a GPU is missing.
    """
    needy = {form: missing for form in forms if (missing := packages_missing(form))}
    others = ",".join(form for form in forms if form not in needy)
    if needy and not (partly and others):
        instead = f", or leave it out with --format {others}" if others else ""
        names = " and ".join(dict.fromkeys(name for missing in needy.values() for name in missing))
        calls = "; ".join(dict.fromkeys(INSTALL[form] for form in needy))
        raise ConfigError(f"{' and '.join(needy).upper()} export needs {names}: {calls}{instead}.")


def missing_notes(forms: Sequence[str], precisions: Sequence[str], stem: str) -> list[str]:
    """Say of each format that cannot be written here, in a line, which file that is and what it needs.

    Args:
        forms: that are asked for.
        precisions: that are asked for.
        stem: of the source's name.
    """
    notes = []
    for form in sorted(set(forms)):
        if missing := packages_missing(form):
            files = [each.file_name(stem) for each in wanted_forms([form], precisions)]
            verb, needs = "is" if len(files) == 1 else "are", "it needs" if len(files) == 1 else "they need"
            told = f"{', '.join(files)} {verb} not written, since {needs} {' and '.join(missing)}"
            notes.append(f"{told}. To have it too: {INSTALL[form]}")
    return notes


def wanted_forms(formats: Sequence[str], precisions: Sequence[str]) -> list[Form]:
    """Return the files to write: each format in the precisions that are asked for and that it has.

    Args:
        formats: names of formats.
        precisions: of `PRECISIONS`.

    Example:
        >>> [form.file_name("best") for form in wanted_forms(["pt", "onnx"], ["fp32", "int8"])]
        ['best.pt', 'best.onnx', 'best.int8.onnx']
    """
    pairs = [
        Form(form, precision)
        for form in formats
        for precision in precisions
        if precision == FULL or form in WITH_PRECISION
    ]
    return list(dict.fromkeys(pairs))


def deployment_of(module: BaseModule, source: Path, options: ExportOptions) -> tuple[Deployment, Sequence[str]]:
    """Return how a module is deployed, and the formats to write, if its family has all that is asked for.

    Args:
        module: the model.
        source: its file.
        options: what is asked for.

    Raises:
        ConfigError: the family does not have a format.
    """
    deployment = module.deployment
    own = () if deployment is None else deployment.formats
    formats = (*own, *(CONVERTED if "onnx" in own else ()))
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
    found = [form for form in own if form in WITH_PRECISION or FULL in options.precisions]
    if not found:
        raise ConfigError(f"--precision {','.join(options.precisions)}: family {module.family} has no file of these.")
    return deployment, found
