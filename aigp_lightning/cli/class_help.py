"""Help of verbs whose options are the fields of one class: each with a value as it is typed, no Python types."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from aigp_lightning.cli.option_docs import UNKNOWN, OptionDoc, option_docs, own_options
from aigp_lightning.cli.verb_help import PROGRAM, WIDTH, continued, example, option_text, typed_value

PPO = {
    "resume": "output/apex_policy", "env.module": "my_simulator", "env.id": "Pendulum-v1",
    "env.kwargs": "'{track: random}'", "eval_env.kwargs": "'{start_noise: 0.5}'", "eval_env.n_envs": "64",
    "ppo.learning_rate": "'{start: 1e-3, end: 0}'", "ppo.clip_range": "'{start: 0.2, end: 0.1}'",
    "ppo.clip_range_vf": "0.2", "ppo.target_kl": "0.02", "ppo.ent_coef": "0.01", "ppo.device": "auto",
    "early_stop.success": "0.99",
}  # fmt: skip
"""Values of the policy's options."""
VALUES: Mapping[str, Mapping[str, str]] = {
    "export": {
        "ckpt_path": "best.ckpt", "weights": "best.pt", "format": "onnx", "out": "exported/", "imgsz": "640",
        "opset": "18", "nms_free": "true", "precision": "fp16,int8", "data_yaml": "data.yaml", "compare": "val",
    },
    "validate --sequence": {
        "sequence": "flights/", "ckpt_path": "best.ckpt", "weights": "best.onnx", "thresholds": "thresholds.json",
        "fps": "30", "out": "results/", "camera": "'{profile: ts-005}'", "imgsz": "640",
    },
    "make-data": {"task": "pose", "workers": "4", "profile": "ts-005", "keypoints": "rings", "sequences": "5"},
    "split": {
        "by": "group", "val": "0.2", "test": "0.1", "gap": "15", "group": r"'flight_(\d+)'", "seed": "1",
        "out": "my/data.yaml", "leak_limit": "0.02",
    },
    "calibrate": {
        "ckpt_path": "best.ckpt", "weights": "best.onnx", "data.source": "frames/", "data.block": "30",
        "conf": "0.1:0.9:0.1", "keypoint_conf": "0.2,0.5", "iou": "0.5,0.7", "reprojection": "2,4,8,null",
        "target": "'false_alarms <= 0.05'", "maximize": "usable", "minimize": "position_m", "out": "thresholds/",
    },
    "ppo fit": PPO,
    "ppo evaluate": {**PPO, "model": "output/apex_policy/best", "episodes": "1000", "out": "results/"},
    "ppo export": {"format": "'[onnx]'", "out": "deploy/"},
}  # fmt: skip
"""Values that say more than a default does, by verb."""
CONFIG = ("--config configs/policy.yaml", "a YAML with options; may be repeated, later ones count")
PRINT = ("--print_config", "print the options that a command comes to, as YAML, and do nothing else")
FIRST: Mapping[str, tuple[tuple[str, str], ...]] = {
    "export": (
        ("RUN", "the model: a run folder, a checkpoint or a weights file"),
        ("--config my.yaml", "or of this configuration the newest run that its run.name names; may be repeated"),
    ),
    "split": (("FOLDER", "a folder of pictures and their labels, or an existing data.yaml, which stays as it is"),),
    "calibrate": (
        ("RUN", "the model: a run folder, a checkpoint, a weights file or an exported file"),
        ("--config my.yaml", "or of this configuration the newest run that its run.name names; may be repeated"),
    ),
    "ppo fit": (CONFIG, PRINT),
    "ppo evaluate": (CONFIG, PRINT),
    "ppo export": (("--config my.yaml", CONFIG[1]), PRINT),
}
"""Arguments that a verb takes besides the fields of its class."""
MODEL_WORD = {"export": " [RUN]", "calibrate": " [RUN]", "split": " FOLDER"}
"""Arguments in a verb's usage that are no options."""
OF_BASES = "Options of the training, by default as in the config.yaml of the model's run"
"""Heading of the options that a class has from another."""


def help_of_class(verb: str, kind: type | str, description: str, call: str) -> str:
    """Return the help of a verb, 80 columns wide: its own options, those of its class's bases, and their groups.

    Args:
        verb: the word after the program's name.
        kind: the class of its options, or module and name; its docstring has their texts.
        description: of the verb.
        call: an example, without the program's name.

    Example:
        >>> from aigp_lightning.deploy.options import ExportOptions
        >>> print(help_of_class("export", ExportOptions, "Write files.", "export RUN").splitlines()[0])
        usage: python -m aigp_lightning export [RUN] [options]
    """
    path = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    lines = [f"usage: {PROGRAM} {verb}{MODEL_WORD.get(verb, '')} [options]", "", *textwrap.wrap(description, WIDTH), ""]
    for typed, text in FIRST.get(verb, ()):
        lines += [f"  {typed}", *_indented(text)]
    docs, own = option_docs(path), own_options(path)
    flat = {name: doc for name, doc in docs.items() if not doc.options}
    lines += _options(verb, {name: flat[name] for name in own if name in flat})
    if of_bases := {name: doc for name, doc in flat.items() if name not in own}:
        lines += ["", f"{OF_BASES}:", *_options(verb, of_bases)]
    for group, doc in docs.items():
        if doc.options:
            heading = textwrap.wrap(f"{doc.text[:1].upper()}{doc.text[1:].rstrip('.')}:", WIDTH)
            options = {f"{group}.{name}": each for name, each in doc.options.items()}
            lines += ["", *heading, *_options(verb, options)]
    return "\n".join([*lines, "", "example:", f"  {PROGRAM} {continued(call)}"])


def _options(verb: str, docs: Mapping[str, OptionDoc]) -> list[str]:
    lines = []
    for name, doc in docs.items():
        value = VALUES.get(verb, {}).get(name)
        if value is None:
            plain = doc.default not in (UNKNOWN, None) and not doc.boolean and not doc.choices
            value = typed_value(doc.default) if plain else example("", name, doc)
        lines += [f"  --{name} {value}".rstrip(), *_indented(option_text(doc))]
    return lines


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
