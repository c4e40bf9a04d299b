"""The report on a recipe, in 80 columns: what was carried over, what has to be replaced, what is not here."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from aigp_lightning.checkpoints.weight_places import is_published_name, located
from aigp_lightning.errors import printable
from aigp_lightning.recipes.convert import Conversion, Row
from aigp_lightning.recipes.write_config import dumped

COLUMNS = 80
MOST = 44
"""Most characters of a value; of a longer one the end counts, which is a file's name."""


def shown(value: Any) -> str:
    r"""Return a value as a report has it, shortened in front.

    Example:
        >>> shown(True), shown(None), shown("a"), shown("C:\\" + "long" * 12)
        ('true', 'none', 'a', '…longlonglonglonglonglonglonglonglonglonglong')
    """
    text = "none" if value is None else str(value).lower() if isinstance(value, bool) else printable(value)
    return text if len(text) <= MOST else f"…{text[-MOST:]}"


def wrapped(text: str, columns: int = COLUMNS, first: str = "", rest: str = "  ") -> list[str]:
    """Break a text into lines; words that are longer than a line stay whole.

    Args:
        text: of words.
        columns: most characters of a line.
        first: begins the first line.
        rest: begins all others.
    """
    made = textwrap.wrap(
        text, columns, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return made or [first.rstrip()]


def report(conversion: Conversion, changed: dict[str, Any], base: str) -> Iterator[str]:
    """Yield the lines of the report.

    Args:
        conversion: of a recipe.
        changed: options with other values than the task's configuration has.
        base: name of that configuration.
    """
    recipe, network = conversion.recipe, conversion.network
    how = f" ({network.task_from})" if network.task_from else ""
    yield from wrapped(f"{printable(recipe.source)}: {network.task}{how}, {len(recipe.values)} settings")
    over = [row for row in conversion.of("carried") if set(row.outcome.options) & set(changed)]
    yield from _section(f"carried over, where it is another value than in {base}:", over, _carried)
    faults = [line for each in conversion.dataset.faults for line in wrapped(each, first="  ", rest="      ")]
    yield from _section("to replace:", conversion.of("replace"), _explained, faults)
    yield from _section("not here, and the training differs by it:", conversion.of("missing"), _explained)
    yield from _section("left out, the training is the same without:", conversion.of("left"), _explained)
    same = [row.name for row in conversion.of("carried") if row.given and row not in over]
    if same:
        yield ""
        yield "as it is here without being said:"
        yield from wrapped(", ".join(same), first="  ")
    yield from _notes(conversion)


def _section(title: str, rows: Iterable[Row], lines_of: Any, more: Iterable[str] = ()) -> Iterator[str]:
    listed = [*(line for row in rows for line in lines_of(row)), *more]
    if listed:
        yield ""
        yield title
        yield from listed


def _carried(row: Row) -> Iterator[str]:
    said = "" if row.given else " (Ultralytics' default)"
    left = f"  {row.name} {shown(row.value)}{said}"
    right = "  ".join(f"--{name} {_quoted(dumped(value))}" for name, value in row.outcome.options.items())
    why = f" ({row.outcome.why})" if row.outcome.why else ""
    if len(left) < INDENT - 1 and len(right) + len(why) <= COLUMNS - INDENT:
        yield f"{left:<{INDENT}}{right}{why}"
        return
    yield left
    yield from wrapped(right + why, first=" " * 6, rest=" " * 8)


INDENT = 30


def _explained(row: Row) -> Iterator[str]:
    own = [name for name in row.outcome.options if name.rpartition(".")[2] not in row.name]
    options = f" (here {' and '.join(f'--{name}' for name in own)})" if own else ""
    yield from wrapped(f"{row.name} {shown(row.value)}: {row.outcome.why}{options}", first="  ", rest="      ")


def _quoted(text: str) -> str:
    return f"'{text}'" if set(text) & set(" []{}*?#&;|<>$") and "'" not in text else text


def _notes(conversion: Conversion) -> Iterator[str]:
    """Yield what settings do not say: keys of data.yaml, weights that have to be fetched, who gets figures."""
    notes = [*conversion.dataset.doubts]
    network = conversion.network
    files = {str(conversion.options.get(name)) for name in ("model.weights", "model.distill_model")}
    for name in sorted(each for each in files if is_published_name(each) and located(each) is None):
        notes.append(f"weights {name}: `fetch {name}` downloads them")
    if network.task == "pose" and conversion.dataset.spec is None:
        notes.append("flips: without flip_idx in data.yaml there are no left-right flips, as there, and `fit` says so")
    logger = "a logger has to be named here: W&B by --config configs/logger/wandb.yaml"
    notes.append(f"the program uses W&B; {logger}" if conversion.recipe.wandb else
                 f"Ultralytics reports to W&B and others where its settings say so; {logger}")  # fmt: skip
    for note in notes:
        yield ""
        yield from wrapped(f"note: {note}")
