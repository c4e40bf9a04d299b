"""Kills promotions at every step: run as a program by `test_kills.py`, in a process from which it is cheap to fork.

A child changes the store, and ends itself without any clean-up at the n-th time that it touches a file in it (the audit
hook sees each opening, renaming, removing, linking); n counts up until the child gets through. After each kill `latest`
must be whole, by the link and the receipt alone; then the next writer, which is killed too at one of its own steps,
and at last one that is not: all of it must be as the journal says.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from promoted_files import files_of, promote_bytes

from aigp_lightning.store.locked_store import LockedStore
from aigp_lightning.store.places import StorePlaces
from aigp_lightning.store.promotion import make_latest, refuse
from aigp_lightning.store.receipt import file_fact
from aigp_lightning.store.verify import check, receipt_facts, verify_store

KILLED = 77
WATCHED = ("open", "os.rename", "os.remove", "os.symlink", "os.mkdir", "os.rmdir", "os.truncate")
FIRST, SECOND, THIRD = b"first" * 99, b"second" * 99, b"third" * 99
Change = Callable[[StorePlaces, bool], None]


def killed_at(step: int, places: StorePlaces, links: bool, change: Change) -> bool:
    """Fork; the child is gone when it touches the store for the n-th time. False if it got through."""
    pid = os.fork()
    if pid == 0:
        left = [step]

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            if event in WATCHED and (event == "os.truncate" or str(places.root) in str(arguments[0])):
                left[0] -= 1
                if not left[0]:
                    os._exit(KILLED)

        sys.addaudithook(watch)
        try:
            change(places, links)
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, KILLED), status
    return status == KILLED


def check_latest(places: StorePlaces, allowed: set[str | None]) -> None:
    """The version that a reader finds is one of these, and whole."""
    folder = places.latest("gates")
    version = None if folder is None else folder.name
    assert version in allowed, (version, allowed)
    if folder is not None:
        for name, fact in receipt_facts(folder).items():
            assert file_fact(folder / name) == fact, folder / name


def run(root: Path, prepare: Change, change: Change, links: bool, seed: int) -> int:
    """Kill a change at each of its steps; returns how many there are."""
    randomly = random.Random(seed)
    template = root / "template"
    if template.exists():
        shutil.rmtree(template)
    prepare(StorePlaces(template), links)
    old = StorePlaces(template).latest("gates")
    before = None if old is None else old.name
    step = 0
    while True:
        step += 1
        places = StorePlaces(root / "models")
        shutil.rmtree(places.root, ignore_errors=True)
        if template.exists():
            shutil.copytree(template, places.root, symlinks=True)
        was_killed = killed_at(step, places, links, change)
        after = places.latest("gates")
        after_name = None if after is None else after.name
        if not was_killed:
            assert check(places).problems == []
            return step - 1
        new = expected(change, places, links, root)
        check_latest(places, {before, new})
        if not places.journal.exists():
            continue
        again = randomly.randint(1, 30)
        killed_at(again, places, links, only_open)
        check_latest(places, {after_name, new})
        found = verify_store(places)
        assert found.problems == [], (step, again, found.problems)
        check_latest(places, {before, new})
        assert not places.unfinished.exists()
        assert places.leftovers() == []


def only_open(places: StorePlaces, links: bool) -> None:
    """Finish what was cut short, and nothing else."""
    with LockedStore(places, links=links):
        pass


def expected(change: Change, places: StorePlaces, links: bool, root: Path) -> str | None:
    """The version that is latest when the change is complete, which is made in another copy."""
    key = (change.__name__, links)
    if key not in _ends:
        other = StorePlaces(root / "complete")
        shutil.rmtree(other.root, ignore_errors=True)
        if (root / "template").exists():
            shutil.copytree(root / "template", other.root, symlinks=True)
        change(other, links)
        folder = other.latest("gates")
        _ends[key] = None if folder is None else folder.name
    return _ends[key]


_ends: dict[tuple[str, bool], str | None] = {}


def nothing(places: StorePlaces, links: bool) -> None:
    """No store yet."""


def two(places: StorePlaces, links: bool) -> None:
    """Two versions: one latest, one backup."""
    for content in (FIRST, SECOND):
        promote_bytes(places, "gates", content, links=links)


def promote_third(places: StorePlaces, links: bool) -> None:
    """A third version, by which the first is removed."""
    promote_bytes(places, "gates", THIRD, keep=1, links=links)


def promote_first_again(places: StorePlaces, links: bool) -> None:
    """A version that is there already gets another receipt."""
    promote_bytes(places, "gates", FIRST, links=links, note="again")


def promote_same(places: StorePlaces, links: bool) -> None:
    """So does the one that is latest."""
    promote_bytes(places, "gates", SECOND, links=links, note="again")


def roll_back(places: StorePlaces, links: bool) -> None:
    """The first one again."""
    with LockedStore(places, links=links) as store:
        version = store.state.history("gates").before()
        assert version is not None
        make_latest(store, "gates", version)


def refuse_third(places: StorePlaces, links: bool) -> None:
    """A line of the journal alone."""
    with LockedStore(places, links=links) as store:
        refuse(store, "gates", "0" * 16, [], "worse")


CASES: dict[str, tuple[Change, Change, bool]] = {
    "the first": (nothing, promote_third, True),
    "a third": (two, promote_third, True),
    "a third, without links": (two, promote_third, False),
    "an earlier one again": (two, promote_first_again, True),
    "the same again": (two, promote_same, True),
    "back": (two, roll_back, True),
    "refused": (two, refuse_third, True),
}

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    files_of(folder)
    steps = {name: run(folder, *case, seed=number) for number, (name, case) in enumerate(CASES.items())}
    sys.stdout.write(json.dumps(steps))
