"""However an image is spelt, it is that image: odd names, detours, links, lists as other programs write them."""

from __future__ import annotations

import os
import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigp_lightning.errors import ConfigError
from aigp_lightning.media.patterns.image_patterns import ImagePatterns

ODD = ["x #1.jpg", "#1.jpg", "a#b.jpg", "run [1].jpg", "[abc]", "{a,b}.jpg", "!not.jpg", "100%.jpg", "it's \"so\".jpg",
       " blanks .jpg", "höf.jpg", "~tilde.jpg", "$HOME.jpg", "-dash.jpg", "(copy).jpg", "a,b;c.jpg",
       "a=b&c.jpg"]  # fmt: skip
POSIX_ONLY = ["two\nlines.jpg", "carriage\rreturn.jpg", "back\\slash.jpg", "star*.jpg", "what?.jpg", "tab\t.jpg",
              "latin\udcf6.jpg", "trailing .jpg ", "bell\x1b[1m.jpg", "end\u2028.jpg"]  # fmt: skip
posix = pytest.mark.skipif(os.name == "nt", reason="such names and links are POSIX's")


def private(*entries: str) -> ImagePatterns:
    return ImagePatterns(list(entries), "--media.private")


def made(folder: Path, *names: str) -> list[str]:
    """Empty files of these names."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return [str(path) for path in paths]


def found(patterns: ImagePatterns, images: list[str]) -> list[str]:
    """The names of those that are private; one by one there are as many or, where in doubt, more."""
    alone = {image for image in images if image in patterns}
    patterns.survey(images)
    together = [image for image in images if image in patterns]
    assert alone.issuperset(together)
    return [os.path.basename(image) for image in together]


# ---- names ----------------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("name", ODD + POSIX_ONLY)
def test_an_odd_name_is_that_file_and_no_other(name: str, tmp_path: Path) -> None:
    """Absolute, relative to the working directory, and anywhere in a path; as a folder's name too."""
    images = made(tmp_path / "data", *ODD, *POSIX_ONLY, "run 1.jpg", "a", "a.jpg")
    assert found(private(str(tmp_path / "data" / name)), images) == [name]
    assert found(private(f"data/{name}"), images) == [name]
    if name != "[abc]":  # which is told from a list by the path before it
        assert found(private(name), images) == [name]
    inside = made(tmp_path / "deep" / name, "in.jpg")
    assert found(private(f"deep/{name}/"), [*images, *inside]) == ["in.jpg"]
    assert found(private(f"deep/{name}/*.jpg"), [*images, *inside]) == ["in.jpg"]


@posix
@pytest.mark.parametrize("name", [name for name in ODD + POSIX_ONLY if "\n" not in name and "\r" not in name])
@pytest.mark.parametrize("place", ["absolute", "list's folder", "anywhere", "data set"])
def test_an_odd_name_in_a_list(name: str, place: str, tmp_path: Path) -> None:
    images = made(tmp_path / "data" / "images", *ODD, *POSIX_ONLY, "run 1.jpg", "x", "a", "a.jpg")
    lines = {"absolute": str(tmp_path / "data" / "images" / name), "list's folder": f"../images/{name}",
             "anywhere": name, "data set": f"images/{name}"}  # fmt: skip
    listed = tmp_path / "data" / "lists" / "private.txt"
    listed.parent.mkdir()
    line = lines[place].encode("utf-8", "surrogateescape")
    listed.write_bytes(line + b"\nnone.jpg\n")
    patterns = private(str(listed))
    patterns.survey(images, str(tmp_path / "data"))
    assert [os.path.basename(image) for image in images if image in patterns] == [name]
    assert patterns.unused() == [f"none.jpg ({listed}:2)"]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path: Path) -> None:
    images = made(tmp_path, "x[1].jpg", "x1.jpg", "[ab]", "a")
    assert found(private(str(tmp_path / "x[1].jpg")), images) == ["x[1].jpg"]
    assert found(private("[ab]"), images) == ["[ab]"]
    (tmp_path / "x[1].jpg").unlink()
    assert found(private("x[1].jpg"), images[1:]) == ["x1.jpg"]


@posix
def test_a_file_named_like_a_pattern_takes_nothing_out_of_it(tmp_path: Path) -> None:
    images = made(tmp_path / "garage", "*", "a.jpg", "b.jpg")
    assert found(private("garage/*"), images) == ["*", "a.jpg", "b.jpg"]


def test_brackets_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    images = ["/data/run [1]/a.jpg", "/data/run 1/b.jpg", "/data/run 2/c.jpg"]
    assert found(private("run [1]/*.jpg"), images) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_composed_and_decomposed_names_are_one(form: str, tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD" if form == "NFC" else "NFC", "höf é")
    images = made(tmp_path, f"{name}/ü.jpg", "other.jpg")
    asked = unicodedata.normalize(form, "höf é")
    for entry in (asked, f"{asked}/*", f"{tmp_path}/{asked}/ü.jpg", f"{tmp_path}/{asked}"):
        assert found(private(entry), images) == ["ü.jpg"]


# ---- patterns -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("a/**/b.jpg", ["/d/a/b.jpg", "/d/a/x/b.jpg", "/d/a/x/y/b.jpg"]),
        ("**/b.jpg", ["/d/a/b.jpg", "/d/a/x/b.jpg", "/d/a/x/y/b.jpg", "/b.jpg"]),
        ("/**/b.jpg", ["/d/a/b.jpg", "/d/a/x/b.jpg", "/d/a/x/y/b.jpg", "/b.jpg"]),
        ("/d/**/b.jpg", ["/d/a/b.jpg", "/d/a/x/b.jpg", "/d/a/x/y/b.jpg"]),
        ("a/**", ["/d/a/b.jpg", "/d/a/x/b.jpg", "/d/a/x/y/b.jpg"]),
        ("a/**/**/y/**/*.jpg", ["/d/a/x/y/b.jpg"]),
        ("a//x/./y/../b.jpg", ["/d/a/x/b.jpg"]),
        ("x/*/", ["/d/a/x/b.jpg", "/d/a/x/y/b.jpg"]),
        ("//d/a/b.jpg", ["/d/a/b.jpg"]),
        ("file:///d/a/b.jpg", ["/d/a/b.jpg"]),
        ("file://localhost/d/a/%62.jpg", ["/d/a/b.jpg"]),
        ("'a/b.jpg'", ["/d/a/b.jpg"]),
        ("[!a-c]?*.jpg", ["/d/a/b.jpg", "/d/a/x/b.jpg", "/d/a/x/y/b.jpg"]),
        ("[^a-c]?*.jpg", ["/d/a/b.jpg", "/d/a/x/b.jpg", "/d/a/x/y/b.jpg"]),
        ("a/[^]b]/b.jpg", ["/d/a/x/b.jpg"]),
        ("[^b].jpg", []),
        ("[b^].jpg", ["/d/a/b.jpg", "/d/a/x/b.jpg", "/d/a/x/y/b.jpg", "/b.jpg"]),
        ("?b.jpg", []),
        ("[]b].jpg", ["/d/a/b.jpg", "/d/a/x/b.jpg", "/d/a/x/y/b.jpg", "/b.jpg"]),
        ("*", ["/d/a/b.jpg", "/d/a/x/b.jpg", "/d/a/x/y/b.jpg", "/b.jpg"]),
        ("/", ["/d/a/b.jpg", "/d/a/x/b.jpg", "/d/a/x/y/b.jpg", "/b.jpg"]),
        ("B.jpg", []),
    ],
)
def test_globs_and_detours(pattern: str, fits: list[str]) -> None:
    images = ["/d/a/b.jpg", "/d/a/x/b.jpg", "/d/a/x/y/b.jpg", "/b.jpg"]
    if os.name != "nt":
        assert [image for image in images if image in private(pattern)] == fits


@posix
def test_any_character_in_a_folder_s_name() -> None:
    images = ["/data/two\nlines/garage/a.jpg", "/data/cr\rlf\r\n/garage/b\n.jpg", "/data/\udcf6/garage/c.jpg"]
    for entry in ("garage", "garage/*", "**/garage/**", "/data/*", "/data/**/garage/?*.jpg"):
        assert [image for image in images if image in private(entry)] == images
    assert "/data/two\nlines/a.jpg" in private("two?lines")
    assert images[0] in private("file:///data/two\nlines/garage")
    assert images[1] in private("file:///data/cr\rlf\r\n/garage/b%0A.jpg")


def test_home_variables_and_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("GARAGE", "garage")
    images = made(tmp_path / "garage", "a.jpg", "b.jpg")
    for entry in ("~/garage/a.jpg", "$GARAGE/a.jpg", "${HOME}/garage/a.jpg", "garage\\a.jpg", ".\\garage\\a.jpg"):
        assert found(private(entry), images) == ["a.jpg"]
    (tmp_path / "list.txt").write_text("~/garage/a.jpg\n")
    assert found(private("~/list.txt"), images) == ["a.jpg"]
    assert found(private((tmp_path / "list.txt").as_uri()), images) == ["a.jpg"]


# ---- detours and links ----------------------------------------------------------------------------------------------


def test_detours_of_entries_and_of_images(tmp_path: Path) -> None:
    made(tmp_path / "data" / "images", "a.jpg", "b.jpg")
    (tmp_path / "work").mkdir()
    os.chdir(tmp_path / "work")
    spelt = ["../data/images/a.jpg", "../data//images/./a.jpg", "../work/../data/images/../images/a.jpg/",
             f"{tmp_path}/work/../data/images/a.jpg", "../*/images/a.jpg", "../data/**/a.jpg"]  # fmt: skip
    for entry in spelt:
        for image in [spelling.rstrip("/") for spelling in spelt[:4]]:
            assert image in private(entry), (image, entry)
        assert "../data/images/b.jpg" not in private(entry)
    assert "../data/images/a.jpg" in private("..")
    assert "../data/images/a.jpg" not in private(".")


def test_names_start_from_the_data_set_s_folder_too(tmp_path: Path) -> None:
    images = made(tmp_path / "sets" / "gates" / "images", "a.jpg", "b.jpg")
    shared = made(tmp_path / "sets" / "shared", "c.jpg")
    patterns = private("../shared/c.jpg", "./images/a.jpg")
    patterns.survey([*images, *shared], str(tmp_path / "sets" / "gates"))
    assert [image in patterns for image in [*images, *shared]] == [True, False, True]


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[Path]:
    """`store/real` has the images; `data/images` is a link to `hop`, and `hop` one to `store/real`."""
    if os.name == "nt":
        pytest.skip("links need rights on Windows")
    made(tmp_path / "store" / "real", "a.jpg", "b.jpg")
    (tmp_path / "data").mkdir()
    (tmp_path / "hop").symlink_to("store/real")
    (tmp_path / "data" / "images").symlink_to(tmp_path / "hop")
    (tmp_path / "data" / "one.jpg").symlink_to("images/a.jpg")
    yield tmp_path


@pytest.mark.parametrize("image", ["store/real/a.jpg", "hop/a.jpg", "data/images/a.jpg", "data/one.jpg",
                                   "data/images/../real/a.jpg", "data/../data/images/a.jpg"])  # fmt: skip
@pytest.mark.parametrize("entry", ["{}/store/real/a.jpg", "{}/hop/a.jpg", "{}/data/images/a.jpg", "data/one.jpg",
                                   "{}/data/one.jpg", "data/images/../real/a.jpg", "store/**/a.jpg", "hop/a*",
                                   "{}/data/images/a*", "data/images/../../store/real/a.*", "data/one*"])  # fmt: skip
def test_links_in_the_entry_and_in_the_data(image: str, entry: str, linked: Path) -> None:
    """The link, what it leads to and every name on the way mean one file; the other image is another."""
    patterns = private(entry.format(linked))
    assert str(linked / image) in patterns
    assert image in patterns
    assert str(linked / "store" / "real" / "b.jpg") not in patterns


@pytest.mark.parametrize(
    "entry", ["hop", "data/images", "store", "store/real/", "{}/hop", "{}/data/images/.", "hop/../real"]
)
def test_a_folder_above_a_link(entry: str, linked: Path) -> None:
    patterns = private(entry.format(linked))
    assert [str(linked / each) in patterns for each in ("hop/a.jpg", "data/images/b.jpg", "data/one.jpg")] == [True] * 3
    made(linked / "real", "c.jpg")
    assert str(linked / "real" / "c.jpg") not in private(entry.format(linked)), (
        "`..` leads out of what the link leads to"
    )


@posix
def test_names_on_a_link_s_way_fit_where_nothing_of_that_name_starts(linked: Path) -> None:
    os.chdir(linked / "store")
    for entry in ("hop", "hop/*", "real/a.jpg"):
        assert str(linked / "data" / "images" / "a.jpg") in private(entry)


@posix
def test_two_names_of_one_file(tmp_path: Path) -> None:
    """A hard link; and what the pattern fits by one of two links is private by the other, too."""
    images = made(tmp_path, "garage/a.jpg", "street/c.jpg")
    os.link(images[0], tmp_path / "street" / "b.jpg")
    twin = str(tmp_path / "street" / "b.jpg")
    for entry in ("garage/a.jpg", "garage"):
        assert twin in private(entry)
        assert images[1] not in private(entry)
    patterns = private("*age/a.jp*")
    patterns.survey([*images, twin])
    assert [image in patterns for image in [*images, twin]] == [True, False, True]
    assert patterns.unused() == []


@posix
def test_links_in_circles_are_no_trap(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "again").symlink_to("../loop")
    images = made(tmp_path / "loop", "x.jpg")
    assert found(private("a", "loop", "loop/again/again"), images) == ["x.jpg"]
    assert str(tmp_path / "a") in private("a")
    assert str(tmp_path / "a" / "x.jpg") not in private("y")


@posix
def test_case_where_the_file_system_ignores_it(tmp_path: Path) -> None:
    """Here a second name stands in for such a file system: the name in the other case is the same file."""
    images = made(tmp_path / "data", "Garage_A.jpg", "street.jpg")
    assert found(private("garage_a.jpg"), images) == []
    os.link(images[0], tmp_path / "data" / "gARAGE_a.JPG")
    assert found(private("garage_a.jpg"), images) == ["Garage_A.jpg"]
    assert found(private("GARAGE_[a]*"), images) == ["Garage_A.jpg"]


def test_a_video_s_frame_is_the_video(tmp_path: Path) -> None:
    (clip,) = made(tmp_path, "flight.mp4")
    assert f"{clip}#12" in private("flight.mp4")
    assert f"{clip}#12" in private(clip)
    assert f"{clip}#12" in private("flight.mp4#12")
    assert f"{clip}#13" not in private("flight.mp4#12")


# ---- lists ----------------------------------------------------------------------------------------------------------

LINES = "# private\n\n  garage/a.jpg  \nx #1.jpg\na#b.jpg # a comment\n\t# another\nstreet/*\t#all\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "höf.jpg"])
def test_lists_as_other_programs_write_them(encoding: str, end: str, last: str, tmp_path: Path) -> None:
    images = made(tmp_path, "garage/a.jpg", "x #1.jpg", "x", "a#b.jpg", "a", "street/b.jpg", "höf.jpg", "other.jpg")
    (tmp_path / "p.lst").write_bytes((LINES + last).replace("\n", end).encode(encoding))
    patterns = private("p.lst")
    assert found(patterns, images) == ["a.jpg", "x #1.jpg", "a#b.jpg", "b.jpg", *([last] if last else [])]
    assert patterns.unused() == []


@pytest.mark.parametrize(
    ("line", "fits"),
    [
        ("garage #2/a.png", ["garage #2/a.png"]),
        ("garage #2/a.png # front", ["garage #2/a.png"]),
        ("garage #2", ["garage #2/a.png"]),
        ("images/garage #2/ # all of it", ["garage #2/a.png"]),
        ("garage #2/*", ["garage #2/a.png", "garage/b.png"]),  # a glob takes nothing away: in doubt, private
        ("images/garage #2/*.png # front", ["garage #2/a.png", "garage/b.png"]),
        ("garage #*", ["garage #2/a.png", "garage/b.png"]),
        ("shed #*", ["shed #1 #2/d.png"]),
        ("shed #1 #2/*.png", ["shed #1 #2/d.png"]),
        ("images\\garage #2\\a.png # front", ["garage #2/a.png"]),
        ("garage/* # all of it", ["garage/b.png"]),
        ("garage # 2", ["garage/b.png"]),
        ("# shed #1/*", []),
        ("#*", ["#e.png"]),
    ],
)
@pytest.mark.parametrize("place", ["list", "data", "elsewhere"])
def test_a_number_sign_in_a_list_belongs_to_a_name_that_fits(
    line: str, fits: list[str], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a name has to be looked for in the data set, far from the list and the working directory."""
    images = made(tmp_path / "data" / "images", "garage #2/a.png", "garage/b.png", "c.png", "shed #1 #2/d.png",
                  "#e.png", "other.png")  # fmt: skip
    folder = {"list": tmp_path / "data" / "images", "data": tmp_path / "data", "elsewhere": tmp_path / "x"}[place]
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    Path("p.txt").write_text(f"{line}\nother.png\n")
    patterns = private("p.txt")
    patterns.survey(images, str(tmp_path / "data"))
    private_ones = [os.path.relpath(each, tmp_path / "data" / "images") for each in images if each in patterns]
    assert private_ones == [*fits, "other.png"]
    assert patterns.unused() == []
    alone = private("p.txt")
    assert all(image in alone for image in images if image in patterns)  # before the data set is known, too


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the list is empty"),
        (b"\xef\xbb\xbf# nothing\r\n\r\n", "the list is empty"),
        (b"a.jpg\nb\0.jpg\n", r"p\.txt:2: a zero byte"),
        ("a.jpg\n".encode("utf-16-le"), r"p\.txt:1: a zero byte"),
        (b"a.jpg\nh\xf6f.jpg\n", r"p\.txt:2: it is not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"p\.txt:3: a zero byte"),
        (b"\x89PNG\r\nIHDR", r"p\.txt:1: it is not UTF-8"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_what_is_no_list_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^--media\.private .*{told}[^\n]*$"):
        private("p.txt").survey(["a.jpg"])


def test_a_folder_named_like_a_list_is_a_folder(tmp_path: Path) -> None:
    images = made(tmp_path, "private.txt/a.jpg", "b.jpg")
    assert found(private("private.txt"), images) == ["a.jpg"]
    if os.name != "nt":
        os.mkfifo(tmp_path / "pipe.txt")
        with pytest.raises(ConfigError, match="it is not a file"):
            private("pipe.txt")


@pytest.mark.parametrize("entry", ["", " ", "\t\n"])
def test_an_empty_entry_is_refused(entry: str) -> None:
    for given_ in (entry, [entry], ["a.jpg", entry]):
        with pytest.raises(ConfigError, match=r"--media\.private has an empty entry"):
            ImagePatterns(given_, "--media.private")
    assert not ImagePatterns([], "--media.private")


def test_unused_entries_are_named_with_their_line(tmp_path: Path) -> None:
    images = made(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "p.txt").write_text("a.jpg\nnone.jpg # why\n\nb\x1b[1m\n")
    patterns = private("p.txt", "test/t.jpg", "gone")
    patterns.survey(images)
    assert patterns.unused() == ["none.jpg (p.txt:2)", "b\\x1b[1m (p.txt:4)", "test/t.jpg", "gone"]
    assert patterns.unused(["/data/test/t.jpg"]) == ["none.jpg (p.txt:2)", "b\\x1b[1m (p.txt:4)", "gone"]


# ---- any tree, any spelling -----------------------------------------------------------------------------------------

NAMES = st.text(st.sampled_from("ab #[]{}!%'\"~$\\.-,\n\r\tö\u0308é\udcf6&;()^"), min_size=1, max_size=6).filter(
    lambda name: name.strip(".") and name == unicodedata.normalize("NFC", name)
)


def spelt(path: str, chance: random.Random, here: str) -> str:
    """One of the ways to spell an existing path."""
    detours = [chance.choice(["", "", "", "/", "/.", f"/../{part}"]) for part in path.split("/")]
    absolute = "/".join(part + detour * bool(part) for part, detour in zip(path.split("/"), detours, strict=True))
    absolute = absolute.rstrip("/.") if not path.endswith((".", "/")) else path
    return chance.choice([absolute, os.path.relpath(path, here), f"./{os.path.relpath(path, here)}", f"/{absolute}"])


@posix
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.tuples(NAMES, NAMES), min_size=2, max_size=5, unique=True), seed=st.integers(0, 999))
def test_every_spelling_of_an_existing_file_is_exactly_it(
    names: list[tuple[str, str]], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The file, by its spelling, is private; the others are not, unless the name fits anywhere in their paths."""
    folder, chance = str(tmp_path_factory.mktemp("tree")), random.Random(seed)
    images = made(Path(folder), *(f"{above}/{name}.jpg" for above, name in names))
    here = chance.choice([folder, os.path.dirname(images[-1])])
    os.chdir(here)
    asked = spelt(images[0], chance, here)
    patterns = private(asked)
    assert images[0] in patterns, asked
    assert spelt(images[0], chance, here) in patterns
    if os.path.isabs(asked) or here != folder:
        assert [image for image in images[1:] if image in patterns and not image.endswith(f"/{asked}")] == []
    patterns.survey(images)
    assert images[0] in patterns
    assert patterns.unused() == []
    above = private(spelt(os.path.dirname(images[0]), chance, here))
    assert images[0] in above
