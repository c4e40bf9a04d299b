"""Values of the wrong type on the command line, told in one line before anything heavy is imported.

The types are read from the files of the options' classes, as the help is; an option whose type is not a simple one is
left to its parser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest

from aigp_lightning.cli.by_class import named_class
from aigp_lightning.cli.option_docs import OptionDoc, option_docs
from aigp_lightning.cli.option_texts import EARLY_STOPPING, EXAMPLES, TABLES, WHOLE_NUMBERS
from aigp_lightning.cli.verb_help import example
from aigp_lightning.cli.verb_texts import CLASSES, GROUP_CLASSES
from aigp_lightning.errors import ConfigError, printable

ALONE = ("--extend", "--print_config", "-h", "--help")
"""Options that may stand without a value."""
SIMPLE = {"int", "float", "bool", "Literal"}
"""Types whose values can be told from others by their words alone."""
NUMBERS = {"int": "a whole number", "float": "a number"}
NOTHING = ("null", "none", "~", "")
"""Words for no value, which the parser knows best where one is needed."""
Docs = Callable[[str], Sequence[OptionDoc]]
"""Finds what is known of an option by its name without dashes: one of each class that it may be of."""


def check_values(verb: str, words: Sequence[str]) -> None:
    """Refuse an option of Lightning's verbs without a value, and a value that cannot be of the option's type.

    Args:
        verb: fit, plan, validate, test or predict.
        words: after it.

    Raises:
        ConfigError: there is one.

    Example:
        >>> check_values("fit", ["--data.imgsz", "abc"])
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --data.imgsz abc: a whole number, such as 640.
    """
    alone = (*ALONE, "--json") if verb == "plan" else ALONE
    named = (named_class(words) or "").rpartition(".")[2]
    kinds = [kind for kind in CLASSES if named in ("", kind)]

    def docs(name: str) -> list[OptionDoc]:
        group, _, last = name.rpartition(".")
        first, _, inner = group.partition(".")
        if group in TABLES:
            return [_of_table(group, last)]
        paths = [CLASSES[kind] for kind in kinds] if first == "model" else [GROUP_CLASSES.get(first, "")]
        return [doc for path in paths if path and (doc := _found(path, inner, last)) is not None]

    _check(words, docs, alone, {})


def check_values_of_class(path: str, words: Sequence[str], examples: Mapping[str, str]) -> None:
    """Refuse the same of a verb whose options are the fields of one class.

    Args:
        path: module and name of the class.
        words: after the verb.
        examples: of values, by option.

    Raises:
        ConfigError: there is one.

    Example:
        >>> check_values_of_class("aigp_lightning.deploy.options.ExportOptions", ["--out"], {"out": "exported/"})
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --out needs a value, as in --out exported/.
    """

    def docs(name: str) -> list[OptionDoc]:
        group, _, last = name.rpartition(".")
        return [doc] if (doc := _found(path, group, last)) is not None else []

    _check(words, docs, ALONE, examples)


def _found(path: str, group: str, name: str) -> OptionDoc | None:
    """Return what is known of an option of a class, or of a group within it."""
    docs: Mapping[str, OptionDoc] = option_docs(path)
    for part in group.split(".") if group else ():
        docs = docs[part].options if part in docs else {}
    return docs.get(name)


def _of_table(group: str, name: str) -> OptionDoc:
    """Return the type of an option of Lightning's, where it is a simple one."""
    if f"{group}.{name}" in WHOLE_NUMBERS:
        return OptionDoc(default=int(TABLES[group][name][0]), kinds=("int",))
    line = EARLY_STOPPING.get(name) if group == "early_stopping" else None
    return OptionDoc(boolean=True, kinds=("bool",)) if line and isinstance(line[1], bool) else OptionDoc()


def _check(words: Sequence[str], docs: Docs, alone: Sequence[str], examples: Mapping[str, str]) -> None:
    is_value = False
    for word, following in zip_longest(words, words[1:]):
        option, joined, value = word.partition("=")
        name = option[2:].replace(".init_args.", ".")
        if is_value or not word.startswith("--") or not name or option in alone or name.endswith((".help", "+")):
            is_value = False
            continue
        known = docs(name)
        is_value = not joined
        if is_value and (following is None or following.startswith("--")):
            typed = _example(name, known, examples)
            raise ConfigError(f"{option} needs a value{typed and f', as in {option} {typed}'}.")
        value = value if joined else following
        if wanted := _wanted(known, value):
            typed = _example(name, known, examples)
            such_as = f", such as {typed}" if typed and wanted in NUMBERS.values() else ""
            raise ConfigError(f"{option} {printable(value)}: {wanted}{such_as}.")


def _example(name: str, known: Sequence[OptionDoc], examples: Mapping[str, str]) -> str:
    """Return a value of an option as it is typed; empty where none is known."""
    if name in examples:
        return examples[name]
    group, _, last = name.rpartition(".")
    return EXAMPLES.get(name) or (example(group, last, known[0]) if known else "")


def _wanted(known: Sequence[OptionDoc], text: str) -> str:
    """Return what an option takes, if a value is none of it in any class that has the option; else nothing."""
    if text.strip().lower() in NOTHING:
        return ""
    for doc in known:
        if not doc.kinds or set(doc.kinds) - SIMPLE or any(_fits(kind, doc, text) for kind in doc.kinds):
            return ""
    return _either(known[0]) if known else ""


def _either(doc: OptionDoc) -> str:
    """Return what an option takes, in words.

    Example:
        >>> _either(OptionDoc(kinds=("Literal",), choices=("a", "b", "c"))), _either(OptionDoc(kinds=("int",)))
        ('a, b or c', 'a whole number')
    """
    number = next((words for kind, words in reversed(NUMBERS.items()) if kind in doc.kinds), None)
    words = [*doc.choices, *(("true", "false") if "bool" in doc.kinds else ()), *([number] if number else ())]
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _fits(kind: str, doc: OptionDoc, text: str) -> bool:
    import yaml

    if kind == "Literal":
        return text.strip("'\" ") in doc.choices
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    if kind == "bool":
        return isinstance(value, bool) or text.lower() in ("true", "false")
    if isinstance(value, bool):
        return False
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return kind == "float" or number.is_integer()
