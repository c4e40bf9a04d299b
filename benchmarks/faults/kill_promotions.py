"""Kill promotions at random moments, while somebody reads: `latest` must be whole at any time.

A small store gets synthetic models of some megabytes. Each promotion runs in a process of its own, every fourth time
two of them at once, and is killed by SIGKILL after a random time, from before its first step to after its last one.
Meanwhile a reader follows `latest` over and over and hashes all that it finds. After each kill the link, the receipt
and the files are checked as they are, and at every tenth the whole store by `models verify`. Prints a summary; the exit
status is 1 if anything was not whole.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aigp_lightning.files import RECEIPT_FILE
from aigp_lightning.store.journal import read_journal
from aigp_lightning.store.locked_store import LockedStore
from aigp_lightning.store.places import StorePlaces
from aigp_lightning.store.promotion import make_latest, promote_files
from aigp_lightning.store.receipt import FileFact, file_fact, write_receipt
from aigp_lightning.store.verify import receipt_facts, verify_store

NAME = "gates"
KEEP = 2
CONTENTS = 5
"""Different models, so that some promotions meet a version that is there already."""
LONGER, SHORTER = 1.1, 0.75
"""By which the longest time before a kill follows the machine's load: a quarter of the promotions come through."""
PAIRS, CHECKS = 4, 10
"""Every so many kills: two promotions at once; a check of the whole store."""


def main() -> int:
    """Run the kills.

    Returns:
        1 if anything was not whole.
    """
    options = _parser().parse_args()
    randomly = random.Random(options.seed)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        places = StorePlaces(Path(folder) / "models")
        models = [_model(Path(folder) / f"run{number}", options.megabytes, number) for number in range(CONTENTS)]
        _promote(places, models[0])
        spent = _duration(places, models[1])
        print(f"a promotion takes {spent * 1e3:.0f} ms")
        reader, report = _start_reader(places, Path(folder) / "reader.json")
        outcomes, violations = _kill(places, models, options.kills, spent, randomly)
        os.kill(reader, signal.SIGTERM)
        os.waitpid(reader, 0)
        read = json.loads(report.read_text(encoding="utf-8"))
        violations += [f"the reader: {each}" for each in read["violations"]]
        lines = read_journal(places.journal)
        found = verify_store(places)
        violations += [f"at the end: {problem.file}: {problem.message}" for problem in found.problems]
        counted = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        print(f"{outcomes['killed']} kills (seed {options.seed}): {counted}")
        print(f"the journal has {len(lines.lines)} lines, the store {found.versions} versions")
        print(f"`latest` was read {read['reads']} times meanwhile, in {read['versions']} versions")
    print(*(violations or ["latest was whole at all times, and the store at every check"]), sep="\n")
    return int(bool(violations))


def _kill(
    places: StorePlaces, models: list[dict[str, Path]], kills: int, spent: float, randomly: random.Random
) -> tuple[Counter[str], list[str]]:
    outcomes: Counter[str] = Counter()
    violations: list[str] = []
    longest = 1.2 * spent
    number = -1
    while outcomes["killed"] < kills:  # those that were through before are no kills
        number += 1
        changes = [_change(places, randomly.choice(models), randomly) for _ in range(2 if number % PAIRS == 0 else 1)]
        children = [_forked(change) for change in changes]
        time.sleep(randomly.uniform(0, longest * len(children)))
        for child in children:
            os.kill(child, signal.SIGKILL)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        longest *= LONGER if any(statuses) else SHORTER
        outcomes.update({0: "were through before", -signal.SIGKILL: "killed"}.get(each, "failed") for each in statuses)
        violations += [f"kill {number}: {problem}" for problem in _problems(places)]
        if number % CHECKS == 0:
            violations += [f"kill {number}: {found.file}: {found.message}" for found in verify_store(places).problems]
    if outcomes["failed"]:
        violations.append(f"{outcomes['failed']} promotions failed")
    return outcomes, violations


def _change(places: StorePlaces, model: dict[str, Path], randomly: random.Random) -> Callable[[], None]:
    back = randomly.random() < 0.15
    return lambda: _roll_back(places) if back else _promote(places, model)


def _forked(change: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            change()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return child


def _model(folder: Path, megabytes: float, seed: int) -> dict[str, Path]:
    """Write the files of a model."""
    folder.mkdir()
    randomly = random.Random(seed)
    files = {name: folder / name for name in ("best.ckpt", "best.pt", "best.onnx")}
    for path in files.values():
        path.write_bytes(randomly.randbytes(int(megabytes * 1e6)))
    return files


def _promote(places: StorePlaces, model: Mapping[str, Path]) -> None:
    with LockedStore(places) as store:
        promote_files(store, NAME, model, _write_receipt, KEEP)


def _roll_back(places: StorePlaces) -> None:
    with LockedStore(places) as store:
        before = store.state.history(NAME).before()
        if before is not None:
            make_latest(store, NAME, before)


def _write_receipt(path: Path, version: str, facts: Mapping[str, FileFact]) -> None:
    files = {name: {"sha256": fact.sha256, "bytes": fact.bytes} for name, fact in facts.items()}
    write_receipt(path, {"receipt": 1, "files": files, "made": time.time()})


def _duration(places: StorePlaces, model: Mapping[str, Path]) -> float:
    began = time.monotonic()
    _promote(places, model)
    return time.monotonic() - began


def _problems(places: StorePlaces) -> list[str]:
    """List what a reader finds wrong now with the version that the link names, without a lock."""
    folder = places.latest(NAME)
    if folder is None:
        return ["there is no latest"]
    try:
        facts = receipt_facts(folder)
        wrong = [name for name, fact in facts.items() if file_fact(folder / name) != fact]
        receipt = file_fact(folder / RECEIPT_FILE).sha256  # before the journal: a later line may be of a later one
        receipts = {line.receipt for line in read_journal(places.journal).lines if line.version == folder.name}
        if receipt not in receipts:
            wrong.append(f"{RECEIPT_FILE}, which the journal does not know,")
        return [f"{folder.name}: {name} is not what was promoted" for name in wrong]
    except Exception as error:  # whatever a reader meets counts
        return [f"{folder.name}: {type(error).__name__}: {error}"]


def _start_reader(places: StorePlaces, report: Path) -> tuple[int, Path]:
    """Start a process that reads `latest` until SIGTERM, and then reports."""
    child = os.fork()
    if child:
        return child, report
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    reads, violations, versions = 0, list[str](), set[str]()
    while not stopped:
        before = places.latest(NAME)
        found = _problems(places)
        if found and places.latest(NAME) == before:  # else promotions came in between, and it is no longer kept
            violations += found
        versions.add("none" if before is None else before.name)
        reads += 1
    content = {"reads": reads, "violations": violations, "versions": len(versions)}
    report.write_text(json.dumps(content), encoding="utf-8")
    os._exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="promotions that are to be killed (200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--megabytes", type=float, default=2.0, help="size of each of a model's three files")
    parser.add_argument("--folder", help="where the store is made; by default that for temporary files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
