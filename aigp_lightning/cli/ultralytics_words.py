"""Ultralytics' commands, `yolo detect train data=my.yaml epochs=3`, as the commands to type here; nothing is run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aigp_lightning.cli.by_class import named_class
from aigp_lightning.cli.config_files import config_files
from aigp_lightning.cli.start_weights import named_values
from aigp_lightning.cli.ultralytics_values import CONFIGS, TRAINING, is_flag, translate
from aigp_lightning.files import shell_quoted

PROGRAM = "python -m aigp_lightning"
OTHER_TASKS = ("classify", "obb")
"""Tasks of Ultralytics' that are not trained here."""
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
NOT_HERE = {
    "tune": "options are not searched here: train several runs with other values, and set them side by side by "
    "`python -m aigp_lightning compare A B`",
    "checks": "there is nothing of the kind here: a verb that needs a package that is missing names it",
    "settings": "there are none beside the options of a verb, in YAML files or typed: `python -m aigp_lightning fit "
    "--help`",
    "version": "`python -m aigp_lightning --version` says it",
    "copy-cfg": "`python -m aigp_lightning init FOLDER` writes configurations to change",
    "solutions": "there is nothing of the kind here: `python -m aigp_lightning predict` writes what it finds as JSON",
}
"""Ultralytics' commands of which no verb here does the like, and what to use instead."""
HELP = ("help", "-h", "--help")
RUN = "runs/{task}/gates"
"""Stands for a run where a command names no model."""
ENDINGS = {"-pose": "pose", "-seg": "segment"}
"""Ends of the names of Ultralytics' models, and the task that they say."""
FLAGS = ("--extend", "--print_config")
"""Options that may stand alone: what follows as `word=value` is another option."""
PAIR = re.compile(r"(?:--)?([A-Za-z_]\w*)=(.*)", re.DOTALL)
"""`word=value`."""
DOTTED = re.compile(r"([a-z_]+(?:\.\w+)+)=(.*)", re.DOTALL)
"""An option without its dashes, and its value."""
EPOCHS = "trainer.max_epochs"
SAME = ". As a configuration, with what becomes of each setting: "
OUT = ("my.yaml", "mine.yaml", "converted.yaml")
"""Files for a configuration, of which the first is suggested that the command does not name."""


def is_ultralytics(words: Sequence[str]) -> bool:
    """True if a command begins as one of Ultralytics' does, and as none of ours."""
    return bool(words) and words[0] in ("yolo", "ultralytics", *CONFIGS, *OTHER_TASKS, *MODES, *NOT_HERE)


def pairs(words: Sequence[str]) -> dict[str, str]:
    """Return what a command of Ultralytics' has as `word=value`, and its words that are on where they stand alone.

    Args:
        words: of the command.

    Example:
        >>> pairs(["yolo", "train", "epochs=3", "--imgsz=64", "single_cls"])
        {'epochs': '3', 'imgsz': '64', 'single_cls': 'true'}
    """
    found = {}
    for word in words:
        if match := PAIR.fullmatch(word):
            found[match[1]] = match[2]
        elif is_flag(word):
            found[word] = "true"
    return found


def command_for(words: Sequence[str]) -> str:
    """Return the answer to a command of Ultralytics': what to type here.

    Args:
        words: after the program's name, `yolo` among them or not.

    Example:
        >>> here, whole = command_for(["detect", "train", "data=my.yaml", "epochs=3"]).split(". As a configuration, ")
        >>> here
        "Ultralytics' train is here: python -m aigp_lightning fit --config configs/detector.yaml --data.data_yaml \
my.yaml --trainer.max_epochs 3"
        >>> whole.partition(": python -m ")[2]
        'aigp_lightning from-ultralytics yolo detect train data=my.yaml epochs=3 --out mine.yaml'
    """
    joined = _joined(words)
    given = pairs(joined)
    named = [word for word in joined if "=" not in word and not is_flag(word)]
    task = next((word for word in named if word in CONFIGS or word in OTHER_TASKS), given.get("task"))
    mode = next((word for word in named if word in MODES), given.get("mode", "train"))
    if task in OTHER_TASKS:
        return f"Ultralytics' {task} is not trained here: {', '.join(CONFIGS)} are."
    if (other := next((word for word in named if word in NOT_HERE), None)) is not None:
        return f"Ultralytics' {other}: {NOT_HERE[other]}."
    if set(HELP) & set(words):
        verb = MODES[mode] if mode in named else ""
        return f"Options are listed by: {' '.join(filter(None, (PROGRAM, verb, '--help')))}"
    verb = "test" if mode == "val" and given.pop("split", "") == "test" else MODES.get(mode, "fit")
    if verb == "fit" and "cfg" in given:
        recipe, out = _recipe(joined)
        return f"Ultralytics' {mode} with a file of settings is here: {recipe}, then {PROGRAM} fit --config {out}"
    known = [*CONFIGS, *MODES, "yolo", "ultralytics"]
    rest = {name: value for name, value in given.items() if name not in ("task", "mode")}
    start = ["--config", CONFIGS[_task(task, rest.get("model", ""))]] if verb == "fit" else []
    options, left = translated(verb, rest, start)
    if verb != "fit" and "model" not in rest:
        run = RUN.format(task=_task(task, ""))
        start = [run] if verb == "export" else ["--ckpt_path", f"{run}/weights/best.ckpt"]
    note = f" ({NOTES[mode]})" if mode in NOTES else ""
    left += [word for word in named if word not in known]
    whole = f"{SAME}{_recipe(joined)[0]}" if verb == "fit" and rest else ""
    return f"Ultralytics' {mode} is here: {_typed(verb, [*start, *options])}{note}{_left_out(left)}{whole}"


def _recipe(words: Sequence[str]) -> tuple[str, str]:
    """Return the command that turns one of Ultralytics' into a configuration, and the configuration's file."""
    named = [word for word in words if word in CONFIGS or word in MODES]
    settings = [f"{name}={value}" for name, value in pairs(words).items()]
    out = next(name for name in OUT if not any(each.endswith(f"={name}") for each in settings))
    return f"{PROGRAM} from-ultralytics {shell_quoted('yolo', *named, *settings)} --out {out}", out


def _joined(words: Sequence[str]) -> list[str]:
    """Return a command with `--epochs 3` and `epochs = 3` as `epochs=3`.

    Example:
        >>> _joined(["yolo", "--epochs", "3", "imgsz", "=", "64", "lr0=", "1", "--save_txt", "--batch=2"])
        ['yolo', 'epochs=3', 'imgsz=64', 'lr0=1', 'save_txt', 'batch=2']
    """
    found: list[str] = []
    open_word = False  # its value comes next
    for word in words:
        takes = open_word and not word.startswith("--") and "=" not in word[1:]
        if takes and word != "=":
            found[-1] += word if found[-1].endswith("=") else f"={word}"
            open_word = False
        elif word == "=" and found:
            found[-1] += word
            open_word = True
        else:
            found.append(word.removeprefix("--"))
            open_word = (word.startswith("--") and "=" not in word and not is_flag(word[2:])) or word.endswith("=")
    return found


def corrected(verb: str, words: Sequence[str]) -> str:
    """Return the command that is meant where options stand as `word=value`, without dashes.

    Args:
        verb: fit, plan, validate, test, predict or export.
        words: after it.

    Example:
        >>> corrected("fit", ["-c", "my.yaml", "epochs=3", "data.imgsz=320"])
        'python -m aigp_lightning fit -c my.yaml --trainer.max_epochs 3 --data.imgsz 320'
    """
    given = pairs([word for word in words if not word.startswith("-")])
    kept = _start(verb, words, given)
    left: list[str] = []
    before = ""
    for word in words:
        match, dotted = PAIR.fullmatch(word), DOTTED.fullmatch(word)
        if before.startswith("-") and "=" not in before and not (before in FLAGS and "=" in word):
            kept.append(word)
        elif (match and not word.startswith("--")) or is_flag(word):
            name = match[1] if match else word
            options, missing = translated(verb, {name: given[name]}, [*kept, *words], given.get("epochs"))
            kept += options
            left += missing
        elif dotted:
            kept += [f"--{dotted[1]}", dotted[2]]
        elif word.startswith("-") or verb == "export":  # which takes the model's name alone
            kept.append(word)
        else:
            left.append(word)
        before = word
    whole = verb == "fit" and "data" in given and not any(word.startswith("-") for word in words)
    recipe = f"{SAME}{_recipe(['train', *words])[0]}" if whole else ""
    return f"{_typed(verb, kept)}{_left_out(left)}{recipe}"


def _start(verb: str, words: Sequence[str], given: Mapping[str, str]) -> list[str]:
    """Return the configuration that a training begins with, where the command names none and no class either."""
    if verb not in TRAINING or config_files(words) or named_class(words) is not None:
        return []
    return ["--config", CONFIGS[_task(given.get("task"), given.get("model", ""))]]


def translated(
    verb: str, given: Mapping[str, str], words: Sequence[str] = (), epochs: str | None = None
) -> tuple[list[str], list[str]]:
    """Return words of Ultralytics' as options of a verb, and those that have none there, with the reason.

    Args:
        verb: of ours.
        given: values by name.
        words: of the verb, whose configurations may say how many epochs are trained.
        epochs: of the run, where they are given among others.

    Example:
        >>> translated("fit", {"nms": "False", "cache": "True"})
        (['--model.nms_free', 'true', '--data.cache', 'ram'], [])
    """
    told = given.get("epochs", epochs) or named_values(words, named_class(words), (EPOCHS,)).get(EPOCHS, "")
    length = int(told) if told.isdigit() else None
    options: dict[str, str] = {}
    left: list[str] = []
    for name in sorted(given, key=lambda each: each != "model"):  # `pretrained` counts behind it
        found = translate(verb, name, given[name], length)
        options |= found.options
        if found.left is not None:
            left.append(f"{name} ({found.left})" if found.left else name)
    return [word for name, value in options.items() for word in (f"--{name}", value)], left


def _task(named: str | None, model: str) -> str:
    if named in CONFIGS:
        return str(named)
    return next((task for ending, task in ENDINGS.items() if ending in model), "detect")


def _typed(verb: str, options: Sequence[str]) -> str:
    return f"{PROGRAM} {verb} {shell_quoted(*options)}".rstrip()


def _left_out(names: Sequence[str]) -> str:
    return f". No option here: {', '.join(names)}" if names else ""
