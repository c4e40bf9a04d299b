"""Errors of libraries while a run is built from its options, each as one line that names the option.

Constructors of Lightning's, of loggers and of the user's own classes refuse their arguments in many ways. This is for
building alone: what fails while a run trains is looked at by `run/failures.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any

from aigp_lightning.errors import ConfigError, UserError, printable
from aigp_lightning.run.failures import is_misconfiguration

PACKAGE = str(Path(__file__).parent.parent)
LONGEST = 400
"""Characters of what a library says."""
OF_LIGHTNING = ("trainer.callbacks", "trainer.logger")
"""Options whose classes run beside the training."""
SHORTEST = 3
"""Characters of a value that is told from other words."""
WRAPPING = (
    "Does not validate", "Subtypes:", "Errors:", "Given value", "Problem with given class_path", "Expected a ",
    "Not a valid subclass", "Subclass types expect", "a class path", "a dict with class_path", "a dict with init_args",
)  # fmt: skip
"""Beginnings of jsonargparse's lines about the types that it tried."""
NO_MAPPING = re.compile(r"argument after \*\* must be a mapping, not (\w+)")
"""Said by Python of a group that was given as something else."""
OTHER_KIND = "does not correspond to a subclass of"
"""Said by each type that a class is not of."""


@contextmanager
def errors_as_options(options: Mapping[str, Any], classes: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turn an error of a library's constructor into one line that names the option.

    Args:
        options: the configuration, groups within it.
        classes: groups whose options are the arguments of a class, by the name of the class.

    Raises:
        ConfigError: a constructor of a library's, or of the user's, raised. An error that was raised in a line of this
            package is a defect of ours, and comes through as it is.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if _users_error(error) is None and _raised_here(error.__traceback__):
            raise
        raise ConfigError(describe(error, options, classes)) from error


def describe(
    error: Exception,
    options: Mapping[str, Any],
    classes: Mapping[str, str] | None = None,
    among: Collection[str] | None = None,
) -> str:
    """Return one line that names the option which an error is about.

    Args:
        error: raised by a constructor.
        options: the configuration.
        classes: see `errors_as_options`.
        among: names of the classes that it may be about; all by default.

    Example:
        >>> describe(TypeError("Stop() wants no mode"), {"stop": {"mode": "up", "patience": 3}}, {"Stop": "stop"})
        '--stop.mode up: Stop() wants no mode'
        >>> describe(ValueError("`devices` is 0"), {"trainer": {"devices": 0, "max_epochs": 1}})
        '--trainer.devices 0: `devices` is 0'
    """
    ours = _users_error(error)
    if ours is not None:
        return str(ours)
    known = {**class_options(options), **(classes or {})}
    known = {name: option for name, option in known.items() if among is None or name in among}
    kind = _class_at_fault(error, " ".join(str(error).split()), known)
    option = known[kind] if kind is not None else "trainer"
    text = printable(_reason(error))[:LONGEST]
    arguments = _arguments(options, option, kind)
    if (given := NO_MAPPING.search(text)) is not None:
        first = next((name for name, value in arguments.items() if type(value).__name__ == given[1]), None)
        text = "a group of options; give them by their names."
    else:
        first = _argument_at_fault(arguments, text)
    if first is None:
        return f"--{option}{f' {kind}' if kind is not None and kind not in (classes or {}) else ''}: {text}"
    return f"--{option}.{first} {printable(as_typed(arguments[first]))[:LONGEST]}: {text}"


def _argument_at_fault(arguments: Mapping[str, Any], text: str) -> str | None:
    """Return the argument that an error names first, or else the one whose value it names, such as a strategy's."""
    places = {
        name: found.start()
        for name in arguments
        if (found := re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text)) is not None
    }
    if not places:
        places = {
            name: text.lower().index(value.lower())
            for name, value in arguments.items()
            if isinstance(value, str) and len(value) >= SHORTEST and value.lower() in text.lower()
        }
    return min(places, key=lambda name: places[name]) if places else None


def as_typed(value: Any) -> str:
    """Return a value as one types it.

    Example:
        >>> as_typed(None), as_typed(True), as_typed(0.5)
        ('null', 'true', '0.5')
    """
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _users_error(error: BaseException | None) -> UserError | None:
    """Return the error of ours that led to another: jsonargparse wraps what a constructor raises."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__
    return error


def _reason(error: Exception) -> str:
    """Return what an error says, without the types that jsonargparse tried."""
    lines = [line.strip().removeprefix("- ") for line in str(error).splitlines()]
    if "Does not validate" in str(error):
        lines = [line for line in lines if line and not line.startswith(WRAPPING)]
        lines = [line for line in lines if OTHER_KIND not in line][:1] or lines[:1]
    return " ".join(" ".join(lines).split()) or type(error).__name__


def class_options(options: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Find the options that name a class.

    Returns:
        The option of each, by the name of the class.

    Example:
        >>> class_options({"trainer": {"logger": {"class_path": "lightning.pytorch.loggers.CSVLogger"}}})
        {'CSVLogger': 'trainer.logger'}
    """
    found: dict[str, str] = {}
    for key, value in options.items():
        name = before if key == "init_args" else f"{before}.{key}" if before else str(key)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Mapping):
                if isinstance(path := each.get("class_path"), str):
                    found.setdefault(path.rpartition(".")[2], name)
                found.update(class_options(each, name))
    return found


def fault_of_class(
    error: Exception, options: Mapping[str, Any], classes: Mapping[str, str] | None = None
) -> ConfigError | None:
    """Return an error that names the option, if a callback or logger of Lightning's failed within itself.

    Lightning looks at some of their arguments only when they are used, and says of others only then that they do not go
    together. A class of the user's is another matter: its traceback is what whoever writes it needs.

    Args:
        error: that ended a run.
        options: the configuration.
        classes: see `errors_as_options`.
    """
    beside = {name for name, option in class_options(options).items() if option in OF_LIGHTNING} | set(classes or {})
    failing, trace = is_misconfiguration(error), error.__traceback__
    while trace is not None:
        holder = type(trace.tb_frame.f_locals.get("self"))
        if trace.tb_frame.f_code.co_filename.startswith(PACKAGE):
            failing = is_misconfiguration(error)
        elif holder.__module__.startswith("lightning.") and holder.__name__ in beside:
            failing = True
        trace = trace.tb_next
    return ConfigError(describe(error, options, classes, beside)) if failing else None


def plain(values: Any) -> Any:
    """Turn the members of text enumerations, which some of Lightning's defaults are, into text that YAML can hold.

    Example:
        >>> from lightning.pytorch.callbacks.timer import Interval
        >>> plain({"callbacks": [{"interval": Interval.step}]})
        {'callbacks': [{'interval': 'step'}]}
    """
    if isinstance(values, Enum) and isinstance(values, str):
        return values.value
    if isinstance(values, list):
        return [plain(value) for value in values]
    if isinstance(values, Mapping) or hasattr(values, "as_flat"):
        for key in list(values.keys()):
            values[key] = plain(values[key])
    return values


def _arguments(options: Mapping[str, Any], option: str, kind: str | None) -> dict[str, Any]:
    """Return the values within a group, or the arguments of the class that it names, one of several perhaps."""
    values: Any = options
    for part in option.split("."):
        values = values.get("init_args", values) if isinstance(values, Mapping) else {}
        values = values.get(part) if isinstance(values, Mapping) else None
    for each in values if isinstance(values, list) else [values]:
        path = each.get("class_path") if isinstance(each, Mapping) else None
        if isinstance(each, Mapping) and (path is None or kind is None or path.rpartition(".")[2] == kind):
            return {name: value for name, value in each.get("init_args", each).items() if name != "class_path"}
    return {}


def _class_at_fault(error: Exception, text: str, known: Mapping[str, str]) -> str | None:
    """Return the innermost configured class that was at work, or that the error names."""
    found, trace = None, error.__traceback__
    while trace is not None:
        at_work = type(trace.tb_frame.f_locals.get("self")).__name__
        found = at_work if at_work in known else found
        trace = trace.tb_next
    return found or next((name for name in known if re.search(rf"\b{re.escape(name)}\b", text)), None)


def _raised_here(trace: TracebackType | None) -> bool:
    """True if the line that raised is this package's."""
    file = ""
    while trace is not None:
        file, trace = trace.tb_frame.f_code.co_filename, trace.tb_next
    return file.startswith(PACKAGE)
