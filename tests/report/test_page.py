"""The page of a report, as text: one file, nothing from elsewhere, no text that becomes markup, written whole."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_payload import ENDING, HOSTILE, payload, pictures

from aigp_lightning.report.page import render
from aigp_lightning.report.page.render import MIME_TYPES, SCRIPTS, page_json, write_page

ASSETS = Path(render.__file__).parent / "assets"


class Reader(HTMLParser):
    """Elements with their attributes, and the contents of scripts by id."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.script = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.script = (dict(attrs).get("id") or "own") if tag == "script" else ""

    def handle_data(self, data: str) -> None:
        if self.script:
            self.scripts[self.script] = self.scripts.get(self.script, "") + data

    def handle_endtag(self, tag: str) -> None:
        self.script = ""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, payload(2), pictures(2))
    return path


@pytest.fixture(scope="module")
def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader


def test_the_payload_comes_back_as_it_was(read: Reader) -> None:
    assert json.loads(read.scripts["payload"]) == payload(2)


def test_the_pictures_come_back_as_they_were(read: Reader) -> None:
    for name, mime, data in pictures(2):
        assert base64.b64decode(read.scripts[f"p-{name}"]) == data
        assert ("script", {"type": "text/plain", "id": f"p-{name}", "data-mime": mime}) in read.elements


def test_a_picture_of_more_than_one_piece_comes_back_as_it_was(tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000 + b"\x01"
    write_page(tmp_path / "page.html", payload(), [("big", "image/jpeg", data)])
    found = re.search(r'id="p-big"[^>]*>([^<]*)<', (tmp_path / "page.html").read_text(encoding="utf-8"))
    assert found and base64.b64decode(found[1], validate=True) == data


def test_no_text_of_the_payload_becomes_markup(page: Path, read: Reader) -> None:
    text = page.read_text(encoding="utf-8")
    assert HOSTILE not in text and ENDING not in text
    kinds = [attributes.get("type") or "own" for tag, attributes in read.elements if tag == "script"]
    assert kinds.count("own") == 1 and kinds.count("application/json") == 1
    assert not any(tag == "img" or "onerror" in attributes for tag, attributes in read.elements)


def test_it_names_nothing_that_could_be_loaded(read: Reader) -> None:
    """Plotly's script has addresses in it, which the policy keeps it from; the page and its own scripts have none."""
    named = [
        (tag, value)
        for tag, attributes in read.elements
        for key, value in attributes.items()
        if key in ("src", "href", "srcset", "action", "poster", "data") and not str(value).startswith(("#", "data:"))
    ]
    assert named == []
    for name in (*SCRIPTS, "style.css", "page.html.j2"):
        text = (ASSETS / name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//\w+\.|@import|url\(|fetch\(|XMLHttpRequest|WebSocket|sendBeacon", text), name


def test_own_scripts_make_no_markup_of_texts() -> None:
    for name in SCRIPTS:
        text = (ASSETS / name).read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), name
    assert sorted(path.name for path in ASSETS.glob("*.js")) == sorted(SCRIPTS)


def test_the_policy_forbids_everything_but_what_is_within(read: Reader) -> None:
    content = next(each["content"] for tag, each in read.elements if tag == "meta" and "http-equiv" in each)
    rules = dict(rule.strip().split(" ", 1) for rule in str(content).split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data: blob:"
    assert "unsafe-eval" not in str(content) and "connect-src" not in rules


def test_the_same_report_is_the_same_file(page: Path, tmp_path: Path) -> None:
    write_page(tmp_path / "again.html", payload(2), pictures(2))
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


@pytest.mark.parametrize(
    ("picture", "word"),
    [
        (("two words", "image/png", b""), "id"),
        (('a"><script>', "image/png", b""), "id"),
        (("r0-labels", "image/png", b""), "twice"),
        (("svg", "image/svg+xml", b""), "type"),
    ],
)
def test_pictures_that_cannot_be_shown_are_refused(tmp_path: Path, picture: tuple[str, str, bytes], word: str) -> None:
    assert "image/svg+xml" not in MIME_TYPES
    with pytest.raises(ValueError, match=word):
        write_page(tmp_path / "page.html", payload(), [*pictures(), picture])
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    old = tmp_path / "page.html"
    old.write_text("old", encoding="utf-8")

    def broken(*file: str) -> Iterator[tuple[str, str, bytes]]:
        yield "one", "image/png", b"1"
        raise OSError(5, "it breaks", *file)

    for named, file in ((["a.png"], "a.png"), ([], str(old))):
        with pytest.raises(OSError, match="it breaks") as caught:
            write_page(old, payload(), broken(*named))
        assert caught.value.filename == file
    assert old.read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [old]


def test_a_link_is_followed_and_a_folder_made(tmp_path: Path) -> None:
    target, link = tmp_path / "new" / "page.html", tmp_path / "link.html"
    write_page(target, payload(), [])
    target.write_text("old", encoding="utf-8")
    link.symlink_to(target)
    write_page(link, payload(), [])
    assert link.is_symlink() and target.stat().st_size > 1_000_000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_device_is_written_to_as_it_is() -> None:
    write_page(Path(os.devnull), payload(), pictures())
    assert not Path(os.devnull).is_file()


def test_numbers_that_json_does_not_know_become_null(tmp_path: Path) -> None:
    values = {"a": [float("nan"), 1.5, {"b": float("inf")}], "c": "NaN"}
    assert json.loads(page_json(values)) == {"a": [None, 1.5, {"b": None}], "c": "NaN"}


def test_texts_that_utf8_cannot_hold_do_not_stop_it(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", payload() | {"title": "caf\udce9 ünd"}, [])
    assert "<title>caf? ünd</title>" in (tmp_path / "page.html").read_text(encoding="utf-8")
