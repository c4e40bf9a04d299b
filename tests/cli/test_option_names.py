"""The names by which a misspelt option is refused early are those of the parsers, and nothing right is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from helpers import REPO
from option_sweep import BuiltCLI, call, flatten, help_names

from aigp_lightning.cli import training
from aigp_lightning.cli.by_class import ByClass
from aigp_lightning.cli.meant import MEANT
from aigp_lightning.cli.option_names import OWN, check_option_names, of_others, option_names
from aigp_lightning.errors import ConfigError


@pytest.mark.parametrize("verb", OWN)
def test_the_names_are_those_of_the_parser(verb: str) -> None:
    inner = ("model.", "data.synthetic.")  # of classes: no verb's help lists them
    ours = {name for name in option_names(verb) if not name.startswith(inner)}
    assert ours == help_names([verb])


def test_the_names_below_our_classes_are_those_that_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "AigpCLI", BuiltCLI)
    inner = ("model.", "data.synthetic.")
    for config, kind in (("detector", "DetectorModule"), ("pose", "PoseModule"), ("rfdetr", "RFDETRModule")):
        words = ["--config", REPO / f"configs/{config}.yaml", "--model.weights", "null"]
        assert call(["fit", *words, "--trainer.accelerator", "cpu"]).status == 0
        taken = dict(flatten(BuiltCLI.seen["fit"])).keys()
        ours = {name for name in option_names("fit", kind) if name.startswith(inner)}
        assert ours == {name for name in taken if name.startswith(inner)}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--trainer.max_epoch", "3"], "fit has no option --trainer.max_epoch. Did you mean --trainer.max_epochs?"),
        (["--data.batchsize=3"], "fit has no option --data.batchsize. Did you mean --data.batch_size?"),
        (
            ["--model.optim.lr", "3"],
            "--model.optim.lr is an option of RFDETRModule, and the model is of class DetectorModule. Did you mean "
            "--model.optim.lr0?",
        ),
        (
            ["--model", "aigp_lightning.modules.rfdetr.RFDETRModule", "--model.iou", "0.5"],
            "--model.iou is an option of DetectorModule, PoseModule and SegmentModule, and the model is of class "
            "RFDETRModule.",
        ),
        (
            ["--model", "PoseModule", "--model.gains.pos", "3"],
            "fit has no option --model.gains.pos. Did you mean --model.gains.pose?",
        ),
        (["--imgsz", "320"], "fit has no option --imgsz. Did you mean --data.imgsz?"),
        (["--json", "x"], "fit has no option --json. Did you mean --run.json?"),
        (
            ["--model", "PoseModule", "--model.kamera", "null"],
            "fit has no option --model.kamera. Did you mean --model.c",
        ),
    ],
)
def test_a_misspelt_option_is_named_with_the_nearest(words: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_option_names("fit", words)
    assert str(refused.value).startswith(told)


def test_nothing_heavy_is_imported_to_refuse_a_misspelt_option() -> None:
    code = (
        "import sys; from aigp_lightning.cli.main import main\n"
        "assert main(['fit', '--data.imgszz', '64']) == main(['predict', '--config', 'nowhere.yaml']) == 2\n"
        "try: main(['export', '--imgszz', '64'])\n"
        "except SystemExit as stop: assert stop.code == 2\n"
        "print(sorted({'torch', 'lightning', 'ultralytics', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_options_of_classes_are_left_to_their_parsers(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("model:\n  class_path: families.toy.ToyModule\n  init_args: {width: 4}\n")
    for words in (
        ["--trainer.callbacks", "Timer", "--trainer.callbacks.duration", "00:01:00:00"],
        ["--trainer.callbacks+=ModelSummary", "--trainer.logger.init_args.save_dir", "x", "--trainer.strategy.x=1"],
        ["--model", "families.toy.ToyModule", "--model.width", "4"],
        ["--model.class_path=families.toy.ToyModule", "--model.init_args.width", "4"],
        ["--config", str(config), "--model.width", "8"],
        ["--model.init_args.optim.lr0", "0.1", "--model.help", "PoseModule", "--data.augment", "{mosaic: 0}"],
        [
            "--config",
            str(REPO / "configs/rfdetr.yaml"),
            "--config",
            str(REPO / "configs/quick.yaml"),
            "--model.groups=2",
        ],
        ["--config", str(REPO / "configs/pose.yaml"), "--config", str(REPO / "configs/quick.yaml"), "--print_config"],
        ["--config", str(REPO / "configs/logger/both.yaml"), "--config={data: {imgsz: 64}}", "--media.private+", "a"],
        ["--no_such_thing", "--help"],
    ):
        check_option_names("fit", words)


def test_options_of_other_verbs_may_stand_in_a_configuration(tmp_path: Path) -> None:
    """One YAML serves all verbs of a run; a misspelt one is told by the verb that has it."""
    config = tmp_path / "mine.yaml"
    options = "verbose: true\njson: null\nreturn_predictions: false\noutput: {save_txt: false}\n"
    config.write_text(f"{options}by_class:\n  DetectorModule: {{output: {{save_crop: true}}}}\n", encoding="utf-8")
    for verb in OWN:
        check_option_names(verb, ["--config", str(config)])
        kept = ByClass("aigp_lightning.modules.detector.DetectorModule", of_others(verb)).merged(config.read_text())
        assert set(yaml.safe_load(kept)) == {name for name in OWN[verb] if "." not in name}
    config.write_text("output: {save_txtt: false}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml:1: predict has no option output\.save_txtt\. Did you mean out"):
        check_option_names("predict", ["--config", str(config)])
    with pytest.raises(ConfigError, match=r"fit has no option --output\.save_txt"):
        check_option_names("fit", ["--output.save_txt", "false"])


@pytest.mark.parametrize(
    "verb", ["fit", "plan", "validate", "test", "predict", "export", "ppo", "audit", "lint", "keys"]
)
def test_a_verb_alone_ends_in_a_line(
    verb: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Options are missing, or defaults name a data set that is not there; nobody sees a traceback."""
    if verb in ("fit", "plan"):
        check_option_names(verb, [])
        return
    try:
        status = run_cli(verb)
    except SystemExit as stopped:
        status = stopped.code  # type: ignore[assignment]
    assert status == (0 if verb == "ppo" else 2), capsys.readouterr().err


def test_names_of_other_programs_are_translated() -> None:
    """And each of ours in the table is an option."""
    assert {name for name in MEANT.values() if name not in option_names("fit")} == set()
    check_option_names("validate", ["--model.iou", "0.5", "--model.camera", "null"])  # a checkpoint says which class
    with pytest.raises(ConfigError, match=r"no option --epochs\. Did you mean --trainer\.max_epochs\?"):
        check_option_names("fit", ["--epochs", "3"])
    with pytest.raises(ConfigError, match=r"no option --seed\. Did you mean --data\.seed 3 --seed_everything 3\?"):
        check_option_names("fit", ["--seed", "3"])
