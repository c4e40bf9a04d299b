"""The `compare` verb."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.cli.target import check_target, write_target
from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.errors import ConfigError, DataError, first_line
from aigp_lightning.evaluation.comparison_row import is_worse
from aigp_lightning.evaluation.named_model import find_model, short_name
from aigp_lightning.files import write_atomic
from aigp_lightning.ranges import COUNT, COUNT_OR_NONE, NOT_NEGATIVE, SEED, Range, check_range
from aigp_lightning.run.failures import explained
from aigp_lightning.terminal.output import print_line, print_text

if TYPE_CHECKING:
    from aigp_lightning.evaluation.changed_pictures import ChangedPicture
    from aigp_lightning.evaluation.comparison import Comparison
    from aigp_lightning.evaluation.evaluate_both import Compared
    from aigp_lightning.evaluation.latency import Latency

SPLITS = ("val", "test")
FOLDER = Path("runs") / "compare"
"""Folder of comparisons, where `--out` names none."""
MOSAIC, CONTENT = "changed.jpg", "comparison.json"
LEAST_DRAWS = 100
"""The ends of a 95 % interval are guesses by fewer draws."""
CONF = Range(0, 1, above=True)
MOST_PICTURES = 64
STATUS_OF_WORSE = 1


def main(verb: str, arguments: list[str]) -> int:
    """Compare two models on the same pictures.

    Args:
        verb: `compare`.
        arguments: the words after it.

    Returns:
        1 with `--fail-if-worse` if B is worse than A, else 0.

    Raises:
        ConfigError: an option is wrong.
        DataError: the data set cannot be used.
        WeightsError: a model cannot be opened, or the two are of other tasks or classes.
    """
    options = _parser(verb).parse_args(arguments)
    files = _check(options)
    from aigp_lightning.cli.console import quiet_lightning

    quiet_lightning()
    try:
        return _compare(files, options)
    except Exception as error:  # the status must not be 1, which says that both were measured and B is worse
        what = f"{options.a} and {options.b} cannot be compared: {type(error).__name__}: {first_line(error)}"
        known = explained(error, otherwise=DataError(what)) or DataError(what)
        raise (DataError(str(known)) if known.status == STATUS_OF_WORSE else known) from error


def _compare(files: tuple[Path, Path], options: Namespace) -> int:
    """Measure both, print and write what was found; return the exit status."""
    from aigp_lightning.evaluation.comparison import Comparison, Options
    from aigp_lightning.evaluation.evaluate_both import evaluate_both

    quiet, margin = options.json == "-", options.fail_if_worse
    sides = evaluate_both(files, options.data, options.split, options.fresh, progress=not quiet)
    how = Options(options.conf, options.draws, options.seed)
    comparison = Comparison(sides[0].results, sides[1].results, how)
    latency = None if options.no_latency else _latency(sides)
    pictures = _changes(comparison, options.pictures)
    folder = Path(options.out) if options.out else FOLDER / _name(files)
    mosaic = _draw(comparison, pictures, folder)
    content = _content(comparison, sides, latency, pictures, mosaic)
    text = json.dumps(content, indent=2)
    write_target("--out", folder / CONTENT, text)
    if options.json not in (None, "-"):
        write_target("--json", options.json, text)
    if quiet:
        print_text(text)
    else:
        _print(comparison, sides, latency, pictures, margin or 0.0)
        kept = [folder / CONTENT, *([] if mosaic is None else [mosaic])]
        print_line(f"kept, and sent nowhere: {', '.join(map(str, kept))}")
    return STATUS_OF_WORSE if margin is not None and is_worse(comparison.main, margin) else 0


def _check(options: Namespace) -> tuple[Path, Path]:
    """Refuse what cannot work before anything is opened; return the models' files."""
    check_target("--json", options.json)
    check_range("--conf", options.conf, CONF)
    check_range("--draws", options.draws, Range(LEAST_DRAWS, COUNT.high))
    check_range("--seed", options.seed, SEED)
    check_range("--pictures", options.pictures, Range(COUNT_OR_NONE.low, MOST_PICTURES))
    check_range("--fail-if-worse", options.fail_if_worse, NOT_NEGATIVE)
    if options.out and Path(options.out).exists() and not Path(options.out).is_dir():
        raise ConfigError(f"--out {options.out} is no folder.")
    files = find_model(options.a), find_model(options.b)
    if options.data is not None:
        read_data_yaml(options.data)
    return files


def _name(files: tuple[Path, Path]) -> str:
    """Return the name of a comparison's folder, by those of the models."""
    names = [short_name(file) for file in files]
    if names[0] == names[1]:
        names = [f"{name}{file.suffix}" for name, file in zip(names, files, strict=True)]
    return "-".join(names)


def _latency(sides: tuple[Compared, Compared]) -> dict[str, Latency]:
    """Time both models on a picture of the data set, in turns."""
    from aigp_lightning.data.images import read_image
    from aigp_lightning.evaluation.timed_models import measure_latency

    return dict(zip("AB", measure_latency(sides, read_image(sides[1].results.files[0])), strict=True))


def _changes(comparison: Comparison, most: int) -> list[ChangedPicture]:
    from aigp_lightning.evaluation.changed_pictures import changed_pictures

    return changed_pictures(comparison.b.files, *comparison.outcomes, most)


def _draw(comparison: Comparison, pictures: list[ChangedPicture], folder: Path) -> Path | None:
    """Write the mosaic of the changed pictures; None where there is none, and one of before is removed."""
    from aigp_lightning.evaluation.changed_pictures import draw_changes
    from aigp_lightning.media.encode import encode

    path = folder / MOSAIC
    edges = [(int(one), int(other)) for one, other in comparison.b.about.get("edges") or ()]
    drawn = draw_changes(pictures, (comparison.a, comparison.b), comparison.outcomes, edges)
    if drawn is None:
        path.unlink(missing_ok=True)
        return None
    _write_file("--out", path, encode(drawn, path.suffix))
    return path


def _content(
    comparison: Comparison, sides: tuple[Compared, Compared], latency: dict[str, Latency] | None,
    pictures: list[ChangedPicture], mosaic: Path | None,
) -> dict[str, Any]:  # fmt: skip
    """Return all that was found, as plain values."""
    from dataclasses import asdict

    return {
        "version": 1,
        "a": sides[0].as_dict(),
        "b": sides[1].as_dict(),
        "data": comparison.b.about["data"],
        "options": asdict(comparison.options),
        **{part: [row.as_dict() for row in rows] for part, rows in comparison.parts().items()},
        "main": [row.as_dict() for row in comparison.main],
        "latency": None if latency is None else {name.lower(): each.as_dict() for name, each in latency.items()},
        "pictures": [picture.as_dict() for picture in pictures],
        "mosaic": None if mosaic is None else str(mosaic),
        "notes": comparison.notes,
    }


def _write_file(option: str, path: Path, data: bytes) -> None:
    try:
        write_atomic(path, data)
    except OSError as error:
        raise ConfigError(f"{option} {path} cannot be written: {error.strerror}.") from error


def _print(
    comparison: Comparison, sides: tuple[Compared, Compared], latency: dict[str, Latency] | None,
    pictures: list[ChangedPicture], margin: float,
) -> None:  # fmt: skip
    from aigp_lightning.cli import compare_tables as tables

    for name, side in zip("AB", sides, strict=True):
        settings = side.results.about["settings"]
        recorded = "; its run's recorded results" if side.recorded else ""
        print_line(f"{name}: {side.file} ({side.results.about['family']}, {settings['imgsz']} px{recorded})")
    data, options = comparison.b.about["data"], comparison.options
    print_line(
        f"on {data['data_yaml']}, {data['split']}: {data['images']} pictures, {data['labels']} labelled objects; 95 % "
        f"intervals by {options.draws} draws of pictures"
    )
    for note in comparison.notes:
        print_line(f"note: {note}")
    tables.print_parts(comparison.parts())
    if latency is not None:
        tables.print_latency(latency)
    if pictures:
        tables.print_changes(pictures)
    tables.print_conclusion(comparison.main, margin)


def _parser(verb: str) -> VerbParser:
    parser = VerbParser(
        prog=f"python -m aigp_lightning {verb}",
        description="Two models on the same pictures: A is the reference, B the candidate, and every difference is B "
        "minus A, with its 95 % interval by a bootstrap over pictures. Exit status 0: compared; 1: with "
        "--fail-if-worse, B is worse; 2: they cannot be compared, or with --fail-if-worse that cannot be decided.",
        epilog="example: compare models/latest/gates runs/detect/gates-2 --fail-if-worse 0.002",
    )
    what = "a checkpoint, .pt, .pth, .onnx or .torchscript; a run folder, for its best.ckpt; or a folder of the store"
    parser.add_argument("a", metavar="A", help=f"the reference: {what}")
    parser.add_argument("b", metavar="B", help="the candidate, likewise")
    parser.add_argument("--data", metavar="DATA_YAML", help="the data set; without it that of B's run")
    parser.add_argument("--split", choices=SPLITS, default="val", help="of the data set; val without it")
    parser.add_argument(
        "--conf", type=float, default=0.25,
        help="lowest confidence of detections for recall, precision and false alarms, above 0 to 1; 0.25 without it",
    )  # fmt: skip
    parser.add_argument("--draws", type=int, default=1000, help="of the bootstrap; 1000 without it")
    parser.add_argument("--seed", type=int, default=0, help="of the draws; 0 without it")
    parser.add_argument(
        "--pictures", metavar="N", type=int, default=8, help="how many of the most changed pictures; 8 without it"
    )
    parser.add_argument("--no-latency", action="store_true", help="do not time the models")
    parser.add_argument(
        "--fresh", action="store_true", help="evaluate both, also where their runs have recorded results"
    )
    parser.add_argument(
        "--out", metavar="FOLDER",
        help=f"for {MOSAIC} and {CONTENT}, which are sent nowhere; {FOLDER.as_posix()}/A-B without it",
    )  # fmt: skip
    parser.add_argument(
        "--json", metavar="FILE", nargs="?", const="-",
        help="write everything as JSON too; without a file, or with -, print that alone",
    )  # fmt: skip
    parser.add_argument(
        "--fail-if-worse", metavar="MARGIN", nargs="?", type=float, const=0.0,
        help="exit with 1 if mAP50-95 of B, of boxes, keypoints or masks, is lower than A's by more than this, which "
        "the whole interval has to show; 0 without a number",
    )  # fmt: skip
    return parser
