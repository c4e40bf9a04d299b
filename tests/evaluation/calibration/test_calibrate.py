"""`calibrate` on a model whose answers are prepared, so that the optimum is known in closed form.

40 frames show a gate, found with confidence 1/80, 3/80, … 79/80; 40 are empty, with false alarms of 1/160, 3/160, …
79/160. Above a confidence c, 1 - c of the gates are found, and 1 - 2c false alarms are left in an empty frame: at most
0.05 from c = 0.475 on, where 21 of 40 gates are. Corners are sure by 0.55 and exact; each gate is found twice, with an
overlap of 2/3.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prepared_model import Found, Lookup, Picture, families, write_model, write_pictures

from aigp_lightning import load
from aigp_lightning.cli.main import main
from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.evaluation.calibration.calibrate import Calibration, calibrate
from aigp_lightning.evaluation.calibration.counts import count_at
from aigp_lightning.evaluation.calibration.options import CalibrateOptions, FrameOptions
from aigp_lightning.evaluation.calibration.result_files import rows_of, slices, trade_off_axes, write_results
from aigp_lightning.files import sha256_of
from aigp_lightning.modules.thresholds import read_thresholds

FOCAL = 80.0
"""Pixels, of the camera in pictures of 160 × 90."""


def gate_corners() -> np.ndarray:
    """The corners of a gate of 1.5 metres, 4 metres ahead and turned by 0.3 radians about the vertical."""
    square = np.array([[-0.75, -0.75], [0.75, -0.75], [0.75, 0.75], [-0.75, 0.75]])
    places = np.column_stack((square[:, 0] * np.cos(0.3), square[:, 1], 4 + square[:, 0] * np.sin(0.3)))
    return places[:, :2] / places[:, 2:] * FOCAL + (80, 45)


CORNERS = gate_corners()
BOX = (*CORNERS.min(0).tolist(), *CORNERS.max(0).tolist())
SHIFT = (BOX[2] - BOX[0]) / 5  # so that 4 of 6 parts are shared
SHIFTED = (BOX[0] + SHIFT, BOX[1], BOX[2] + SHIFT, BOX[3])
GRID = {"conf": "0.05:0.95:0.025", "keypoint_conf": "0.1:0.7:0.2", "iou": "0.5:0.7:0.1", "reprojection": "1,4,null"}


@pytest.fixture(autouse=True)
def _prepared() -> Iterator[None]:
    with families():
        yield


def pictures() -> list[Picture]:
    found = []
    for number in range(40):
        score = (2 * number + 1) / 80
        gate = Found(score, BOX, CORNERS, (0.55, 0.9, 0.6, 0.8))
        twin = Found(score - 0.001, SHIFTED, CORNERS, (0.9, 0.9, 0.9, 0.9))
        found.append(Picture([gate, twin], [BOX], [CORNERS]))
    return found + [Picture([Found((2 * number + 1) / 160, BOX, CORNERS)]) for number in range(40)]


def asked(run: Path, **options: object) -> CalibrateOptions:
    rule = {"target": "false_alarms <= 0.05, duplicates <= 0", "maximize": "usable"}
    given = {"ckpt_path": str(run), **GRID, **rule, "draws": 50, "data": FrameOptions(workers=0), **options}
    return CalibrateOptions(**given)  # type: ignore[arg-type]


def a_run(folder: Path, pose: bool = True) -> Path:
    data = write_pictures(folder / "data", pictures(), pose)
    write_model(folder / "runs" / "gates" / "weights" / "best.ckpt", pictures(), pose, data)
    return folder / "runs" / "gates"


def values(found: Calibration) -> tuple[object, ...]:
    assert found.best is not None
    return found.best.conf, found.best.keypoint_conf, found.best.iou, found.best.reprojection_px


def test_the_optimum_is_found_by_one_run_of_the_network(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    before = Lookup.calls
    found = calibrate(asked(run), progress=False)
    assert Lookup.calls - before == 80  # each frame once, for 37 · 4 · 3 · 3 combinations
    # The middle of 0.1, 0.3, 0.5; of 0.6 and 0.5, and of no limit, 4 and 1, by the rule for plateaus.
    assert values(found) == (0.475, 0.3, 0.5, 4.0)
    figures = {name: each.value for name, each in found.chosen.items()}
    assert figures["usable"] == figures["recall"] == 21 / 40
    assert figures["false_alarms"] == 2 / 40 and figures["duplicates"] == 0
    assert figures["precision"] == 21 / 23
    assert figures["position_m"] < 1e-3 and figures["rotation_deg"] < 0.05 and figures["corner_px"] < 1e-4
    low, high = found.chosen["usable"].low, found.chosen["usable"].high
    assert 0.3 < low < 21 / 40 < high < 0.75


def test_every_figure_of_the_sweep_is_that_of_its_combination(tmp_path: Path) -> None:
    """The closed form over the whole grid, and the frame by frame count at some places."""
    found = calibrate(asked(a_run(tmp_path)), progress=False)
    conf = np.array(found.grid.conf)
    scores, alarms = (np.arange(40) + 0.5) / 40, (np.arange(40) + 0.5) / 80
    usable = (scores.astype(np.float32) > conf.astype(np.float32)[:, None]).mean(1)
    seen = np.array([1.0, 1.0, 1.0, 0.0])  # 0.1, 0.3, 0.5 and 0.7
    expected = usable[:, None, None, None] * seen[:, None, None] * np.ones((3, 3))
    np.testing.assert_allclose(found.figures["usable"], expected)
    false_alarms = (alarms.astype(np.float32) > conf.astype(np.float32)[:, None]).mean(1)
    np.testing.assert_allclose(found.figures["false_alarms"], false_alarms[:, None, None, None] * np.ones((1, 4, 3, 3)))
    twins = ((scores - 0.001).astype(np.float32) > conf.astype(np.float32)[:, None]).mean(1)
    duplicates = twins[:, None] * np.array([1.0, 0.0, 0.0])  # two thirds is above 0.6 and below 0.7
    np.testing.assert_allclose(found.figures["duplicates"], duplicates[:, None, :, None] * np.ones((1, 4, 1, 3)))


def test_what_predict_finds_at_the_chosen_thresholds(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    found = calibrate(asked(run), progress=False)
    files = write_results(found, run)
    assert [path.name for path in files] == ["thresholds.json", "by_value.png", "trade_off.png"]
    model = load(run)
    assert model.thresholds == read_thresholds(run / "thresholds.json")
    results = model.predict(str(tmp_path / "data" / "images" / "val"))
    gates = [result for result in results[:40] if len(result) and result.seen is not None and result.seen.all()]
    assert len(gates) == 21 and sum(len(result) for result in results[40:]) == 2
    assert max(len(result) for result in results) == 1
    without = load(run, thresholds=None)
    alone = without.predict(str(tmp_path / "data" / "images" / "val" / "020.png"))[0]
    assert without.thresholds is None and alone.seen is None and len(alone) == 2
    # In numbers: the same rows, to the last bit, as the calibration judged.
    row = found.frames.dataset.files.index(next(each for each in found.frames.dataset.files if "030" in each.path))
    assert results[row].scores.tolist() == [np.float32(61 / 80)]
    assert np.abs(results[row].boxes - np.array([BOX])).max() < 1e-4


def test_the_file_says_how_they_were_chosen(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    write_results(calibrate(asked(run), progress=False), run)
    content = json.loads((run / "thresholds.json").read_text())
    about = content["about"]
    names = ("conf", "keypoint_conf", "iou", "reprojection_px", "max_det")
    assert tuple(content[name] for name in names) == (0.475, 0.3, 0.5, 4, 300)
    assert about["model"] == {"file": "best.ckpt", "sha256": sha256_of(run / "weights" / "best.ckpt")}
    assert about["targets"] == ["false_alarms <= 0.05", "duplicates <= 0"] and about["maximize"] == "usable"
    frames = {name: about["frames"][name] for name in ("count", "labelled", "empty", "objects")}
    assert frames == {"count": 80, "labelled": 80, "empty": 40, "objects": 40}
    assert about["figures"]["usable"]["value"] == 0.525 and about["grid"]["iou"] == [0.7, 0.6, 0.5]
    assert about["without"]["thresholds"] == {"conf": 0.25, "keypoint_conf": 0.5, "iou": 0.7, "reprojection_px": None}
    assert about["without"]["figures"]["usable"]["value"] == 30 / 40
    assert str(tmp_path) not in json.dumps(about["model"]) and len(about["frames"]["sha256"]) == 64


def test_a_detector_has_two_thresholds(tmp_path: Path) -> None:
    found = calibrate(asked(a_run(tmp_path, pose=False), target=None, maximize=None), progress=False)
    assert str(found.rule) == "false_alarms <= 0.05, then the most f1"
    assert found.grid.shape == (37, 1, 3, 1) and values(found) == (0.5, None, 0.5, None)
    assert found.lacking["usable"] == "the model finds no keypoints" and "usable" not in found.chosen
    # 2 · 21 / (23 + 40) at 0.475 and 2 · 20 / (20 + 40) at 0.5 are the same: of the two the more careful one.
    assert found.choice.plateau == 2 * 2 and found.chosen["f1"].value == pytest.approx(2 / 3)


def test_a_model_without_nms_has_no_overlap_to_try(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", pictures(), pose=False)
    write_model(tmp_path / "best.ckpt", pictures(), False, data, queries=True)
    found = calibrate(asked(tmp_path / "best.ckpt", target=None, maximize="recall"), progress=False)
    assert found.grid.shape == (37, 1, 1, 1)
    assert found.notes == ("iou is not tried: this model suppresses no boxes",)
    assert values(found) == (0.05, None, None, None)
    # Both of the twins stay; a confidence of exactly the limit counts in this family.
    assert found.chosen["recall"].value == 38 / 40 and found.chosen["duplicates"].value == 38 / 40
    (file, *_) = write_results(found, tmp_path / "out")
    about = read_thresholds(file).about
    assert about["not_tried"] == list(found.notes) and "iou" not in about["grid"]
    with families():
        assert load(tmp_path / "best.ckpt", thresholds=file).thresholds is not None


def test_no_combination_meets_the_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path)
    words = ["calibrate", str(run), "--conf", "0.1,0.2", "--keypoint_conf", "0.5", "--iou", "0.6"]
    words += ["--data.workers", "0"]
    words += ["--reprojection", "null", "--target", "false_alarms <= 0.05", "--target", "usable >= 0.5", "--draws", "9"]
    assert main(words) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line == (
        "error: none of 2 combinations meets false_alarms <= 0.05 and usable >= 0.5; nothing is written. Nearest comes "
        "conf 0.2, keypoint_conf 0.5, iou 0.6, with false_alarms 0.6, usable 0.8."
    )
    assert not list(run.glob("thresholds*"))


def test_a_model_that_finds_nothing_gets_no_thresholds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = [Picture([], each.boxes, each.corners) for each in pictures()]
    data = write_pictures(tmp_path / "data", nothing, pose=True)
    run = tmp_path / "runs" / "gates"
    write_model(run / "weights" / "best.ckpt", nothing, True, data)
    assert main(["calibrate", str(run), "--draws", "9", "--data.workers", "0", "--conf", "0.1,0.2"]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert (
        line.startswith("error: usable is 0 at all of the ")
        and "combinations that keep false_alarms <= 0.05; nothing is wr" in line
    )
    assert not list(run.glob("thresholds*"))


def test_frames_that_the_model_was_trained_on_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run, data = a_run(tmp_path), tmp_path / "data" / "data.yaml"
    assert calibrate(asked(run), progress=False).trained_on == 80  # its training split is its validation split
    first = sorted((tmp_path / "data" / "images" / "val").iterdir())[0]
    (tmp_path / "data" / "train.txt").write_text(f"{first}\n", encoding="utf-8")
    lines = data.read_text(encoding="utf-8").splitlines()
    changed = ["train: train.txt" if line.startswith("train:") else line for line in lines]
    data.write_text("\n".join(changed), encoding="utf-8")
    caplog.clear()
    found = calibrate(asked(run), progress=False)
    assert found.trained_on == 1
    assert f"1 of 80 frames are training pictures of this model ({data})" in caplog.text
    write_results(found, run)
    assert read_thresholds(run / "thresholds.json").about["frames"]["trained_on"] == 1


def test_the_verb_prints_both_and_writes_beside_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path)
    words = ["calibrate", "--ckpt_path", str(run), "--draws", "9", "--data.workers", "0", "--conf", GRID["conf"]]
    assert main([*words, "--iou", "0.5,0.7", "--keypoint_conf", "0.5", "--reprojection", "4,null"]) == 0
    out = capsys.readouterr().out
    assert "80 frames of" in out and "40 empty, 40 objects, 0 not labelled" in out
    assert "rule: false_alarms <= 0.05, then the most usable" in out
    assert "0.525 (" in out and "0.750 (" in out and f"written: {run / 'thresholds.json'}" in out
    assert "nothing in this rule limits how far off poses are" in out
    assert read_thresholds(run / "thresholds.json").conf == 0.475


def test_pictures_show_the_figures_of_the_sweep(tmp_path: Path) -> None:
    found = calibrate(asked(a_run(tmp_path)), progress=False)
    assert trade_off_axes(found) == ("false_alarms", "usable")
    by_name = {part.threshold: part for part in slices(found)}
    assert list(by_name) == ["conf", "keypoint_conf", "iou", "reprojection_px"]
    conf, reprojection = by_name["conf"], by_name["reprojection_px"]
    assert conf.values[conf.chosen] == 0.475 and conf.figures["usable"][conf.chosen] == 0.525
    assert conf.figures["usable"][0] == 38 / 40 and conf.figures["false_alarms"][-1] == 0
    assert reprojection.values == (1.0, 4.0, None) and reprojection.chosen == 1
    assert by_name["iou"].values == (0.5, 0.6, 0.7) and by_name["iou"].chosen == 0
    assert by_name["iou"].figures["duplicates"].tolist() == [0, 0, 21 / 40]
    assert [title for title, _ in rows_of(found)] == [
        "share", "false alarms a frame without objects", "position error, metres", "corner error, pixels",
    ]  # fmt: skip


def test_frames_without_labels_have_no_truth(tmp_path: Path) -> None:
    run, plain = a_run(tmp_path), tmp_path / "flight"
    write_pictures(plain, [Picture(each.found, None) for each in pictures()], pose=True)
    frames = FrameOptions(source=str(plain / "images" / "val"), workers=0)
    found = calibrate(asked(run, target=None, maximize=None, data=frames), progress=False)
    assert str(found.rule) == "the most usable" and "false_alarms" not in found.chosen
    # Nobody knows which frames are empty: every frame counts, and every detection with a pose.
    place = found.choice.place
    assert place is not None and found.grid.conf[place[0]] == 0.05
    assert found.chosen["usable"].value == (38 + 36) / 80
    assert found.lacking["recall"] == "no object is labelled in these frames"
    assert found.lacking["false_alarms"].startswith("no frame is labelled as empty")
    with pytest.raises(ConfigError, match="--target false_alarms: no frame is labelled as empty"):
        calibrate(asked(run, data=frames), progress=False)


def test_a_folder_in_which_some_frames_have_labels(tmp_path: Path) -> None:
    run, mixed = a_run(tmp_path), tmp_path / "mixed"
    half = [each if number % 2 else Picture(each.found, None) for number, each in enumerate(pictures())]
    write_pictures(mixed, half, pose=True)
    (mixed / "data.yaml").unlink()
    found = calibrate(
        asked(run, data=FrameOptions(source=str(mixed / "images" / "val"), workers=0)), progress=False
    )  # fmt: skip
    frames = found.frames
    assert (int(frames.labelled.sum()), int(frames.empty.sum()), len(frames.image)) == (40, 20, 20)
    assert found.chosen["recall"].value * 20 == round(found.chosen["recall"].value * 20)


def test_blocks_of_a_sequence_widen_the_interval(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    options: dict[str, object] = {"conf": "0.3", "keypoint_conf": "0.5", "iou": "0.5", "reprojection": "null"}
    options |= {"target": None, "draws": 400}
    frames = [calibrate(asked(run, **options, data=FrameOptions(workers=0, block=block)), progress=False)
              for block in (1, 20)]  # fmt: skip
    alone, together = (each.chosen["usable"] for each in frames)
    assert alone.value == together.value == 28 / 40
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_one_block_has_no_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run = a_run(tmp_path)
    words = ["calibrate", str(run), "--draws", "9", "--data.workers", "0", "--conf", "0.3", "--iou", "0.5"]
    assert (
        main([*words, "--keypoint_conf", "0.5", "--reprojection", "4", "--target", "f1>0", "--data.block", "80"]) == 0
    )
    assert "all frames are one block of 80 in a row, so there are no intervals; --data.block 1" in caplog.text
    printed = capsys.readouterr().out
    assert "0.700 (–)" in printed and "0.700 (0" not in printed
    usable = read_thresholds(run / "thresholds.json").about["figures"]["usable"]
    assert usable == {"value": 0.7, "low": None, "high": None}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target", "usable"], "--target 'usable': write a figure"),
        (["--maximize", "usablee"], "--maximize usablee: there is no such figure"),
        (["--conf", "2"], "--conf 2: a number from 0 to 1."),
        (["--data.source", "nowhere"], "nowhere: there is no such file or folder"),
        (["--data.split", "train2"], "no 'train2' split"),
        (["--weights", "x.onnx"], "calibrate takes one model"),
        (["--data.block", "0"], "--data.block 0: a number from 1 to"),
        (["--iuo", "0.5"], "--iou"),
    ],
)
def test_mistakes_are_told_in_a_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_pictures(tmp_path / "data", [Picture([Found(0.5, BOX, CORNERS)], [BOX], [CORNERS])], pose=True)
    run = tmp_path / "runs" / "gates"
    write_model(run / "weights" / "best.ckpt", [Picture([Found(0.5, BOX, CORNERS)])], True, data)
    assert main(["calibrate", str(run), "--data.workers", "0", *words]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1].startswith("error: ") and message in told[-1]
    assert not list(run.glob("thresholds*"))


def test_a_version_of_the_store_is_not_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(tmp_path / "v1" / "best.ckpt", [Picture()], True)
    (tmp_path / "v1" / "receipt.json").write_text("{}")
    assert main(["calibrate", str(tmp_path / "v1")]) == 2
    assert "a version of the model store, which is never changed: name a folder by --out" in capsys.readouterr().err


def test_a_model_that_names_no_data_set(tmp_path: Path) -> None:
    write_model(tmp_path / "best.ckpt", [Picture()], True)
    with pytest.raises(ConfigError, match=r"give --data\.source"):
        calibrate(asked(tmp_path / "best.ckpt"), progress=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="nothing to predict in this folder"):
        calibrate(asked(tmp_path / "best.ckpt", data=FrameOptions(source=str(tmp_path / "empty"))), progress=False)


def test_a_count_at_a_place_is_the_sweeps(tmp_path: Path) -> None:
    from aigp_lightning.evaluation.calibration import calibrate as room

    seen: list[object] = []
    real = room.judge

    def noted(evidence: object, *rest: object) -> object:
        seen.append(evidence)
        return real(evidence, *rest)  # type: ignore[arg-type]

    room.judge = noted  # type: ignore[assignment]
    try:
        found = calibrate(asked(a_run(tmp_path)), progress=False)
    finally:
        room.judge = real
    random = np.random.default_rng(0)
    for _ in range(12):
        place = tuple(int(random.integers(size)) for size in found.grid.shape)
        single = count_at(seen[0], found.grid.at(place), place[2], place[1]).figures()  # type: ignore[arg-type]
        for name, array in found.figures.items():
            np.testing.assert_allclose(single[name], array[place], err_msg=f"{name} at {place}")
