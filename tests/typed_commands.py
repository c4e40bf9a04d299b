"""The commands of a page, as somebody types them: its blocks of code, and lines that a backslash continues."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^ {4}.*\S.*\n?(?:\n(?= {4}))?)+", re.MULTILINE)
ASSIGNED = re.compile(r"[A-Z_]+=")
MODULE = "aigp_lightning"


@dataclass(frozen=True)
class Block:
    """Code of a page.

    Attributes:
        text: as it stands, without an indentation.
        language: behind the fence; empty where none is said.
        around: the paragraphs before and behind it.
    """

    text: str
    language: str
    around: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command of ours, from the verb on, in the order in which they are typed."""
        found = []
        for line in self.text.replace("\\\n", " ").splitlines():
            if MODULE not in line or not re.match(
                r"(\S+=\S* )*(python|torchrun|srun|strace)\b|\w+.* && ", line.strip()
            ):
                continue
            for part in re.split(r" && |; ", line):
                words = shlex.split(part, comments=True)
                if "-m" in words and MODULE in words:
                    found.append(words[words.index(MODULE) + 1 :])
        return found


def blocks(page: Path) -> list[Block]:
    """Return the blocks of code of a page, fenced or indented, in their order."""
    text = page.read_text(encoding="utf-8")
    found = {match.start(): (match.end(), match[1], match[2]) for match in FENCE.finditer(text)}
    plain = FENCE.sub(lambda match: "\x00" * len(match[0]), text)
    for match in INDENTED.finditer(plain):
        body = "\n".join(line.removeprefix("    ") for line in match[0].splitlines())
        found[match.start()] = (match.end(), "", body + "\n")
    return [
        Block(body, language, f"{_last(text[:start])}\n{_first(text[end:])}")
        for start, (end, language, body) in sorted(found.items())
    ]


def _last(text: str) -> str:
    return text.rstrip().rpartition("\n\n")[2]


def _first(text: str) -> str:
    return text.lstrip().partition("\n\n")[0]
