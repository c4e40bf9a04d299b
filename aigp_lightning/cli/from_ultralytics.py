"""The `from-ultralytics` verb: the settings of a training of Ultralytics' as a configuration of ours."""

from __future__ import annotations

import shlex
from argparse import Namespace
from pathlib import Path

from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.cli.target import check_target, write_target
from aigp_lightning.cli.ultralytics_words import MODES, command_for
from aigp_lightning.errors import ConfigError, printable
from aigp_lightning.recipes.base_config import FILES
from aigp_lightning.recipes.configuration import changed_options, configuration
from aigp_lightning.recipes.convert import Conversion, convert
from aigp_lightning.recipes.places import locate
from aigp_lightning.recipes.read_arguments import read_recipe
from aigp_lightning.recipes.recipe import Recipe
from aigp_lightning.recipes.ultralytics_keys import KEYS
from aigp_lightning.recipes.words import report, wrapped
from aigp_lightning.terminal.output import print_text

PRINTED = "-"
"""Stands for stdout as the file that is written."""


def main(verb: str, arguments: list[str]) -> int:
    """Turn a recipe of Ultralytics' into a configuration.

    Args:
        verb: `from-ultralytics`.
        arguments: the words after it.

    Returns:
        1 if something has to be replaced, is not here, or differs by `--check`; else 0.

    Raises:
        ConfigError: the recipe cannot be read, or is no training of a kind that is trained here.
    """
    options = _parser(verb).parse_args(arguments)
    _check_out(options)
    recipe = read_recipe(options.recipe)
    _check_mode(recipe)
    _check_not_read(options.out, recipe)
    conversion = convert(recipe, _read_weights, options.variant)
    text = configuration(conversion, options.out if options.out not in (None, PRINTED) else "my.yaml")
    printed = options.out == PRINTED
    lines = report(conversion, changed_options(conversion), f"configs/{FILES[conversion.network.task]}")
    print_text("\n".join(lines), err=printed)
    if printed:
        print_text(text.rstrip("\n"))
    elif options.out:
        write_target("--out", options.out, text)
    print_text("\n".join(["", *_last_lines(conversion, options)]), err=printed)
    same = _check(conversion, text) if options.check else True
    return int(not (conversion.is_whole and same))


def _check_out(options: Namespace) -> None:
    check_target("--out", options.out)
    if options.out not in (None, PRINTED) and Path(options.out).exists() and not options.force:
        raise ConfigError(f"--out {options.out} is there already; name another file, or add --force to replace it.")


def _check_mode(recipe: Recipe) -> None:
    """Refuse what is no training, with the command that does it here."""
    mode = recipe.value("mode")
    if mode in (None, "train") or mode not in MODES:
        return
    of_file = recipe.folder is not None  # which says the defaults too
    usual = {name for name, each in recipe.values.items() if name in KEYS and KEYS[name].is_usual(each.value)}
    kept = {name: each.value for name, each in recipe.values.items() if not (of_file and name in usual)}
    words = [f"{name}={value}" for name, value in kept.items()]
    raise ConfigError(
        f"{printable(recipe.place('mode'))}: mode {mode}: only trainings are turned into a configuration. "
        f"{printable(command_for(words))}"
    )


def _check_not_read(out: str | None, recipe: Recipe) -> None:
    """Refuse to replace a file that the configuration is made from."""
    if out in (None, PRINTED) or not Path(str(out)).exists():
        return
    for name in (recipe.source, recipe.value("cfg"), recipe.value("data")):
        path = locate(name, recipe.folder) if isinstance(name, str) else None
        if path is not None and Path(path).samefile(str(out)):
            raise ConfigError(f"--out {out} is what the configuration is made from; name another file.")


def _last_lines(conversion: Conversion, options: Namespace) -> list[str]:
    todo = len(conversion.of("replace")) + len(conversion.dataset.faults)
    left = f"; replace what is named above first ({todo})" if todo else ""
    if options.out is None:
        return wrapped(f"nothing is written: --out my.yaml writes the configuration{left}")
    if options.out == PRINTED:
        return [left[2:]] if left else []
    return [f"written: {options.out}{left}", f"  python -m aigp_lightning fit --config {shlex.quote(options.out)}"]


def _read_weights(path: Path) -> tuple[str, str | None]:
    from aigp_lightning.modules.yolo.variant import variant_of

    return variant_of(path)


def _check(conversion: Conversion, text: str) -> bool:
    """Run both trainers' schedules and augmentations side by side, and print what was compared."""
    from aigp_lightning.recipes.side_by_side import compare

    result = compare(conversion)
    print_text("\n" + "\n".join(result.lines()))
    return result.is_same


def _parser(verb: str) -> VerbParser:
    parser = VerbParser(
        takes_pairs=True,
        prog=f"python -m aigp_lightning {verb}",
        description="Turn the settings of a training of Ultralytics' (8.0 to 8.4) into a configuration of ours: each "
        "is carried over, or named with the reason and with what to do. A recipe is an args.yaml or a run's folder, "
        "another YAML of settings, a .py file with one call of train (it is not run), a quoted call, or a command of "
        "Ultralytics'. Settings behind a file, name=value each, take the place of its own. Exit status 0: all is "
        "carried over; 1: something has to be replaced, or is not here; 2: the recipe cannot be read.",
        epilog="example: from-ultralytics runs/detect/train/args.yaml data=my/data.yaml --out my.yaml",
    )
    parser.add_argument("recipe", metavar="RECIPE", nargs="+", help="file, call or command, see above")
    parser.add_argument("--out", metavar="FILE", help="write the configuration to this file; -, print it alone")
    parser.add_argument("--force", action="store_true", help="replace the file of --out")
    parser.add_argument(
        "--variant", metavar="NAME", help="network of weights that do not say which they are of, such as yolov8n-pose"
    )
    parser.add_argument(
        "--check", action="store_true",
        help="run both trainers for a few batches, and compare their schedules and augmentations",
    )  # fmt: skip
    return parser
