"""Throw N made-up files of every kind at what reads them, and print how many were tried and what was found.

    python tests/fuzz/run.py 1000              every kind
    python tests/fuzz/run.py 20000 label yaml  some
    python tests/fuzz/run.py 500 --seed 7      other files

A file that breaks its reader is kept in `tests/fuzz/found/`; once mended, move it to the corpus. Exit status 1 if any
did.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

from fuzz.generators import GENERATORS  # noqa: E402
from fuzz.targets import TARGETS  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402

import aigp_lightning  # noqa: E402, F401  before Ultralytics, so that it stays off the network


def fuzz(kind: str, examples: int, start: int, keep: Path | None) -> tuple[Counter[str], dict[str, bytes], float]:
    """Try so many files of a kind.

    Returns:
        Outcomes by their words; for every different failure where it happened and a file that brings it about; and
        the seconds that the slowest took.
    """
    outcomes: Counter[str] = Counter()
    found: dict[str, bytes] = {}
    slowest = 0.0

    @seed(start)
    @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(GENERATORS[kind]())
    def attempt(data: bytes) -> None:
        nonlocal slowest
        began = time.perf_counter()
        with TemporaryDirectory() as folder:
            try:
                outcomes[TARGETS[kind](data, Path(folder))] += 1
            except Exception as error:
                outcomes["broke"] += 1
                frames = traceback.extract_tb(error.__traceback__)
                frame = next((one for one in reversed(frames) if "fuzz" not in one.filename), frames[-1])
                where = f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}: {error!s:.100}"
                if found.setdefault(where, data) is data and keep is not None:
                    keep.mkdir(exist_ok=True)
                    (keep / f"{kind}-{hashlib.sha256(data).hexdigest()[:8]}").write_bytes(data)
        slowest = max(slowest, time.perf_counter() - began)

    attempt()
    return outcomes, found, slowest


def main() -> int:
    """Fuzz, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", type=int, help="files of each kind")
    parser.add_argument("kinds", nargs="*", help=", ".join(TARGETS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    tried, broke = 0, 0
    print(f"{'kind':8} {'tried':>7} {'broke':>6} {'slowest':>8}  outcomes")
    for kind in options.kinds or TARGETS:
        outcomes, found, slowest = fuzz(kind, options.examples, options.seed, HERE / "found")
        tried, broke = tried + outcomes.total(), broke + len(found)
        words = ", ".join(f"{count} {word}" for word, count in outcomes.most_common())
        print(f"{kind:8} {outcomes.total():7} {outcomes['broke']:6} {slowest:7.2f}s  {words}", flush=True)
        for where in found:
            print(f"         {where}")
    print(f"{tried} files tried, {broke} different failures")
    return int(broke > 0)


if __name__ == "__main__":
    sys.exit(main())
