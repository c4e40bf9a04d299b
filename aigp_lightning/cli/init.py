"""The `init` verb: writes what a project of one's own begins with."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from aigp_lightning.cli.init_texts import GITIGNORE, README, SOURCE
from aigp_lightning.cli.parser import VerbParser
from aigp_lightning.cli.shipped import shipped_folder
from aigp_lightning.errors import ConfigError, printable
from aigp_lightning.files import shell_quoted, write_atomic
from aigp_lightning.paths import expand_home
from aigp_lightning.terminal.output import print_line

FOLDERS = ("configs", "docs")
OUTSIDE = re.compile(r"\[([^\[\]]*)\]\(\.\./(?!README\.md|configs/)[^)]*\)")
"""A link of a page to what is in a checkout only."""
SHOWN = 12
FIRST = (
    "python -m aigp_lightning fit --config configs/detector.yaml \\",
    "  --config configs/quick.yaml --run.name first",
)
"""A command in lines of less than 80 columns."""


def main(verb: str, arguments: list[str]) -> int:
    """Write configurations, documentation, a README and a .gitignore into a folder.

    Args:
        verb: `init`.
        arguments: the words after it.

    Returns:
        0.

    Raises:
        ConfigError: there can be no such folder.
    """
    options = _parser(verb).parse_args(arguments)
    folder = Path(expand_home(options.folder))
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{printable(folder)} is a file; name a folder.")
    written, kept = 0, []
    for name, content in project_files(folder).items():
        path = folder / name
        if path.exists() and not options.force:
            kept += [name] if not path.is_file() or path.read_bytes() != content else []
            continue
        try:
            write_atomic(path, content)
        except (FileExistsError, NotADirectoryError, PermissionError, IsADirectoryError) as error:
            raise ConfigError(f"{printable(path)} cannot be written: {error.strerror}.") from error
        written += 1
    print_line(f"{folder}: {written} files written (configs, docs, README.md, .gitignore)" if written else
               f"{folder}: everything is there already")  # fmt: skip
    if kept:
        more = f" and {len(kept) - SHOWN} more" if len(kept) > SHOWN else ""
        print_line(f"left as they are, --force replaces them: {', '.join(kept[:SHOWN])}{more}")
    if ".gitignore" in kept:
        lines = " ".join(line for line in GITIGNORE.splitlines() if line and not line.startswith("#"))
        print_line(f"lines for your .gitignore: {lines}")
    if written:
        print_line("next:", *([] if folder.resolve() == Path.cwd() else [f"  cd {shell_quoted(folder)}"]))
        print_line(*(f"  {line}" for line in FIRST), "and README.md goes on from there")
    return 0


def project_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a new project by their paths in it.

    Args:
        folder: of the project, which gives it its name.

    Example:
        >>> files = project_files(Path("gates"))
        >>> files["README.md"].decode().splitlines()[0], "configs/logger/none.yaml" in files
        ('# gates', True)
    """
    from aigp_lightning import __version__

    readme = README.format(name=printable(folder.resolve().name or "project"), version=__version__, source=SOURCE)
    found = {"README.md": readme.encode("utf-8", errors="backslashreplace"), ".gitignore": GITIGNORE.encode()}
    for name in FOLDERS:
        source = shipped_folder(name)
        for path in sorted(each for each in source.rglob("*") if each.is_file()):
            content = path.read_bytes()
            if path.suffix == ".md":
                content = OUTSIDE.sub(r"\1", content.decode("utf-8")).encode("utf-8")
            found[f"{name}/{path.relative_to(source).as_posix()}"] = content
    return found


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = VerbParser(
        prog=f"python -m aigp_lightning {verb}",
        description="Start a project: write the configurations of all tasks, the documentation of this version, a "
        "README.md with commands that can be typed as they stand, and a .gitignore. Files that are there already stay "
        "as they are, and are listed. Exit status 0: done; 2: nothing can be written there.",
        epilog="example: init gates",
    )
    parser.add_argument("folder", metavar="FOLDER", help="of the project; made where there is none")
    parser.add_argument("--force", action="store_true", help="replace files that are there, changed ones too")
    return parser
