"""A YAML file that tells on which line a value stands, so that errors can name it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aigp_lightning.data.limits import MAX_YAML_BYTES, regular_file_size
from aigp_lightning.errors import DataError, first_line, printable

MAX_MESSAGE = 400
"""Most characters of a message; a value of the file may be in it."""


class Document:
    r"""A parsed YAML, with the line of each top-level key.

    Args:
        file: the YAML file.

    Attributes:
        values: the parsed content.
        lines: line of each top-level key, from 1.

    Raises:
        DataError: it cannot be read, is no YAML or no mapping, or has a key twice.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(dir=".")) / "data.yaml"
        >>> _ = file.write_text("train: images/train\nnames: [gate]")
        >>> document = Document(file)
        >>> document.values["names"], document.lines["names"]
        (['gate'], 2)
    """

    def __init__(self, file: Path) -> None:
        import yaml

        self.file = file
        self.lines: dict[str, int] = {}
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
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
            values = loader.construct_document(node) if node is not None else None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else None
            raise self._fault(line, f"not valid YAML: {error.problem or error.context}; mend that line") from error
        except Exception as error:  # PyYAML's own: anything that a wrong value or too deep a nesting makes of it
            told = isinstance(error, yaml.YAMLError | ValueError | RecursionError) and str(error).strip()
            why = first_line(error) if told else "a value does not fit its tag"
            raise self._fault(None, f"not valid YAML: {why}") from error
        if not isinstance(values, dict) or not isinstance(node, yaml.MappingNode):
            raise self._fault(None, "not a data set description; it needs the keys train, val and names")
        self.values: dict[Any, Any] = values
        self._find_lines(node)

    def _fault(self, line: int | None, text: str) -> DataError:
        """Make an error about a line, or about the file."""
        where = printable(str(self.file)) if line is None else f"{printable(str(self.file))}:{line}"
        text = printable(text)
        return DataError(f"{where}: {text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + '…'}")

    def _find_lines(self, node: Any) -> None:
        """Note the line of every key; a key given twice is an error, since YAML would silently take the last."""
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in self.lines:
                raise self._fault(line, f"'{name:.80}' is also on line {self.lines[name]}; keep one of the two")
            self.lines[name] = line
            if name == "names" and isinstance(value.value, list) and value.id == "mapping":
                seen: dict[str, int] = {}
                for class_id, _ in value.value:
                    at = class_id.start_mark.line + 1
                    if str(class_id.value) in seen:
                        raise self._fault(
                            at,
                            f"class {class_id.value!s:.80} is also on line {seen[str(class_id.value)]}; "
                            "give every class its own id",
                        )
                    seen[str(class_id.value)] = at

    def error(self, key: str, text: str) -> DataError:
        """Make an error about one key, with its line where the key is there."""
        return self._fault(self.lines.get(key), text)
