"""A YAML file as the texts that stand in it, each with its line, so that nothing is guessed and errors name a line.

YAML 1.1 makes `no` a truth value, `007` a number, `1.10` the number 1.1 and `12:30:45` a count of seconds. What a value
is meant as depends on its key, so that here every value stays text; `whole_number` and `number` read those of the keys
that hold numbers.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeAlias

from aigp_lightning.data.limits import MAX_YAML_BYTES, quoted, regular_file_size
from aigp_lightning.errors import DataError, first_line, printable
from aigp_lightning.logfiles.safe_yaml import LARGEST, check_limits

MAX_MESSAGE = 400
"""Most characters of a message; a value of the file may be in it."""
TAG = "tag:yaml.org,2002:"

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"
"""A value of the file: text as written, or None where there is none, or `null` or `~` without quotes."""


class Document:
    r"""A YAML mapping with all its values as they are written, and the line of each.

    Args:
        file: the YAML file.

    Attributes:
        values: value by top-level key; keys that are merged (`<<`) are among them.
        lines: line of each top-level key, from 1.

    Raises:
        DataError: it cannot be read, is no YAML or no mapping, has a key twice, or has a tag such as `!!binary`.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(dir=".")) / "data.yaml"
        >>> _ = file.write_text("train: images/train\nnames: [gate, no, 007]")
        >>> document = Document(file)
        >>> document.values["names"], document.lines["names"]
        (['gate', 'no', '007'], 2)
    """

    def __init__(self, file: Path) -> None:
        import yaml

        self.file = file
        try:
            regular_file_size(file, MAX_YAML_BYTES)
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise self._fault(None, f"not UTF-8 text ({error.reason}); save it as UTF-8") from error
        except OSError as error:
            raise self._fault(None, f"cannot be read ({error.strerror}); check the path and its permissions") from error
        except ValueError as error:
            raise self._fault(None, f"{error}; long lists of images go into a .txt file") from error
        try:
            self._loader: Any = yaml.SafeLoader(text)
            node = self._loader.get_single_node()
            check_limits(node, numbers=False)
            self._read: dict[int, tuple[Any, Value]] = {}  # by node, so that one that is used often is read once
            self._item_lines: dict[int, dict[str | int, int]] = {}
            values = None if node is None else self._value(node)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else None
            raise self._fault(line, f"not valid YAML: {error.problem or error.context}; mend that line") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:  # also of a nesting that is too deep
            raise self._fault(None, f"not valid YAML: {first_line(error)}") from error
        if not isinstance(values, dict):
            raise self._fault(None, "not a data set description; it needs the keys train, val and names")
        self.values = values
        self.lines: dict[str, int] = {str(key): line for key, line in self._item_lines[id(values)].items()}

    def error(self, key: str, text: str, item: str | int | None = None) -> DataError:
        """Make an error about one key, or an item below it, with its line where it is there."""
        items = self._item_lines.get(id(self.values.get(key)), {})
        return self._fault(self.lines.get(key) if item is None else items.get(item, self.lines.get(key)), text)

    def _fault(self, line: int | None, text: str) -> DataError:
        """Make an error about a line, or about the file."""
        where = printable(str(self.file)) if line is None else f"{printable(str(self.file))}:{line}"
        text = printable(text)
        return DataError(f"{where}: {text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + '…'}")

    # ---- from nodes to values ---------------------------------------------------------------------------------------

    def _value(self, node: Any) -> Value:
        """Read a node: a text, a list or a mapping."""
        if node.id == "scalar":
            return self._text(node)
        if id(node) not in self._read:
            self._refuse_tag(node, TAG + ("seq" if node.id == "sequence" else "map"))
            self._read[id(node)] = node, self._list(node) if node.id == "sequence" else self._mapping(node)
        return self._read[id(node)][1]

    def _text(self, node: Any) -> str | None:
        """Read a text as it is written; without quotes, `null`, `~` and nothing at all are None."""
        plain = node.style is None
        meant = self._loader.resolve(type(node), node.value, (plain, not plain))
        if node.tag != TAG + "str":
            self._refuse_tag(node, meant)
        return None if node.tag == TAG + "null" else str(node.value)

    def _list(self, node: Any) -> list[Value]:
        values = [self._value(item) for item in node.value]
        self._item_lines[id(values)] = {place: _line(item) for place, item in enumerate(node.value)}
        return values

    def _mapping(self, node: Any) -> dict[str, Value]:
        """Read a mapping. A key given twice is an error, since YAML would silently take the last."""
        own: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        lines: dict[str | int, int] = {}
        merged_lines: dict[str | int, int] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if key_node.id != "scalar":
                raise self._fault(line, "a key must be text; write it on one line, without brackets")
            if key_node.tag == TAG + "merge":
                for more in value_node.value if value_node.id == "sequence" else [value_node]:
                    values = self._value(more)
                    if not isinstance(values, dict):
                        raise self._fault(line, f"not valid YAML: `<<` takes a mapping, not {quoted(values)}")
                    merged = {**values, **merged}
                    merged_lines = {**self._item_lines[id(values)], **merged_lines}
                continue
            name = str(key_node.value)
            if name in own:
                raise self._fault(line, f"'{name:.80}' is also on line {lines[name]}; keep one of the two")
            own[name], lines[name] = self._value(value_node), line
        values = {**merged, **own}
        self._item_lines[id(values)] = {**merged_lines, **lines}
        return values

    def _refuse_tag(self, node: Any, meant: str) -> None:
        """Refuse a tag that is written out, such as `!!binary`: it asks for another value than what stands there."""
        if node.tag != meant:
            tag = str(node.tag).replace(TAG, "!!")
            raise self._fault(_line(node), f"not valid YAML for a data set: tag {tag:.80}; write it without")


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def whole_number(value: Value) -> int | None:
    """Read a text as a whole number; None where it is none, can be read as two, or has more than 64 bits.

    Example:
        >>> [whole_number(text) for text in ("4", "1e0", "0x1F", "02", "010", "1.5", "yes", "1e30", None)]
        [4, 1, 31, 2, None, None, None, None, None]
    """
    if not isinstance(value, str):
        return None
    whole: int | None
    try:
        whole = int(value, 0)
    except ValueError:
        found = number(value)
        whole = int(found) if found is not None and found == math.trunc(found) else None
    return whole if whole is not None and -LARGEST <= whole < LARGEST else None


def number(value: Value) -> float | None:
    """Read a text as a finite number; None where it is none, or can be read as two.

    YAML 1.1 takes `1e-2` for text, since it wants a dot and a sign. It takes `010` for 8, YAML 1.2 for 10.

    Example:
        >>> [number(text) for text in ("1e-2", ".5", "25e-3", "0.10", "010", ".inf", "12:30", "a")]
        [0.01, 0.5, 0.025, 0.1, None, None, None, None]
    """
    if not isinstance(value, str):
        return None
    try:
        found = float(value)
        digits = value.strip().lstrip("+-").replace("_", "")
        if digits[:1] == "0" and set(digits) <= set("01234567") and int(digits, 8) != int(digits):
            return None
    except ValueError:
        return None
    return found if math.isfinite(found) else None
