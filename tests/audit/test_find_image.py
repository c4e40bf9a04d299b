"""An image is found in a ledger however it is spelt."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from aigp_lightning.audit.images import find_image
from aigp_lightning.errors import DataError
from aigp_lightning.media.ledger.ledger import Entry, Ledger, Lines, read_ledger

NAMES = ["x #1.jpg", "run [1].jpg", "two\nlines.jpg", "back\\slash.jpg", "latin\udcf6.jpg", "100%.jpg", "~.jpg",
         unicodedata.normalize("NFD", "höf.jpg")]  # fmt: skip
posix = pytest.mark.skipif(os.name == "nt", reason="such names and links are POSIX's")


def ledger_of(folder: Path, *sources: str) -> Lines:
    ledger = Ledger(folder / "media.jsonl")
    for number, source in enumerate(sources):
        ledger.add(Entry("val_pred", f"p{number}", f"p{number}.jpg", "0" * 64, 1, 0, 0, [source], "wandb", "sent"))
    ledger.close()
    return read_ledger(folder / "media.jsonl")


def keys(lines: Lines, image: str) -> list[str]:
    return [line.key for line in find_image(lines, image).lines]


@posix
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("there", [True, False])
def test_odd_names_and_detours(name: str, there: bool, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "images"
    folder.mkdir(parents=True)
    lines = ledger_of(tmp_path, str(folder / name), str(folder / "other.jpg"))
    if there:
        (folder / name).touch()
    asked = unicodedata.normalize("NFC", name) if "latin" not in name else name
    for spelling in (f"{folder}/{asked}", f"//{folder}/./{asked}", f"{folder}/../images//{asked}", asked, f"./{asked}",
                     f"images/{asked}"):  # fmt: skip
        assert keys(lines, spelling) == ["p0"], spelling
    assert keys(lines, "images/none.jpg") == []


@posix
def test_links_hard_links_home_and_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a b.jpg").touch()
    (tmp_path / "data").symlink_to("store")
    os.link(tmp_path / "store" / "a b.jpg", tmp_path / "twin.jpg")
    lines = ledger_of(tmp_path, str(tmp_path / "data" / "a b.jpg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for asked in ("store/a b.jpg", "twin.jpg", "~/store/a b.jpg", (tmp_path / "store" / "a b.jpg").as_uri()):
        assert keys(lines, asked) == ["p0"], asked
    with pytest.raises(DataError, match="it is a folder; give the path of an image"):
        find_image(lines, str(tmp_path / "store"))
    assert keys(lines, "") == keys(lines, "../none.jpg") == keys(lines, "b.jpg") == []
