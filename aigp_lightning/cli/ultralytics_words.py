"""Ultralytics' commands, `yolo detect train data=my.yaml epochs=3`, as the commands to type here; nothing is run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from aigp_lightning.cli.meant import our_option
from aigp_lightning.files import shell_quoted

PROGRAM = "python -m aigp_lightning"
CONFIGS = {"detect": "configs/detector.yaml", "pose": "configs/pose.yaml", "segment": "configs/segment.yaml"}
"""Ultralytics' tasks that are trained here, and the configuration of each."""
OTHER_TASKS = ("classify", "obb")
"""Those that are not."""
MODES = {
    "train": "fit", "val": "validate", "predict": "predict", "export": "export", "track": "predict",
    "benchmark": "validate",
}  # fmt: skip
"""Ultralytics' modes, and the verb here."""
NOTES = {
    "track": "objects are found in every frame, and not followed from one to the next",
    "benchmark": "validate says milliseconds for an image beside the metrics; compare A B sets two files side by side",
}
"""Modes of which the verb here does not do all, and what is different."""
ENDINGS = {"-pose": "pose", "-seg": "segment"}
"""Ends of the names of Ultralytics' models, and the task that they say."""
YAML = (".yaml", ".yml")
FLAGS = ("--extend", "--print_config")
"""Options that may stand alone: what follows as `word=value` is another option."""
PAIR = re.compile(r"(?:--)?([A-Za-z_]\w*)=(.*)", re.DOTALL)
"""`word=value`."""
WORDS = {"true": "true", "false": "false", "none": "null"}
"""Python's words for values, in lower case, and YAML's."""
OF_EXPORT = {"model": "weights", "format": "format", "imgsz": "imgsz", "opset": "opset", "dynamic": "dynamic"}
"""Words of Ultralytics' export, and the options here."""


def is_ultralytics(words: Sequence[str]) -> bool:
    """True if a command begins as one of Ultralytics' does, and as none of ours."""
    return bool(words) and (words[0] in ("yolo", "ultralytics", *CONFIGS, *OTHER_TASKS) or words[0] in MODES)


def pairs(words: Sequence[str]) -> dict[str, str]:
    """Return what a command has as `word=value`, without dashes."""
    return {match[1]: match[2] for word in words if "--" not in word[:2] and (match := PAIR.fullmatch(word))}


def command_for(words: Sequence[str]) -> str:
    """Return the answer to a command of Ultralytics': what to type here.

    Args:
        words: after the program's name, `yolo` among them or not.

    Example:
        >>> command_for(["detect", "train", "data=my.yaml", "epochs=3"])
        "Ultralytics' train is here: python -m aigp_lightning fit --config configs/detector.yaml --data.data_yaml \
my.yaml --trainer.max_epochs 3"
    """
    given = pairs(words)
    named = [word for word in words if "=" not in word]
    task = next((word for word in named if word in CONFIGS or word in OTHER_TASKS), given.get("task"))
    mode = next((word for word in named if word in MODES), given.get("mode", "train"))
    if task in OTHER_TASKS:
        return f"Ultralytics' {task} is not trained here: {', '.join(CONFIGS)} are."
    verb = MODES.get(mode, "fit")
    known = [*CONFIGS, *MODES, "yolo", "ultralytics"]
    rest = {name: value for name, value in given.items() if name not in ("task", "mode")}
    start = ["--config", CONFIGS[_task(task, rest.get("model", ""))]] if verb == "fit" else []
    options, left = translated(verb, rest)
    note = f" ({NOTES[mode]})" if mode in NOTES else ""
    left += [word for word in named if word not in known]
    return f"Ultralytics' {mode} is here: {_typed(verb, [*start, *options])}{note}{_left_out(left)}"


def corrected(verb: str, words: Sequence[str]) -> str:
    """Return the command that is meant where options stand as `word=value`, without dashes.

    Args:
        verb: fit, plan, validate, test, predict or export.
        words: after it.

    Example:
        >>> corrected("fit", ["--run.name", "x", "epochs=3", "data.imgsz=320"])
        'python -m aigp_lightning fit --run.name x --trainer.max_epochs 3 --data.imgsz 320'
    """
    kept: list[str] = []
    left: list[str] = []
    before = ""
    for word in words:
        match = PAIR.fullmatch(word)
        dotted = re.fullmatch(r"([a-z_]+(?:\.\w+)+)=(.*)", word, re.DOTALL)
        if before.startswith("-") and "=" not in before and not (before in FLAGS and "=" in word):
            kept.append(word)
        elif match and not word.startswith("--"):
            options, missing = translated(verb, {match[1]: match[2]})
            kept += options
            left += missing
        elif dotted:
            kept += [f"--{dotted[1]}", dotted[2]]
        elif word.startswith("-") or verb == "export":  # which takes the model's name alone
            kept.append(word)
        else:
            left.append(word)
        before = word
    return f"{_typed(verb, kept)}{_left_out(left)}"


def translated(verb: str, given: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return words of Ultralytics' as options of a verb, and those that have none there.

    Args:
        verb: of ours.
        given: values by name.
    """
    options: list[str] = []
    left: list[str] = []
    for name, value in given.items():
        found = _option(verb, name, WORDS.get(value.lower(), value))
        if found is None:
            left.append(name)
        else:
            options += found
    return options, left


def _option(verb: str, name: str, value: str) -> list[str] | None:
    """Return one word of Ultralytics' as options; an empty list where nothing need be said."""
    if verb == "export":
        option = OF_EXPORT.get(name)
        if option == "weights" and value.endswith(".ckpt"):
            option = "ckpt_path"
        return [f"--{option}", value] if option is not None else None
    special = {"model": _model, "device": _device, "amp": _amp, "half": _half, "resume": _resume}.get(name)
    if special is not None:
        return special(verb, value)
    if name == "pretrained" and value in ("true", "false"):
        return []
    if name == "batch" and value.startswith("-"):
        value = "auto"
    option = our_option(name)
    return [f"--{option}", value] if option is not None else None


def _model(verb: str, value: str) -> list[str]:
    stem = PurePath(value).stem
    if value.endswith(".ckpt"):
        return ["--ckpt_path", value]
    if value.endswith(YAML):
        return ["--model.variant", stem if PurePath(value).name == value else value]
    published = ["--model.variant", stem] if verb == "fit" and re.fullmatch(r"yolo(v?\d+)\w*(-\w+)?", stem) else []
    return [*published, "--model.weights", value] if value.endswith(".pt") else ["--model.variant", value]


def _device(verb: str, value: str) -> list[str]:
    if value in ("cpu", "mps"):
        return ["--trainer.accelerator", value]
    return ["--trainer.devices", f"[{value.strip('[]')}]"]


def _amp(verb: str, value: str) -> list[str]:
    return ["--trainer.precision", "32-true"] if value == "false" else []


def _half(verb: str, value: str) -> list[str]:
    return ["--trainer.precision", "16-mixed"] if value == "true" else []


def _resume(verb: str, value: str) -> list[str]:
    return [] if value == "false" else ["--ckpt_path", "last" if value == "true" else value]


def _task(named: str | None, model: str) -> str:
    if named in CONFIGS:
        return str(named)
    return next((task for ending, task in ENDINGS.items() if ending in model), "detect")


def _typed(verb: str, options: Sequence[str]) -> str:
    return f"{PROGRAM} {verb} {shell_quoted(*options)}".rstrip()


def _left_out(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f". No option here: {', '.join(names)}; `{PROGRAM} from-ultralytics args.yaml` says why"
