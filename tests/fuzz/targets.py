"""What must hold for any file whatever: one function a kind of file, which raises AssertionError where it does not.

Each takes the file's bytes and a folder to put it in. It returns a word for the outcome, so that a run of thousands can
say how many were accepted.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import unicodedata
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from aigp_lightning.data.label_bounds import TOLERANCE
from aigp_lightning.data.labels import Labels, parse_label_file
from aigp_lightning.data.problems import BOX_OUTSIDE, GONE, POINT_OUTSIDE, Problem
from aigp_lightning.errors import DataError, UserError, WeightsError

SETTINGS = (  # classes, keypoints, one class, boxes only
    (3, None, False, False),
    (1, None, True, False),
    (3, (2, 3), False, False),
    (3, (2, 2), False, False),
    (3, (2, 3), False, True),
)
DROPPED = ("duplicate row", "zero size", GONE)
MENDED = ("zero size", "bad visibility", GONE, BOX_OUTSIDE, POINT_OUTSIDE)
LONGEST_MESSAGE = 1000
MIRROR = "wandb/run-20260101_000000-abc/files"


def one_line(text: str) -> None:
    """A message for a person: one line, bounded, nothing that steers a terminal."""
    assert text, "an empty message"
    assert text.isprintable(), f"not printable: {text!r:.200}"
    assert len(text) <= LONGEST_MESSAGE, f"{len(text)} characters"


def label(data: bytes, folder: Path) -> str:
    """Accepted rows are possible ones; every other line is named, or the whole file is."""
    file = folder / "labels" / "a.txt"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    outcomes = []
    for nc, kpt_shape, single, boxes_only in SETTINGS:
        found = parse_label_file(file, nc, kpt_shape, single, boxes_only=boxes_only)
        outcomes.append(_possible(found, file, nc, None if boxes_only else kpt_shape, single))
        _agrees(found, file, (not boxes_only and kpt_shape is not None, nc, *(kpt_shape or (0, 0)), single))
    return "accepted" if "accepted" in outcomes else "set aside"


def _possible(found: Labels, file: Path, nc: int, kpt_shape: tuple[int, int] | None, single: bool) -> str:
    cls, boxes, points, problems = found
    for problem in problems:
        assert problem.file == str(file)
        one_line(str(problem))
    assert len(cls) == len(boxes)
    assert (cls.dtype, boxes.dtype, boxes.shape[1:]) == (np.int64, np.float32, (4,))
    assert (points is None) == (kpt_shape is None)
    assert ((cls >= 0) & (cls < (1 if single else nc))).all()
    assert (np.abs(boxes) <= 1 + TOLERANCE + 1e-6).all(), "a box outside of the picture, or not finite"
    assert (boxes[:, 2:] > 0).all(), "a box without area"
    edges = np.hstack((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2))
    assert (np.abs(edges - 0.5) <= 0.5 + TOLERANCE + 1e-6).all(), "a box that reaches out of the picture"
    if points is not None:
        assert points.shape == (len(cls), kpt_shape[0], 3)
        assert (np.abs(points[..., :2]) <= 1 + TOLERANCE + 1e-6).all()
        assert np.isin(points[..., 2], (0, 1, 2)).all()
        assert not points[points[..., 2] == 0].any(), "a point that is not there lies somewhere"
    if any(problem.fatal for problem in problems):
        assert not len(cls), "rows of a file that is set aside"
        return "set aside"
    lines = file.read_bytes().decode("utf-8-sig").splitlines()
    dropped = sum(problem.kind in DROPPED for problem in problems)
    if not any(problem.kind == "and more" for problem in problems):
        assert len(cls) + dropped == sum(bool(line.split()) for line in lines), "a line is neither read nor named"
    return "accepted"


def _agrees(found: Labels, file: Path, settings: tuple[bool, int, int, int, bool]) -> None:
    """What both accept, Ultralytics' own reader reads alike, but for what is mended."""
    from ultralytics.data.utils import verify_image_label

    cls, boxes, points, problems = found
    if any(problem.fatal or problem.kind in MENDED for problem in problems):
        return
    picture = file.with_suffix(".png")
    if not picture.exists():
        picture.write_bytes(_picture())
    with np.errstate(all="ignore"):
        _, theirs, _, _, their_points, *_ = verify_image_label((str(picture), str(file), "", *settings))
    if theirs is None:
        return
    single = settings[-1]
    columns = [theirs[:, 1:]] if single else [theirs]  # it makes the classes one later on
    mine = [boxes] if single else [cls[:, None].astype(np.float32), boxes]
    if points is not None:
        seen = np.array([1, 1, 2 if settings[3] == 2 else 1], np.float32)
        there = their_points[..., 2:] > 0  # the numbers of others mean nothing, and are 0 here
        columns.append((their_points * there * seen).reshape(len(theirs), points.shape[1] * 3))
        mine.append(points.reshape(len(cls), points.shape[1] * 3))
    # Sets: two rows that differ in what means nothing are the same to us alone.
    assert _set(np.hstack(mine)) == _set(np.hstack(columns)), "Ultralytics reads something else"


def _set(table: np.ndarray) -> set[tuple[float, ...]]:
    return set(map(tuple, table.tolist()))


@cache
def _picture() -> bytes:
    import cv2

    return cv2.imencode(".png", np.zeros((16, 16, 3), np.uint8))[1].tobytes()


def data_yaml(data: bytes, folder: Path) -> str:
    """Read, or refused in one line that begins with the file; listing its images likewise."""
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.listing import list_images

    (folder / "images").mkdir(exist_ok=True)
    file = folder / "data.yaml"
    file.write_bytes(data)
    try:
        spec = read_data_yaml(file)
    except DataError as error:
        one_line(str(error))
        assert str(error).startswith(str(file))
        return "refused"
    finally:
        assert {path.name for path in folder.iterdir()} <= {"data.yaml", "images", "labels"}, "it ran something"
    assert list(spec.names) == list(range(spec.nc))
    assert all(type(name) is str and len(name) <= 200 and name.strip() for name in spec.names.values())
    assert len({unicodedata.normalize("NFC", name) for name in spec.names.values()}) == spec.nc
    for doubt in spec.doubts:
        one_line(doubt)
    if (points := spec.keypoints) is not None:
        assert len(points.names) == points.count
        assert all(0 <= a < points.count and 0 <= b < points.count for a, b in points.edges)
        assert points.flip_idx is None or [points.flip_idx[i] for i in points.flip_idx] == list(range(points.count))
    for split, sources in spec.splits.items():
        assert all(os.path.isabs(source) for source in sources)
        if all(source.startswith(str(folder)) for source in sources):  # else it lists this machine's disk
            with contextlib.suppress(DataError):
                list_images(spec, split)
    return "accepted"


def image(data: bytes, folder: Path, suffix: str = ".jpg") -> str:
    """Set aside in one line; or what decodes has the shape that the scan said, or is an error that names the file."""
    from aigp_lightning.data.images import read_image
    from aigp_lightning.data.verify import check_image

    file = folder / f"a{suffix}"
    file.write_bytes(data)
    shape, problem = check_image(str(file))
    if shape is None:
        assert isinstance(problem, Problem)
        assert problem.fatal
        one_line(str(problem))
        return "set aside"
    if shape[0] * shape[1] > 4_000_000:
        return "large"  # whether half a gigabyte decodes is not for every run
    try:
        pixels = read_image(str(file))
    except DataError as error:
        one_line(str(error))
        return "breaks later"
    assert (pixels.dtype, pixels.shape[2:]) == (np.uint8, (3,))
    assert pixels.shape[:2] == shape, f"{shape} said the scan, {pixels.shape[:2]} came"
    return "accepted"


def video(data: bytes, folder: Path) -> str:
    """Set aside, or the frames that are promised can be asked for."""
    from aigp_lightning.data.sources import open_sources

    file = folder / "a.mp4"
    file.write_bytes(data)
    try:
        source = open_sources(str(file), 64)
    except DataError as error:
        one_line(str(error))
        return "set aside"
    assert 0 < len(source) < 10_000
    source.__getitems__([0, len(source) - 1])
    return "accepted"


def ledger(data: bytes, folder: Path) -> str:
    """Read with its problems listed; a run that goes on goes on."""
    from aigp_lightning.media.ledger.ledger import Ledger, read_ledger

    file = folder / "media.jsonl"
    file.write_bytes(data)
    lines = read_ledger(file)
    assert [line.number for line in lines] == sorted(line.number for line in lines)
    went_on = Ledger(file)
    went_on.total()
    went_on.close()
    return "damaged" if lines.problems else "accepted"


def audited(name: str, data: bytes, folder: Path) -> str:
    """The whole verb on a run folder that has this file: a report, by exit status 0, 1 or 2."""
    from aigp_lightning.cli.main import main

    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = main(["audit", str(folder), "--json", str(folder / "audit.json")])
    assert status in (0, 1), out.getvalue()[-500:]
    assert out.getvalue().replace("\n", "").isprintable(), "it steers the terminal"
    json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    return "clean" if status == 0 else "differs"


def _with_records(folder: Path) -> Path:
    """A run folder with a W&B record whose configuration, loggers and mirror are read."""
    place = folder / MIRROR
    place.mkdir(parents=True)
    (folder / "results.csv").write_text("epoch\n1\n", encoding="utf-8")
    place.with_name("run-abc.wandb").write_bytes(b":W&B\xe1\xbe\x00")
    return folder


def results(data: bytes, folder: Path) -> str:
    """A results file that a run goes on in, or one line that says what is wrong with it."""
    from types import SimpleNamespace

    import torch

    from aigp_lightning.callbacks.results import Results

    logged = {"train/box_loss": torch.tensor(1.0), "metrics/mAP50(B)": torch.tensor(0.5)}

    (folder / "results.csv").write_bytes(data)
    trainer: Any = SimpleNamespace(is_global_zero=True, default_root_dir=str(folder), current_epoch=1, max_epochs=3)
    callback = Results(print_lines=False)
    try:
        callback.on_train_start(trainer, trainer)
        trainer._results = SimpleNamespace(metrics=lambda on_step: {"callback": logged})
        callback.on_train_epoch_end(trainer, trainer)
    except UserError as error:
        one_line(str(error))
        return "refused"
    return "accepted"


def scan_cache(data: bytes, folder: Path) -> str:
    """A cache that is whole, or none."""
    from aigp_lightning.data import scan_cache as cache

    file = folder / "a.npz"
    file.write_bytes(data)
    columns = cache.load(file, "d" * 64, 2, 3, None)
    return "rebuilt" if columns is None else "accepted"


def run_json(data: bytes, folder: Path) -> str:
    """The id that it holds, or one line that says what is wrong with it."""
    from aigp_lightning.loggers.wandb_config import run_id

    (folder / "run.json").write_bytes(data)
    try:
        found = run_id(folder, None, True)
    except UserError as error:
        one_line(str(error))
        return "refused"
    one_line(found)
    return "accepted"


def receipt(data: bytes, folder: Path) -> str:
    """Checks of what it says, or one line that says why it is no receipt."""
    from aigp_lightning.store.receipt_check import check_receipt

    run = folder / "run"
    run.mkdir()
    (folder / "receipt.json").write_bytes(data)
    (run / "config.yaml").write_text("media: {}\n", encoding="utf-8")
    (run / "media.jsonl").write_bytes(b"")
    try:
        found = check_receipt(folder / "receipt.json", run)
    except UserError as error:
        one_line(str(error))
        return "refused"
    assert {each.outcome for each in found} <= {"right", "wrong", "missing"}
    return "accepted"


def checkpoint(data: bytes, folder: Path) -> str:
    """A `.ckpt`: a module, or one error of ours."""
    from aigp_lightning.modules.registry import load_module

    file = folder / "a.ckpt"
    file.write_bytes(data)
    try:
        load_module(file)
    except WeightsError:
        return "refused"
    return "accepted"


def weights(data: bytes, folder: Path) -> str:
    """A `.pt`: a network, or one error of ours; nothing of it is run."""
    from aigp_lightning.modules.yolo.weights import load_weights

    file = folder / "a.pt"
    file.write_bytes(data)
    try:
        load_weights(file)
    except WeightsError:
        return "refused"
    finally:
        assert not (folder / "ran").exists(), "it ran something"
    return "accepted"


def repacked(archive: bytes, member: str, content: bytes) -> bytes:
    """A zip archive with one member's content changed; checksums are right again."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, content if info.filename == member else old.read(info))
    return out.getvalue()


TARGETS: dict[str, Callable[[bytes, Path], str]] = {
    "label": label,
    "yaml": data_yaml,
    "jpg": lambda data, folder: image(data, folder, ".jpg"),
    "png": lambda data, folder: image(data, folder, ".png"),
    "webp": lambda data, folder: image(data, folder, ".webp"),
    "bmp": lambda data, folder: image(data, folder, ".bmp"),
    "tif": lambda data, folder: image(data, folder, ".tif"),
    "gif": lambda data, folder: image(data, folder, ".gif"),
    "mp4": video,
    "ledger": ledger,
    "event": lambda data, folder: audited("tensorboard/events.out.tfevents.1", data, folder),
    "wandb": lambda data, folder: audited("wandb/run-20260101_000000-abc/run-abc.wandb", data, folder),
    "loggers": lambda data, folder: audited("run.json", data, _with_records(folder)),
    "config": lambda data, folder: audited("config.yaml", data, _with_records(folder)),
    "mirrored": lambda data, folder: audited(f"{MIRROR}/config.yaml", data, _with_records(folder)),
    "results": results,
    "cache": scan_cache,
    "runjson": run_json,
    "receipt": receipt,
    "ckpt": checkpoint,
    "pt": weights,
}
"""Kind of file (a folder of the corpus) to what must hold for it."""
