"""Links and journal have to agree on what is latest before a gate counts; what is a link to elsewhere is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from promoted_files import promote_bytes
from scored_runs import make_scored

from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.store.journal import read_journal
from aigp_lightning.store.places import StorePlaces, read_link
from aigp_lightning.store.promote import PromoteOptions, promote
from aigp_lightning.store.rollback import rollback
from aigp_lightning.store.verify import check, verify_store


@pytest.fixture
def store(places: StorePlaces, tmp_path: Path) -> StorePlaces:
    """A good model, promoted twice so that it has a backup."""
    for right in (29, 30):
        promote(PromoteOptions(run=make_scored(tmp_path / f"good{right}", right), store=places.root, name="g"))
    return places


def worse(tmp_path: Path, places: StorePlaces) -> PromoteOptions:
    run = tmp_path / "bad"
    return PromoteOptions(
        run=run if run.is_dir() else make_scored(run, 4), store=places.root, name="g", draws=100, wait=1
    )


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "is missing"),
        ("outside", "names no version of this store"),
        ("no version", "names no version of this store"),
        ("backup", "names "),
    ],
)
def test_a_link_that_is_not_the_journals_lets_no_worse_model_in(
    store: StorePlaces, tmp_path: Path, kind: str, said: str
) -> None:
    link, lines = store.link("g"), store.journal.read_bytes()
    good = read_link(link)
    backup = next(version for version in store.version_ids() if version != good)
    link.unlink()
    if kind != "missing":
        target = {
            "outside": str(tmp_path / "good30"),
            "no version": "../versions/none",
            "backup": f"../versions/{backup}",
        }
        link.symlink_to(target[kind])
    with pytest.raises(ConfigError, match=rf"latest/g {said}.*the journal says that {good} is the latest.*--to {good}"):
        promote(worse(tmp_path, store))
    assert store.journal.read_bytes() == lines
    assert rollback(store, "g", good).version == good
    assert read_link(link) == good
    assert check(store).problems == []
    assert promote(worse(tmp_path / "again", store)).promoted is None


def test_a_model_that_the_journal_does_not_know_is_no_first_one(store: StorePlaces, tmp_path: Path) -> None:
    store.journal.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"the journal knows no model g. `models verify`"):
        promote(worse(tmp_path, store))
    store.link("g").unlink()
    store.link("g").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="in the way: it names no version"):
        promote(worse(tmp_path, store))


@pytest.mark.parametrize("name", ["latest", "versions", "journal.jsonl"])
def test_folders_of_the_store_that_are_links_are_refused_and_named(
    store: StorePlaces, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "outside"
    shutil.move(store.root / name, outside)
    (store.root / name).symlink_to(outside)
    before = sorted(outside.iterdir()) if outside.is_dir() else outside.read_bytes()
    for change in (lambda: promote(worse(tmp_path, store)), lambda: rollback(store, "g")):
        with pytest.raises(ConfigError, match=rf"{name} is a link to "):
            change()
    assert (sorted(outside.iterdir()) if outside.is_dir() else outside.read_bytes()) == before
    assert (name, "it is a link, and none of the store's own") in [
        (problem.file, problem.message) for problem in verify_store(store).problems
    ]


def test_a_version_that_is_a_link_is_refused_and_named(store: StorePlaces, tmp_path: Path) -> None:
    latest = read_link(store.link("g"))
    assert latest is not None
    backup = next(version for version in store.version_ids() if version != latest)
    for version, refused in ((backup, DataError), (latest, ConfigError)):
        shutil.move(store.version(version), tmp_path / version)
        store.version(version).symlink_to(tmp_path / version)
        assert [(problem.file, problem.message) for problem in check(store).problems] == [
            (f"versions/{version}", "it is a link, and no folder")
        ]
        with pytest.raises(refused, match="is a link, and no folder"):
            rollback(store, "g") if version == backup else promote(worse(tmp_path, store))
        store.version(version).unlink()
        shutil.move(tmp_path / version, store.version(version))
    assert check(store).problems == []


def test_the_same_files_are_not_written_through_a_link(places: StorePlaces, tmp_path: Path) -> None:
    version = promote_bytes(places, "g", b"one").version
    shutil.move(places.version(version), tmp_path / "aside")
    os.symlink(tmp_path / "aside", places.version(version))
    with pytest.raises(ConfigError, match="is a link, and no folder of a version"):
        promote_bytes(places, "g", b"one")


@pytest.mark.parametrize("damage", ["in the middle", "at the end"])
def test_a_damaged_journal_is_told(
    store: StorePlaces, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = store.journal.read_bytes()
    first, second = data.splitlines(keepends=True)
    store.journal.write_bytes(
        first.replace(b"promoted", b"promotEd") + second if damage != "at the end" else data[:-20]
    )
    better = PromoteOptions(run=make_scored(tmp_path / "better", 36), store=store.root, name="g", draws=100, wait=1)
    if damage == "at the end":  # what was latest is not known: the link does not count by itself
        with pytest.raises(ConfigError, match="the journal says that"):
            promote(better)
        rollback(store, "g", read_journal(store.journal).lines[0].version)
    else:
        promote(better)
    told = capsys.readouterr().err
    assert f"warning: {store.journal} line {2 if damage == 'at the end' else 1}: it " in told
    assert "Backups are not removed" in told
    assert "`models verify`" in told


def test_the_journal_names_no_path_that_somebody_typed(store: StorePlaces, tmp_path: Path) -> None:
    gates = ["metrics/mAP50-95(B) >= latest"]
    refused = worse(tmp_path, store)
    promote(
        PromoteOptions(run=refused.run, store=store.root, name="g", gates=gates, force="/home/anna/notes.txt says so")
    )
    line = read_journal(store.journal).lines[-1]
    assert line.reason == "notes.txt says so"
    assert line.gates[0]["gate"] == gates[0]
    assert "anna" not in store.journal.read_text(encoding="ascii")
