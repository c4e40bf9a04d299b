"""The `lint` verb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.data.data_yaml import SPLITS, read_data_yaml
from aigp_lightning.data.label_bounds import Outside
from aigp_lightning.data.limits import LEAK_LIMIT
from aigp_lightning.ranges import SHARE, check_range
from aigp_lightning.terminal.output import has_live_terminal, print_line, print_text

if TYPE_CHECKING:
    from aigp_lightning.data.data_yaml import DataSpec

THREADS = 8


def main(verb: str, arguments: list[str]) -> int:
    """Check a data set without training.

    Args:
        verb: the word that stands on the command line.
        arguments: the words after it.

    Returns:
        1 if anything is wrong with it, else 0.

    Raises:
        ConfigError: an option is out of its range.
        DataError: `data.yaml` is wrong, or a split has no usable image.
    """
    options = _parser(verb).parse_args(arguments)
    check_range("--leak-limit", options.leak_limit, SHARE)
    spec = read_data_yaml(options.data_yaml)
    for doubt in spec.doubts:
        print_text(f"warning: {doubt}")
    splits = options.split or [split for split in SPLITS if split in spec.splits]
    images: dict[str, list[str]] = {}
    found = [_check(spec, split, options.strict, options.outside, images) for split in splits]
    found += [len(spec.doubts), _tell_common(images), _tell_leaks(spec, images, options.leak_limit)]
    if not sum(found):
        print_line(f"{spec.file}: no problems")
    return int(any(found))


def _tell_common(images: Mapping[str, Sequence[str]]) -> int:
    """Print which images are in more than one split, and return their number."""
    from aigp_lightning.data.problems import problem_lines
    from aigp_lightning.data.repeats import in_two_splits

    common = in_two_splits(images)
    for line in problem_lines(common, lambda problem: problem.became):
        print_text(line.removeprefix("  "))
    return len(common)


def _tell_leaks(spec: DataSpec, images: Mapping[str, Sequence[str]], limit: float) -> int:
    """Print what each split has in common with another, and return the number of those that leak."""
    from aigp_lightning.data.leaks.leak_report import leak_lines
    from aigp_lightning.data.leaks.split_leaks import find_leaks
    from aigp_lightning.files import shell_quoted

    leaks = find_leaks(images, str(spec.root), workers=THREADS, progress=has_live_terminal())
    for leak in leaks:
        print_line(*leak_lines(leak, limit, shell_quoted(spec.file)))
    return sum(leak.leaks(limit) for leak in leaks)


def _check(spec: DataSpec, split: str, strict: bool, outside: Outside, images: dict[str, list[str]]) -> int:
    """Print the problems of one split, and return their number; keep its images."""
    from aigp_lightning.data.lint import lint
    from aigp_lightning.data.scan import scan_split

    pose, progress = spec.keypoints is not None, has_live_terminal()
    result = scan_split(spec, split, pose=pose, outside=outside, workers=THREADS, progress=progress)
    images[split] = [record.im_file for record in result.records]
    print_text(result.summary())
    count = len(result.problems) + result.unlabelled
    if not pose:
        return count
    linted = lint(split, result.records, spec, thorough=strict, outside=outside)
    print_text(linted.summary())
    return count + len(linted.problems)


def _parser(verb: str) -> VerbParser:
    parser = VerbParser(
        prog=f"python -m aigp_lightning {verb}",
        description="Check a data set without training: every image and label file, labels and images that are passed "
        "over, and, where there are keypoints, "
        "that corners go round the same way from the same corner, that flip_idx and flip_idx_vertical fit them, and "
        "that visible ones lie in their boxes; and how many pictures of a split show what another split shows: the "
        "same picture, a copy, a neighbouring frame. Each problem is told with file and line. Exit status 0: no "
        "problems; 1: there are some; 2: the data set cannot be used.",
        epilog="example: lint datasets/gates/data.yaml --split train val",
    )
    parser.add_argument("data_yaml", metavar="DATA_YAML", help="the data set's data.yaml, or its folder")
    splits = f"only these splits, of {', '.join(SPLITS)}; all without it"
    parser.add_argument("--split", nargs="+", choices=SPLITS, metavar="SPLIT", help=splits)
    parser.add_argument(
        "--outside", choices=get_args(Outside), default="clip",
        help="what becomes of objects that reach out of the picture, as --data.outside of fit; clip without it",
    )  # fmt: skip
    parser.add_argument(
        "--leak-limit", "--leak_limit", dest="leak_limit", type=float, default=LEAK_LIMIT, metavar="SHARE",
        help="share of a split's pictures that may have a near neighbour in another split, as frames of one video do; "
        f"more is a problem; {LEAK_LIMIT:g} without it",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="also name objects of which not one keypoint is labelled")
    return parser
