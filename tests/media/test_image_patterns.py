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
