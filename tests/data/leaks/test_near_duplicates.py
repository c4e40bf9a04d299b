"""Copies of a picture are found whatever was done to them, and pictures that look alike are told apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from aigp_lightning.data.leaks import near_duplicates, thumbnails
from aigp_lightning.data.leaks.near_duplicates import NEAR, SAME, Comparable, correlations, near_pairs, prepare
from aigp_lightning.data.leaks.thumbnails import read_thumbnails, thumbnail
from aigp_lightning.data.synthetic import MakeDataOptions, make_data

SCENES = 60


@pytest.fixture(scope="module")
def scenes(made_once: Callable[..., Path]) -> list[Path]:
    """Independent scenes of gates, which share a horizon, a palette and the shape of gates."""

    def make(folder: Path) -> None:
        options = MakeDataOptions(str(folder / "set"), train=SCENES, val=1, test=0, imgsz=(192, 108), workers=1, seed=3)
        make_data(options, progress=False)

    return sorted((made_once("scenes", make) / "set" / "images" / "train").iterdir())


def ready(files: list[Path]) -> Comparable:
    return prepare(*read_thumbnails(list(map(str, files)), workers=1))


def shifted(picture: np.ndarray) -> np.ndarray:
    move = np.array([[1, 0, 0.03 * picture.shape[1]], [0, 1, 0]], np.float32)
    return cv2.warpAffine(picture, move, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


def by_quality(picture: np.ndarray) -> np.ndarray:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "half": lambda picture: cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "larger": lambda picture: cv2.resize(picture, None, fx=1.7, fy=1.7),
    "quality": by_quality,
    "shift": shifted,
    "darker": lambda picture: cv2.convertScaleAbs(picture, alpha=0.6),
    "all": lambda picture: by_quality(shifted(cv2.convertScaleAbs(picture, alpha=0.7, beta=15))),
}


def test_independent_scenes_do_not_match(scenes: list[Path]) -> None:
    assert len(near_pairs(ready(scenes))[0]) == 0


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_match_their_own_and_no_other(scenes: list[Path], change: str, tmp_path: Path) -> None:
    copies = []
    for file in scenes:
        copies.append(tmp_path / f"{file.stem}.png")
        cv2.imwrite(str(copies[-1]), CHANGES[change](cv2.imread(str(file))))
    pairs, alike = near_pairs(ready(copies), ready(scenes))
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert len(pairs) >= SCENES - 1  # a scene of flat colours may have too little detail
    if change in ("half", "larger", "quality"):
        assert (alike >= SAME).all()


def test_frames_of_a_flight_are_alike_the_less_the_further_apart(flights: Path) -> None:
    frames = sorted((flights / "images" / "flight_000").iterdir())
    pictures = ready(frames)
    medians = []
    for lag in (1, 3, 8, 30):
        pairs = np.column_stack([np.arange(len(frames) - lag), np.arange(lag, len(frames))])
        medians.append(float(np.median(correlations(pictures, pictures, pairs))))
    assert medians == sorted(medians, reverse=True)
    assert medians[0] > NEAR
    assert medians[-1] < 0.35


def test_flat_and_unreadable_pictures_match_nothing(tmp_path: Path) -> None:
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((40, 40, 3), 7, np.uint8))
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    pictures = ready([tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.jpg"])
    assert not pictures.told.any()
    assert len(near_pairs(pictures)[0]) == 0
    assert len(near_pairs(pictures, pictures.part(np.zeros(0, np.int64)))[0]) == 0


def test_chunks_change_nothing(scenes: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = ready([*scenes[:20], *scenes[:20]])
    whole = near_pairs(pictures)[0]
    monkeypatch.setattr(near_duplicates, "CELLS", 3 * len(pictures))
    np.testing.assert_array_equal(near_pairs(pictures)[0], whole)
    assert {tuple(pair) for pair in whole.tolist()} == {(i, (i + 20) % 40) for i in range(40)}


def test_a_thumbnail_is_of_the_upright_picture(tmp_path: Path) -> None:
    """As its EXIF turns it; of a large JPEG, decoded at an eighth, the same as of a PNG to a few grey levels."""
    from PIL import Image

    ramp = np.tile(np.arange(1024, dtype=np.float32) / 4, (512, 1)).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "plain.png")
    exif = Image.Exif()
    exif[274] = 3  # half a turn
    Image.fromarray(ramp).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    plain, turned = thumbnail(str(tmp_path / "plain.png")), thumbnail(str(tmp_path / "turned.jpg"))
    assert plain is not None and turned is not None
    assert np.abs(plain.astype(int) - turned[::-1, ::-1]).max() <= 3


def test_thumbnails_are_kept_by_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look reads no picture; a changed one is read alone; a damaged file is made anew."""
    made: list[str] = []

    def count(file: str) -> np.ndarray | None:
        made.append(Path(file).name)
        return thumbnail(file)

    monkeypatch.setattr(thumbnails, "thumbnail", count)
    monkeypatch.setattr(thumbnails, "FRESH_NS", -(10**12))  # all files count as long unchanged
    random = np.random.default_rng(0)
    files = [tmp_path / f"{name}.png" for name in "abc"]
    for file in files:
        cv2.imwrite(str(file), random.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    names = list(map(str, files))
    first, _ = read_thumbnails(names, [tmp_path / "missing", tmp_path], workers=1)
    again, readable = read_thumbnails(names, [tmp_path], workers=1)
    assert made == ["a.png", "b.png", "c.png"]
    assert readable.all()
    np.testing.assert_array_equal(first, again)
    cv2.imwrite(str(files[1]), random.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    changed, _ = read_thumbnails(names[::-1], [tmp_path], workers=1)
    assert made[3:] == ["b.png"]
    np.testing.assert_array_equal(changed[[2, 0]], first[[0, 2]])
    assert (changed[1] != first[1]).any()
    (tmp_path / thumbnails.FILE).write_bytes(b"PK damaged")
    np.testing.assert_array_equal(read_thumbnails(names, [tmp_path], workers=1)[0][1], changed[1])
    assert len(made) == 7


def test_a_picture_that_has_just_changed_is_not_kept(tmp_path: Path) -> None:
    """Another change within the clock's grain would leave its times as they are."""
    file = tmp_path / "a.png"
    cv2.imwrite(str(file), np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    read_thumbnails([str(file)], [tmp_path], workers=1)
    with np.load(tmp_path / thumbnails.FILE) as kept:
        assert len(kept["stamps"]) == 0
