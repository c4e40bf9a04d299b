"""Errors that a user can act on. The command line prints their text without a traceback."""


def warn_user(text: str) -> None:
    """Warn the user, once for all processes. Python's own warnings would name a line of ours."""
    from lightning_utilities.core.rank_zero import rank_zero_info

    rank_zero_info(f"warning: {text}")


class UserError(Exception):
    """Something in the user's input is wrong: a file, a value, a path. The message says what to do about it."""


class DataError(UserError):
    """A data set or one of its files is wrong; the message names the file, and the line where there is one."""


class ConfigError(UserError):
    """An option or a combination of options is wrong."""


class WeightsError(UserError):
    """A checkpoint or weights file is missing, unreadable or does not fit."""
