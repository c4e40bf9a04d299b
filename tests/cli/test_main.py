"""The command line as a user meets it: help at once, mistakes in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from helpers import REPO, small, tiny_network

from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.data.missing_data import shipped_set
from aigp_lightning.data.synthetic import MakeDataOptions
from aigp_lightning.data.synthetic.record import recorded_values

HEAVY = ("torch", "lightning", "ultralytics", "albumentations", "cv2", "numpy", "wandb", "mlflow", "jsonargparse")


def python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    return subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment, timeout=600
    )


def test_help_lists_every_verb_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from aigp_lightning.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    )
    done = python(code)
    for verb in ("fit", "validate", "test", "predict", "export", "make-data"):
        assert f"\n  {verb} " in done.stdout
    assert set(HEAVY) & set(done.stderr.split()) == set()


def test_verb_help_stays_off_ultralytics_and_albumentations() -> None:
    """`fit --help` builds the parser of the whole run without the libraries that only a run needs."""
    code = (
        "import sys\nfrom aigp_lightning.cli.main import main\n"
        "try: main(['fit', '--help'])\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    )
    done = python(code)
    assert "--data.imgsz" in done.stdout
    assert "--run.name" in done.stdout
    assert "--ema.decay" in done.stdout
    assert {"ultralytics", "albumentations", "cv2", "wandb"} & set(done.stderr.split()) == set()


def test_unknown_verb_names_the_nearest(run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("fitt") == 2
    assert "Did you mean 'fit'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--data.imgsz", "100"], "--data.imgsz is 100; it must be a multiple of 32, such as 96"),
        (["--data.data_yaml", "nowhere/data.yaml"], "nowhere"),
        (["--ckpt_path", "missing.ckpt"], "--ckpt_path missing.ckpt: there is no such file"),
        (["--ckpt_path", "last"], "--ckpt_path last: no run named gates"),
        (["--model.weights", "missing.pt"], "no weights file at missing.pt"),
        (["--model.optim.name", "Sgdd"], "--model.optim.name Sgdd: no such optimizer"),
        (["--model.variant", "yolo99x"], "yolo99x"),
        (["--run.name", "a/b"], "--run.name 'a/b' must be a plain folder name"),
        (["--data.augment.fliplr", "2"], "fliplr"),
        (["--trainer.max_epochs", "0"], "--trainer.max_epochs 0: 1 or more"),
    ],
)
def test_wrong_values_end_in_one_clear_line(
    words: list[str],
    told: str,
    shapes: Path,
    tmp_path: Path,
    run_cli: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = [*small(shapes, tmp_path), *tiny_network(tmp_path), "--trainer.max_epochs", 1]
    assert run_cli("fit", *options, *words) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert told in errors[0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--data.fraction", "big"], "--data.fraction"),
        (["--trainer.callbacks", "no.Such"], "--trainer.callbacks"),
    ],
)
def test_what_the_parser_refuses_names_the_option(
    words: list[str], told: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run_cli("fit", *words)
    assert stop.value.code == 2
    assert told in capsys.readouterr().err


def yolo_configs() -> list[str]:
    """All but the policy's: its configurations and tracks are for `ppo`."""
    files = (REPO / "configs").rglob("*.yaml")
    return sorted(str(file) for file in files if file.parent.name != "tracks" and not file.name.startswith("policy"))


@pytest.mark.parametrize("overlay", yolo_configs())
def test_every_config_is_accepted(
    overlay: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each YAML goes through the real parser, on top of the detector's; that of another family is complete alone."""
    below = () if Path(overlay).name == "rfdetr.yaml" else ("--config", REPO / "configs/detector.yaml")
    with pytest.raises(SystemExit) as stop:
        run_cli("fit", *below, "--config", overlay, "--print_config")
    assert stop.value.code in (0, None)
    printed = capsys.readouterr().out
    assert "imgsz:" in printed
    assert "data_yaml: datasets/" in printed


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_a_training_config_serves_the_other_verbs(
    verb: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run_cli(
            verb, "--config", REPO / "configs/detector.yaml", "--config", REPO / "configs/quick.yaml", "--print_config"
        )
    assert stop.value.code in (0, None)
    assert "imgsz: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "task", "own"),
    [
        ("detector", "detect", "datasets/gates/data.yaml"),
        ("pose", "pose", "datasets/gate-corners/data.yaml"),
        ("obstacle", "obstacle", "datasets/obstacles/data.yaml"),
    ],
)
def test_no_two_tasks_share_a_data_set(
    name: str, task: str, own: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each task's synthetic data has a folder of its own, with the quick overlay too."""
    for overlays, path in (([], own), (["quick"], f"datasets/quick-{task}/data.yaml")):
        with pytest.raises(SystemExit):
            run_cli(
                "fit",
                *(w for c in (name, *overlays) for w in ("--config", REPO / f"configs/{c}.yaml")),
                "--print_config",
            )
        config = yaml.safe_load(capsys.readouterr().out)["data"]
        options = MakeDataOptions(**config["synthetic"])
        assert options.task == task
        assert YoloDataModule(config["data_yaml"], synthetic=options).data_yaml == path
        shipped = shipped_set(path)
        assert shipped is not None and recorded_values(shipped) == recorded_values(options), "made unasked: no other"


@pytest.mark.parametrize(("task", "name"), [("detect", "detector"), ("pose", "pose"), ("obstacle", "obstacle")])
def test_make_data_names_the_config_that_trains_on_it(
    task: str, name: str, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--out", tmp_path / "x", "--task", task, "--train", 1, "--val", 1, "--test", 0, "--imgsz", "[96, 64]"]
    assert run_cli("make-data", *words) == 0
    assert f"fit --config configs/{name}.yaml --data.data_yaml {tmp_path / 'x/data.yaml'}" in capsys.readouterr().out
    assert (REPO / f"configs/{name}.yaml").is_file()


def test_make_data_names_camera_and_sequence_where_they_matter(
    tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x"
    words = ["--out", out, "--task", "pose", "--profile", "ts-005", "--sequences", 1, "--frames", 1]
    assert run_cli("make-data", *words, "--imgsz", "[96, 64]", "--workers", 1) == 0
    said = capsys.readouterr().out
    assert f"configs/pose.yaml --data.data_yaml {out / 'data.yaml'} --model.camera.profile ts-005" in said
    assert f"validate --sequence {out} --ckpt_path RUN" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data.augment.scale", "much"], "error: --data.augment.scale much: a number or a list"),
        (
            ["--trainer.callbacks", "ModelSummary", "--trainer.callbacks.max_dept", 3],
            "error: --trainer.callbacks.max_dept '3': Option 'max_dept' is not accepted",
        ),
    ],
)
def test_what_a_class_does_not_take_is_one_line(
    words: list[object], said: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run_cli("fit", "--config", REPO / "configs/pose.yaml", "--model.weights", "null", *words)
    assert stop.value.code == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("error", " "))]
    assert len(errors) == 1 and errors[0].startswith(said)


@pytest.mark.parametrize("verb", ["validate", "test"])
def test_a_model_of_random_weights_is_not_measured(
    verb: str, shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(verb, "--data.data_yaml", shapes, "--run.root", tmp_path) == 2
    assert capsys.readouterr().err == (
        "error: which model? Give --ckpt_path a checkpoint of ours, or --model.weights an Ultralytics file (.pt).\n"
    )
    assert run_cli(verb, "--data.data_yaml", shapes, "--run.root", tmp_path, "--ckpt_path", "mine.pt") == 2
    told = "error: --ckpt_path mine.pt is an Ultralytics file; it goes to --model.weights.\n"
    assert capsys.readouterr().err == told
