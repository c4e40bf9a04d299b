"""What becomes of a picture: what is private, what the routes say, what a limit gives up first."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kept_run import EPOCHS, HOME, edit_config, lines_of

from aigp_lightning.errors import ConfigError
from aigp_lightning.media.ledger.ledger import read_ledger
from aigp_lightning.media.private_record import RECORD_FILE
from aigp_lightning.ship.decide import Parcel, decide
from aigp_lightning.ship.rules import read_rules, read_run_config
from aigp_lightning.ship.selection import Selection, parse_epochs
from aigp_lightning.ship.shipment import check_shippable

WANDB: Any = SimpleNamespace(name="wandb", destination="wandb", remote=True, waits=True)
BOARD: Any = SimpleNamespace(name="tensorboard", destination="tensorboard", remote=False, waits=False)
SECOND = ("val_batch1_labels", "val_batch1_pred")


def decided(run: Path, sink: Any = WANDB, **options: Any) -> list[Parcel]:
    edit_config(run, **options)
    lines = read_ledger(run / "media.jsonl")
    rules = read_rules(run, read_run_config(run), {source for line in lines for source in line.sources})
    return decide(run, lines, Selection(), rules, sink, None)


def private(parcels: list[Parcel]) -> set[tuple[str, int]]:
    return {(parcel.line.key, parcel.line.epoch) for parcel in parcels if parcel.verdict == "private"}


def test_a_private_image_leaves_only_masked(masked: Path) -> None:
    every = {(key, epoch) for key in SECOND for epoch in range(EPOCHS)}
    last = {(key, EPOCHS - 1) for key in SECOND}
    parcels = decided(masked)
    assert private(parcels) == every - last
    assert {parcel.line.file for parcel in parcels if parcel.masked} == {f"masked/{key}.jpg" for key in SECOND}
    assert private(decided(masked, private_action="withhold")) == every
    assert private(decided(masked, private_action="refuse")) == every
    (masked / "masked" / "val_batch1_pred.jpg").write_bytes(b"another")
    assert private(decided(masked, private_action="mask")) == every - {("val_batch1_labels", EPOCHS - 1)}
    assert private(decided(masked, sink=BOARD)) == set()


def test_what_was_private_to_the_run_stays_so(masked: Path) -> None:
    """Whoever has emptied the list since: the run had masked it, and without the mask it does not leave."""
    assert private(decided(masked, private=None)) == {(key, epoch) for key in SECOND for epoch in range(EPOCHS - 1)}


@pytest.mark.parametrize("entry", [HOME, "data/home", "data/home/", "home/*", "**/1.jpg"])
def test_a_name_means_what_it_meant_where_the_run_was_started(run: Path, entry: str) -> None:
    """A folder's name too, which is none here; all images of that name where it is a glob."""
    found = private(decided(run, private=[entry]))
    assert found >= {(key, epoch) for key in SECOND for epoch in range(EPOCHS)}
    assert ("train_batch0", 0) not in found


def test_nothing_leaves_while_an_entry_fits_no_image(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the run recorded which images it fitted."""
    monkeypatch.delenv("PRIVDIR", raising=False)
    for entry in ("$PRIVDIR", "hoem/*"):
        with pytest.raises(ConfigError, match="no image of this run's data set fits") as caught:
            decided(run, private=[HOME, entry])
        assert entry in str(caught.value) and "\n" not in str(caught.value)
        assert {parcel.verdict for parcel in decided(run, sink=BOARD)} == {"send"}, "it stays on this disk"
    with pytest.raises(ConfigError, match="no image of this run's data set"):
        check_shippable(run, "wandb", None)
    record = {"given": ["$PRIVDIR"], "entries": ["$PRIVDIR"], "images": [HOME]}
    (run / RECORD_FILE).write_text(json.dumps(record), encoding="utf-8")
    every = {(key, epoch) for key in SECOND for epoch in range(EPOCHS)}
    assert private(decided(run, private=["$PRIVDIR"])) == every
    assert private(decided(run, private=None)) == every


def test_routes_and_limit(run: Path) -> None:
    routes = {"everything": ["file", "wandb"], "curves": ["file"], "train_batch": []}
    verdicts = {parcel.line.key: parcel.verdict for parcel in decided(run, routes=routes)}
    assert (verdicts["PR_curve"], verdicts["train_batch0"], verdicts["results"]) == ("route", "route", "send")
    sizes = {(line.key, line.epoch): line.bytes for line in lines_of(run, "file", "written")}
    first = [size for (key, _), size in sizes.items() if "val_" not in key or "batch0" in key]
    parcels = decided(run, routes=None, max_mb=(sum(first) + sizes["val_batch1_labels", 5]) / 1e6)
    over = {(parcel.line.key, parcel.line.epoch) for parcel in parcels if parcel.verdict == "budget"}
    assert len(over) == 2 * EPOCHS - 1
    assert over < {(key, epoch) for key in SECOND for epoch in range(EPOCHS)}
    assert {parcel.verdict for parcel in decided(run, sink=BOARD)} == {"send"}, "a limit is for what leaves"


def test_a_configuration_that_no_run_has_is_refused(run: Path) -> None:
    with pytest.raises(ConfigError, match="curves is no list of file"):
        decided(run, routes={"curves": "wandb"})
    with pytest.raises(ConfigError, match="max_mb"):
        decided(run, routes=None, max_mb=-1)
    with pytest.raises(ConfigError, match="the list cannot be read"):
        decided(run, max_mb=None, private="gone.txt")


def test_epochs_as_a_user_writes_them() -> None:
    assert parse_epochs("1-3,7, 90-") == [(1, 3), (7, 7), (90, 10**9)]
    for text in ("", "0", "3-1", "a", "1,,2", "-4"):
        with pytest.raises(ConfigError, match="counted from 1"):
            parse_epochs(text)
