"""The command line: a table of verbs. A verb's own code is imported when it is called, so that help is instant."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from aigp_lightning.cli.config_files import POLICY_GROUPS, check_config_files
from aigp_lightning.cli.early_checks import check_groups, check_needed
from aigp_lightning.cli.early_values import check_values
from aigp_lightning.cli.option_names import OWN, check_option_names
from aigp_lightning.cli.start_weights import check_start_weights
from aigp_lightning.cli.ultralytics_words import command_for, is_ultralytics
from aigp_lightning.cli.verb_help import PROGRAM, continued, help_of
from aigp_lightning.store.places import follow_text_links
from aigp_lightning.terminal.output import lost_result, print_line, print_text, protected_output
from aigp_lightning.terminal.safe_stream import SafeStream

VERBS: dict[str, tuple[str, str]] = {
    "fit": ("aigp_lightning.cli.training", "train a model:  fit --config configs/detector.yaml"),
    "init": ("aigp_lightning.cli.init", "start a project: configurations, docs, README:  init FOLDER"),
    "from-ultralytics": (
        "aigp_lightning.cli.from_ultralytics",
        "a configuration from an args.yaml or command of Ultralytics'",
    ),
    "fetch": ("aigp_lightning.cli.fetch", "download published weights; the one verb that downloads"),
    "plan": ("aigp_lightning.cli.plan", "what fit with the same options would draw and hand over"),
    "validate": ("aigp_lightning.cli.training", "metrics of a checkpoint on the validation split"),
    "test": ("aigp_lightning.cli.training", "metrics of a checkpoint on the test split"),
    "predict": ("aigp_lightning.cli.training", "find objects in pictures, folders or videos"),
    "export": (
        "aigp_lightning.cli.export",
        "a model as other programs open it:  export RUN --format onnx",
    ),
    "bench": ("aigp_lightning.cli.bench", "latency of models and files:  bench RUN --budget-ms 33"),
    "calibrate": ("aigp_lightning.cli.calibrate", "choose a model's thresholds from frames:  calibrate RUN"),
    "audit": ("aigp_lightning.cli.audit", "what a run drew and handed over, checked byte by byte"),
    "report": ("aigp_lightning.cli.report", "runs as a page that opens without a server:  report RUN"),
    "compare": ("aigp_lightning.cli.compare", "two models on the same pictures:  compare A B"),
    "promote": ("aigp_lightning.cli.promote", "put a run's model into the store, if it is not worse"),
    "rollback": ("aigp_lightning.cli.rollback", "make an earlier version the latest again"),
    "models": ("aigp_lightning.cli.models", "the versions in the store, and whether they are whole"),
    "receipt": ("aigp_lightning.cli.receipt", "check a receipt:  receipt verify FILE"),
    "ship": ("aigp_lightning.cli.ship", "hand over later what a run kept:  ship RUN --to wandb"),
    "keys": ("aigp_lightning.cli.keys", "make a pair of keys to sign ledgers with (--media.sign)"),
    "lint": ("aigp_lightning.cli.lint", "check a data set without training:  lint DATA_YAML"),
    "split": ("aigp_lightning.cli.split", "parts of a data set without near neighbours:  split FOLDER"),
    "make-data": ("aigp_lightning.cli.make_data", "write a synthetic data set of gates or obstacles"),
    "ppo": (
        "aigp_lightning.cli.ppo",
        "train, evaluate and export the racing policy",
    ),
}
"""Verb to the module that has its `main(verb, arguments)`, and a line of help."""
FILES_ARE_RESULTS = (
    *(
        "fit",
        "predict",
        "export",
        "calibrate",
        "keys",
        "split",
        "make-data",
        "ppo",
        "report",
        "promote",
        "rollback",
        "ship",
        "init",
        "fetch",
    ),
)
"""Verbs that write files: they do not wait for who reads what they print, nor fail if it cannot be printed."""

HELP = """\
usage: python -m aigp_lightning VERB [options]

Train racing-drone perception on PyTorch Lightning, in charge of every picture
that leaves the machine.

verbs:
{verbs}

examples:
{examples}
"""
EXAMPLES = (
    "fit --config configs/detector.yaml --config configs/quick.yaml",
    "fit --config configs/detector.yaml --data.data_yaml my/data.yaml --data.batch_size 32",
    "validate --ckpt_path runs/detect/gates/weights/best.ckpt",
    "VERB --help",
)
"""Calls in the help of all verbs."""


def help_text() -> str:
    """Return what `--help` prints."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {line}" for verb, (_, line) in VERBS.items())
    return HELP.format(verbs=verbs, examples="\n".join(f"  {PROGRAM} {continued(call)}" for call in EXAMPLES))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb.

    Args:
        arguments: the words after the program's name; None takes them from the process.

    Returns:
        The exit status: 0, or 2 when the user's input was wrong, or 1 when something outside failed.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    printed = _prints_its_result(words)
    with protected_output(wait_for_reader=printed) as streams:
        try:
            status = _dispatch(words)
            return _status_of_lost_result(streams) if printed and not status else status
        except SystemExit as stop:  # argparse's, of help and of wrong options
            stop.code = _status_of_lost_result(streams) if printed and not stop.code else stop.code
            raise


def _prints_its_result(words: list[str]) -> bool:
    """True if what a command prints is all that it is for: reports, help and configurations."""
    if not words or words[0] not in FILES_ARE_RESULTS:
        return True
    return any(word in ("-h", "--help") or word.startswith("--print_config") or ".help" in word for word in words)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print_text(help_text().rstrip())
        return 0
    if words[0] in ("-V", "--version"):
        from aigp_lightning import __version__

        print_line(f"aigp_lightning {__version__}")
        return 0
    verb, rest = words[0], words[1:]
    if verb not in VERBS and is_ultralytics(words):
        return _print_error(f"there is no verb {verb!r}. {command_for(words)}")
    if verb not in VERBS:
        return _print_error(f"there is no verb {verb!r}.{_nearest(verb)} `python -m aigp_lightning --help` lists them.")
    return _run(verb, rest)


def _status_of_lost_result(streams: list[SafeStream]) -> int:
    """Return the exit status of a command that went well: 1 if its result could not be printed."""
    why = lost_result(streams)
    return _print_error(f"what was to be printed is lost: {why}.", 1) if why else 0


def _run(verb: str, rest: list[str]) -> int:
    from aigp_lightning.run.failures import explained

    try:
        if verb == "validate" and any(word.partition("=")[0] == "--sequence" for word in rest):
            from aigp_lightning.cli.sequence import main as validate_sequence

            return validate_sequence(verb, follow_text_links(rest))
        if verb in OWN and (text := help_of(verb, rest)) is not None:
            print_text(text)
            return 0
        if verb in OWN:
            check_groups(verb, rest)
            check_option_names(verb, rest)
            check_values(verb, rest)
            check_needed(verb, rest)
            if verb == "fit":
                check_start_weights(rest)
        elif verb == "ppo":
            check_config_files(rest, POLICY_GROUPS)
        status: int | None = import_module(VERBS[verb][0]).main(verb, follow_text_links(rest))
    except KeyboardInterrupt:
        print_text("\nstopped.", err=True)
        return 130
    except Exception as error:
        known = explained(error)
        if known is None:
            raise
        return _print_error(str(known), known.status, known.shared)
    return status or 0


def _print_error(text: str, status: int = 2, shared: bool = True) -> int:
    """Print an error on the first process, or on this one if the others do not share it; returns the status."""
    from aigp_lightning.run.processes import first_process, rank

    first = first_process()
    if first or not shared:
        print_text(f"error: {text}" if first else f"error: process {rank()}: {text}", err=True)
    return status


def _nearest(verb: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(verb, VERBS, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
