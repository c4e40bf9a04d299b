"""Help of verbs whose options are the fields of one class: each with a value as it is typed, no Python types."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from aigp_lightning.cli.option_docs import UNKNOWN, option_docs
from aigp_lightning.cli.verb_help import PROGRAM, WIDTH, continued, example, option_text, typed_value

VALUES: Mapping[str, Mapping[str, str]] = {
    "export": {
        "ckpt_path": "best.ckpt", "weights": "best.pt", "format": "onnx", "out": "exported/", "imgsz": "640",
        "opset": "18", "nms_free": "true",
    },
    "make-data": {"task": "pose", "workers": "4"},
}  # fmt: skip
"""Values that say more than a default does, by verb."""
FIRST: Mapping[str, tuple[tuple[str, str], ...]] = {
    "export": (
        ("RUN", "the model: a run folder, a checkpoint or a weights file"),
        ("--config my.yaml", "or of this configuration the newest run that its run.name names; may be repeated"),
    ),
}
"""Arguments that a verb takes besides the fields of its class."""
MODEL_WORD = {"export": " [RUN]"}
"""Arguments in a verb's usage that are no options."""


def help_of_class(verb: str, kind: type, description: str, call: str) -> str:
    """Return the help of a verb, 80 columns wide.

    Args:
        verb: the word after the program's name.
        kind: the class of its options; its docstring has their texts.
        description: of the verb.
        call: an example, without the program's name.

    Example:
        >>> from aigp_lightning.deploy.options import ExportOptions
        >>> print(help_of_class("export", ExportOptions, "Write files.", "export RUN").splitlines()[0])
        usage: python -m aigp_lightning export [RUN] [options]
    """
    lines = [f"usage: {PROGRAM} {verb}{MODEL_WORD.get(verb, '')} [options]", "", *textwrap.wrap(description, WIDTH), ""]
    for typed, text in FIRST.get(verb, ()):
        lines += [f"  {typed}", *_indented(text)]
    for name, doc in option_docs(f"{kind.__module__}.{kind.__qualname__}").items():
        value = VALUES.get(verb, {}).get(name)
        if value is None:
            plain = doc.default not in (UNKNOWN, None) and not doc.boolean and not doc.choices
            value = typed_value(doc.default) if plain else example("", name, doc)
        lines += [f"  --{name} {value}".rstrip(), *_indented(option_text(doc))]
    return "\n".join([*lines, "", "example:", f"  {PROGRAM} {continued(call)}"])


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
