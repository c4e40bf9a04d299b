"""The `split` verb."""

from __future__ import annotations

from collections.abc import Sequence

from aigp_lightning.cli.parser import parse_options
from aigp_lightning.data.splitting.options import SplitOptions
from aigp_lightning.errors import ConfigError
from aigp_lightning.files import shell_quoted
from aigp_lightning.terminal.output import has_live_terminal, print_line

DESCRIPTION = (
    "Split a data set into training, validation and test pictures: a data.yaml and a list of pictures for each split. "
    "Nothing is moved or copied. Classes and sizes of objects are alike in all splits, as far as what stays together "
    "allows; what the splits still have in common is measured afterwards."
)
EXAMPLE = "split datasets/flights --by block --val 0.2"
THREADS = 8


def main(verb: str, arguments: list[str]) -> None:
    """Split a data set, and print what came out.

    Args:
        verb: the word that stands on the command line.
        arguments: the words after it.

    Raises:
        ConfigError: no folder is named, or several; an option makes no sense; the splits cannot be filled.
        DataError: the pictures cannot be used, or the lists cannot be written.
    """
    sources, rest = source_of(arguments)
    options = parse_options(SplitOptions, verb, rest, DESCRIPTION, EXAMPLE)
    if len(sources) != 1:
        raise ConfigError(f"split takes one folder or data.yaml, as in `python -m aigp_lightning {EXAMPLE}`.")
    from aigp_lightning.data.splitting.split import split_data

    result = split_data(sources[0], options, workers=THREADS, progress=has_live_terminal())
    print_line(*result.lines, f"made {result.out}; train on it with")
    config = f"configs/{'pose' if result.pose else 'detector'}.yaml"
    print_line(f"  python -m aigp_lightning fit --config {config} --data.data_yaml {shell_quoted(result.out)}")


def source_of(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the words that name the data set from the options and their values.

    Args:
        words: after the verb.

    Example:
        >>> source_of(["my set", "--by", "group", "--force", "--val=0.1"])
        (['my set'], ['--by', 'group', '--force=true', '--val=0.1'])
    """
    sources: list[str] = []
    rest: list[str] = []
    waiting = False  # the option before has no value yet
    for place, word in enumerate(words):
        if word == "--force" and words[place + 1 : place + 2] not in (["true"], ["false"]):
            rest.append("--force=true")
        elif word.startswith("-") or waiting:
            rest.append(word)
            waiting = word.startswith("--") and "=" not in word and word != "--help"
        else:
            sources.append(word)
    return sources, rest
