"""Words that are no options here, Ultralytics' among them, are answered with what to type, and nothing is imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aigp_lightning.cli.main import VERBS
from aigp_lightning.cli.ultralytics_words import command_for
from aigp_lightning.cli.unknown_options import check_bare_words
from aigp_lightning.errors import ConfigError

LATER = {"init", "from-ultralytics", "fetch"}
"""Verbs whose modules have tests of their own."""


@pytest.mark.parametrize("verb", sorted({*VERBS, "ppo fit", "ppo evaluate", "ppo export"} - LATER - {"ppo"}))
def test_every_verb_refuses_an_unknown_option_in_a_line(
    verb: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(*verb.split(), "--no_such_thing", "x") == 2
    told = f"error: {verb} has no option --no_such_thing. `python -m aigp_lightning {verb} --help` lists them.\n"
    assert capsys.readouterr().err == told


def test_nothing_heavy_is_imported_to_refuse_a_word() -> None:
    """In one process, verb after verb: what one of them imported would be seen after it."""
    lines = (
        "fit epochs=3", "fit --epochs 3", "validate imgsz=320", "test --data.imgszz 3", "predict conf=0.5",
        "plan --jsn x", "export format=onnx", "export --imgszz 3", "lint --splitt x", "report --outt x x",
        "compare --jsn a b", "ship --selct x", "audit --imag x", "promote --formatt x", "receipt --ru x",
        "models --stor x", "rollback --stor x", "make-data --outt x", "keys --outt x", "ppo fit --total_timestep 3",
        "ppo evaluate --modl x", "ppo export --modl x", "train", "val", "detect", "yolo", "detect train epochs=3",
        "pose val", "track source=x", "benchmark", "fitt",
    )  # fmt: skip
    code = (
        "import sys; from aigp_lightning.cli.main import main\n"
        f"for line in {lines!r}:\n"
        "    assert main(line.split()) == 2, line\n"
        "    heavy = sorted({'torch', 'lightning', 'ultralytics', 'cv2', 'matplotlib'} & set(sys.modules))\n"
        "    if heavy: sys.exit(f'{line}: {heavy}')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.splitlines()[-1:]
    assert [line[:7] for line in done.stderr.splitlines()] == ["error: "] * len(lines)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("train", "fit --config configs/detector.yaml"),
        ("yolo detect", "fit --config configs/detector.yaml"),
        (
            "detect train data=my.yaml epochs=3 imgsz=320 batch=8",
            "fit --config configs/detector.yaml --data.data_yaml my.yaml --trainer.max_epochs 3 --data.imgsz 320 "
            "--data.batch_size 8",
        ),
        (
            "yolo pose train model=yolo11s-pose.pt device=0,1 amp=False",
            "fit --config configs/pose.yaml --model.variant yolo11s-pose --model.weights yolo11s-pose.pt "
            "--trainer.accelerator gpu --trainer.devices '[0, 1]' --trainer.precision 32-true",
        ),
        (
            "train model=yolo11n-pose.yaml",
            "fit --config configs/pose.yaml --model.variant yolo11n-pose --model.weights null",
        ),
        (
            "train resume=True device=cpu",
            "fit --config configs/detector.yaml --ckpt_path last --trainer.accelerator cpu --trainer.devices 1",
        ),
        ("pose val model=best.pt data=d.yaml", "validate --model.weights best.pt --data.data_yaml d.yaml"),
        ("val model=best.ckpt", "validate --ckpt_path best.ckpt"),
        (
            "yolo predict source=a.jpg conf=0.5",
            "predict --ckpt_path runs/detect/gates/weights/best.ckpt --data.source a.jpg --model.predict_conf 0.5",
        ),
        ("yolo export model=best.pt format=onnx", "export --weights best.pt --format onnx"),
        ("yolo mode=val task=detect model=best.pt", "validate --model.weights best.pt"),
    ],
)
def test_commands_of_ultralytics_become_ours(words: str, told: str) -> None:
    answer = command_for(words.split()).partition(" is here: ")[2]
    assert answer.partition(". As a configuration")[0] == f"python -m aigp_lightning {told}"


WHOLE = (
    ("train data=d.yaml epochs=3", "yolo train data=d.yaml epochs=3 --out my.yaml"),
    ("train data=my.yaml epochs=3", "yolo train data=my.yaml epochs=3 --out mine.yaml"),
    ("yolo pose train --data d.yaml imgsz = 64 single_cls", "yolo pose train data=d.yaml imgsz=64 single_cls=true "
     "--out my.yaml"),
    ("detect train no_such=1 data=d.yaml more", "yolo detect train no_such=1 data=d.yaml --out my.yaml"),
    ("yolo task=detect mode=train data=d.yaml", "yolo task=detect mode=train data=d.yaml --out my.yaml"),
    ("train cfg=x.yaml", "yolo train cfg=x.yaml --out my.yaml, then python -m aigp_lightning fit --config my.yaml"),
    ("fit data=d.yaml epochs=3 cos_lr", "yolo train data=d.yaml epochs=3 cos_lr=true --out my.yaml"),
)  # fmt: skip


@pytest.mark.parametrize(("words", "told"), WHOLE)
def test_a_whole_command_can_be_a_configuration(
    words: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_cli: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command that is suggested works: it writes the file of the next one."""
    monkeypatch.chdir(tmp_path)
    for name in ("d.yaml", "my.yaml", "x.yaml"):
        Path(name).write_text("train: a\nnames: [gate]\n" if name != "x.yaml" else "epochs: 3\n", encoding="utf-8")
    assert run_cli(*words.split()) == 2
    answer = capsys.readouterr().err.rstrip("\n").partition("python -m aigp_lightning from-ultralytics ")[2]
    assert answer == told
    typed = answer.partition(",")[0].split()
    if typed[-1] == "my.yaml":
        Path("my.yaml").unlink()
    assert run_cli("from-ultralytics", *typed) in (0, 1)
    assert Path(typed[-1]).read_text(encoding="utf-8")


def test_part_of_a_command_is_no_recipe() -> None:
    """A verb of its own, options of ours beside it, or no setting at all: the command here is the answer."""
    for words in (["train"], ["val", "model=best.pt"], ["predict", "source=x"], ["export", "format=onnx"]):
        assert "from-ultralytics" not in command_for(words)
    for line in ("epochs=3", "--config a.yaml data=d.yaml epochs=3"):
        with pytest.raises(ConfigError) as refused:
            check_bare_words("fit", line.split())
        assert "from-ultralytics" not in str(refused.value)


def test_what_has_no_option_is_named() -> None:
    assert "detector.yaml. No option here: no_such. As a configuration" in command_for(["train", "no_such=1"])
    assert command_for(["obb", "train"]) == "Ultralytics' obb is not trained here: detect, pose, segment are."
    assert "not followed from one to the next" in command_for(["track", "source=a.mp4"])


@pytest.mark.parametrize(
    ("verb", "words", "told"),
    [
        ("fit", "-c a.yaml epochs=3", "Type: python -m aigp_lightning fit -c a.yaml --trainer.max_epochs 3"),
        ("fit", "data.imgsz=64 --extend", "fit --config configs/detector.yaml --data.imgsz 64 --extend"),
        ("fit", "--extend imgsz=64", "fit --config configs/detector.yaml --extend --data.imgsz 64"),
        ("validate", "best.ckpt", "validate: best.ckpt is neither an option nor the value of one. Did you mean "),
        ("predict", "--data.source a.jpg b.jpg", "predict: b.jpg is neither an option nor the value of one. --data"),
    ],
)
def test_words_without_dashes(
    verb: str, words: str, told: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    open("best.ckpt", "wb").close()
    with pytest.raises(ConfigError) as refused:
        check_bare_words(verb, words.split())
    assert told in str(refused.value)


def test_values_are_no_words() -> None:
    for line in (
        "--run.name epochs=3",
        "--data.imgsz -1 -c a.yaml",
        "--model.help PoseModule",
        "--run.name=a --extend",
    ):
        check_bare_words("fit", line.split())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("val --help", "Options are listed by: python -m aigp_lightning validate --help"),
        ("track -h", "Options are listed by: python -m aigp_lightning predict --help"),
        ("yolo help", "Options are listed by: python -m aigp_lightning --help"),
        ("yolo version", "`python -m aigp_lightning --version` says it."),
        ("tune data=my.yaml", "python -m aigp_lightning compare A B`."),
        ("checks", "there is nothing of the kind here"),
        ("settings", "there are none beside the options"),
        ("copy-cfg", "`python -m aigp_lightning init FOLDER`"),
        ("val", "validate --ckpt_path runs/detect/gates/weights/best.ckpt\n"),
        ("pose val", "validate --ckpt_path runs/pose/gates/weights/best.ckpt\n"),
        ("yolo export format=onnx", "export runs/detect/gates --format onnx\n"),
        (
            "from-ultralytics yolo export model=x.pt format=onnx",
            "the command: mode export: only trainings are turned into a configuration. Ultralytics' export is here: "
            "python -m aigp_lightning export --weights x.pt --format onnx\n",
        ),
        (
            "from-ultralytics yolo predict model=x.pt source=a.jpg conf=0.5",
            "predict --model.weights x.pt --data.source a.jpg --model.predict_conf 0.5\n",
        ),
        ("export", "needs one model: a run folder, as in `python -m aigp_lightning export runs/detect/gates --f"),
        ("export runs/x int8=True", "export runs/x --precision int8\n"),
        ("export runs/x half=True format=engine", "export runs/x --precision fp16 --format engine\n"),
        ("export runs/x --int8 True", "Did you mean --precision int8?"),
        ("export runs/x --half True", "Did you mean --precision fp16?"),
    ],
)  # fmt: skip
def test_what_ultralytics_has_besides_is_answered(
    line: str, told: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(*line.split()) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1 and "quantize" not in said
