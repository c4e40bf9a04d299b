"""Help of Lightning's verbs: our options first, the trainer's after them, each with a value as it is typed.

Longer than 250 lines: the help of a verb is put together top to bottom in one place.
It is made from the tables of names and the docstrings in the files, so that neither torch nor Lightning is imported.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from aigp_lightning.cli.by_class import named_class
from aigp_lightning.cli.option_docs import UNKNOWN, OptionDoc, class_doc, option_docs
from aigp_lightning.cli.option_names import GROUPS, MODELS, OF_A_CLASS, OWN, USUAL_MODEL
from aigp_lightning.cli.option_texts import EXAMPLES, OF_ROUTES, TABLES, table_docs
from aigp_lightning.cli.verb_texts import (
    CLASSES,
    EXAMPLE_CALLS,
    FIRST_TITLE,
    GROUP_CLASSES,
    IDLE,
    NAME_OF_OTHERS,
    OF_OTHER_VERBS,
    OF_PLOTS,
    OPTIONS_OF_TRAINING,
    ORDER,
    PURPOSE,
    TITLES,
    TRAINING_ONLY,
)
from aigp_lightning.errors import ConfigError

WIDTH = 80
YAML_WORDS = {"None": "null", "True": "true", "False": "false"}
PYTHON = re.compile(rf"\b({'|'.join(YAML_WORDS)})\b")
"""Python's words for values, which texts of classes have."""
PROGRAM = "python -m aigp_lightning"
TOGETHER = re.compile(r"(?:--[\w.]+ (?!-))?(?:'[^']*')?")
"""An option and the space before its value, and a value in quotation marks: a line does not end in them."""
MODEL_HELP = "--model.help"
NAMES = ("Ultralytics", "Lightning", "Albumentations", "Adam")
"""Words that begin with a capital wherever they stand."""
OTHER_CLASS = "PoseModule"
TEXT_OF_MODEL = "class of the model, as a YAML's model.class_path says it"
CLASS_OPTIONS = ("optimizer", "lr_scheduler")
"""Lightning's own options for a class of the user's."""


def help_of(verb: str, words: Sequence[str]) -> str | None:
    """Return the help that a command asks for; None where its own parser has to give it.

    Args:
        verb: fit, plan, validate, test or predict.
        words: after it.

    Raises:
        ConfigError: `--model.help` names a class that is not there.

    Example:
        >>> print(help_of("fit", ["--help"]).splitlines()[0])
        usage: python -m aigp_lightning fit [options]
        >>> help_of("fit", ["--run.name", "a"]) is None
        True
    """
    if {"-h", "--help"} & set(words):
        return verb_help(verb, _model(words))
    for place, word in enumerate(words):
        option, joined, value = word.partition("=")
        if option == MODEL_HELP:
            value = value if joined else (words[place + 1] if place + 1 < len(words) else USUAL_MODEL)
            return _help_of_class(verb, value.rpartition(".")[2], value)
    return None


def _help_of_class(verb: str, kind: str, value: str) -> str | None:
    if kind in CLASSES:
        return class_help(kind)
    if "." in value:
        return None  # a class of the user's
    raise ConfigError(f"{MODEL_HELP} {value}: the classes here are {', '.join(CLASSES)}; `{PROGRAM} {verb} --help`.")


def verb_help(verb: str, model: str = USUAL_MODEL) -> str:
    """Return the help of a verb, 80 columns wide.

    Args:
        verb: fit, plan, validate, test or predict.
        model: short name of the class whose options are shown.
    """
    trains = verb in ("fit", "plan")
    parts = [
        f"usage: {PROGRAM} {verb} [options]",
        PURPOSE[verb] + " " + "Options stand in YAML files (--config) or on the command line, which counts.",
        "examples:\n" + "\n".join(f"  {PROGRAM} {continued(call)}" for call in EXAMPLE_CALLS[verb]),
    ]
    lines = [_wrapped(part) if "\n" not in part else part for part in parts]
    if not trains:
        lines.append(
            "\n".join([f"{FIRST_TITLE}:", *(line for name in OF_OTHER_VERBS[verb] for line in _first(name, model))])
        )
    for group in TITLES if trains else ORDER:
        if (trains or group not in _unused(verb)) and (names := _names(verb, group, model)):
            lines.append(_group(group, names, _docs(group, model), trains))
        if group == (_last_of_model(model, trains)):
            lines.append(_other_models(verb, model))
    lines.append(_closing(verb, trains))
    return "\n\n".join(line for line in lines if line)


def class_help(kind: str) -> str:
    """Return the options of a model's class, 80 columns wide.

    Args:
        kind: its short name.
    """
    lines = [_wrapped(f"{kind}: {class_doc(CLASSES[kind])}"), f"  --model {kind}"]
    lines += [_group(group, names.split(), _docs(group, kind)) for group, names in MODELS[kind].items()]
    return "\n\n".join(lines)


def _model(words: Sequence[str]) -> str:
    named = (named_class(words) or USUAL_MODEL).rpartition(".")[2]
    return named if named in CLASSES else USUAL_MODEL


def _last_of_model(model: str, trains: bool) -> str:
    return list(MODELS[model])[-1] if trains else "model"


def _unused(verb: str) -> set[str]:
    """Return the groups that a verb which trains nothing reads and does not use."""
    return set(TRAINING_ONLY) - ({"media"} if verb in ("validate", "test") else set())


def _names(verb: str, group: str, model: str) -> list[str]:
    """Return the options of a group, in the order of its class or table."""
    if group == "media" and verb in ("validate", "test"):
        return list(OF_PLOTS)
    if group == "output":
        return [name.removeprefix("output.") for name in OWN[verb] if name.startswith("output.")]
    names = (MODELS[model] if group.partition(".")[0] == "model" else GROUPS).get(group, "").split()
    unused = () if verb in ("fit", "plan") else (*OPTIONS_OF_TRAINING, *IDLE[verb], *OF_OTHER_VERBS[verb])
    if group == "":
        own = [name for name in OWN[verb] if name != "output" and "." not in name]
        names = [name for name in [*names, *own] if name not in CLASS_OPTIONS]
    names = [name for name in names if f"{group}.{name}".lstrip(".") not in unused]
    order = list(_docs(group, model)) if names else []
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def _docs(group: str, model: str) -> Mapping[str, OptionDoc]:
    if group in TABLES:
        return table_docs(group)
    first, _, rest = group.partition(".")
    docs: Mapping[str, OptionDoc] = option_docs(CLASSES[model] if first == "model" else GROUP_CLASSES[first])
    for name in rest.split(".") if rest else ():
        docs = docs[name].options
    return docs


def _first(name: str, model: str) -> list[str]:
    """Return the lines of one option, by its dotted name."""
    group, _, last = name.rpartition(".")
    return _option(group, last, _docs(group, model).get(last, OptionDoc()))


def _group(group: str, names: Sequence[str], docs: Mapping[str, OptionDoc], trains: bool = True) -> str:
    lines = [_wrapped(f"{TITLES[group]}:")]
    if group == "model":
        lines += [f"  --model {OTHER_CLASS}", f"      {TEXT_OF_MODEL}"]
    for name in names:
        doc = docs.get(name, OptionDoc())
        if (group, name) == ("run", "name") and not trains:
            doc = OptionDoc(NAME_OF_OTHERS)
        if not doc.options:  # which is a group of its own
            lines += _option(group, name, doc)
    return "\n".join(lines)


def _option(group: str, name: str, doc: OptionDoc) -> list[str]:
    lines = [f"  --{f'{group}.{name}'.lstrip('.')} {example(group, name, doc)}".rstrip()]
    return lines + textwrap.wrap(option_text(doc), WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def example(group: str, name: str, doc: OptionDoc) -> str:
    """Return a value of an option as it is typed; empty where none is known, or none is given.

    Args:
        group: of the option.
        name: its last part.
        doc: what is known of it.

    Example:
        >>> example("media", "private_action", OptionDoc(default="mask", choices=("mask", "withhold")))
        'withhold'
    """
    full = f"{group}.{name}".lstrip(".")
    if full in EXAMPLES:
        return EXAMPLES[full]
    if name in TABLES.get(group, {}):
        return TABLES[group][name][0]
    if group == "media.routes":
        return OF_ROUTES
    if others := [each for each in doc.choices if each != doc.default]:
        return others[0]
    if doc.boolean and isinstance(doc.default, bool):
        return typed_value(not doc.default)
    return "" if doc.default in (UNKNOWN, None) else typed_value(doc.default)


def option_text(doc: OptionDoc) -> str:
    """Return the text of an option, with the words that it takes and its default, as YAML writes values.

    Args:
        doc: what is known of it.

    Example:
        >>> option_text(OptionDoc("Weights; None: random ones.", True))
        'weights; null: random ones (default: true)'
    """
    text = PYTHON.sub(lambda match: YAML_WORDS[match[0]], doc.text.rstrip("."))
    text = text[:1].lower() + text[1:] if text[:2].istitle() and not text.startswith(NAMES) else text
    notes = [", ".join(doc.choices)] if doc.choices and not all(word in text for word in doc.choices) else []
    if doc.default is not UNKNOWN and doc.default is not None:
        notes.append(f"default: {typed_value(doc.default)}")
    return f"{text} ({'; '.join(notes)})" if notes else text


def typed_value(value: Any) -> str:
    """Return a value as it is typed.

    Args:
        value: a plain one.

    Example:
        >>> typed_value((640, 360)), typed_value(False), typed_value(0.5)
        ("'[640, 360]'", 'false', '0.5')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return f"'[{', '.join(map(typed_value, value))}]'"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _other_models(verb: str, model: str) -> str:
    """Name the other classes, and the options that they alone have."""
    lines = [_wrapped(f"These are the options of {model}. Others: {MODEL_HELP} CLASS lists all of a class.")]
    own = {f"{group}.{name}" for group, names in MODELS[model].items() for name in names.split()}
    for kind in (each for each in CLASSES if each != model):
        groups = MODELS[kind]
        more = [f"--{group}.{name}" for group, names in groups.items() for name in names.split()]
        more = [name for name in more if name[2:] not in own and name[2:] not in groups]
        has = f"also has {' '.join(more)}" if more else "has no others"
        lines.append(_wrapped(f"{kind} ({PROGRAM} {verb} {MODEL_HELP} {kind}) {has}"))
    return "\n".join(lines)


def _closing(verb: str, trains: bool) -> str:
    options = ", ".join(f"--{name}" for name in OF_A_CLASS)
    told = f"A class of yours or Lightning's: {options}; such an option with .help and a class shows its arguments."
    if not trains:
        unused = _unused(verb)
        listed = ", ".join(group for group in TRAINING_ONLY if "." not in group and group in unused)
        told = (
            f"A YAML of fit serves {verb} too: what only training uses is read and not used here ({listed}; "
            f"`{PROGRAM} fit --help`).\n{told}"
        )
    return "\n".join(map(_wrapped, told.splitlines()))


def continued(call: str) -> str:
    """Return a command over as many lines as it needs, as a shell takes it.

    Args:
        call: without the program's name.

    Example:
        >>> continued("export runs/detect/gates --format onnx")
        'export runs/detect/gates --format onnx'
    """
    whole = TOGETHER.sub(lambda match: match[0].replace(" ", "\xa0"), call)
    lines = textwrap.wrap(whole, WIDTH - len(PROGRAM) - 5, break_on_hyphens=False, break_long_words=False)
    return " \\\n    ".join(lines).replace("\xa0", " ")


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_on_hyphens=False, break_long_words=False)
