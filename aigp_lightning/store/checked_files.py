"""A candidate's files, each opened: weights are numbers, and what is deployed answers as what was measured.

`best.ckpt` is what was measured. The family's own weights file and the exports beside it are what a drone loads, and
anybody may have put other ones there: each answers one picture, and one that answers otherwise is left out.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.data.input_size import USUAL_SIZE
from aigp_lightning.deploy.exports_file import is_as_told, read_exports
from aigp_lightning.deploy.options import (
    CONVERTED,
    FULL,
    GRAPHS,
    WEIGHTS_BESIDE,
    WITH_PRECISION,
    ExportOptions,
    Form,
    form_of,
)
from aigp_lightning.errors import ConfigError, WeightsError, first_line
from aigp_lightning.files import sha256_of
from aigp_lightning.modules.thresholds import NAME as THRESHOLDS_FILE
from aigp_lightning.modules.thresholds import are_of, read_thresholds
from aigp_lightning.store.candidate import Candidate
from aigp_lightning.store.policy_evaluation import MODEL_FILE
from aigp_lightning.store.receipt import FileFact, file_fact

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.modules.deployment import Deployment

POLICY_WEIGHTS = "policy.pth"
"""Member of SB3's zip with the network's weights."""


def with_checked_files(candidate: Candidate, folder: Path, anew: Collection[str] = ()) -> Candidate:
    """Return a candidate with those files alone that belong to its model, and with its family's own weights file.

    Args:
        candidate: of the run.
        folder: for a file that is made anew; it lives as long as the candidate is used.
        anew: formats that are exported later anyway.

    Raises:
        WeightsError: the model cannot be opened, or a weight is no number.
        OSError: a file cannot be read.
    """
    facts = {name: file_fact(path) for name, path in candidate.files.items()}
    with warnings.catch_warnings():  # on tracing and its future
        warnings.simplefilter("ignore")
        check = _policy_files if candidate.is_policy else _model_files
        files, notes = check(candidate, folder, [Form(form).file_name("") for form in anew])
    known: dict[str, FileFact] = {
        name: facts[name] for name, path in files.items() if path == candidate.files.get(name)
    }
    return replace(candidate, files=files, notes=[*candidate.notes, *notes], facts=known)


def _model_files(candidate: Candidate, folder: Path, anew: Collection[str]) -> tuple[dict[str, Path], list[str]]:
    from aigp_lightning.checkpoints.load import read_checkpoint
    from aigp_lightning.modules.registry import rebuild

    best = candidate.model
    content = read_checkpoint(best)
    module = rebuild(content, best)
    _check_numbers(module.state_dict(), best)
    files: dict[str, Path] = {}
    notes: list[str] = []
    for name, path in candidate.files.items():
        if path.suffix == WEIGHTS_BESIDE or (path.suffix in anew and form_of(path).precision == FULL):
            continue
        is_thresholds = name == THRESHOLDS_FILE
        why = None if path == best else _why_not_taken(path, best) if is_thresholds else _why_not(path, module, best)
        if why is None:
            files[name] = path
            weights = path.with_suffix(WEIGHTS_BESIDE).name
            files |= {weights: candidate.files[weights]} if path.suffix == CONVERTED["openvino"] else {}
        else:
            notes.append(f"{name} {why}, and is left out")
    suffix, deployment = module.portable_suffix, module.deployment
    if suffix is not None and deployment is not None and suffix not in anew and f"{best.stem}{suffix}" not in files:
        made = folder / f"{best.stem}{suffix}"
        _make_portable(made, deployment, best, int(content.get("epoch", -1)))
        if (why := _why_not(made, module, best)) is not None:
            raise WeightsError(f"{best}: the {made.name} that is made of it {why}.")
        files[made.name] = made
        notes.append(f"{made.name} is made anew from {best.name}")
    return files, notes


def _check_numbers(weights: Mapping[str, Any], path: Path) -> None:
    """Refuse weights of which one is no number: whatever such a model answers, nobody can fly by it.

    Raises:
        WeightsError: one is not.
    """
    import torch

    for name, value in weights.items():
        if torch.is_tensor(value) and value.is_floating_point() and not bool(torch.isfinite(value).all()):
            found = int((~torch.isfinite(value)).sum())
            raise WeightsError(
                f"{path} has weights that are no numbers ({found} of {value.numel()} in {name}): its training has "
                "diverged. Promote another run."
            )


def _why_not(path: Path, module: BaseModule, best: Path) -> str | None:
    """Return why a file is none of a module's, as the end of a sentence; None if it answers as the module does."""
    from aigp_lightning.deploy.difference import greatest_difference

    deployment, form = module.deployment, form_of(path)
    made_of = "onnx" if form.format in CONVERTED else form.format
    if deployment is None or made_of not in deployment.formats:
        return f"is no file of family {module.family}'s"
    imgsz = _picture_size(best, deployment.stride)
    try:
        if form.format in (*GRAPHS, *WITH_PRECISION):
            from aigp_lightning.evaluation.exported_graph import open_graph

            opened = open_graph(path, gpu=False)
            arguments, (imgsz, _) = opened.told.get("args"), opened.told["imgsz"]
            dynamic = isinstance(arguments, Mapping) and bool(arguments.get("dynamic"))
            answers, graph, names = opened.run, deployment.graph(int(imgsz), dynamic), opened.names
        else:
            from aigp_lightning.modules.registry import open_weights

            names = open_weights(path).names
            answers, graph = deployment.portable_graph(path, imgsz)
        if names != module.names:
            return f"has other classes than {best.name}"
        if form.precision != FULL:
            return _why_not_measured(path, best)
        difference = greatest_difference(answers, graph, int(imgsz))
    except Exception as error:  # anything may lie there, and it fails in many ways
        return f"cannot be opened ({first_line(error)})"
    if difference.within(ExportOptions.tolerance, int(imgsz)):
        return None
    return f"does not answer as {best.name} does ({difference})"


def _why_not_measured(path: Path, best: Path) -> str | None:
    """Return why nothing shows that a file of fewer bits is of a checkpoint; None where `exports.json` does.

    One picture cannot: such a file is as good as the whole validation split says.
    """
    told = read_exports(path.parent)
    entry = next((each for each in told.get("files", ()) if each["file"] == path.name), None)
    if entry is None or told["model"].get("sha256") != sha256_of(best) or not is_as_told(path.parent, entry):
        return f"is not noted in exports.json as made of this {best.name}"
    return None if isinstance(entry.get("figures"), dict) else "was not measured on the validation split"


def _why_not_taken(path: Path, best: Path) -> str | None:
    """Return why thresholds are not those of a model, as the end of a sentence; None if they are."""
    try:
        found = read_thresholds(path)
    except ConfigError as error:
        return f"cannot be read ({first_line(error)})"
    return None if are_of(found, best) else f"was calibrated for other weights than those of {best.name}"


def _picture_size(best: Path, stride: int) -> int:
    from aigp_lightning.modules.registry import trained_with

    size = trained_with(best).data.get("imgsz")
    size = size if type(size) is int and size > 0 else USUAL_SIZE
    return max(round(size / stride), 1) * stride


def _make_portable(path: Path, deployment: Deployment, best: Path, epoch: int) -> None:
    """Write the family's own weights file with the same settings as at the end of a training."""
    from aigp_lightning.modules.registry import trained_with

    data = trained_with(best).data
    named = {
        "imgsz": "imgsz",
        "data": "data_yaml",
        "batch": "batch_size",
        "single_cls": "single_cls",
        "resize": "resize",
    }
    deployment.write_portable(path, epoch, {key: data[name] for key, name in named.items() if name in data})


def _policy_files(candidate: Candidate, folder: Path, anew: Collection[str]) -> tuple[dict[str, Path], list[str]]:
    """See `_model_files`; a policy's exports are opened, and not compared."""
    import io

    import torch

    model = candidate.files[MODEL_FILE]
    with zipfile.ZipFile(model) as archive:
        content = archive.read(POLICY_WEIGHTS) if POLICY_WEIGHTS in archive.namelist() else b""
    if content:
        try:
            weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises half a dozen types
            raise WeightsError(f"{model}: its {POLICY_WEIGHTS} cannot be read: {first_line(error)}") from error
        _check_numbers(weights, model)
    files, notes = {}, []
    for name, path in candidate.files.items():
        if path.suffix in anew:
            continue
        why = _why_unreadable(path) if path.suffix[1:] in GRAPHS else None
        if why is None:
            files[name] = path
        else:
            notes.append(f"{name} cannot be opened ({why}), and is left out")
    return files, notes


def _why_unreadable(path: Path) -> str | None:
    from aigp_lightning.evaluation.exported_graph import run_of_graph

    try:
        run_of_graph(path)
    except Exception as error:  # a damaged file fails in many ways
        return first_line(error)
    return None
