"""Commands that lack something or have it in the wrong place are answered in a line, before anything heavy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import REPO

from aigp_lightning.cli.early_checks import check_groups, check_needed
from aigp_lightning.cli.main import VERBS, main

Out = pytest.CaptureFixture[str]
TAKES_PAIRS = (
    "from-ultralytics yolo pose train model=yolo11n-pose.pt data=my/data.yaml epochs=3",
    "from-ultralytics yolo train model=yolo11n.yaml device=0 patience=0",
    "from-ultralytics args.yaml data=my/data.yaml epochs=50",
    "from-ultralytics args.yaml epochs=50 --out -",
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))


def error_of(line: str, capsys: Out) -> str:
    """Run a command that is refused, and return its one line."""
    assert main(line.split()) == 2
    told = capsys.readouterr().err
    assert re.fullmatch(r"error: [^\n]*\n", told), told
    return told[len("error: ") : -1]


@pytest.mark.parametrize("line", TAKES_PAIRS)
def test_from_ultralytics_takes_settings_as_its_page_says(line: str, capsys: Out) -> None:
    with open("args.yaml", "w", encoding="utf-8") as file:
        file.write("task: detect\nmode: train\nmodel: yolo11n.yaml\ndata: x.yaml\n")
    assert main(line.split()) in (0, 1)
    told = capsys.readouterr()
    assert "settings" in told.out + told.err


def test_the_page_s_own_commands_are_read(capsys: Out) -> None:
    page = (REPO / "docs" / "coming-from-ultralytics.md").read_text(encoding="utf-8")
    lines = re.findall(r"from-ultralytics (?:yolo|args\.yaml) [^`|#'\n]*=[^`|#'\n]*", page)
    assert lines
    for line in lines:
        main(line.split())
        assert "is written" not in capsys.readouterr().err, line


NEEDS = {
    "init": "FOLDER", "fetch": "NAME", "audit": "RUN", "lint": "DATA_YAML", "report": "RUN", "compare": "A, B",
    "promote": "RUN", "ship": "RUN", "from-ultralytics": "RECIPE",
}  # fmt: skip


@pytest.mark.parametrize("verb", sorted(NEEDS))
def test_a_missing_argument_is_told_in_a_line(verb: str, capsys: Out) -> None:
    assert verb in VERBS
    told = error_of(verb, capsys)
    assert re.match(rf"{verb} needs \S.*, as in `python -m aigp_lightning {verb} .*`\.$", told)


VALUES = (
    ("train", "nms=False", "--model.nms_free true"),
    ("train", "end2end=True", "--model.nms_free true"),
    ("train", "epochs=40 patience=0", "--trainer.max_epochs 40 --early_stopping.patience 40"),
    ("train", "patience=0", "--early_stopping.patience 1000"),
    ("train", "patience=7", "--early_stopping.patience 7"),
    ("train", "plots=False", "--media.routes.everything '[]'"),
    ("train", "plots=True", ""),
    ("train", "epochs=40 val=False", "--trainer.max_epochs 40 --trainer.check_val_every_n_epoch 40"),
    ("train", "cache=True", "--data.cache ram"),
    ("train", "cache=disk", "--data.cache disk"),
    ("train", "cls_remap=False", "--data.match_classes number"),
    ("train", "save_period=-1", "--checkpoint_every.epochs 0"),
    ("train", "quantize=8", "--model.qat true"),
    ("train", "deterministic=True", "--trainer.deterministic warn"),
    ("train", "device=cuda:0", "--trainer.accelerator auto --trainer.devices 1"),
    ("train", "device=-1", "--trainer.accelerator auto --trainer.devices 1"),
    ("train", "device=", "--trainer.accelerator auto --trainer.devices 1"),
    ("train", "device=0,1", "--trainer.accelerator gpu --trainer.devices '[0, 1]'"),
    ("train", "classes=0", "--data.classes '[0]'"),
    ("train", "batch=-1", "--data.batch_size auto"),
    ("train", "multi_scale=True", "--model.multi_scale 0.5"),
    ("train", "pretrained=False", "--model.weights null"),
    ("train", "rect=True", "--data.rect_training true"),
    ("train", "seed=3", "--data.seed 3 --seed_everything 3"),
    ("train", "single_cls cos_lr", "--data.single_cls true --model.optim.cos_lr true"),
    ("train", "--epochs=3", "--trainer.max_epochs 3"),
    ("val", "rect=False", "--data.rect false"),
    ("val", "plots=True", "--run.plots true"),
    ("val", "save_json=True", "--run.json metrics.json"),
    ("val", "half=True", "--trainer.precision 16-mixed"),
    ("val", "augment=True", "--model.tta true"),
    ("val", "conf=0.01", "--model.conf 0.01"),
    ("predict", "conf=0.4", "--model.predict_conf 0.4"),
    ("predict", "save_txt save_crop=True", "--output.save_txt true --output.save_crop true"),
    ("predict", "save_json=True", "--output.save_json true"),
    ("predict", "quantize=16", "--trainer.precision 16-mixed"),
    ("export", "nms=False", "--nms_free true"),
)  # fmt: skip


@pytest.mark.parametrize(("mode", "words", "told"), VALUES)
def test_values_are_converted(mode: str, words: str, told: str, capsys: Out) -> None:
    model = "--ckpt_path runs/detect/gates/weights/best.ckpt "
    start = {"train": "--config configs/detector.yaml ", "export": "runs/detect/gates "}.get(mode, model)
    verb = {"train": "fit", "val": "validate"}.get(mode, mode)
    right = f"python -m aigp_lightning {verb} {start}{told}".rstrip()
    typed = right.replace(model, "")  # whoever begins with a verb of ours is told what to put behind it
    told = error_of(f"yolo {mode} {words}", capsys).partition(". As a configuration")[0]
    assert told.endswith(f"Ultralytics' {mode} is here: {right}")
    if not words.startswith("--") and mode != "export":
        assert error_of(f"{verb} {words}", capsys).endswith(f"Type: {typed}")


def test_the_suggested_options_are_ours() -> None:
    from aigp_lightning.cli.option_names import option_names

    for mode, words, told in VALUES:
        verb = {"train": "fit", "val": "validate"}.get(mode, mode)
        options = {word[2:] for word in told.split() if word.startswith("--")}
        assert verb == "export" or options <= option_names(verb, "PoseModule"), words


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("yolo train cfg=x.yaml", "from-ultralytics yolo train cfg=x.yaml --out my.yaml, then python -m aigp_lightnin"),
        ("fit cfg=x.yaml", "cfg (`from-ultralytics x.yaml --out my.yaml` makes a configuration of it)"),
        ("fit task=segment", "Type: python -m aigp_lightning fit --config configs/segment.yaml"),
        ("fit epochs=3", "Type: python -m aigp_lightning fit --config configs/detector.yaml --trainer.max_epochs 3"),
        ("fit model=yolo11n-pose.pt", "--config configs/pose.yaml --model.variant yolo11n-pose --model.weights yolo"),
        ("fit model=yolo11n.yaml", "--config configs/detector.yaml --model.variant yolo11n --model.weights null"),
        ("yolo val split=test", "python -m aigp_lightning test"),
        ("yolo predict show=True", "No option here: show (no windows are opened: "),
        ("yolo train epoch=3", "No option here: epoch (did you mean epochs?)"),
        ("yolo train model=rtdetr-l.pt", "No option here: model (RF-DETR is what is here: configs/rfdetr.yaml)"),
        ("yolo train save_txt", "No option here: save_txt (of `predict`: --output.save_txt)"),
        ("yolo train epochs=many", "No option here: epochs (many is no value of it)"),
        ("predict --conf 0.3", "Did you mean --model.predict_conf?"),
        ("predict --data.source x conf=0.3", "Type: python -m aigp_lightning predict --data.source x --model.predict"),
        ("validate --conf 0.3", "Did you mean --model.conf?"),
        ("fit --ckpt x", "Did you mean --ckpt_path?"),
        ("export --ckpt x", "Did you mean --ckpt_path?"),
        ("fit --cache true", "fit has no option --cache. Did you mean --data.cache ram?"),
        ("fit --device cuda:0", "Did you mean --trainer.accelerator auto --trainer.devices 1?"),
        ("fit --epochs=3", "Did you mean --trainer.max_epochs?"),
        ("yolo train --epochs 3", "fit --config configs/detector.yaml --trainer.max_epochs 3"),
        ("yolo train epochs = 3", "fit --config configs/detector.yaml --trainer.max_epochs 3"),
        ("fit --trainer.epochs 3", "Did you mean --trainer.max_epochs?"),
    ],
)  # fmt: skip
def test_the_answer_is_right(line: str, told: str, capsys: Out) -> None:
    assert told in error_of(line, capsys)


def test_patience_knows_the_configuration_s_epochs(capsys: Out) -> None:
    with open("my.yaml", "w", encoding="utf-8") as file:
        file.write("trainer: {max_epochs: 77}\n")
    assert error_of("fit --config my.yaml patience=0", capsys).endswith("--early_stopping.patience 77")
    assert error_of("fit --trainer.max_epochs 5 patience=0", capsys).endswith("--early_stopping.patience 5")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("fit --data d.yaml", "a data set goes to --data.data_yaml d.yaml"),
        ("fit --data=gone.yaml", "a data set goes to --data.data_yaml gone.yaml"),
        ("validate --data pictures", "a data set goes to --data.data_yaml pictures"),
        ("predict --data pictures", "what is predicted goes to --data.source pictures"),
        ("fit --model best.pt", "a network goes to --model.weights best.pt"),
        ("fit --model yolo11n.pt", "a network goes to --model.variant yolo11n --model.weights yolo11n.pt"),
        ("fit --model yolo11n.yaml", "a network goes to --model.variant yolo11n --model.weights null"),
        ("fit --model yolo11s-pose", "a network goes to --model.variant yolo11s-pose"),
        ("predict --model best.pt --data.source x", "a network goes to --model.weights best.pt"),
        ("validate --model best.ckpt", "a network goes to --ckpt_path best.ckpt"),
        ("predict --ckpt_path best.ckpt", "predict needs --data.source: "),
        ("predict --data.source x", "which model? "),
        ("validate", "which model? "),
        ("test --config null.yaml", "which model? "),
        ("predict --ckpt_path a.ckpt --data.source x --model.conf 0.0001", "predict takes --model.predict_conf 0.0001"),
        ("validate run", "Did you mean --ckpt_path run/weights/best.ckpt?"),
    ],
)  # fmt: skip
def test_what_a_command_lacks_is_told_at_once(line: str, told: str, capsys: Out) -> None:
    os.makedirs("pictures")
    os.makedirs("run/weights")
    for name, text in {"d.yaml": "train: a\nnames: [gate]\n", "null.yaml": "model: {weights: null}\n"}.items():
        Path(name).write_text(text, encoding="utf-8")
    Path("run/weights/best.ckpt").touch()
    assert told in error_of(line, capsys)


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("fit", "--data options.yaml --model PoseModule"),
        ("fit", "--model class.yaml"),
        ("validate", "--config weights.yaml"),
        ("validate", "--ckpt_path last"),
        ("validate", "--model my.Net"),
        ("validate", "--print_config"),
        ("validate", "--config -"),
        ("predict", "--config weights.yaml --data.source x"),
        ("predict", "--data options.yaml --model.weights x.pt"),
        ("predict", "--config {data:{source:x},model:{weights:a.pt}}"),
    ],
)
def test_what_is_complete_goes_on(verb: str, words: str) -> None:
    for name, text in {
        "options.yaml": "source: x\n", "class.yaml": "class_path: a.B\n", "weights.yaml": "model: {weights: a.pt}\n"
    }.items():  # fmt: skip
        Path(name).write_text(text, encoding="utf-8")
    line = words.replace(":", ": ").split(" ") if "{" not in words else ["--config", words[9:].replace(":", ": ")]
    check_groups(verb, line)
    check_needed(verb, line)


def test_it_is_told_before_anything_heavy() -> None:
    lines = (
        "fit --data gone.yaml", "fit --model yolo11n.pt", "predict --ckpt_path a.ckpt", "validate", "test",
        "predict --data.source x --model.conf 1", "train nms=False device=0", "models", "fit epochs=3", "init",
    )  # fmt: skip
    code = (
        "import sys; from aigp_lightning.cli.main import main\n"
        f"for line in {lines!r}:\n"
        "    assert main(line.split()) == 2, line\n"
        "    heavy = sorted({'torch', 'lightning', 'numpy', 'cv2'} & set(sys.modules))\n"
        "    if heavy: sys.exit(f'{line}: {heavy}')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line[:7] for line in done.stderr.splitlines()] == ["error: "] * len(lines)


@pytest.mark.parametrize(("verb", "told"), [("export", "  --format onnx\n"), ("make-data", "  --imgsz '[640, 360]'\n")])
def test_help_has_values_and_no_types(verb: str, told: str, capsys: Out) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert told in text
    assert not re.search(r"Union|type:|\bNone\b|\bTrue\b", text)
    assert max(map(len, text.splitlines())) <= 80
    assert verb != "export" or ("\n  RUN\n" in text and "\n  --config my.yaml\n" in text)


def test_help_of_models_says_null_and_ends_its_sentences(capsys: Out) -> None:
    assert main(["fit", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "null starts from random weights" in text
    assert "None" not in text
    assert "SegmentModule (python -m aigp_lightning fit --model.help SegmentModule) has no others" in text
