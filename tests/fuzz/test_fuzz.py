"""Every file of the corpus, and some made-up ones of every kind, against what must hold for them.

The corpus has what broke a reader once, and what attackers are known to try: `corpus/<kind>/<what it is>`. Thousands of
made-up files: `python tests/fuzz/run.py 1000`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fuzz.generators import GENERATORS
from fuzz.targets import TARGETS
from hypothesis import HealthCheck, given, settings

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())
ROOM = 300_000  # bytes
EXAMPLES = {
    "event": 5,
    "wandb": 15,
    "ckpt": 12,
    "pt": 8,
    "results": 25,
    "mp4": 10,
    "loggers": 12,
    "config": 12,
    "mirrored": 12,
}
"""Of the kinds where one takes long; of the others thirty."""

fuzzed = settings(
    deadline=None, derandomize=True, database=None, print_blob=False, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("kind", sorted({path.parent.name for path in FILES}))
def test_corpus(kind: str, tmp_path: Path) -> None:
    """Replay; the count says that none is left out."""
    files = [path for path in FILES if path.parent.name == kind]
    outcomes: Counter[str] = Counter()
    for file in files:
        folder = tmp_path / file.name
        folder.mkdir()
        try:
            outcomes[TARGETS[kind](file.read_bytes(), folder)] += 1
        except Exception as error:
            raise AssertionError(f"{file.relative_to(CORPUS)} broke its reader: {error!r}") from error
    print(f"{kind}: {len(files)} files, {dict(outcomes)}")
    assert outcomes.total() == len(files)


def test_corpus_is_small_and_all_of_it_is_replayed() -> None:
    assert {path.parent.name for path in FILES} <= set(TARGETS) == set(GENERATORS)
    assert len(FILES) == 312
    assert sum(path.stat().st_size for path in FILES) < ROOM


@pytest.mark.parametrize("kind", GENERATORS)
def test_made_up_files(kind: str) -> None:
    @settings(fuzzed, max_examples=EXAMPLES.get(kind, 30))
    @given(GENERATORS[kind]())
    def holds(data: bytes) -> None:
        with TemporaryDirectory() as folder:
            TARGETS[kind](data, Path(folder))

    holds()
