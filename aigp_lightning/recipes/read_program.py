"""Reads the keywords of `model.train(…)` in a Python program, as text: the program is not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.recipes.recipe import Given, Recipe
from aigp_lightning.recipes.ultralytics_keys import KEYS

MODELS = ("YOLO", "RTDETR", "YOLOWorld", "YOLOE", "NAS", "SAM", "FastSAM")
"""Classes of Ultralytics' whose first argument is a model's file."""
Names = dict[str, ast.expr]


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
    names = _names(tree)
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
    names = _names(tree)
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
        why = getattr(error, "msg", None) or str(error)
        raise ConfigError(f"{file}{f':{line}' if line else ''}: it is no Python: {why}.") from error


def _names(tree: ast.Module) -> Names:
    """Return the names that are given one value, anywhere in a program."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None) if isinstance(node, ast.Assign | ast.AnnAssign) else None
        for target in targets:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(value if isinstance(value, ast.expr) else ast.Name(""))
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _is_training(call: ast.Call, names: Names) -> bool:
    """True if a call is one of Ultralytics' `train`, and not that of a module of PyTorch's, which takes a mode."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "train":
        return False
    keywords = [keyword.arg for keyword in call.keywords]
    return None in keywords or bool(set(keywords) & set(KEYS)) or _model(call, names) is not None


def _model(call: ast.Call, names: Names) -> ast.expr | None:
    """Return what the class of the object that is trained was called with: `YOLO("yolo11n.pt")`."""
    held = _held(call, names)
    held = held.func.value if _loads(held) and isinstance(held.func, ast.Attribute) else held
    if not isinstance(held, ast.Call) or ast.unparse(held.func).rpartition(".")[2] not in MODELS:
        return None
    named = [keyword.value for keyword in held.keywords if keyword.arg == "model"]
    return next(iter([*held.args, *named]), None)


def _held(call: ast.Call, names: Names) -> Any:
    """Return what the object that is trained was made by."""
    held: ast.expr | None = call.func.value if isinstance(call.func, ast.Attribute) else None
    return names.get(held.id) if isinstance(held, ast.Name) else held


def _loads(held: Any) -> bool:
    """True if weights are loaded into a network: `YOLO("yolo11n.yaml").load("yolo11n.pt")`."""
    return isinstance(held, ast.Call) and isinstance(held.func, ast.Attribute) and held.func.attr == "load"


def _settings(call: ast.Call, names: Names, file: str) -> dict[str, Given]:
    found: dict[str, Given] = {}
    if (model := _model(call, names)) is not None:
        found["model"] = _given(model, names)
    if _loads(held := _held(call, names)) and held.args:
        found["pretrained"] = _given(held.args[0], names)
    if call.args and isinstance(call.func, ast.Attribute):
        found["trainer"] = Given(ast.unparse(call.args[0]), call.args[0].lineno, unread=True)
    for name, node in _keywords(call, names, file):
        found[name] = _given(node, names)
    return found


def _keywords(call: ast.Call, names: Names, file: str) -> Iterator[tuple[str, ast.expr]]:
    """Yield the keywords of a call; those of `**settings` too, where the program says what is in there."""
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg, keyword.value
            continue
        held = names.get(keyword.value.id) if isinstance(keyword.value, ast.Name) else keyword.value
        if isinstance(held, ast.Dict):
            for key, value in zip(held.keys, held.values, strict=True):
                if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                    raise _unclear(keyword.value, file)
                yield key.value, value
        elif isinstance(held, ast.Call) and ast.unparse(held.func) == "dict":
            yield from _keywords(held, names, file)
        else:
            raise _unclear(keyword.value, file)


def _unclear(node: ast.expr, file: str) -> ConfigError:
    return ConfigError(
        f"{file}:{node.lineno}: **{ast.unparse(node)}: what is in there is known only when the program runs; write the "
        "keywords out, or give the args.yaml of a run."
    )


def _given(node: ast.expr, names: Names) -> Given:
    held = names.get(node.id, node) if isinstance(node, ast.Name) else node
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
