"""`predict --output.collect`: pictures in which something is found that is not labelled."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from predicted import BOX, Data, Finder, make_video, paint, predict, read

from aigp_lightning.checkpoints.schema import METADATA
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
    paths = {
        name: paint(tmp_path / "images" / name / "a.png", height=height)
        for name, height in (("train", 300), ("val", 301))
    }
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


class Trained(Finder):
    """A model that says which weights it is of."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.weights = str(weights)


def trained(tmp_path: Path, data_yaml: str) -> Trained:
    run = {"data": {"data_yaml": data_yaml}}
    metadata = {"family": "yolo", "task": "detect", "names": {0: "gate"}, "network": {}, "run": run}
    torch.save({"state_dict": {}, METADATA: metadata}, tmp_path / "best.ckpt")
    return Trained(tmp_path / "best.ckpt")


def measured_pictures(root: Path) -> dict[str, str]:
    """Make a data set of which all pictures are labelled as empty; returns a picture of each split."""
    paths = {}
    for level, name in enumerate(("train", "val", "test")):
        paths[name] = paint(root / "images" / name / "a.png", height=300 + level)  # no two alike
        empty = root / "labels" / name / "a.txt"
        empty.parent.mkdir(parents=True)
        empty.touch()
    text = "train: [images/train]\nval: images/val\ntest: images/test\nnames: {0: gate}\n"
    (root / "data.yaml").write_text(text, encoding="utf-8")
    return paths


def test_pictures_that_measured_the_model_are_left_out_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The data set is that of the model's run; copies of its pictures, elsewhere, are the same pictures."""
    paths = measured_pictures(tmp_path / "ds")
    shutil.copytree(tmp_path / "ds", tmp_path / "moved")
    copies = [path.replace("/ds/", "/moved/") for path in paths.values()]
    data = Data([*paths.values(), *copies])
    module = trained(tmp_path, str(tmp_path / "ds" / "data.yaml"))
    predict(tmp_path, data, module, collect=str(tmp_path / "hard.txt"), **QUIET)
    listed = (tmp_path / "hard.txt").read_text(encoding="utf-8").splitlines()
    assert listed == [paths["train"], copies[0]]
    text = (tmp_path / "hard-left-out.txt").read_text(encoding="utf-8")
    left_out = dict(line.split("\t") for line in text.splitlines())
    assert left_out.keys() == {paths["val"], paths["test"], *copies[1:]}
    assert "of the val split" in left_out[paths["val"]] and "of the test split" in left_out[paths["test"]]
    assert f"a copy of {paths['val']}, which is of the val split" in left_out[copies[1]]
    out = capsys.readouterr().out
    hint = f"in {tmp_path / 'ds' / 'data.yaml'}:\n  train:\n    - images/train\n    - {tmp_path / 'hard.txt'}\n"
    assert hint in out and "may be among them" not in out


def test_a_data_set_that_is_gone_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = measured_pictures(tmp_path / "ds")
    module = trained(tmp_path, "/gone/data.yaml")
    predict(tmp_path, Data(paths["val"]), module, collect=str(tmp_path / "a.txt"), **QUIET)
    out = capsys.readouterr().out
    assert "may be among them" in out and "/gone/data.yaml" in out and "--data.data_yaml names it" in out
    assert f"add this line to the list of `train` in data.yaml:\n    - {tmp_path / 'a.txt'}\n" in out
    data = Data(list(paths.values()))
    data.data_yaml = str(tmp_path / "ds")  # type: ignore[attr-defined]
    predict(tmp_path, data, module, collect=str(tmp_path / "b.txt"), **QUIET)
    assert (tmp_path / "b.txt").read_text(encoding="utf-8").splitlines() == [paths["train"]]
    assert f"those of {tmp_path / 'ds' / 'data.yaml'} are left out" in capsys.readouterr().out


def test_backgrounds_are_looked_at_without_being_a_source(tmp_path: Path) -> None:
    paint(tmp_path / "in" / "a.png")
    hall = [paint(tmp_path / "hall" / name) for name in ("b.png", "deep/c.png")]
    options = {"collect": str(tmp_path / "hard.txt"), "collect_backgrounds": [str(tmp_path / "hall")], **QUIET}
    predict(tmp_path, Data(str(tmp_path / "in")), **options)
    assert (tmp_path / "hard.txt").read_text(encoding="utf-8").splitlines() == hall
    (tmp_path / "nothing").mkdir()
    options = {"collect": str(tmp_path / "b.txt"), "collect_backgrounds": str(tmp_path / "nothing"), **QUIET}
    with pytest.raises(ConfigError, match=r"collect_backgrounds .*nothing: it has no pictures and no videos"):
        predict(tmp_path, Data(str(tmp_path / "in")), **options)


def test_a_run_that_collected_nothing_is_no_obstacle(tmp_path: Path) -> None:
    """What it left out is written anew, and goes where nothing is left out any more; other files are not touched."""
    picture = paint(tmp_path / "in" / "a.png")
    target, left_out = tmp_path / "hard.txt", tmp_path / "hard-left-out.txt"
    for _ in range(2):
        predict(tmp_path, Data(picture), collect=str(target), **QUIET)
        assert not target.exists() and "no label file" in left_out.read_text(encoding="utf-8")
    predict(tmp_path, Data(picture), collect=str(target), collect_backgrounds=picture, **QUIET)
    assert target.exists() and not left_out.exists() and not (tmp_path / "hard-left-out.jpg").exists()
    target.unlink()
    left_out.write_text("my notes\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"hard-left-out\.txt is there already"):
        predict(tmp_path, Data(picture), collect=str(target), **QUIET)


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
