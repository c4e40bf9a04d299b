"""Links of a store, and what other verbs do with a path in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from promoted_files import promote_bytes

from aigp_lightning.errors import ConfigError
from aigp_lightning.store.places import (
    StorePlaces,
    check_model_name,
    follow_text_links,
    make_link,
    read_link,
    through_links,
)

ID = "0123456789abcdef"


@pytest.mark.parametrize("links", [True, False])
def test_a_link_is_read_as_it_was_made(tmp_path: Path, links: bool) -> None:
    path = tmp_path / "latest" / "gates"
    make_link(path, ID, links)
    assert path.is_symlink() == links
    assert read_link(path) == ID


@pytest.mark.parametrize("text", ["", "../versions/", "../../versions/" + ID, f"../versions/{ID}x", "\xff", "x" * 9999])
def test_other_texts_are_no_links(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gates"
    path.write_bytes(text.encode("latin-1"))
    assert read_link(path) is None
    path.unlink()
    assert read_link(path) is None
    if text and "\xff" not in text and len(text) < 99:
        path.symlink_to(text)
        assert read_link(path) is None


def test_verbs_follow_links_that_are_text_files(places: StorePlaces, run_cli: Callable[..., int]) -> None:
    version = promote_bytes(places, "gates", b"one", links=False).version
    folder = places.versions / version
    link = places.link("gates")
    assert through_links(link) == folder
    words = ["--ckpt_path", str(link / "best.ckpt"), f"--model={link}", "latest", str(places.links / "none")]
    assert follow_text_links(words) == [
        "--ckpt_path", str(folder / "best.ckpt"), f"--model={folder}", "latest", str(places.links / "none"),
    ]  # fmt: skip
    assert run_cli("receipt", "verify", link / "receipt.json") == 1, "it is reached, and the test's has no parts"


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (("export", "--ckpt_path"), "best.ckpt"),
        (("ppo", "export", "--model"), "model.zip"),
        (("ppo", "evaluate", "--model"), "model.zip"),
    ],
)
def test_verbs_write_nothing_into_a_version(
    tmp_path: Path, words: tuple[str, ...], file: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    names = {file, "receipt.json", "vecnormalize.pkl"}
    for name in names:
        (tmp_path / name).write_bytes(b"?")
    assert run_cli(*words, tmp_path / file) == 2
    assert "is a version in a store of models, which stays as it is: --out FOLDER" in capsys.readouterr().err
    assert set(os.listdir(tmp_path)) == names


@pytest.mark.parametrize(
    "name", ["con", "NUL.onnx", "Com1", "lpt9.x", "-x", "--name", "a:b", "a.", "x" * 300, "é" * 100], ids=repr
)
def test_names_that_are_none_on_every_system(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_model_name(name)
    assert len(str(caught.value)) < 120
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["gates", "console", "com10", "gates-2", "Ü gates", "a.b"])
def test_names_that_do(name: str) -> None:
    check_model_name(name)
