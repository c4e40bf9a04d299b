"""Reads the keywords of `model.train(…)` in a Python program, as text: the program is not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from aigp_lightning.errors import ConfigError, printable
from aigp_lightning.recipes.program_names import ProgramNames
from aigp_lightning.recipes.recipe import Given, Recipe
from aigp_lightning.recipes.ultralytics_keys import KEYS

MODELS = ("YOLO", "RTDETR", "YOLOWorld", "YOLOE", "NAS", "SAM", "FastSAM")
"""Classes of Ultralytics' whose first argument is a model's file."""


def read_program(text: str, file: str) -> Recipe:
    r"""Read the one training of a program.

    Args:
        text: of the program.
        file: its name, for errors.

    Raises:
        ConfigError: it is no Python, or has no call of `train`, or several.

    Example:
        >>> recipe = read_program("N = 3\nmodel = YOLO('yolo11n.pt')\nmodel.train(data='a.yaml', epochs=N)", "t.py")
        >>> {name: given.value for name, given in recipe.values.items()}
        {'model': 'yolo11n.pt', 'data': 'a.yaml', 'epochs': 3}
    """
    tree = _parse(text, file)
    names = ProgramNames(tree)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_training(node, names)]
    if not calls:
        raise ConfigError(f"{file}: there is no call of `train` with keywords such as data=… in it.")
    if len(calls) > 1:
        lines = ", ".join(str(call.lineno) for call in calls)
        raise ConfigError(f"{file}: {len(calls)} trainings, on lines {lines}; give the one that is wanted in quotes.")
    return Recipe(file, _settings(calls[0], names, file), wandb=_uses_wandb(tree))


def read_call(text: str) -> Recipe:
    """Read a call as it may be typed: `model.train(…)`, `YOLO("yolo11n.pt").train(…)`, `dict(…)` or `{…}`.

    Args:
        text: of the call.

    Raises:
        ConfigError: it is no call with keywords.
    """
    source = "the call"
    tree = _parse(text, source)
    names = ProgramNames(tree)
    last = tree.body[-1] if tree.body else None
    node = last.value if isinstance(last, ast.Expr | ast.Assign) else None
    if isinstance(node, ast.Dict):
        node = ast.copy_location(ast.Call(ast.Name("dict"), [], [ast.keyword(None, node)]), node)
    if not isinstance(node, ast.Call):
        raise ConfigError(f"{source}: keywords are wanted, such as model.train(data='my.yaml', epochs=3).")
    return Recipe(source, _settings(node, names, source))


def _parse(text: str, file: str) -> ast.Module:
    try:
        return ast.parse(text.strip() if file == "the call" else text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        why = getattr(error, "msg", None) or str(error) or "it is nested too deeply"
        raise ConfigError(f"{file}{f':{line}' if line else ''}: it is no Python: {why}.") from error


def _is_training(call: ast.Call, names: ProgramNames) -> bool:
    """True if a call is one of Ultralytics' `train`, and not that of a module of PyTorch's, which takes a mode."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "train":
        return False
    keywords = [keyword.arg for keyword in call.keywords]
    return None in keywords or bool(set(keywords) & set(KEYS)) or _model(call, names) is not None


def _model(call: ast.Call, names: ProgramNames) -> ast.expr | None:
    """Return what the class of the object that is trained was called with: `YOLO("yolo11n.pt")`."""
    held = _held(call, names)
    held = held.func.value if _loads(held) and isinstance(held.func, ast.Attribute) else held
    if not isinstance(held, ast.Call) or ast.unparse(held.func).rpartition(".")[2] not in MODELS:
        return None
    named = [keyword.value for keyword in held.keywords if keyword.arg == "model"]
    return next(iter([*held.args, *named]), None)


def _held(call: ast.Call, names: ProgramNames) -> Any:
    """Return what the object that is trained was made by."""
    held: ast.expr | None = call.func.value if isinstance(call.func, ast.Attribute) else None
    return names.value(held) if isinstance(held, ast.Name) else held


def _loads(held: Any) -> bool:
    """True if weights are loaded into a network: `YOLO("yolo11n.yaml").load("yolo11n.pt")`."""
    return isinstance(held, ast.Call) and isinstance(held.func, ast.Attribute) and held.func.attr == "load"


def _settings(call: ast.Call, names: ProgramNames, file: str) -> dict[str, Given]:
    found: dict[str, Given] = {}
    trained = call.func.value if isinstance(call.func, ast.Attribute) else None
    if (model := _model(call, names)) is not None:
        found["model"] = _given(model, names)
    elif isinstance(trained, ast.Name) and names.is_bound(trained):
        found["model"] = Given(trained.id, trained.lineno, unread=True)
    if (weights := _loaded(trained, _held(call, names), names)) is not None:
        found["pretrained"] = weights
    if any(isinstance(each, ast.Starred) for each in call.args) or (call.args and trained is None):
        raise _unclear(call.args[0], file)
    if call.args and not (isinstance(call.args[0], ast.Constant) and call.args[0].value is None):
        found["trainer"] = Given(ast.unparse(call.args[0]), call.args[0].lineno, unread=True)
    named = set[str]()
    for name, node in _keywords(call, names, file):
        if name in named:
            raise ConfigError(f"{file}:{node.lineno}: {printable(name)} is given twice in one call; keep one.")
        named.add(name)
        found[name] = _given(node, names)
    return found


def _loaded(trained: ast.expr | None, held: Any, names: ProgramNames) -> Given | None:
    """Return the weights that are loaded into a network, where it is made or later: `model.load("yolo11n.pt")`."""
    later = list[ast.Call]()
    if isinstance(trained, ast.Name):
        for use in names.uses(trained):
            method = names.parent(use)
            called = names.parent(method) if isinstance(method, ast.Attribute) and method.attr == "load" else None
            later += [called] if isinstance(called, ast.Call) else []
    calls = [*([held] if _loads(held) else []), *later]
    weights = [next(iter([*call.args, *(keyword.value for keyword in call.keywords)]), None) for call in calls]
    if len(weights) == 1 and weights[0] is not None:
        return _given(weights[0], names)
    return Given(ast.unparse(calls[-1]), calls[-1].lineno, unread=True) if calls else None


def _keywords(call: ast.Call, names: ProgramNames, file: str) -> Iterator[tuple[str, ast.expr]]:
    """Yield the keywords of a call; those of `**settings` too, where the program says what is in there."""
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg, keyword.value
            continue
        held = names.value(keyword.value) if isinstance(keyword.value, ast.Name) else keyword.value
        if isinstance(held, ast.Dict):
            for key, value in zip(held.keys, held.values, strict=True):
                if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                    raise _unclear(keyword.value, file, "**")
                yield key.value, value
        elif isinstance(held, ast.Call) and ast.unparse(held.func) == "dict" and not held.args:
            yield from _keywords(held, names, file)
        else:
            raise _unclear(keyword.value, file, "**")


def _unclear(node: ast.expr, file: str, stars: str = "") -> ConfigError:
    return ConfigError(
        f"{file}:{node.lineno}: {stars}{ast.unparse(node)}: what is in there is known only when the program "
        "runs; write the keywords out, or give the args.yaml of a run."
    )


def _given(node: ast.expr, names: ProgramNames) -> Given:
    held = (names.value(node) or node) if isinstance(node, ast.Name) else node
    try:
        value: Any = ast.literal_eval(held)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return Given(ast.unparse(node), node.lineno, unread=True)
    return Given(value, node.lineno)


def _uses_wandb(tree: ast.Module) -> bool:
    """True if a program imports W&B."""
    imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    imported += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return any(name.split(".")[0] == "wandb" or name.startswith("wandb.") for name in imported)
