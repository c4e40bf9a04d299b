"""Shared parts of the benchmarks: a quiet reference, data sets both sides can read, fresh processes, results."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parent.parent
TAIL = 30
KEYPOINT_KEYS = (
    "kpt_shape",
    "flip_idx",
    "flip_idx_vertical",
    "kpt_names",
    "kpt_oks_sigmas",
    "skeleton",
    "object_points",
)
if str(REPO) not in sys.path:
    sys.path.append(str(REPO))  # from a checkout that is not installed; an installed package wins


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


PACKAGES = ("torch", "lightning", "ultralytics")


def machine(threads: int | None = None, device: str = "cpu", packages: tuple[str, ...] = PACKAGES) -> str:
    """Return the machine in a line, printed above figures: those of different lines are not to be compared."""
    import platform

    if device != "cpu":
        import torch

        device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else device
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{cores()} cores, {threads or cores()} threads, {device}, Python {platform.python_version()}, {versions}"


def environment(folder: Path, threads: int | None = None, own_threads: bool = False) -> dict[str, str]:
    """Return the environment of a child process: off the network, Ultralytics' settings in `folder`, not at home.

    Args:
        folder: a temporary one.
        threads: of PyTorch; without it Ultralytics would choose 1 for itself when it is imported before torch.
        own_threads: nothing is said of threads, as on a user's machine: each program chooses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [str(REPO), *filter(None, [os.environ.get("PYTHONPATH")])]
    dropped = {"OMP_WAIT_POLICY", *(["OMP_NUM_THREADS"] if own_threads else [])}  # their defaults, for both
    mine = {key: value for key, value in os.environ.items() if key not in dropped}
    return {
        **mine,
        "YOLO_OFFLINE": "true",
        "YOLO_CONFIG_DIR": str(folder),
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "WANDB_MODE": "disabled",
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONIOENCODING": "utf-8",
        **({} if own_threads else {"OMP_NUM_THREADS": str(threads or cores())}),
    }


def quiet_reference() -> None:
    """Make Ultralytics' trainer and validator keep to themselves: no font, no AMP test weights, no usage events."""
    import ultralytics.data.utils
    import ultralytics.engine.trainer
    from ultralytics.utils import SETTINGS
    from ultralytics.utils.events import events

    SETTINGS["sync"] = False
    events.enabled = False
    ultralytics.data.utils.check_font = lambda *_, **__: None
    ultralytics.engine.trainer.check_amp = lambda *_, **__: True  # would fetch a model to test mixed precision with


def run(command: list[str], env: dict[str, str], log: Path, limit: float | None = None) -> None:
    """Run a child process to its end, its output in `log`; whatever ends this, its own children end with it.

    Args:
        command: program and arguments.
        env: its environment.
        log: file for its output.
        limit: seconds that it may take.

    Raises:
        SystemExit: it failed, or took too long; the end of the log is printed first.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    posix, output = os.name == "posix", {"stderr": subprocess.STDOUT, "env": env}
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdout=file, start_new_session=posix, **output)
        try:
            code = process.wait(limit)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL) if posix else process.kill()
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise SystemExit(f"not done after {limit:.0f} s, and ended: {' '.join(command)}") from None
            raise
    if code:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(lines[-TAIL:]), file=sys.stderr)
        raise SystemExit(f"failed: {' '.join(command)}\n(whole output: {log})")


def worker(
    script: str, spec: dict[str, Any], env: dict[str, str], folder: Path, name: str, processes: int = 1,
    limit: float | None = None,
) -> Any:  # fmt: skip
    """Run `script --worker FILE` in fresh processes; the file holds `spec`, and gets the result in its place.

    Args:
        script: a benchmark that calls `run_benchmark`.
        spec: what it is to do.
        env: environment of the processes.
        folder: for the file and the processes' output.
        name: of the file, without its ending.
        processes: started by torchrun where there are several.
        limit: seconds that they may take.

    Returns:
        The result of the first process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    write_json(file, spec)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), script, "--worker", str(file)]
    run(command, env, folder / f"{name}.log", limit)
    return json.loads(file.read_text(encoding="utf-8"))["result"]


def add_result_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `run_benchmark` needs."""
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)


def run_benchmark(
    args: argparse.Namespace,
    work: Callable[[dict[str, Any]], Any],
    measure: Callable[[argparse.Namespace, Path], dict[str, Any]],
    print_table: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Measure, print and write; or, in a process that `worker` started, do its part.

    Args:
        args: with the options of `add_result_options`.
        work: does the part of a worker, and returns its result; None in all but the first of several processes.
        measure: starts the workers, with a temporary folder, and returns the results.
        print_table: prints the results.

    Returns:
        The results; empty in a worker.
    """
    if args.worker:
        done = work(json.loads(args.worker.read_text(encoding="utf-8")))
        if done is not None:
            write_json(args.worker, {"result": done})
        return {}
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temp:
        result = measure(args, Path(temp))
    print_table(result)
    if args.json:
        write_json(args.json, result)
    return result


def _interrupt(*_: Any) -> None:
    """End as at Ctrl-C, so that the processes that were started end too."""
    raise KeyboardInterrupt


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, so that an interrupted benchmark can be resumed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(content, indent=2), encoding="utf-8")
    temporary.replace(path)


def synthetic(folder: Path, train: int, val: int, imgsz: tuple[int, int] = (640, 360), task: str = "detect") -> Path:
    """Make a data set of racing gates, or with `task` pose of their corners, or of obstacles; returns its data.yaml."""
    import aigp_lightning  # noqa: F401  before anything that looks for the network
    from aigp_lightning.data.synthetic import MakeDataOptions, make_data

    options = MakeDataOptions(out=str(folder), task=task, train=train, val=val, test=0, imgsz=imgsz)
    return make_data(options, progress=False)


def repeated(source: Path, folder: Path, number: int) -> Path:
    """Repeat the training pictures of a data set under other names, so that an epoch is long and drawing is not.

    Args:
        source: its data.yaml, with `images/train` and `labels/train` beside it, as `synthetic` makes it.
        folder: gets the pictures, as hard links where the disk has them, and a data.yaml.
        number: of training pictures.

    Returns:
        The path of the new data.yaml; its validation split is that of `source`.
    """
    import yaml

    places = {kind: folder / kind / "train" for kind in ("images", "labels")}
    for place in places.values():
        place.mkdir(parents=True)
    pictures = sorted((source.parent / "images" / "train").iterdir())
    for index in range(number):
        picture = pictures[index % len(pictures)]
        label = source.parent / "labels" / "train" / f"{picture.stem}.txt"
        name = f"{index // len(pictures):04}_{picture.stem}"
        for file, target in ((picture, places["images"] / f"{name}{picture.suffix}"), (label, places["labels"])):
            if file.exists():
                _link(file, target if target.suffix else target / f"{name}.txt")
    given = yaml.safe_load(source.read_text(encoding="utf-8"))
    content = {"train": str(places["images"].resolve()), "val": str((source.parent / "images" / "val").resolve())}
    content |= {key: given[key] for key in ("names", *KEYPOINT_KEYS) if key in given}
    target = folder / "data.yaml"
    target.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return target


def split_folders(source: Path, folder: Path) -> Path:
    """Lay out a data set as RF-DETR's own trainer wants it: `train/images`, `train/labels`, `valid/images` and so on.

    Args:
        source: its data.yaml, with folders as `synthetic` or `repeated` makes them.
        folder: gets the pictures, as hard links where the disk has them, and a data.yaml that both sides read.

    Returns:
        The path of the new data.yaml.
    """
    import yaml

    from aigp_lightning.data.data_yaml import read_data_yaml

    spec = read_data_yaml(source)
    for split, name in (("train", "train"), ("val", "valid")):
        images = Path(spec.splits[split][0])
        labels = images.parent.parent / "labels" / images.name
        for kind, place in (("images", images), ("labels", labels)):
            (folder / name / kind).mkdir(parents=True)
            for file in sorted(place.iterdir()):
                if file.suffix != ".cache":
                    _link(file, folder / name / kind / file.name)
    names = [spec.names[number] for number in sorted(spec.names)]
    content = {"train": "train/images", "val": "valid/images", "nc": len(names), "names": names}
    target = folder / "data.yaml"
    target.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return target


def _link(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError:  # another disk, or one without hard links
        shutil.copyfile(file, target)


def absolute_yaml(source: Path, target: Path, val: str = "val") -> Path:
    """Write a data.yaml that both sides read alike from anywhere: Ultralytics takes `path: .` for the current folder.

    What `source` says about keypoints is written as it stands there.

    Args:
        source: any data.yaml.
        target: the file to write.
        val: the split that is to be validated on.
    """
    import yaml

    from aigp_lightning.data.data_yaml import read_data_yaml

    spec = read_data_yaml(source)
    given = yaml.safe_load(spec.file.read_text(encoding="utf-8-sig"))
    content = {"train": list(spec.splits["train"]), "val": list(spec.splits[val]), "names": spec.names}
    content |= {key: given[key] for key in KEYPOINT_KEYS if key in given}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return target
