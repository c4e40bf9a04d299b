"""What tests share: quiet threads, a clean environment, tiny data sets and a tiny trained model."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # pictures this small are slower on more threads
os.environ["WANDB_MODE"] = "offline"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process that a test starts compiles the package anew

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from helpers import CORNERS_YAML, REPO, draw_corners, draw_squares, small

import aigp_lightning  # noqa: F401  before Ultralytics and Albumentations, so that they stay off the network

sys.dont_write_bytecode = False  # of tests, for the next call: a third of a collection's time
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job: what a run then ignores, too
    signal.signal(signal.SIGINT, signal.default_int_handler)
for _name in ("SIGHUP", "SIGTERM"):
    if (_number := getattr(signal, _name, None)) and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)

TESTS = Path(__file__).parent
SLOW = (
    *(
        "benchmarks/",
        "run/test_ddp.py",
        "run/test_ddp_launchers.py",
        "run/test_rfdetr_ddp.py",
        "run/test_rfdetr_resume.py",
        "run/test_faults.py",
        "run/test_resume.py",
    ),
    *("callbacks/test_media.py", "callbacks/test_media_pose.py", "media/test_online.py", "loggers/test_config.py"),
    *(
        "loggers/test_mlflow.py",
        "loggers/test_wandb_channels.py",
        "loggers/test_wandb_online.py",
        "test_network.py",
        "deploy/test_export.py",
    ),
    *("modules/test_pose.py", "modules/test_validate_parity.py", "modules/yolo/test_class_weights.py"),
    *("modules/yolo/test_schedule_parity.py", "policy/test_learning.py", "policy/test_train.py"),
    *("policy/test_local_only.py", "policy/test_evaluate.py", "terminal/test_runs.py", "run/test_caches.py"),
    *("cli/test_cpu_options.py", "cli/test_from_ultralytics.py", "recipes/test_side_by_side.py"),
    "cli/test_rfdetr_runs.py",
    "evaluation/sequence/test_measure.py",
    "evaluation/test_evaluate.py",
    "deploy/test_bench.py",
    "report/test_page_in_browser.py",
)
"""Folders and files of tests that train several whole runs, in several processes, against servers or references."""


class Everywhere:
    """Fixtures of the package's own examples too, which lie outside this folder."""

    @pytest.fixture(autouse=True)
    def clean_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Every test runs in its own folder and leaves no variable behind."""
        monkeypatch.chdir(tmp_path)
        before = dict(os.environ)
        yield
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)

    @pytest.fixture(scope="session", autouse=True)
    def console_for_wandb(self) -> None:
        """Let wandb find pytest's own console.

        At its first import it patches the `write` of the `sys.stdout` that is there, for good: within a test that takes
        `capsys` or `capfd` that is a stream which ends with the test, and no later test's console would be recorded.
        """
        import wandb.sdk.lib.console_capture  # noqa: F401


def pytest_configure(config: pytest.Config) -> None:
    """Make these fixtures known to files outside this folder."""
    config.pluginmanager.register(Everywhere())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Keep the garbage collector from the million objects of imports and collection, which stay to the end.

    Else each of its full rounds in a test looks through them, for 0.8 s.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `-m "not slow"` leaves out."""
    if missing := [name for name in SLOW if not (TESTS / name).exists()]:
        raise pytest.UsageError(f"SLOW in tests/conftest.py names what is not there: {', '.join(missing)}")
    for item in items:
        path = item.path.relative_to(TESTS).as_posix() if item.path.is_relative_to(TESTS) else ""
        if path.startswith(SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[..., Path]:
    """Make a folder once for all of pytest's processes: `made_once("name", make)`, where `make(folder)` fills it.

    The first process that needs it makes it, and the others wait. It is read and never written to by tests.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # half of one, by a process in which it failed
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return once


@pytest.fixture(scope="session")
def gates(made_once: Callable[..., Path]) -> Path:
    """A tiny synthetic data set (8 train, 5 val, 3 test pictures of 160×90); returns its data.yaml."""
    from aigp_lightning.data.synthetic import MakeDataOptions, make_data

    def make(folder: Path) -> None:
        out = str(folder / "gates")
        make_data(MakeDataOptions(out=out, train=8, val=5, test=3, imgsz=(160, 90), workers=1), False)

    return made_once("data of gates", make) / "gates" / "data.yaml"


@pytest.fixture(scope="session")
def shapes(made_once: Callable[..., Path]) -> Path:
    """A tiny two-class data set (24 train, 11 val pictures of three shapes); returns its data.yaml."""

    def make(folder: Path) -> None:
        draw_squares(folder, "train", 24, seed=1)
        draw_squares(folder, "val", 11, seed=2)
        yaml = "train: images/train\nval: images/val\nnames: {0: square, 1: disc}\n"
        (folder / "data.yaml").write_text(yaml, encoding="utf-8")

    return made_once("shapes", make) / "data.yaml"


@pytest.fixture(scope="session")
def corners(made_once: Callable[..., Path]) -> Path:
    """A tiny pose data set (20 train, 11 val pictures of gates and their four corners); returns its data.yaml."""

    def make(folder: Path) -> None:
        draw_corners(folder, "train", 20, seed=1)
        draw_corners(folder, "val", 11, seed=2)
        (folder / "data.yaml").write_text(CORNERS_YAML, encoding="utf-8")

    return made_once("corners", make) / "data.yaml"


@pytest.fixture(scope="session")
def run_cli() -> Callable[..., int]:
    """Call the command line in this process: `run_cli("fit", "--data.imgsz", 64, …)`."""
    from aigp_lightning.cli.main import main

    def run(*words: object) -> int:
        return main([str(word) for word in words])

    return run


@pytest.fixture(scope="session")
def finished(shapes: Path, made_once: Callable[..., Path], run_cli: Callable[..., int]) -> Path:
    """The folder of a finished run of two epochs, by the command line."""

    def make(root: Path) -> None:
        status = run_cli(
            *("fit", *small(shapes, root), "--run.name", "shapes", "--trainer.max_epochs", 2, "--model.optim.nbs", 8),
            *("--run.json", root / "metrics.json"),
        )
        assert status == 0

    return made_once("finished", make) / "detect" / "shapes"


@pytest.fixture(scope="session")
def finished_rfdetr(shapes: Path, made_once: Callable[..., Path], run_cli: Callable[..., int]) -> Path:
    """The folder of a finished run of an RF-DETR, with TensorBoard and W&B offline and everything drawn."""
    from rfdetr_networks import OPTIONS

    def make(root: Path) -> None:
        configs = (REPO / "configs" / "rfdetr.yaml", REPO / "configs" / "logger" / "both.yaml")
        words = [word for config in configs for word in ("--config", config)]
        words += [*small(shapes, root), *OPTIONS, "--data.synthetic", "null", "--run.name", "a"]
        words += ["--model.freeze_encoder", "true"]  # most of its parameters: faster, and smaller files
        words += ["--trainer.max_epochs", 2, "--media.val_batches", 2, "--media.max_images", 4]
        assert run_cli("fit", *words, "--run.json", root / "metrics.json") == 0
        import wandb

        wandb.finish()
        wandb.teardown()

    return made_once("finished rfdetr", make) / "detect" / "a"


@pytest.fixture(scope="session")
def scored_rfdetr(made_once: Callable[..., Path]) -> Path:
    """A folder with `best.pth` of an RF-DETR, and `data.yaml` with 11 validation images on which it scores."""
    from rfdetr_scored import make_scored

    return made_once("scored rfdetr", lambda folder: make_scored(folder, 11))


@pytest.fixture(scope="session")
def finished_pose(corners: Path, made_once: Callable[..., Path], run_cli: Callable[..., int]) -> Path:
    """The folder of a finished pose run of two epochs, by the command line."""

    def make(root: Path) -> None:
        status = run_cli(
            *("fit", "--config", REPO / "configs" / "pose.yaml", *small(corners, root), "--run.name", "corners"),
            *("--data.synthetic", "null", "--trainer.max_epochs", 2, "--model.optim.nbs", 8),
            *("--trainer.logger", "false", "--run.json", root / "metrics.json"),
        )
        assert status == 0

    return made_once("finished pose", make) / "pose" / "corners"


@pytest.fixture
def offline_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep Ultralytics' own validator from looking for a font on the network."""
    import ultralytics.data.utils

    monkeypatch.setattr(ultralytics.data.utils, "check_font", lambda *_, **__: None)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """PyTorch with one thread, whatever the environment says."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def flights(made_once: Callable[..., Path]) -> Path:
    """Two rendered flights through two halls, `images/flight_000` and `flight_001`, with labels; never written to."""
    from rendered_flight import write_flight

    def make(folder: Path) -> None:
        write_flight(folder, "flight_000", seed=1, frames=130)
        write_flight(folder, "flight_001", seed=2, frames=80, speed=9.0)

    return made_once("flights", make)
