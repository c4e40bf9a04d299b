"""The `bench` verb: latency of models and exported files, as tables, JSON and exit status."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.cli.target import check_target, write_target
from aigp_lightning.deploy.bench_options import DEVICES, PERCENTILES, RUNS, BenchOptions
from aigp_lightning.errors import ConfigError
from aigp_lightning.terminal.output import print_line, print_tables, print_text

if TYPE_CHECKING:
    from aigp_lightning.deploy.bench import Bench, Measured

NO_FIGURE = "–"
PARTS = ("pre", "network", "post", "pose")
RUNTIMES = {".onnx": "ONNX Runtime, ", ".torchscript": "TorchScript, "}
"""Words before the provider, by a file's ending."""


def main(verb: str, arguments: list[str]) -> int:
    """Measure the latency of files.

    Args:
        verb: `bench`.
        arguments: the words after it.

    Returns:
        1 if a file could not be measured, or is not known to keep to the budget, else 0.

    Raises:
        ConfigError: an option is wrong.
        DataError: the source has no picture.
        WeightsError: there is no file of a name.
    """
    asked = _parser(verb).parse_args(arguments)
    options = _options(asked)
    from aigp_lightning.cli.console import quiet_lightning
    from aigp_lightning.deploy.bench import bench
    from aigp_lightning.deploy.bench_models import files_of

    quiet_lightning()
    if options.device == "gpu" and not _has_gpu():
        raise ConfigError("--device gpu: PyTorch finds no GPU here.")
    files = list(dict.fromkeys(path for given in asked.files for path in files_of(given)))
    quiet = asked.json == "-"
    found = bench(files, options, progress=not quiet)
    content = json.dumps(found.as_dict(options), indent=2, allow_nan=False) + "\n"
    if quiet:
        print_text(content.rstrip())
    else:
        _print(found, options)
        if asked.json is not None:
            write_target("--json", asked.json, content)
    for file, why in found.failed.items():
        print_line(f"not measured: {file}: {why}" if file not in why else f"not measured: {why}", err=True)
    return int(bool(found.failed) or not all(each.is_within(options) for each in found.measured))


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _options(asked: Namespace) -> BenchOptions:
    options = BenchOptions(
        source=asked.source, imgsz=asked.imgsz, batch=asked.batch, threads=asked.threads, device=asked.device,
        warm_up=asked.warm_up, runs=asked.runs, seconds=asked.seconds, budget_ms=asked.budget_ms,
        budget_at=asked.budget_at,
    )  # fmt: skip
    options.check()
    check_target("--json", asked.json)
    return options


def _print(found: Bench, options: BenchOptions) -> None:
    """Print tables, how each file ran, and what the budget says."""
    if not found.measured:
        return
    from aigp_lightning.deploy.bench_models import short_names

    names = short_names([each.model.path for each in found.measured])
    print_line(f"timed in turns on {found.pictures}")
    _print_latency(found.measured, names, options.batch)
    _print_parts(found.measured, names)
    for name, each in zip(names, found.measured, strict=True):
        print_line(f"{name}: {_how(each)}", *([f"{name}: {each.not_timed}"] if each.not_timed else []))
    for name, each in zip(names, found.measured, strict=True) if options.budget_ms is not None else ():
        print_line(f"{name}: {_budget_line(each, options)}")


def _print_latency(measured: Sequence[Measured], names: Sequence[str], batch: int) -> None:
    from rich.table import Table

    what = "a picture" if batch == 1 else f"a call of {batch} pictures"
    table = Table(title=f"milliseconds for {what}", title_justify="left")
    table.add_column("file", overflow="fold")
    for heading in (*PERCENTILES, "calls", "pictures/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, each in zip(names, measured, strict=True):
        times = (_number(each.latency(percentile)) for percentile in PERCENTILES)
        table.add_row(name, *times, str(len(each.times)), f"{each.pictures_per_second:.1f}")
    print_tables(table)


def _print_parts(measured: Sequence[Measured], names: Sequence[str]) -> None:
    from rich.table import Table

    table = Table(title="medians of its parts; found in a picture", title_justify="left")
    table.add_column("file", overflow="fold")
    for heading in (*PARTS, "objects", "poses"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, each in zip(names, measured, strict=True):
        parts, model = each.parts(), each.model
        poses = NO_FIGURE if model.solving is None else f"{model.poses / model.pictures:.1f}"
        table.add_row(name, *(_number(parts.get(part)) for part in PARTS), f"{each.objects:.1f}", poses)
    print_tables(table)


def _how(each: Measured) -> str:
    """Say in a line how a file ran."""
    model = each.model
    threads = {None: "threads of its own choice", 1: "1 thread"}.get(model.threads, f"{model.threads} threads")
    on = [model.device] if model.device.lower() not in model.provider.lower() else []
    on += [threads] if model.device == "CPU" else []
    height, width = model.timed.shape
    said = [", ".join([f"{RUNTIMES.get(model.path.suffix, '')}{model.provider}", *on]), f"input {width} × {height}"]
    said += [*([] if model.precision is None else [model.precision]), f"opened in {model.load_ms:.0f} ms"]
    return "; ".join([*said, f"first call {model.first_ms:.0f} ms", *model.notes])


def _budget_line(each: Measured, options: BenchOptions) -> str:
    value, budget = each.latency(options.budget_at), f"{options.budget_ms:g} ms"
    if value is None:
        return f"{options.budget_at} is not known after {len(each.times)} calls; budget {budget}"
    if each.not_timed and not each.is_over(options):
        return (
            f"{options.budget_at} {value:.2f} ms without what follows a detection: no verdict on the budget of {budget}"
        )
    return f"{options.budget_at} {value:.2f} ms, {'over' if each.is_over(options) else 'within'} the budget of {budget}"


def _number(value: float | None) -> str:
    return NO_FIGURE if value is None else f"{value:.2f}"


def _parser(verb: str) -> VerbParser:
    parser = VerbParser(
        prog=f"python -m aigp_lightning {verb}",
        description="Latency of models and exported files, all of them in turns so that a busy machine slows them "
        "alike: from the picture in memory to detections in its pixels, and for keypoints to poses. Exit status 0: "
        "measured; 1: a file could not be, or is over --budget-ms, or found no object to judge it by; 2: an option is "
        "wrong.",
        epilog="example: bench runs/pose/gates --budget-ms 33",
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="+",
        help="a checkpoint, .pt, .pth, .onnx, .torchscript or OpenVINO's .xml; or a run folder, for its best "
        "checkpoint and the exports beside it",
    )  # fmt: skip
    parser.add_argument(
        "--data.source", dest="source", metavar="PATH",
        help="pictures, a folder or a video; without it the validation split of a model's run, or a drawn picture",
    )  # fmt: skip
    parser.add_argument("--imgsz", type=int, metavar="N", help="side of the input, pixels; each file's own without it")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="pictures of a call; 1 without it")
    parser.add_argument("--threads", type=int, metavar="N", help="of each file; what its runtime chooses without it")
    parser.add_argument(
        "--device", choices=DEVICES, default="auto", help="auto, without it, takes a GPU if there is one"
    )
    parser.add_argument(
        "--warm_up", "--warm-up", type=int, default=10, metavar="N", help="calls before any is timed; 10 without it"
    )
    parser.add_argument("--runs", type=int, metavar="N", help=f"timed calls of each file; {RUNS} without it")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="for all files together: as many calls as go into it, at most --runs"
    )
    parser.add_argument(
        "--budget-ms", "--budget_ms", type=float, metavar="MS", help="exit with 1 if a call takes longer than this"
    )
    parser.add_argument(
        "--budget_at", "--budget-at", choices=tuple(PERCENTILES), default="p95",
        help="the percentile that is held against it; p95 without it",
    )  # fmt: skip
    parser.add_argument(
        "--json", metavar="FILE", nargs="?", const="-",
        help="write everything as JSON too; without a file, or with -, print that alone",
    )  # fmt: skip
    return parser
