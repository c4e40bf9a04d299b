"""Errors that a user can act on. The command line prints their text without a traceback."""


def warn_user(text: str, everywhere: bool = False) -> None:
    """Warn the user. Python's own warnings would name a line of ours.

    Args:
        text: what there is to know.
        everywhere: each process says it, of itself; otherwise one for all.
    """
    from lightning_utilities.core import rank_zero

    (rank_zero.log.info if everywhere else rank_zero.rank_zero_info)(f"warning: {text}")


class UserError(Exception):
    """Something in the user's input is wrong: a file, a value, a path. The message says what to do about it.

    Attributes:
        status: with which the command line ends.
        shared: all processes of a run fail alike, so that one of them says it.
    """

    status = 2
    shared = True


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
