"""Options for what W&B gets besides scalars and pictures, and wandb's settings that follow from them."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from aigp_lightning.loggers.private_names import is_secret_name, is_secret_text
from aigp_lightning.ranges import Range, check_ranges

SECONDS = Range(0, 7 * 24 * 3600)


@dataclass
class WandbOptions:
    """Where at W&B a run goes, and what goes besides scalars and pictures: each channel a switch, private by default.

    Args:
        project: the project; `{wandb_project}` in the logger's options stands for it.
        entity: the team or user whose project it is; none: the login's own. `WANDB_ENTITY` says it too.
        tags: words by which runs are found, such as `[night, 640px]`.
        group: runs of one group are shown together, such as the seeds of one comparison.
        job_type: a word for the kind of run, such as `finetune`.
        notes: a sentence about the run.
        config: the run's options that are numbers, yes or no, or short plain words; never a path, a file's name, this
            user's or this machine's name, or what is called password, secret, token, key, user and the like.
        weights: upload the best checkpoint as a model artifact. Two paths go with it: the run folder's, inside the
            checkpoint, and the folder under your home in which wandb stages uploads. `WANDB_LOG_MODEL=true` asks for
            it too, `WANDB_LOG_MODEL=all` for every checkpoint that is saved.
        code: the Python files of this package, and those of yours that were loaded from the folder the run is
            started in.
        git: of the repository the run is started in: the remote's address without user, password and query, the commit,
            and what differs from it (`diff.patch`; files git doesn't track are not in it).
        command: the command line as typed, paths included; values of options called password, secret, token and the
            like, and passwords in addresses, are `***`.
        console: everything the run prints, and warnings, which name paths.
        system_metrics: load of processor, memory, disk, network and GPU, sampled while the run lasts.
        requirements: names and versions of all installed Python packages.
        host: this machine's name on the network.
        machine: operating system, Python, processors, GPU names.
        init_timeout: seconds to wait for the server at the start; after that the run is recorded offline.
        finish_timeout: seconds to wait at the end for what is still to be sent; the rest stays on disk.
    """

    project: str = "aigp-gate-detector"
    entity: str | None = None
    tags: list[str] = field(default_factory=list)
    group: str | None = None
    job_type: str | None = None
    notes: str | None = None
    config: bool = True
    weights: bool = False
    code: bool = False
    git: bool = False
    command: bool = False
    console: bool = False
    system_metrics: bool = False
    requirements: bool = False
    host: bool = False
    machine: bool = False
    init_timeout: float = 20
    finish_timeout: float = 120

    def __post_init__(self) -> None:
        check_ranges("--wandb", self, dict.fromkeys(("init_timeout", "finish_timeout"), SECONDS))


class SideChannel(NamedTuple):
    """One way in which something other than scalars and pictures could leave.

    Attributes:
        name: its option in the group `wandb`.
        on: whether it is asked for.
        sends: what goes when it is on.
    """

    name: str
    on: bool
    sends: str


WORDS = ("entity", "tags", "group", "job_type", "notes")
"""Options that `wandb.init` has by the same names; those of a logger's own, or of a variable of wandb's, win."""
SENDS = {
    "config": "options that are numbers, yes or no, or short plain words",
    "weights": "the best checkpoint, with the paths of the run folder and of wandb's staging folder",
    "code": "this package's Python files, and yours that were loaded",
    "git": "remote without user and password, commit, diff.patch",
    "command": "the command line, paths included, passwords masked",
    "console": "everything the run prints",
    "system_metrics": "load of processor, memory, disk, network, GPU",
    "requirements": "names and versions of the installed packages",
    "host": "this machine's name",
    "machine": "operating system, Python, processors, GPU names",
}


def side_channels(options: WandbOptions, log_model: bool | str | None = None) -> list[SideChannel]:
    """List every channel, for a table.

    Args:
        options: the group `wandb`.
        log_model: what will happen to weights: a logger's `log_model` after `resolve_loggers`, which considers its own
            option, `WANDB_LOG_MODEL` and whether the run is offline. None: what the group's option says.
    """
    on = {name: bool(getattr(options, name)) for name in SENDS}
    if log_model is not None:
        on["weights"] = bool(log_model)
    return [SideChannel(name, on[name], text) for name, text in SENDS.items()]


def wandb_settings(options: WandbOptions) -> dict[str, Any]:
    """Return wandb's settings for the channels that it has a switch of its own for.

    W&B bundles command line, program, folder, user, host, hardware and git into one record, "machine info". That record
    is never sent: each of these goes, if asked for, on a way of its own (`send_extras`), so that no switch opens two
    channels. The gate in front of it has to be open for system metrics and for the host's name all the same.

    Returns:
        Values for `wandb.Settings`; the names with `x_` are wandb's internals, and tests against a server hold them.
    """
    return {
        "x_disable_meta": True,
        "x_disable_machine_info": not (options.system_metrics or options.host),
        "x_disable_stats": not options.system_metrics,
        "host": socket.gethostname() if options.host else "",  # None would be filled in with the name
        "program": "train",  # else the path of the script
        "save_code": False,  # None would leave it to a switch of the account's
        "disable_code": True,
        "disable_git": True,
        "disable_job_creation": True,
        "label_disable": True,  # looks for labels in the script's text
        "console": "auto" if options.console else "off",
        "x_save_requirements": options.requirements,
        "capture_loggers": {},
        "sync_tensorboard": False,
        "docker": "",  # None would be filled in from the container's own metadata
        "program_abspath": "",
        "program_relpath": "",
        "git_commit": "",  # None would leave these to a variable
        "git_remote_url": "",
        "disable_git_fork_point": True,
        "sagemaker_disable": True,
        "launch": False,
        "allow_media_symlink": False,
        "use_dot_wandb": False,
        "x_skip_transaction_log": False,
        "stop_on_fatal_error": False,
        "init_timeout": options.init_timeout,
        "finish_timeout": options.finish_timeout,
        "finish_timeout_raises": True,
        "x_transaction_log_flush_interval": 0.1,  # a picture or checkpoint counts once W&B's row of it is on disk
        "quiet": True,  # among other things, asks the server for the account's name only to print it
    }


# ---- hyper-parameters ------------------------------------------------------------------------------------------------

PLAIN_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,31}")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
"""No sign or letter that could hide a word from `is_secret_name`."""
PLACES = re.compile(
    r"(^|_)(name|root|path|paths|dir|dirpath|file|files|yaml|weights|source|json|private|key|token|sign)$"
)
"""Options with such names hold places or names, never a setting: their words are not sent."""
ELSEWHERE = {
    *("run", "wandb", "mlflow", "routes", "output", "config", "ckpt_path", "logger", "callbacks", "plugins", "profiler")
}
"""Groups that say where a run is kept and who sees it, not how it learns."""
OPTIMIZERS = {"auto", "SGD", "MuSGD", "Adam", "Adamax", "AdamW", "NAdam", "RAdam", "RMSProp"}
"""Names that are no places: those of optimizers."""
LONGEST = 16
"""Elements of a list of numbers that is still a setting."""


def public_values(options: Mapping[str, Any], private: frozenset[str] | None = None) -> dict[str, Any]:
    """Return the part of a configuration that may be shown to others.

    Args:
        options: a configuration, nested.
        private: words in lower case that must not appear; None takes this user's and this machine's names.

    Returns:
        The same nesting with numbers, booleans, None, short lists of these, and plain words. `init_args` is left out
        as a level. Words that name something that exists here are places and stay, and so does whatever is called
        password, secret, token, key, e-mail, user and the like, a number too, and all below a group of such a name.
    """
    words = private_words() if private is None else private
    found: dict[str, Any] = {}
    for key, value in options.items():
        if key in ELSEWHERE or not _is_name(str(key), words):
            continue
        if isinstance(value, Mapping):
            inner = public_values(value, words)
            if key == "init_args":
                found.update(inner)
            elif inner:
                found[key] = inner
        elif _is_public(str(key), value, words):
            found[key] = list(value) if isinstance(value, tuple) else value
    return found


def _is_name(key: str, private: frozenset[str]) -> bool:
    """True if an option's name may be shown: no secret's, no place, nobody's."""
    return bool(NAME.fullmatch(key)) and not (is_secret_name(key) or is_secret_text(key) or key.lower() in private)


def private_words() -> frozenset[str]:
    """Return this user's and this machine's names, in lower case."""
    names = [socket.gethostname(), Path.home().name]
    with suppress(KeyError, OSError):  # a container's user without an entry
        names.append(getpass.getuser())
    return frozenset(name.lower() for name in names if len(name) > 1)


def _is_public(key: str, value: Any, private: frozenset[str]) -> bool:
    if value is None or isinstance(value, (bool, int, float)):
        return True
    if isinstance(value, (list, tuple)):
        return len(value) <= LONGEST and all(item is None or isinstance(item, (bool, int, float)) for item in value)
    if key == "name" and value in OPTIMIZERS:
        return True
    if not isinstance(value, str) or not PLAIN_WORD.fullmatch(value) or PLACES.search(key) or is_secret_text(value):
        return False
    return not any(word in value.lower() for word in private) and not Path(value).exists()
