"""Words that a verb does not know, answered with the nearest option before anything heavy is imported."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any

from aigp_lightning.cli.meant import our_option
from aigp_lightning.cli.ultralytics_values import FEWER_BITS, is_flag
from aigp_lightning.cli.ultralytics_words import DOTTED, FLAGS, PAIR, corrected
from aigp_lightning.errors import ConfigError, printable
from aigp_lightning.recipes.ultralytics_keys import KEYS

HELP = ("-h", "--help")
SOURCE = "--data.source"
BY_ENDING = {".ckpt": "--ckpt_path", ".pt": "--model.weights", ".pth": "--model.weights", ".yaml": "--config"}
"""Options that files of these endings are for."""


def check_bare_words(verb: str, words: Sequence[str]) -> None:
    """Refuse words of one of Lightning's verbs that are neither options nor their values, as `epochs=3` is none.

    Args:
        verb: fit, plan, validate, test or predict.
        words: after it.

    Raises:
        ConfigError: there is one; the message has the command that is meant.

    Example:
        >>> check_bare_words("fit", ["--config", "my.yaml", "epochs=3"])
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: fit has no option epochs=3; options begin with two dashes. Type: \
python -m aigp_lightning fit --config my.yaml --trainer.max_epochs 3
    """
    option = ""
    for before, word in zip(["", *words], words, strict=False):
        option = before if before.startswith("--") else option
        value = before.startswith("-") and "=" not in before and before not in HELP
        if word.startswith("-") or not word or (value and not (before in FLAGS and "=" in word)):
            continue
        if PAIR.fullmatch(word) or DOTTED.fullmatch(word) or (is_flag(word) and not os.path.lexists(word)):
            raise ConfigError(
                f"{verb} has no option {printable(word)}; options begin with two dashes. Type: "
                f"{printable(corrected(verb, words))}"
            )
        raise ConfigError(
            f"{verb}: {printable(word)} is neither an option nor the value of one.{_place(verb, word, option)} "
            f"{_lists(verb)}"
        )


def _place(verb: str, word: str, option: str) -> str:
    """Name the option that a file without one is meant for."""
    if option.partition("=")[0] == SOURCE:
        return f" {SOURCE} takes one name: give it again for each, or quote a pattern, {SOURCE} 'pictures/*.jpg'."
    if not os.path.lexists(word):
        return ""
    if os.path.isfile(best := os.path.join(word, "weights", "best.ckpt")):
        return f" Did you mean --ckpt_path {printable(best)}?"
    place = BY_ENDING.get(os.path.splitext(word)[1], SOURCE if verb == "predict" else None)
    return f" Did you mean {place} {printable(word)}?" if place is not None else ""


def check_words(parser: Any, words: Sequence[str]) -> None:
    """Refuse words that a verb's parser does not know.

    Args:
        parser: an argparse parser with all its options.
        words: after the verb.

    Raises:
        ConfigError: with the nearest option.
    """
    if set(HELP) & set(words):
        return
    known = {name for name in parser._option_string_actions if name.startswith("--")}
    verb, pairs = parser.prog.partition("aigp_lightning ")[2], getattr(parser, "takes_pairs", False)
    for word in words:
        if word == "--":
            return
        if word.startswith("--"):
            _check_option(verb, word.partition("=")[0].removesuffix("+"), known)
        elif not pairs and (pair := PAIR.fullmatch(word)) and not os.path.lexists(word):
            _check_pair(verb, pair[1], word, known, words)


def _check_option(verb: str, name: str, known: Collection[str]) -> None:
    if name in known or _is_open(name, known):
        return
    near = nearest(name, known, verb)
    if verb == "export" and not near and name[2:] in FEWER_BITS:
        near = f" Did you mean --precision {FEWER_BITS[name[2:]]}?"
    raise ConfigError(f"{verb} has no option {printable(name)}.{near} {_lists(verb)}")


def _check_pair(verb: str, name: str, word: str, known: Collection[str], words: Sequence[str]) -> None:
    """Refuse `word=value` where the word is an option of this verb's, or of another program's."""
    if verb == "export" and (f"--{name}" in known or name in KEYS or our_option(name, verb) is not None):
        raise ConfigError(
            f"export has no option {printable(word)}; options begin with two dashes. Type: "
            f"{printable(corrected(verb, words))}"
        )
    value = word.partition("=")[2]
    if f"--{name}" in known:
        raise ConfigError(f"{verb}: {printable(word)} is written --{name} {printable(value)} here. {_lists(verb)}")
    if (ours := our_option(name)) is not None:
        raise ConfigError(f"{verb} has no option {printable(word)}; fit has one: --{ours}. {_lists(verb)}")


def _is_open(name: str, known: Collection[str]) -> bool:
    """True if a name is below an option whose keys the parser does not list, such as `--env.kwargs`."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name in known:
            return not any(each.startswith(f"{name}.") and each != f"{name}.help" for each in known)
    return False


def nearest(name: str, known: Collection[str], verb: str = "fit") -> str:
    """Name the option that may be meant, with a blank before it; nothing where none is near.

    Args:
        name: with its dashes.
        known: options with theirs.
        verb: that has them.

    Example:
        >>> nearest("--imgszz", ["--imgsz", "--out"]), nearest("--imgsz", ["--data.imgsz"]), nearest("--x", ["--out"])
        (' Did you mean --imgsz?', ' Did you mean --data.imgsz?', '')
    """
    ours = our_option(name.lstrip("-"), verb)
    last = f"--{ours.rpartition('.')[2]}" if ours is not None else ""
    near = [each for each in (f"--{ours}", last) if each in known][:1]
    near = near or get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    near = near or [each for each in sorted(known) if each.startswith(f"{name}_")][:1]
    near = (
        near or [each for each in sorted(known) if each.rpartition(".")[2] == name.lstrip("-").rpartition(".")[2]][:1]
    )
    return f" Did you mean {near[0]}?" if near else ""


def _lists(verb: str) -> str:
    return f"`python -m aigp_lightning {verb} --help` lists them."
