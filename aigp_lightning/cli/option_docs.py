"""Texts and defaults of options, read from the files of their classes: nothing is imported, so help comes at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = "aigp_lightning"
UNKNOWN = object()
"""Stands for a default that the file does not say as a plain value."""
DEEPEST = 8
"""Imports that are followed from name to name."""


@dataclass(frozen=True)
class OptionDoc:
    """Text and default of an option.

    Attributes:
        text: what its class says of it.
        default: a plain value, or `UNKNOWN`.
        choices: the words that it takes; empty where it takes others.
        boolean: whether it takes true and false.
        kinds: the types that it takes, as they are written, besides nothing; `Literal` for words.
        options: those below it, where it is a group.
    """

    text: str = ""
    default: Any = UNKNOWN
    choices: tuple[str, ...] = ()
    boolean: bool = False
    kinds: tuple[str, ...] = ()
    options: Mapping[str, OptionDoc] = field(default_factory=dict)


def class_doc(class_path: str) -> str:
    """Return the first sentence of a class's docstring.

    Args:
        class_path: module and name.

    Example:
        >>> class_doc("aigp_lightning.run.folder.RunConfig")
        'Where the run keeps its files.'
    """
    module, _, name = class_path.rpartition(".")
    text = ast.get_docstring(_class(module, name)[1]) or ""
    return " ".join(text.partition("\n\n")[0].split())


@cache
def option_docs(class_path: str) -> dict[str, OptionDoc]:
    """Return the options that a class takes, with those of its bases in this package, by name.

    Args:
        class_path: module and name of a class with a constructor or fields, whose docstring has `Args:`.

    Example:
        >>> options = option_docs("aigp_lightning.run.folder.RunConfig")
        >>> options["name"].default, options["resume"].choices, options["exist_ok"].boolean
        ('gates', ('auto', 'always', 'never'), True)
    """
    module, _, name = class_path.rpartition(".")
    where, node = _class(module, name)
    found: dict[str, OptionDoc] = {}
    own = list(_arguments(node))
    if any(each[0] == "**" for each in own) or not own or not _constructor(node):
        for base in node.bases:
            if (place := _resolve(where, ast.unparse(base))) is not None and isinstance(place[1], ast.ClassDef):
                found |= option_docs(f"{place[0]}.{place[1].name}")
    texts = _texts(ast.get_docstring(node) or "")
    for option, annotation, default in own:
        if option != "**":
            found[option] = _doc(where, texts.get(option, ""), annotation, default)
    return found


def own_options(class_path: str) -> list[str]:
    """Return the names of the options that a class has besides those of its bases.

    Args:
        class_path: module and name.

    Example:
        >>> own_options("aigp_lightning.policy.verb_config.EvaluateConfig")[:2]
        ['model', 'policy']
    """
    module, _, name = class_path.rpartition(".")
    return [option for option, _, _ in _arguments(_class(module, name)[1])]


def _doc(module: str, text: str, annotation: ast.expr | None, default: ast.expr | None) -> OptionDoc:
    choices: list[str] = []
    kinds: list[str] = []
    boolean, options = False, {}
    parts = [each for each in _parts(annotation) if each != "None"]
    for each in parts:
        place = _resolve(module, each) if each.isidentifier() else None
        before = len(choices)
        if each == "bool":
            boolean = True
        elif each.startswith("Literal["):
            choices += _literal(each)
        elif place is not None and isinstance(place[1], ast.ClassDef) and len(parts) == 1:
            options = option_docs(f"{place[0]}.{place[1].name}")
        elif place is not None and (alias := ast.unparse(place[1])).startswith("Literal["):
            choices += _literal(alias)
        kinds.append("Literal" if len(choices) > before else each)
    return OptionDoc(text, _value(module, default), tuple(choices), boolean, tuple(kinds), options)


def _literal(text: str) -> list[str]:
    content = ast.literal_eval(f"[{text.removeprefix('Literal[').removesuffix(']')}]")
    return [str(each) for each in content]


def _parts(annotation: ast.expr | None) -> list[str]:
    """Return the alternatives of a type, as they are written."""
    if isinstance(annotation, ast.BinOp):
        return _parts(annotation.left) + _parts(annotation.right)
    return [] if annotation is None else [ast.unparse(annotation)]


def _value(module: str, node: ast.expr | None) -> Any:
    """Return a default, if it is a plain value, or the name of one."""
    if node is None:
        return UNKNOWN
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "field":
        made = next((each.value for each in node.keywords if each.arg == "default_factory"), None)
        return _value(module, made.body) if isinstance(made, ast.Lambda) else UNKNOWN
    try:
        return ast.literal_eval(node)
    except ValueError:
        pass
    if isinstance(node, ast.Name) and (place := _resolve(module, node.id)) is not None:
        return _value(place[0], place[1]) if isinstance(place[1], ast.expr) else UNKNOWN
    return UNKNOWN


def _constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    return next((each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None)


def _arguments(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr | None, ast.expr | None]]:
    """Yield name, type and default of what a class is made from; `**` stands for the arguments of its base."""
    made = _constructor(node)
    if made is None:
        for each in node.body:
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                yield each.target.id, each.annotation, each.value
        return
    named = made.args.args[1:]
    defaults: list[ast.expr | None] = [None] * (len(named) - len(made.args.defaults))
    for argument, default in zip(named, [*defaults, *made.args.defaults], strict=True):
        yield argument.arg, argument.annotation, default
    for argument, default in zip(made.args.kwonlyargs, made.args.kw_defaults, strict=True):
        yield argument.arg, argument.annotation, default
    if made.args.kwarg is not None:
        yield "**", None, None


def _texts(docstring: str) -> dict[str, str]:
    """Return what a docstring says below `Args:`, by name."""
    lines = docstring.partition("Args:\n")[2].splitlines()
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent == 0:
            break
        if indent == 4 and ":" in line:  # noqa: PLR2004  an argument's own line
            name, _, rest = line.strip().partition(":")
            found[name] = [rest.strip()]
        elif name and line.strip():
            found[name].append(line.strip())
    return {key: " ".join(parts) for key, parts in found.items()}


@cache
def _tree(module: str) -> ast.Module:
    """Parse the file of a module of this package."""
    base = Path(__file__).parents[1].joinpath(*module.split(".")[1:])
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def _class(module: str, name: str) -> tuple[str, ast.ClassDef]:
    place = _resolve(module, name)
    assert place is not None and isinstance(place[1], ast.ClassDef), f"{module} has no class {name}"
    return place[0], place[1]


@cache
def _resolve(module: str, name: str, depth: int = DEEPEST) -> tuple[str, Any] | None:
    """Return where a name of a module comes from, and its class or value; None where it is not of this package."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and depth and (node.module or "").startswith(PACKAGE):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _resolve(str(node.module), alias.name, depth - 1)
        if isinstance(node, ast.Assign) and [ast.unparse(each) for each in node.targets] == [name]:
            return module, node.value
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name and node.value is not None:
            return module, node.value
    return None
