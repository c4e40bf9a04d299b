"""Every option of every verb with wrong, odd and rare values: which there are, how one is tried, what must hold.

The options come from the parsers themselves, so that a new one is swept without anybody thinking of it.
"""

from __future__ import annotations

import contextlib
import io
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar
from zlib import crc32

from aigp_lightning.cli.main import VERBS
from aigp_lightning.cli.option_names import OWN
from aigp_lightning.cli.plan import PlanCLI
from aigp_lightning.cli.training import AigpCLI

NUMBERS = ("-1", ".nan", "99999999999", "-0.5", "1e30", ".inf", "0")
SHAPES = ("{class_path: no.such.Thing}", "[1, {a: 1}]", "nothing here", "[]", "{a: 1}", "true", "", "{class_path: 3}")
NAMES = (".", "a/b/c", "~", "null", "ä#%[", "007", "1:2:3")
VALUES = (*NUMBERS, *SHAPES, *NAMES)
"""Values that are each wrong for some kinds of option, odd for others."""
MOST_LINES, LONGEST = 4, 1500
"""Of an error, without usage and hint."""
NAMED = re.compile(r"--([a-z_][\w.]*)[ =](\S+?)(?=[\s,;:.)]|$)")


@dataclass(frozen=True)
class Outcome:
    """What came of one call.

    Attributes:
        status: of the call, or of the SystemExit that ended it; None where an exception came through.
        text: what was printed on stdout and stderr.
        error: the traceback of an exception that came through.
    """

    status: int | None
    text: str
    error: str = ""

    @property
    def told(self) -> str:
        """What was printed of the error: without usage and hint, class paths of options as one types them."""
        lines = self.text.splitlines()
        starts = [number for number, line in enumerate(lines) if "error:" in line]
        return "\n".join(lines[starts[-1] :] if starts else []).replace("init_args.", "")


def call(words: Sequence[object]) -> Outcome:
    """Call the command line in this process."""
    from aigp_lightning.cli.main import main

    error, status = "", None
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(printed):
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException as broken:
            error = f"{type(broken).__name__}: {broken}\n" + "".join(traceback.format_exc())
    return Outcome(status, printed.getvalue(), error)


def flatten(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the options of a configuration by the names that one types, with their values."""
    for key, value in values.items():
        name = before if key == "init_args" else f"{before}.{key}" if before else key
        if key not in ("class_path", "init_args", "config"):
            yield name, value
        if isinstance(value, Mapping):
            yield from flatten(value, name)


def help_names(words: Sequence[str]) -> set[str]:
    """Return the options that the parser of a verb names in its own help."""
    lines = [line for line in parser_help(words).splitlines() if re.match(r"  (-\w\b|--)", line)]
    return {name.removesuffix(".help") for line in lines for name in re.findall(r"--([a-z_][\w.]*)", line)}


def parser_help(words: Sequence[str]) -> str:
    """Return the help of a verb's own parser; what `fit --help` prints is made without one."""
    verb = words[0]
    if verb not in OWN:
        return call([*words, "--help"]).text
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        import_module(VERBS[verb][0]).main(verb, [*words[1:], "--help"])
    return printed.getvalue()


def fields_of(kind: type, **given: Any) -> dict[str, Any]:
    """Return the options that a verb makes of a dataclass."""
    return dict(flatten(asdict(kind(**given))))


class Parsed:
    """Lightning's command line, whose parsers are built once for each class of model.

    Attributes:
        seen: the configuration of the last call, by verb.
    """

    seen: ClassVar[dict[str, dict[str, Any]]] = {}
    parsers: ClassVar[dict[tuple[type, str, str], Any]] = {}

    def setup_parser(self: Any, *args: Any, **kwargs: Any) -> None:
        """Build the parser, or take the one of before."""
        key = (type(self), self.verb, self.usual)
        if key not in Parsed.parsers:
            super().setup_parser(*args, **kwargs)  # type: ignore[misc]
            Parsed.parsers[key] = self.parser, self._subcommand_parsers
        self.parser, self._subcommand_parsers = Parsed.parsers[key]

    def parse_arguments(self: Any, *args: Any) -> None:
        """Parse, and keep what was parsed."""
        super().parse_arguments(*args)  # type: ignore[misc]
        Parsed.seen[self.verb] = self.config[self.verb].as_dict()


class ParsedCLI(Parsed, AigpCLI):
    """`fit`, `validate`, `test` and `predict`."""


class ParsedPlan(Parsed, PlanCLI):
    """`plan`."""


class BuiltCLI(ParsedCLI):
    """`fit`, `validate`, `test` and `predict` up to where they would begin."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Stop: everything is built."""


class BuiltPlan(ParsedPlan):
    """`plan` up to where it would draw."""

    def _run_subcommand(self, subcommand: str) -> None:
        self._scratch.cleanup()


def fault(option: str, outcome: Outcome, others: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the answer to a value of an option; None where nothing is.

    Args:
        option: its name.
        outcome: of a call with that value.
        others: the values of all options without it.
    """
    told, wrong = outcome.told, None
    if outcome.error:
        wrong = f"an exception came through: {outcome.error}"
    elif outcome.status not in (0, 1, 2):
        wrong = f"status {outcome.status}"
    elif outcome.status and ("Traceback" in outcome.text or not told.strip()):
        wrong = f"no error is told: {outcome.text}"
    elif outcome.status and (len(told.splitlines()) > MOST_LINES or len(told) > LONGEST):
        wrong = f"a long error: {told}"
    elif outcome.status and not re.search(rf"(?<![\w.]){re.escape(option)}(?!\w)", told):
        wrong = f"it does not name --{option}: {told}"
    elif outcome.status:
        named = [(name, value) for name, value in NAMED.findall(told) if name != option and name in others]
        innocent = [f"--{name} {value}" for name, value in named if str(others[name]).lower() == value.lower()]
        wrong = f"it names {innocent[0]}, which is innocent: {told}" if innocent else None
    return wrong


def chosen(option: str, value: Any) -> str:
    """Return one value for an option, of a kind that is likely to get past the parser, others for other options."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    kinds = NUMBERS[:3] if number else SHAPES[:3]
    return kinds[crc32(option.encode()) % len(kinds)]


def small_run(data_yaml: Path, root: Path) -> list[object]:
    """Return the options of the least run."""
    return [
        *("--data.data_yaml", data_yaml, "--run.root", root, "--data.imgsz", 64, "--data.batch_size", 4),
        *("--data.workers", 0, "--trainer.accelerator", "cpu", "--trainer.max_epochs", 1),
        *("--data.synthetic", "{train: 4, val: 2, test: 0}"),
    ]


def bases(data_yaml: Path, root: Path) -> dict[str, list[object]]:
    """Return by verb a call that is right but for one thing, which comes after all options were looked at.

    Args:
        data_yaml: a data set.
        root: where files may be made; a folder `full` is made in it.
    """
    (root / "full").mkdir(exist_ok=True)
    (root / "full" / "file").write_text("in the way", encoding="utf-8")
    run, missing = small_run(data_yaml, root / "runs"), root / "missing.ckpt"
    return {
        "fit": ["fit", *run],
        "plan": ["plan", *run],
        **{verb: [verb, *run, "--ckpt_path", missing] for verb in ("validate", "test")},
        "predict": ["predict", *run, "--ckpt_path", missing, "--data.source", root / "full"],
        "export": ["export", "--ckpt_path", missing],
        "make-data": ["make-data", "--train", 1, "--val", 1, "--test", 0, "--workers", 1, "--out", root / "full"],
        "audit": ["audit", root / "missing"],
        "keys": ["keys", root / "full" / "file"],
        "lint": ["lint", root / "missing.yaml"],
        "ppo fit": ["ppo", "fit", "--env.id", "no/Such-v0"],
        "ppo evaluate": ["ppo", "evaluate", "--model", root / "missing"],
        "ppo export": ["ppo", "export", "--model", root / "missing"],
    }


def options_of(verb: str, base: Sequence[object]) -> dict[str, Any]:
    """Return all options of a verb with their values in its base call."""
    from aigp_lightning.data.synthetic.options import MakeDataOptions
    from aigp_lightning.deploy.options import ExportOptions
    from aigp_lightning.policy.config import PolicyConfig
    from aigp_lightning.policy.verb_config import EvaluateConfig, ExportConfig

    kinds: dict[str, type] = {
        "export": ExportOptions,
        "make-data": MakeDataOptions,
        "ppo fit": PolicyConfig,
        "ppo evaluate": EvaluateConfig,
        "ppo export": ExportConfig,
    }
    if verb in kinds:
        return fields_of(kinds[verb])
    if verb in ("audit", "keys", "lint"):
        return dict.fromkeys(sorted(help_names([verb]) - {"help"}))
    call(base)
    return dict(flatten(Parsed.seen["fit" if verb == "plan" else verb]))
