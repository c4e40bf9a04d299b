"""Names in a Python program whose value its text alone says: they are bound once, and what they hold is not changed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
HARMLESS_METHODS = ("copy", "count", "get", "index", "items", "keys", "values")
"""Methods that leave a list or a dict as it is."""
HARMLESS_FUNCTIONS = (
    "dict",
    "enumerate",
    "len",
    "list",
    "max",
    "min",
    "print",
    "repr",
    "set",
    "sorted",
    "str",
    "tuple",
)
"""Functions of Python's that leave their arguments as they are."""


class Scope:
    """Names of a module, a function, a class or a comprehension, with what each is bound to.

    Args:
        parent: in which names are looked up that this one does not bind.
        kind: the node that it belongs to.
    """

    def __init__(self, parent: Scope | None, kind: ast.AST) -> None:
        self.parent, self.kind = parent, kind
        self.bound: dict[str, list[ast.expr | None]] = {}

    def bind(self, name: str, value: ast.expr | None = None) -> None:
        """Note a binding; without a value it is one whose value the text does not say."""
        self.bound.setdefault(name, []).append(value)

    def around(self) -> Scope | None:
        """Return the scope in which functions in this one look names up: not that of a class."""
        return self.parent if isinstance(self.kind, ast.ClassDef) else self


class ProgramNames:
    r"""The names of a program.

    Args:
        tree: of the program.

    Example:
        >>> tree = ast.parse("n = 3\nm = []\nm.append(n)\nuse(n, m)")
        >>> names = ProgramNames(tree)
        >>> [ast.unparse(value) if (value := names.value(name)) else None for name in tree.body[-1].value.args]
        ['3', None]
    """

    def __init__(self, tree: ast.Module) -> None:
        self._scopes: dict[ast.AST, Scope] = {}
        self._parents: dict[ast.AST, ast.AST] = {}
        self._loads: dict[str, list[ast.Name]] = {}
        self._shared: set[str] = set()
        self._star_line = 0
        self.module = Scope(None, tree)
        work: list[tuple[ast.AST, Scope]] = [(tree, self.module)]
        while work:  # no recursion: programs may be nested deeply
            node, scope = work.pop()
            self._scopes[node] = scope
            for child, where in self._visit(node, scope):
                self._parents[child] = node
                work.append((child, where))

    def value(self, name: ast.Name) -> ast.expr | None:
        """Return what a name holds; None where only a run of the program would tell.

        Args:
            name: where it is used.
        """
        scope = self._holder(name)
        if scope is None or name.id in self._shared or len(scope.bound[name.id]) > 1:
            return None
        value = scope.bound[name.id][0]
        if value is None or (scope is self._scopes.get(name) and value.lineno > name.lineno):
            return None
        if scope is self.module and self._star_line > value.lineno:
            return None
        changes = _can_be_changed(value) and not all(self._is_harmless(each) for each in self.uses(name))
        return None if changes else value

    def is_bound(self, name: ast.Name) -> bool:
        """True if the program says anywhere what a name is, be it known or not.

        Args:
            name: where it is used.
        """
        return self._holder(name) is not None

    def uses(self, name: ast.Name) -> Iterator[ast.Name]:
        """Yield the places in which what a name holds is used, this one too.

        Args:
            name: where it is used.
        """
        scope = self._holder(name)
        return (each for each in self._loads.get(name.id, ()) if self._holder(each) is scope)

    def parent(self, node: ast.AST) -> ast.AST | None:
        """Return the node that a node is a part of.

        Args:
            node: of the program.
        """
        return self._parents.get(node)

    def _holder(self, name: ast.Name) -> Scope | None:
        """Return the scope that binds a name."""
        scope: Scope | None = self._scopes.get(name, self.module)
        while scope is not None and name.id not in scope.bound:
            scope = scope.parent
        return scope

    def _visit(self, node: ast.AST, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
        """Note what a node binds, and yield its parts with the scopes that they are in."""
        if isinstance(node, FUNCTIONS):
            yield from self._function(node, scope)
        elif isinstance(node, ast.ClassDef):
            scope.bind(node.name)
            inner = Scope(scope, node)
            inside = set(map(id, node.body))
            yield from ((child, inner if id(child) in inside else scope) for child in ast.iter_child_nodes(node))
        elif isinstance(node, COMPREHENSIONS):
            inner = Scope(scope, node)
            yield from ((child, inner) for child in ast.iter_child_nodes(node))
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
            yield from self._assignment(node, scope)
        else:
            self._other(node, scope)
            yield from ((child, scope) for child in ast.iter_child_nodes(node))

    def _function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope
    ) -> Iterator[tuple[ast.AST, Scope]]:
        if not isinstance(node, ast.Lambda):
            scope.bind(node.name)
        inner = Scope(scope.around(), node)
        inside = {id(node.body)} if isinstance(node, ast.Lambda) else set(map(id, node.body))
        own = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg)
        for argument in own:
            if argument is not None:
                inner.bind(argument.arg)
        yield from ((child, inner if id(child) in inside else scope) for child in ast.iter_child_nodes(node))

    def _assignment(
        self, node: ast.Assign | ast.AnnAssign | ast.NamedExpr, scope: Scope
    ) -> Iterator[tuple[ast.AST, Scope]]:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        value = node.value if len(targets) == 1 and not isinstance(node, ast.NamedExpr) else None
        where = scope
        while isinstance(node, ast.NamedExpr) and isinstance(where.kind, COMPREHENSIONS) and where.parent is not None:
            where = where.parent
        for target in targets:
            if isinstance(target, ast.Name):
                where.bind(target.id, value)
            else:
                yield target, scope
        if node.value is not None:
            yield node.value, scope

    def _other(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                self._loads.setdefault(node.id, []).append(node)
            else:
                scope.bind(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                scope.bind(alias.asname or alias.name.partition(".")[0])
            if any(alias.name == "*" for alias in node.names):
                self._star_line = max(self._star_line, node.lineno)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            self._shared |= set(node.names)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            scope.bind(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            scope.bind(node.rest)

    def _is_harmless(self, name: ast.Name) -> bool:
        """True if what a name holds cannot be changed where it is used."""
        parent = self.parent(name)
        if isinstance(parent, ast.Subscript):
            return isinstance(parent.ctx, ast.Load)
        if isinstance(parent, ast.Attribute):
            return parent.attr in HARMLESS_METHODS
        if isinstance(parent, ast.keyword):
            call = self.parent(parent)
            trains = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "train"
            return parent.arg is None or trains
        if isinstance(parent, ast.Call):
            return isinstance(parent.func, ast.Name) and parent.func.id in HARMLESS_FUNCTIONS
        return isinstance(parent, ast.Compare | ast.FormattedValue | ast.Expr)


def _can_be_changed(value: ast.expr) -> bool:
    """True if a value is a list, a set or a dict."""
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in ("dict", "list", "set")
    return isinstance(value, ast.Dict | ast.List | ast.Set)
