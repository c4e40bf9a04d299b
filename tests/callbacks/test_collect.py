"""`predict --output.collect`: pictures in which something is found that is not labelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from predicted import BOX, Data, make_video, paint, predict, read

from aigp_lightning.errors import ConfigError

QUIET = {"save_images": False, "save_txt": False, "save_json": False}
HEIGHT, WIDTH = 300, 400


def label(picture: str, *boxes: tuple[float, float, float, float]) -> None:
    """Write the labels of a picture: boxes in pixels, left, top, right and bottom; none for an empty file."""
    middles = [((a + c) / 2, (b + d) / 2, c - a, d - b) for a, b, c, d in boxes]
    rows = [f"0 {x / WIDTH} {y / HEIGHT} {width / WIDTH} {height / HEIGHT}\n" for x, y, width, height in middles]
    Path(picture).with_suffix(".txt").write_text("".join(rows), encoding="utf-8")


def test_only_what_is_known_to_be_no_object_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    names = ("found", "rough", "missing", "empty", "nothing", "unlabelled", "damaged")
    paths = {name: paint(folder / f"{name}.png", found=name != "nothing") for name in names}
    label(paths["found"], BOX)
    label(paths["rough"], (BOX[0] + 50, BOX[1], BOX[2] + 50, BOX[3]))  # IoU 0.6: of that object
    label(paths["missing"], (300, 200, 390, 290))  # another object
    label(paths["empty"])
    label(paths["nothing"])
    Path(paths["damaged"]).with_suffix(".txt").write_text("0 0.5 what", encoding="utf-8")
    predict(tmp_path, Data(str(folder)), collect=str(tmp_path / "hard.txt"), **QUIET)

    assert (tmp_path / "hard.txt").read_text(encoding="utf-8").split("\n") == [paths["empty"], paths["missing"], ""]
    left_out = dict(
        line.split("\t") for line in (tmp_path / "hard-left-out.txt").read_text(encoding="utf-8").splitlines()
    )
    assert left_out[paths["unlabelled"]] == "there is no label file"
    assert left_out.keys() == {paths["unlabelled"], paths["damaged"]} and "label file" in left_out[paths["damaged"]]
    out = capsys.readouterr().out
    assert "collected 2 pictures" in out and "1 with labels" in out and "1 labelled as empty" in out
    assert f"    - {tmp_path / 'hard.txt'}" in out and "--output.collect_backgrounds" in out
    sheet = read(tmp_path / "hard.jpg")
    assert sheet.shape == (240, 640, 3), "two pictures of 400 × 300, their longer side 320"
    assert not list(folder.glob("unlabelled.txt")), "labels are the user's to write"


def test_frames_of_a_background_are_saved_as_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hall = make_video(tmp_path / "hall" / "flight.avi", frames=3)
    other = make_video(tmp_path / "other.avi", frames=2)
    options = {"collect": str(tmp_path / "lists" / "hard.txt"), "collect_backgrounds": str(tmp_path / "hall"), **QUIET}
    predict(tmp_path, Data([str(hall), str(other)]), **options)
    listed = (tmp_path / "lists" / "hard.txt").read_text(encoding="utf-8").splitlines()
    assert listed == [str(tmp_path / "lists" / "hard-frames" / f"flight_{number}.jpg") for number in range(3)]
    left, top = int(BOX[0]), int(BOX[1])
    for number, path in enumerate(listed):
        picture = read(Path(path)).astype(int)
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert abs(picture[10, 10] - 10 * number).max() < 8 and picture[top + 20, left + 20].min() > 240
    left_out = (tmp_path / "lists" / "hard-left-out.txt").read_text(encoding="utf-8").splitlines()
    assert left_out == [f"{other}#{number}\ta video has no labels" for number in range(2)]
    assert not list((tmp_path / "lists" / "hard-frames").glob("other*"))
    assert "3 that you say are without objects" in capsys.readouterr().out


def test_pictures_that_measure_are_left_out(tmp_path: Path) -> None:
    paths = {name: paint(tmp_path / "images" / name / "a.png") for name in ("train", "val")}
    data_yaml = tmp_path / "data.yaml"
    data_yaml.write_text("train: images/train\nval: images/val\nnames: {0: gate}\n", encoding="utf-8")
    for path in paths.values():
        empty = Path(path.replace("images", "labels")).with_suffix(".txt")
        empty.parent.mkdir(parents=True)
        empty.touch()
    data = Data(list(paths.values()))
    data.data_yaml = str(data_yaml)  # type: ignore[attr-defined]
    predict(tmp_path, data, collect=str(tmp_path / "hard.txt"), **QUIET)
    assert (tmp_path / "hard.txt").read_text(encoding="utf-8").splitlines() == [paths["train"]]
    assert "of the val split" in (tmp_path / "hard-left-out.txt").read_text(encoding="utf-8")


def test_a_list_that_is_trained_on(tmp_path: Path) -> None:
    """The list goes into `train` beside what stands there, and a background without label file is one."""
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.scan import scan_split

    stated = paint(tmp_path / "hall" / "a b.png")
    predict(tmp_path, Data(stated), collect=str(tmp_path / "hard.txt"), collect_backgrounds=stated, **QUIET)
    label(paint(tmp_path / "train" / "000.png"), BOX)
    data_yaml = tmp_path / "data.yaml"
    data_yaml.write_text("train: [train, hard.txt]\nval: train\nnames: {0: gate}\n", encoding="utf-8")
    scan = scan_split(read_data_yaml(str(data_yaml)), "train", workers=1, progress=False)
    counts = {Path(record.im_file).name: len(record.cls) for record in scan.records}
    assert counts == {"a b.png": 0, "000.png": 1}


def test_boxes_of_the_sheet_are_those_of_the_picture() -> None:
    from aigp_lightning.predictions.collected_files import _cell

    each = {"path": paint(Path("a.png")), "frame": None, "boxes": [list(BOX)], "labels": [3], "scores": [0.9]}
    cell = _cell(each)
    assert cell is not None and cell.image.shape == (240, 320, 3)
    np.testing.assert_allclose(cell.boxes, [[80, 48, 240, 144]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"collect": "hard.csv"}, "ends in .txt"),
        ({"collect": "there.txt"}, "is there already"),
        ({"collect_backgrounds": "hall"}, "needs --output.collect FILE.txt"),
        ({"collect": "hard.txt", "collect_backgrounds": ["nowhere"]}, "nowhere: there is no such file or folder"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_predicted(options: dict[str, object], message: str) -> None:
    from aigp_lightning.callbacks.predictions import PredictionWriter

    Path("there.txt").write_text("images/train/000.jpg\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        PredictionWriter(**options)  # type: ignore[arg-type]
    assert Path("there.txt").read_text(encoding="utf-8") == "images/train/000.jpg\n"
