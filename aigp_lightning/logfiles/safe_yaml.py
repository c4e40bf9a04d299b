"""Reads YAML of strangers as data and within limits: aliases that repeat little, and numbers that fit 64 bits.

`&` and `*` let a file of 500 bytes stand for a thousand million values, or for one that holds itself. PyYAML reads both
at once, since it makes each value once; whatever walks over them or prints them later never ends.
"""

from __future__ import annotations

from typing import Any

MOST_REPEATED = 10_000
"""Most values that aliases may add to those that are written out."""
LARGEST = 2**63
"""Whole numbers lie below it, as the types of NumPy, PyTorch and TOML have it."""
LONGEST = 100
"""Characters of the longest number that is looked at; all of fewer than 64 bits are shorter."""
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def compose(text: str) -> Any:
    r"""Parse a YAML to nodes, which know their lines.

    Args:
        text: of the file.

    Returns:
        The root; None for an empty file.

    Raises:
        YAMLError: it is no YAML, or goes beyond the limits; with the line, where there is one.

    Example:
        >>> compose("a: &a [*a]")
        Traceback (most recent call last):
        yaml.constructor.ConstructorError: a value holds itself, by an alias (`*`)
          in "<unicode string>", line 1, column 4:
            a: &a [*a]
               ^
    """
    import yaml

    return _composed(text, yaml.SafeLoader)


def load(text: str, quick: bool = False) -> Any:
    r"""Read a YAML of plain values: nothing in it is run.

    Args:
        text: of the file.
        quick: by the parser in C, where there is one; it refuses a few texts that hold bytes of files' names.

    Returns:
        Its content.

    Raises:
        YAMLError: see `compose`; also values that cannot be made, such as the 99th of a month.

    Example:
        >>> load("a: &a [1, 2]\nb: *a")
        {'a': [1, 2], 'b': [1, 2]}
    """
    import yaml

    kind: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader) if quick else yaml.SafeLoader
    root = _composed(text, kind)
    return None if root is None else value_of(root)


def _composed(text: str, loader: Any) -> Any:
    """Parse a YAML to nodes that keep the limits; None for an empty file."""
    import yaml

    try:
        root = yaml.compose(text, Loader=loader)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
    check_limits(root)
    return root


def value_of(node: Any) -> Any:
    """Make the value of a node.

    Args:
        node: of `compose`.

    Raises:
        YAMLError: it cannot be made.
    """
    import yaml

    try:
        return yaml.SafeLoader("").construct_document(node)
    except yaml.YAMLError:
        raise
    except Exception as error:  # PyYAML's own of `!!int ""`, `!!bool maybe`, an impossible date, a key of no name
        raise _fault(node, f"a value that cannot be read ({error})") from error


def check_limits(root: Any, numbers: bool = True) -> None:
    """Refuse nodes whose aliases stand for too many values or for one that holds itself, and numbers that are too long.

    Args:
        root: the node; None for an empty file.
        numbers: look at numbers; False where all values are taken for texts.

    Raises:
        YAMLError: with its line.
    """
    import yaml

    if root is None:
        return
    try:
        _Limits(numbers).size(root)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error


class _Limits:
    """Counts the values that nodes stand for, each list and mapping once.

    Args:
        numbers: look at numbers too.
    """

    def __init__(self, numbers: bool) -> None:
        self._numbers = numbers
        self._written = 0
        self._sizes: dict[int, int] = {}

    def size(self, node: Any) -> int:
        """Return the values that a node stands for, itself among them."""
        if node.id == "scalar":
            if self._numbers and node.tag in NUMBERS:
                _check_number(node)
            return 1
        if (known := self._sizes.get(id(node))) is not None:
            if not known:  # it is being counted
                raise _fault(node, "a value holds itself, by an alias (`*`)")
            return known
        self._sizes[id(node)] = 0
        below = node.value if node.id == "sequence" else [each for pair in node.value for each in pair]
        self._written += len(below)
        size = 1 + sum(map(self.size, below))
        if size > self._written + MOST_REPEATED:
            raise _fault(node, f"aliases (`*`) repeat more than {MOST_REPEATED:,} values")
        self._sizes[id(node)] = size
        return size


def _check_number(node: Any) -> None:
    import yaml

    loader = yaml.SafeLoader("")
    if node.tag != NUMBERS[0]:
        try:
            loader.construct_yaml_float(node)
        except OverflowError as error:  # of `1:30:15.5`, which counts seconds
            raise _fault(node, "a number beyond 64 bits") from error
        except (ValueError, IndexError) as error:
            raise _fault(node, "this is no number") from error
        return
    if len(node.value) <= LONGEST:
        try:
            is_small = -LARGEST <= loader.construct_yaml_int(node) < LARGEST
        except (ValueError, IndexError) as error:
            raise _fault(node, "this is no whole number") from error
        if is_small:
            return
    raise _fault(node, "a whole number beyond 64 bits (a name goes in quotes)")


def _fault(node: Any, problem: str) -> Exception:
    from yaml.constructor import ConstructorError

    return ConstructorError(None, None, problem, node.start_mark)
