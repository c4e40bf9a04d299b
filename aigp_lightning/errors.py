"""Errors that a user can act on, and the words for the user. The command line prints errors without a traceback."""

import re
from importlib import import_module

UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, of which ESC begins a terminal's commands
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # reorder or hide text
    "\u2028\u2029\ud800-\udfff]"  # line ends of Unicode, and what is no Unicode: bytes of a file's name
)
"""Characters that control a terminal, reorder a line or cannot be written."""


def printable(text: object, lines: bool = False) -> str:
    r"""Escape in a text of others, such as a class's or a file's name, what would control the terminal.

    Args:
        text: such as a name; letters of all scripts stay.
        lines: keep the line ends.

    Example:
        >>> printable("\x1b[31mred\ngate"), printable("a\nb", lines=True), printable("Tür, ворота, 门")
        ('\\x1b[31mred\\ngate', 'a\nb', 'Tür, ворота, 门')
    """
    kept = "\n" if lines else ""
    return UNPRINTABLE.sub(lambda found: found[0] if found[0] in kept else escape(found[0]), str(text))


def escape(character: str) -> str:
    r"""Return the escape of a character, as Python writes it.

    Example:
        >>> escape("\x1b"), escape("\u202e")
        ('\\x1b', '\\u202e')
    """
    return character.encode("unicode_escape").decode("ascii")


def tell_user(text: str, everywhere: bool = False) -> None:
    """Tell the user something, in the log of the run.

    Args:
        text: one or more lines.
        everywhere: each process says it, of itself; otherwise one for all.
    """
    from lightning_utilities.core import rank_zero

    if not hasattr(rank_zero.rank_zero_only, "rank"):
        import lightning.pytorch.utilities.rank_zero  # noqa: F401  # which finds out the rank of this process

    (rank_zero.log.info if everywhere else rank_zero.rank_zero_info)(printable(text, lines=True))


def warn_user(text: str, everywhere: bool = False) -> None:
    """Warn the user. Python's own warnings would name a line of ours.

    Args:
        text: what there is to know.
        everywhere: each process says it, of itself; otherwise one for all.
    """
    tell_user(f"warning: {text}", everywhere)


class UserError(Exception):
    """Something in the user's input is wrong: a file, a value, a path. The message says what to do about it.

    Attributes:
        status: with which the command line ends.
        shared: all processes of a run fail alike, so that one of them says it.
    """

    status = 2
    shared = True

    def __str__(self) -> str:
        """Return the message; names of files and words of others in it control no terminal, in a script either."""
        return printable(super().__str__(), lines=True)


class DataError(UserError):
    """A data set or one of its files is wrong; the message names the file, and the line where there is one."""


class ConfigError(UserError):
    """An option or a combination of options is wrong."""


class WeightsError(UserError):
    """A checkpoint or weights file is missing, unreadable or does not fit."""


class RunError(UserError):
    """Something outside ended a run: the disk, memory, a process that is gone, a loss that is no number.

    Args:
        text: what happened, what is left and what to do.
        shared: all processes of a run raise it.
    """

    status = 1

    def __init__(self, text: str, shared: bool = False) -> None:
        super().__init__(text)
        self.shared = shared


def lacking(package: str) -> str:
    """Return the name of a package that cannot be imported, with the reason where it is installed; or an empty text.

    Args:
        package: what is imported, if it can be.

    Example:
        >>> lacking("json"), lacking("no_such_package_here")
        ('', 'no_such_package_here')
    """
    try:
        import_module(package)
    except Exception as error:  # a broken installation raises whatever it likes
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            return package
        return f"{package} (installed, but importing it fails: {first_line(error)})"
    return ""


def first_line(error: object) -> str:
    r"""Reduce an exception, or what it says, to one line.

    Example:
        >>> first_line(ValueError("cut off\nand more"))
        'cut off'
        >>> first_line(KeyError())
        'KeyError'
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
