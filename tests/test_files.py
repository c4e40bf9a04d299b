"""A file is written whole or left as it was; links, pipes and devices stay what they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import REPO, largest_file

from aigp_lightning.files import read_regular, write_atomic
from aigp_lightning.paths import short_name

posix = pytest.mark.skipif(os.name != "posix", reason="links and /dev are POSIX's")


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_atomic(tmp_path / "new" / "file", b"one")
    write_atomic(tmp_path / "new" / "file", b"two", sync=False)
    assert (tmp_path / "new" / "file").read_bytes() == b"two"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with largest_file(1000), pytest.raises(OSError) as raised:
        write_atomic(path, bytes(5000))
    assert raised.value.filename == str(path)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"old")]


@posix
def test_a_link_stays_one_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    (tmp_path / "early").symlink_to(tmp_path / "there" / "later")
    for name in ("link", "early"):
        write_atomic(tmp_path / name, name.encode())
        assert (tmp_path / name).is_symlink()
    assert (tmp_path / "there" / "file").read_bytes() == b"link"
    assert (tmp_path / "there" / "later").read_bytes() == b"early"


@posix
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1"])
@pytest.mark.parametrize("redirected", [True, False])
def test_a_device_is_written_to_wherever_it_leads(name: str, redirected: bool, tmp_path: Path) -> None:
    """To a file that the shell has opened, and to a pipe."""
    code = (
        f"from pathlib import Path; from aigp_lightning.files import write_atomic; write_atomic(Path({name!r}), b'x')"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    with (tmp_path / "out").open("wb") as file:
        target = file if redirected else subprocess.PIPE
        done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=target, check=True)
    assert ((tmp_path / "out").read_bytes() if redirected else done.stdout) == b"x"
    assert Path("/dev/stdout").is_symlink()


def place_special(path: Path, kind: str) -> None:
    """Put something at a path at which whoever opens it would wait, or write or read without end."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/full")
    else:
        path.mkdir()


@posix
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_not_read(kind: str, tmp_path: Path) -> None:
    place_special(tmp_path / "file", kind)
    with pytest.raises(OSError):
        read_regular(tmp_path / "file")


@posix
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_file_of_a_run_takes_the_place_of_what_is_none(kind: str, tmp_path: Path) -> None:
    """Nobody waits for a reader, and a device stays what it is."""
    path = tmp_path / "file"
    place_special(path, kind)
    if kind == "folder":
        with pytest.raises(OSError):
            write_atomic(path, b"new", own=True)
    else:
        write_atomic(path, b"new", own=True)
        assert path.read_bytes() == b"new"
        assert not path.is_symlink()
    assert not Path("/dev/full").is_file()
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@posix
def test_a_link_to_a_file_is_read_and_written(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"old")
    (tmp_path / "link").symlink_to("there")
    assert read_regular(tmp_path / "link") == b"old"
    write_atomic(tmp_path / "link", b"new", own=True)
    assert (tmp_path / "there").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["z" * 251 + ".jpg", "ü" * 125 + ".txt"])
def test_a_file_whose_name_is_as_long_as_may_be_is_written(name: str, tmp_path: Path) -> None:
    """The name of the file that is written first is no longer than its own."""
    write_atomic(tmp_path / name, b"x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_long_names_are_cut_between_characters_and_stay_apart() -> None:
    names = ["ü" * 190, "ü" * 191, "a" + "ü" * 190, "門" * 100, "\udcff" * 120, "a" * 200]
    cut = [short_name(name) for name in names]
    assert len(set(cut)) == 6 and cut[-1] == names[-1]
    assert all(190 < len(name.encode()) <= 200 for name in cut[:4]) and cut[2][:95] == "a" + "ü" * 94
