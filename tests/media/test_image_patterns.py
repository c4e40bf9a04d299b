"""Images named by globs, paths, folders and list files."""

from __future__ import annotations

from pathlib import Path

import pytest

from aigp_lightning.errors import ConfigError
from aigp_lightning.media.patterns.image_patterns import ImagePatterns


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("*.png", ["/data/garage/b.png"]),
        ("garage/*", ["/data/garage/a.jpg", "/data/garage/b.png", "/data/garage/deep/c.jpg"]),
        ("garage", ["/data/garage/a.jpg", "/data/garage/b.png", "/data/garage/deep/c.jpg"]),
        ("garage/", ["/data/garage/a.jpg", "/data/garage/b.png", "/data/garage/deep/c.jpg"]),
        ("./deep/c.jpg", ["/data/garage/deep/c.jpg"]),
        ("/data/garage/a.jpg", ["/data/garage/a.jpg"]),
        ("/garage/*", []),
        ("a.jpg", ["/data/garage/a.jpg"]),
        ("age/a.jpg", []),
        ("*/d[0-9].jpg", ["/data/yard/d1.jpg"]),
        ("höf é/*", ["/data/höf é/e f.jpg"]),
    ],
)
def test_patterns(pattern: str, fits: list[str]) -> None:
    images = ["/data/garage/a.jpg", "/data/garage/b.png", "/data/garage/deep/c.jpg", "/data/yard/d1.jpg",
              "/data/höf é/e f.jpg"]  # fmt: skip
    patterns = ImagePatterns(pattern, "--media.private")
    assert [image for image in images if image in patterns] == fits
    assert patterns.unused() == ([] if fits else [pattern])


def test_list_file(tmp_path: Path) -> None:
    listed = tmp_path / "private.txt"
    listed.write_text("# the garage\ngarage/*  # all of it\n\n/data/yard/d1.jpg\n", encoding="utf-8")
    patterns = ImagePatterns([str(listed), "*.bmp"], "--media.private")
    assert patterns.patterns == ["garage/*", "/data/yard/d1.jpg", "*.bmp"]
    assert "/x/garage/y.jpg" in patterns
    assert "/data/yard/d2.jpg" not in patterns
    assert patterns.any(["/data/yard/d2.jpg", "/data/yard/d1.jpg"])
    assert not patterns.any([])
    assert patterns.unused() == ["*.bmp"]


def test_links_do_not_hide_an_image(tmp_path: Path) -> None:
    """A link with a harmless name to a private image is private; what a link in a private folder leads to is too."""
    (tmp_path / "garage").mkdir()
    (tmp_path / "garage" / "a.jpg").write_bytes(b"")
    (tmp_path / "plain.jpg").symlink_to(tmp_path / "garage" / "a.jpg")
    for name in "bc":
        (tmp_path / f"{name}.jpg").write_bytes(b"")
    (tmp_path / "garage" / "b.jpg").symlink_to(tmp_path / "b.jpg")
    for entry in ("garage", "garage/*", "gar*/*.jpg", str(tmp_path / "garage" / "?.jpg")):
        patterns = ImagePatterns(entry, "--media.private")
        assert str(tmp_path / "plain.jpg") in patterns
        assert str(tmp_path / "garage" / "b.jpg") in patterns
        assert str(tmp_path / "b.jpg") in patterns
        assert str(tmp_path / "c.jpg") not in patterns


@pytest.fixture(scope="module")
def linked_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with a folder `private` that has nothing but further names of images of it, and of one elsewhere."""
    root = tmp_path_factory.mktemp("linked") / "data"
    for name in ("train/garage/a.png", "train/garage/deep/b.png", "train/c.png", "val/d.png", "val/e.png"):
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "images" / name).write_bytes(b"")
    (root.parent / "pool").mkdir()
    (root.parent / "pool" / "f.png").write_bytes(b"")
    (root / "images" / "val" / "f.png").symlink_to("../../../pool/f.png")
    private = root / "sub" / "private"
    private.mkdir(parents=True)
    (private / "one.png").symlink_to(root / "images" / "train" / "c.png")
    (private / "garage_link").symlink_to(root / "images" / "train" / "garage")
    (private / "hard.png").hardlink_to(root / "images" / "val" / "d.png")
    (private / "pool_link").symlink_to("../../../pool")
    (private / "cycle").symlink_to("..")
    (private / "nowhere").symlink_to("nothing")
    (root.parent / "way").symlink_to("data/sub")
    return root


@pytest.mark.parametrize(
    "pattern",
    ["private", "private/*", "priv*/*", "private/**", "private/*.png", "private/**/*.png", "pri*/*.png", "sub/private",
     "sub/*", "*/private/*.png", "./sub/private/**/*.png", "[p]rivate/*", "**/private/*", "sub/priv*",
     "{root}/sub/private/**/*.png", "{root}/sub/private/*", "{root}/*/private/*", "{root}/../way/private/*.png",
     "{root}/../w*/private/*.png", "{root}/sub/private"],
)  # fmt: skip
@pytest.mark.parametrize("place", ["data", "data/sub", "elsewhere"])
def test_globs_mean_the_files_that_links_lead_to(
    linked_data: Path, pattern: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the run starts; a link to a folder stands for all below it, and a hard link is as good as a link."""
    monkeypatch.chdir(linked_data.parent / place if place != "elsewhere" else Path.cwd())
    patterns = ImagePatterns(pattern.format(root=linked_data), "--media.private")
    images = sorted(str(path) for path in (linked_data / "images").rglob("*.png"))
    patterns.survey(images, str(linked_data))
    public = [Path(image).name for image in images if image not in patterns]
    assert public == ["e.png"]
    assert patterns.unused() == []


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [("private/o*", ["c.png"]), ("private/h*", ["d.png"]), ("private/*/f.png", ["f.png"]), ("p*/garage*/b*", ["b.png"]),
     ("private/deep/*", []), ("private/**/deep", ["b.png"]), ("one.png", ["c.png"]), ("garage_l*", ["a.png", "b.png"]),
     ("*_link/?.png", ["a.png", "f.png"]), ("private/[^hgp]*.png", ["c.png"]), ("[^a-o]rivate/o*", ["c.png"])],
)  # fmt: skip
def test_globs_mean_no_more_than_their_matches(linked_data: Path, pattern: str, fits: list[str]) -> None:
    patterns = ImagePatterns(pattern, "--media.private")
    images = sorted(str(path) for path in (linked_data / "images").rglob("*.png"))
    patterns.survey(images, str(linked_data))
    assert sorted(Path(image).name for image in images if image in patterns) == fits
    assert patterns.unused() == ([] if fits else [pattern])


def test_globs_over_links_outside_of_the_data_set(linked_data: Path, tmp_path: Path) -> None:
    """The test runs in `tmp_path`: what fits there is meant, and in the folder of a list."""
    (tmp_path / "mine_link").symlink_to(linked_data / "images" / "train")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "x_link.png").symlink_to(linked_data / "images" / "val" / "e.png")
    (tmp_path / "lists" / "private.txt").write_text("x_*.png\n", encoding="utf-8")
    images = sorted(str(path) for path in (linked_data / "images").rglob("*.png"))
    for entry, fits in {
        "min*/garage/*": ["a.png", "b.png"], "mine*": ["a.png", "b.png", "c.png"], "mine_link/c*": ["c.png"],
        "*/garage/deep/*": ["b.png"], "lists/private.txt": ["e.png"], "./*_link/c.png": ["c.png"],
    }.items():  # fmt: skip
        patterns = ImagePatterns(entry, "--media.private")
        patterns.survey(images, str(linked_data))
        assert sorted(Path(image).name for image in images if image in patterns) == fits, entry


def test_relative_paths_of_images(tmp_path: Path) -> None:
    """The test runs in `tmp_path`: an image named relative to it is the same image."""
    assert "images/a.jpg" in ImagePatterns(str(tmp_path / "images"), "--media.private")


def test_unreadable_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--media\.private .*none\.txt: the list cannot be read: No such file"):
        ImagePatterns(str(tmp_path / "none.txt"), "--media.private")
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        ImagePatterns(str(tmp_path / "bad.txt"), "--media.private")


@pytest.mark.parametrize("entry", ["[images/00[0-3]*,b/*]", "[*3.jpg]"])
def test_what_was_meant_as_a_list_is_no_pattern(entry: str) -> None:
    """YAML cannot parse these as lists, and hands them over as one word, which would fit nothing."""
    with pytest.raises(ConfigError, match="was not read as a list"):
        ImagePatterns(entry, "--media.private")
    assert "/a/3.jpg" in ImagePatterns("[0-9].jpg", "--media.private")


def test_nothing() -> None:
    assert not ImagePatterns(None, "--media.private")
    assert "/a.jpg" not in ImagePatterns(None, "--media.private")
