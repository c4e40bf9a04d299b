"""Tables of an installed package, read from its source: importing the package would take seconds, and run it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def source_of(package: str, file: str) -> ast.Module:
    """Return the syntax tree of a file of an installed package, which is not imported.

    Args:
        package: such as `ultralytics`.
        file: its path in the package.

    Raises:
        ValueError: there is no such file, or it is no Python.

    Example:
        >>> len(source_of("json", "scanner.py").body) > 5
        True
    """
    spec = find_spec(package)
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    try:
        return ast.parse((Path(folders[0]) / file).read_text(encoding="utf-8"))
    except (OSError, IndexError, SyntaxError) as error:
        raise ValueError(f"{package} has no {file}") from error


def value_of(node: ast.AST, names: Mapping[str, Any] | None = None) -> Any:
    """Return the value of an expression of literals, their sums, f-strings and list comprehensions; runs no code.

    Args:
        node: the expression.
        names: values of the names in it.

    Raises:
        ValueError: something else is in it.

    Example:
        >>> value_of(ast.parse('frozenset([f"v{k}{s}" for k in "nm" for s in ("", "-seg")] + ["sam"])').body[0].value)
        ['vn', 'vn-seg', 'vm', 'vm-seg', 'sam']
    """
    known = names or {}
    found: Any
    match node:
        case ast.Constant(value=value):
            found = value
        case ast.Name(id=name) if name in known:
            found = known[name]
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            found = [value_of(part, known) for part in parts]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            found = value_of(left, known) + value_of(right, known)
        case ast.JoinedStr(values=parts):
            found = "".join(str(value_of(part, known)) for part in parts)
        case ast.FormattedValue(value=inner, conversion=-1, format_spec=None):
            found = value_of(inner, known)
        case ast.ListComp(elt=element, generators=loops):
            found = [value_of(element, scope) for scope in _scopes(loops, known)]
        case ast.Call(func=ast.Name(id="frozenset" | "set" | "tuple" | "list"), args=[inner], keywords=[]):
            found = value_of(inner, known)
        case _:
            raise ValueError(f"{type(node).__name__} is no literal")
    return found


def _scopes(loops: list[ast.comprehension], names: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the values of the names for every turn of a comprehension's loops."""
    if not loops:
        yield dict(names)
        return
    match loops[0]:
        case ast.comprehension(target=ast.Name(id=name), iter=over, ifs=[]):
            for value in value_of(over, names):
                yield from _scopes(loops[1:], {**names, name: value})
        case _:
            raise ValueError("a comprehension with conditions is no literal")
