"""Flights measured with a model: frames in, figures, pictures and files out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aigp_lightning.checkpoints.paths import run_folder_of
from aigp_lightning.errors import ConfigError, DataError, tell_user, warn_user
from aigp_lightning.evaluation.file_thresholds import graph_of, thresholds_of_file
from aigp_lightning.evaluation.named_model import find_model
from aigp_lightning.evaluation.sequence.assemble import Setup, assemble, check_fits
from aigp_lightning.evaluation.sequence.flights import Flight, find_flights
from aigp_lightning.evaluation.sequence.look import Looker, open_looker
from aigp_lightning.evaluation.sequence.options import SequenceOptions
from aigp_lightning.evaluation.sequence.pictures import timeline_of
from aigp_lightning.evaluation.sequence.poses import changed_camera
from aigp_lightning.evaluation.sequence.recording import Recording, joined
from aigp_lightning.evaluation.sequence.summary import dropout_model, not_measured, summarize
from aigp_lightning.evaluation.sequence.video import write_video
from aigp_lightning.evaluation.trained_on import warn_if_trained_on
from aigp_lightning.files import sha256_of, write_atomic
from aigp_lightning.media.encode import encode
from aigp_lightning.media.plots.timeline import draw_timeline
from aigp_lightning.modules.metrics.gate_camera import GateCamera
from aigp_lightning.modules.thresholds import OF_THE_RUN
from aigp_lightning.paths import short_name
from aigp_lightning.run.folder import claim_folder
from aigp_lightning.terminal.progress import progress_bar

FORMAT = "aigp-sequence-1"
CONTENT, DROPOUT = "sequence.json", "dropout.json"
FOLDER = "sequence"
SAME_HZ = 0.05
"""Flights whose frame rates differ by a larger share have no dropout model in common."""


@dataclass
class SequenceResult:
    """What was measured of some flights.

    Attributes:
        content: of `sequence.json`.
        folder: where everything lies.
        files: in it, in the order in which they were written.
    """

    content: dict[str, Any]
    folder: Path
    files: list[Path] = field(default_factory=list)


def measure_sequence(options: SequenceOptions) -> SequenceResult:
    """Measure a model on frames in order, and write what was found.

    Args:
        options: checked.

    Raises:
        ConfigError: an option is wrong, or the folder of the results cannot be made.
        DataError: the frames, their labels or their truth cannot be read.
        WeightsError: the model cannot be opened, or has other classes than the labels.
    """
    options.check()
    file = find_model(options.ckpt_path or options.weights or "")
    looker = open_looker(file, None, options.imgsz)
    choice = thresholds_of_file(file, graph_of(looker.module), options.thresholds or OF_THE_RUN)
    if choice.warning:
        warn_user(choice.warning + ".")
    if choice.thresholds is not None:
        looker.use(choice.thresholds)
    chosen = choice.file if choice.thresholds is not None else None
    camera = changed_camera(looker.camera, options.camera) if looker.keypoints is not None else None
    setup = Setup(dict(looker.module.names), looker.keypoints, camera, looker.thresholds, str(file))
    flights = find_flights(options.sequence, options.split, options.fps, setup.names, setup.keypoints)
    unchosen = choice.thresholds is None or not choice.by_frames
    _tell(flights, unchosen and not choice.warning, looker)
    trained_on = warn_if_trained_on([each.path for flight in flights for each in flight.files], looker.data)
    recordings = _look(looker, flights, setup, options.batch)
    whole = joined(recordings)
    bands = tuple(camera.bands if camera is not None else GateCamera().bands)
    content = {
        "format": FORMAT,
        "source": options.sequence,
        "model": {"file": str(file), "sha256": sha256_of(file), "task": looker.module.task, "device": looker.device},
        "imgsz": looker.imgsz,
        "thresholds": {**looker.thresholds.values(), "file": None if chosen is None else str(chosen)},
        "camera": asdict(camera) | asdict(camera.runtime) if camera is not None and whole.metric else None,
        "trained_on": trained_on,
        "time": {flight.name: flight.timed for flight in flights},
        "pooled": (pooled := summarize(whole, bands)),
        "flights": [summarize(recording, bands) for recording in recordings] if len(recordings) > 1 else [pooled],
        "not_measured": not_measured(whole, pooled),
    }
    result = SequenceResult(content, _folder(options.out, file, looker.module.task))
    _write(result, flights, recordings, setup, bands, options.video)
    return result


def _tell(flights: Sequence[Flight], unchosen: bool, looker: Looker) -> None:
    """Say what was taken because nobody said otherwise."""
    if unchosen:
        limits = looker.thresholds
        tell_user(
            f"no thresholds.json lies with the model: confidence {limits.conf:g}, of keypoints "
            f"{limits.keypoint_conf:g}, {_limit(limits.reprojection_px)}. `calibrate` chooses them from frames."
        )
    if any(flight.timed == "assumed" for flight in flights):
        tell_user("the frames have no times: 30 a second are assumed; --fps says how many there are.")


def _limit(reprojection_px: float | None) -> str:
    return "no reprojection limit" if reprojection_px is None else f"reprojection limit {reprojection_px:g} px"


def _look(looker: Looker, flights: Sequence[Flight], setup: Setup, batch: int) -> list[Recording]:
    total = sum(len(flight.position) for flight in flights)
    found = []
    for flight in flights:
        check_fits(flight, setup)
    with progress_bar("looking", total) as advance:
        for flight in flights:
            seen = list(looker.look(flight.files, batch, advance))
            if len(seen) < len(flight.position):
                raise DataError(f"{flight.name}: {len(seen)} of {len(flight.position)} frames could be read.")
            found.append(assemble(flight, seen, setup))
    if not any(recording.metric for recording in found) and setup.camera is not None:
        warn_user("no pose can be solved for: the places of the keypoints are not known, or the camera is another's")
    return found


def _folder(out: str | None, model: Path, task: str) -> Path:
    """Make the folder of the results."""
    if out is None:
        run = run_folder_of(model.absolute())
        parent = run.parent if run is not None else Path("runs") / task
        return claim_folder(parent, FOLDER, exist_ok=False, options=("--out", "--out"))[0]
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be made: {error.strerror}.") from error
    return Path(out)


def _write(
    result: SequenceResult, flights: Sequence[Flight], recordings: Sequence[Recording], setup: Setup,
    bands: Sequence[float], video: bool,
) -> None:  # fmt: skip
    """Write figures first, then the dropout model, timelines, and last the videos, which take longest."""
    content, names = result.content, _names(flights)
    unwritten: dict[str, str] = {}
    content["files"] = {"timelines": [f"{name}_timeline.png" for name in names], "videos": []}
    content["not_written"] = unwritten
    about = {key: content[key] for key in ("source", "model", "thresholds")}
    dropout = dropout_model(joined(recordings), bands, about)
    if dropout is not None and _differ([flight.hz for flight in flights]):
        dropout, unwritten[DROPOUT] = None, "the flights have different frame rates"
    elif dropout is None:
        unwritten[DROPOUT] = content["not_measured"].get("corners", "no corner could be seen in any frame")
    if dropout is not None:
        _save(result, DROPOUT, dropout.as_json().encode())
    _save_content(result)
    for name, recording in zip(names, recordings, strict=True):
        _save(result, f"{name}_timeline.png", encode(draw_timeline(timeline_of(recording)), ".png"))
    if video:
        with progress_bar("drawing", sum(len(flight.position) for flight in flights)) as advance:
            for name, flight, recording in zip(names, flights, recordings, strict=True):
                path, why = write_video(flight, recording, setup, result.folder / name, advance)
                if path is None:
                    unwritten[f"{name}.mp4"] = why
                else:
                    content["files"]["videos"].append(path.name)
                    result.files.append(path)
    else:
        unwritten["videos"] = "--video false"
    _save_content(result)


def _save_content(result: SequenceResult) -> None:
    _save(result, CONTENT, (json.dumps(result.content, indent=2, allow_nan=False) + "\n").encode())


def _save(result: SequenceResult, name: str, data: bytes) -> None:
    try:
        write_atomic(result.folder / name, data)
    except OSError as error:
        raise ConfigError(f"--out {result.folder / name} cannot be written: {error.strerror}.") from error
    if result.folder / name not in result.files:
        result.files.append(result.folder / name)


def _names(flights: Sequence[Flight]) -> list[str]:
    """Return names of files for the flights, each another."""
    names: list[str] = []
    for flight in flights:
        plain = short_name(flight.name.replace("/", "_").replace("\\", "_"))
        names.append(plain if plain not in names else f"{plain}-{len(names)}")
    return names


def _differ(rates: Sequence[float]) -> bool:
    """True if frame rates are not the same."""
    return max(rates) > min(rates) * (1 + SAME_HZ)
