"""The files of a run that are promoted: of a detector or keypoint model of any family, or of a policy."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aigp_lightning.checkpoints.load import read_metadata
from aigp_lightning.checkpoints.paths import BEST, LAST
from aigp_lightning.deploy.options import (
    CONVERTED,
    FULL,
    GRAPHS,
    OWN_FORMATS,
    PRECISIONS,
    WEIGHTS_BESIDE,
    WITH_PRECISION,
    ExportOptions,
    Form,
)
from aigp_lightning.errors import ConfigError, DataError, WeightsError
from aigp_lightning.logfiles.run_config import read_config
from aigp_lightning.modules.thresholds import thresholds_of
from aigp_lightning.run.lock import writer_of
from aigp_lightning.store.policy_evaluation import MODEL_FILE, is_policy_run, policy_model
from aigp_lightning.store.receipt import FileFact

STATISTICS_FILE, ABOUT_FILE = "vecnormalize.pkl", "about.json"
POLICY_STEM = "policy"
FORMS = (
    *(Form(form) for form in (*OWN_FORMATS, *GRAPHS, *CONVERTED)),
    *(Form(form, precision) for form in WITH_PRECISION for precision in PRECISIONS if precision != FULL),
)
"""Format and precision of all files that `export` writes of a checkpoint."""
OLDER = 2.0
"""Seconds by which an export may be older than the checkpoint: copying a run gives its files times of their own."""


@dataclass(frozen=True)
class Candidate:
    """What a run has to promote.

    Attributes:
        run: its folder.
        name: of the model, by the run's own.
        is_policy: a policy's run, and no detector's.
        model: the checkpoint; of a policy the model's folder.
        files: by the names they are to have in the store.
        notes: sentences on what was left out.
        facts: of the files that were checked, by name, as they were then.
    """

    run: Path
    name: str
    is_policy: bool
    model: Path
    files: dict[str, Path]
    notes: Sequence[str] = field(default=())
    facts: Mapping[str, FileFact] = field(default_factory=dict)


def candidate_of(run: Path) -> Candidate:
    """Find what a run has to promote.

    Args:
        run: the run folder.

    Raises:
        DataError: there is no such folder, or it is no run's.
        ConfigError: the run is still being written.
        WeightsError: it has no model, or one that cannot be read.
    """
    if not run.is_dir():
        around = next((f"; {each} is the run's folder" for each in run.parents if (each / BEST).is_file()), "")
        raise DataError(f"{run}: there is no such folder{around or '; a run has one such as runs/detect/gates'}.")
    if (writer := writer_of(run)) is not None:
        raise ConfigError(f"{run} is still being written by {writer}. Promote it when that has ended.")
    return _of_policy(run) if is_policy_run(run) else _of_checkpoint(run)


def with_exports(candidate: Candidate, formats: Sequence[str], folder: Path) -> Candidate:
    """Return a candidate with exports that are made anew, each checked against the model.

    Args:
        candidate: of the run.
        formats: of the files.
        folder: an empty one, that lives as long as the candidate is used.

    Raises:
        ConfigError: its family does not have such a format, or a package is missing.
        WeightsError: an export does not answer as the model does.
    """
    if not formats:
        return candidate
    if candidate.is_policy:
        from aigp_lightning.policy.export import export as export_policy
        from aigp_lightning.policy.verb_config import ExportConfig

        config = ExportConfig(model=str(candidate.model), format=list(formats), out=str(folder))
        made = export_policy(config, names_alone=True)
    else:
        from aigp_lightning.deploy.export import export

        options = ExportOptions(ckpt_path=str(candidate.model), format=list(formats), out=str(folder))
        made = export(options, names_alone=True)
    notes = [note for note in candidate.notes if not any(f"{path.name} " in note for path in made)]
    return replace(candidate, files={**candidate.files, **{path.name: path for path in made}}, notes=notes)


def _of_checkpoint(run: Path) -> Candidate:
    best = run / BEST
    if not best.is_file():
        if (run / LAST).is_file():
            raise WeightsError(
                f"{run} has {LAST} and no {BEST}: no validation has chosen one. Either the run was stopped before the "
                "end of its first, or it has none; a model is promoted with what was measured of it. Train it on with "
                f"`fit --ckpt_path {run / LAST}` and pictures to validate on."
            )
        raise DataError(
            f"{run} has no {BEST}, so there is nothing to promote. RUN is a folder such as runs/detect/gates."
        )
    _refuse_links(best)
    read_metadata(best)
    if (damaged := _damaged_member(best)) is not None:
        raise WeightsError(f"{best} is damaged: {damaged}. Promote another run, or train this one again.")
    files: dict[str, Path] = {best.name: best}
    notes: list[str] = []
    for form in FORMS:
        path = best.with_name(form.file_name(best.stem))
        note = _left_out(path, best if form.format not in OWN_FORMATS else None, form)
        weights = path.with_suffix(WEIGHTS_BESIDE)
        if note is None and path.is_file() and form.format == "openvino":
            alone = None if weights.is_file() else f"{path.name} is without its .bin, and left out"
            note = _left_out(weights, None, form) or alone
        if note is not None:
            notes.append(note)
        elif path.is_file():
            files[path.name] = path
            files |= {weights.name: weights} if form.format == "openvino" else {}
    if (chosen := thresholds_of(best)) is not None and chosen.is_symlink():
        notes.append(f"{chosen.name} is a link, which is not followed, and left out")
    elif chosen is not None:
        files[chosen.name] = chosen
    return Candidate(run, _name_of(run), False, best, files, notes)


def _left_out(path: Path, best: Path | None, form: Form) -> str | None:
    """Return why an export is left out; None where it is not there, or may be taken.

    Args:
        path: of the export.
        best: the checkpoint, that it must not be older than; None where its time says nothing.
        form: format and precision.
    """
    if path.is_symlink():
        return f"{path.name} is a link, which is not followed, and left out"
    if best is not None and path.is_file() and _is_older(path, best):
        return f"{path.name} is older than {best.name}, and left out; {made_anew(form)} makes it anew"
    return None


def made_anew(form: Form) -> str:
    """Return the words that make an export anew: an option of `promote`, or of `export` for fewer bits.

    Args:
        form: format and precision.

    Example:
        >>> made_anew(Form("onnx")), made_anew(Form("onnx", "int8"))
        ('--format onnx', '`export RUN --format onnx --precision int8`')
    """
    option = f"--format {form.format}"
    return option if form.precision == FULL else f"`export RUN {option} --precision {form.precision}`"


def _of_policy(run: Path) -> Candidate:
    folder = policy_model(run)
    if not (folder / STATISTICS_FILE).is_file():
        raise WeightsError(f"{folder} has a {MODEL_FILE} without its {STATISTICS_FILE}: it cannot fly without that.")
    _refuse_links(*(folder / name for name in (MODEL_FILE, STATISTICS_FILE, ABOUT_FILE)))
    if (damaged := _damaged_member(folder / MODEL_FILE)) is not None:
        raise WeightsError(f"{folder / MODEL_FILE} is damaged: {damaged}.")
    files = {name: folder / name for name in (MODEL_FILE, STATISTICS_FILE, ABOUT_FILE) if (folder / name).is_file()}
    notes = []
    for form in GRAPHS:
        path = folder / f"{POLICY_STEM}.{form}"
        if path.is_symlink():
            notes.append(f"{path.name} is a link, which is not followed, and left out")
        elif path.is_file() and _is_older(path, folder / MODEL_FILE):
            notes.append(f"{path.name} is older than {MODEL_FILE}, and left out; --format {form} makes it anew")
        elif path.is_file():
            files[path.name] = path
    return Candidate(run, _name_of(run), True, folder, files, notes)


def _name_of(run: Path) -> str:
    """Return the name that a run was given; its folder may have a number behind that."""
    folder = Path(os.path.abspath(run)).name
    config, _ = read_config(run)
    group: Any = (config or {}).get("run")
    given = group.get("name") if isinstance(group, dict) else None
    return str(given) if given and re.fullmatch(rf"{re.escape(str(given))}(-\d+)?", folder) else folder


def _refuse_links(*paths: Path) -> None:
    """Refuse files of a model that are links: what they lead to may be anything, and another thing tomorrow.

    Raises:
        WeightsError: one is.
    """
    for path in paths:
        if path.is_symlink():
            raise WeightsError(
                f"{path} is a link to {os.readlink(path)}, which is not followed. Put the file itself there."
            )


def _is_older(path: Path, than: Path) -> bool:
    """True if a file was written before another one."""
    return path.stat().st_mtime < than.stat().st_mtime - OLDER


def _damaged_member(path: Path) -> str | None:
    """Return what is wrong with an archive; None if all of it can be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        return str(error)
    return None if damaged is None else f"its part {damaged} is not what was written"
