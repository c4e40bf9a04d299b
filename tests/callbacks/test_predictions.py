"""What `predict` leaves behind, through a real Trainer."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import cv2
import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from predicted import BOX, NAMES, Data, Finder, make_video, paint, predict, read
from torch.utils.data import DataLoader, TensorDataset

from aigp_lightning.data.sources import SourceFile, open_sources
from aigp_lightning.data.video import VideoReader
from aigp_lightning.errors import ConfigError, DataError, UserError
from aigp_lightning.media.plots.boxes import class_colour
from aigp_lightning.paths import short_name
from aigp_lightning.predictions.crops import crop_bounds, write_crops
from aigp_lightning.predictions.merge import output_names
from aigp_lightning.types import DetectionBatch, Prediction


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_corners_are_joined_as_the_data_set_says(tmp_path: Path) -> None:
    """A module that knows its keypoints: the picture has white edges between them, and none without."""
    from aigp_lightning.types import Keypoints

    class Corners(Finder):
        def _find(self, image: torch.Tensor) -> Prediction:
            found = super()._find(image)
            left, top, right, bottom = (found.boxes[0] + torch.tensor([20.0, 20, -20, -20])).tolist()
            corners = [[left, top, 0.9], [right, top, 0.9], [right, bottom, 0.9], [left, bottom, 0.1]]
            return Prediction(found.boxes, found.scores, found.labels, torch.tensor([corners]))

    module, out = Corners(), []
    for edges in ((), ((0, 1), (1, 2), (2, 3), (3, 0))):
        module.keypoints = Keypoints(4, 3, tuple("0123"), edges=edges)  # type: ignore[assignment]
        predict(tmp_path, Data(paint(tmp_path / "a.png"), imgsz=416), module, save_json=False)
        out.append(read(tmp_path / "run" / "predictions" / "images" / "a.jpg").astype(int))
    changed = np.argwhere(np.abs(out[0] - out[1]).max(2) > 60)
    assert len(changed) > 150
    top, right = (np.abs(changed[:, axis] - where) < 4 for axis, where in ((0, BOX[1] + 20), (1, BOX[2] - 20)))
    assert (top | right).all(), "the edges of the corner that was not found are missing"
    assert top.any() and right.any()


def test_a_folder_of_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = paint(tmp_path / "in" / "a ü.png"), paint(tmp_path / "in" / "b.png", found=False)
    out = predict(tmp_path, Data(str(tmp_path / "in")))
    assert files_in(out) == ["images/a ü.jpg", "images/b.jpg", "labels/a ü.txt", "predictions.json"]
    entries = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
    assert [(e["file"], e["height"], e["width"]) for e in entries] == [(first, 300, 400), (second, 300, 400)]
    (detection,) = entries[0]["detections"]
    assert (detection["class"], detection["name"], detection["confidence"]) == (3, "Säule", 0.875)
    np.testing.assert_allclose(detection["box"], BOX, atol=0.5)
    assert entries[1]["detections"] == []
    line = (out / "labels" / "a ü.txt").read_text().split()
    assert len(line) == 6 and line[0] == "3" and line[5] == "0.875"
    np.testing.assert_allclose(np.array(line[1:5], float), [0.5, 0.4, 0.5, 0.4], atol=0.5 / 300)
    drawn = read(out / "images" / "a ü.jpg")
    assert drawn.shape == (300, 400, 3)
    edges = drawn[[120, 120, 180], [100, 300, 200]].astype(int)
    assert np.abs(edges - class_colour(3)).max() < 30  # one-pixel lines, after JPEG
    assert np.abs(read(out / "images" / "b.jpg").astype(int) - 30).max() < 4
    assert f"predicted 2 pictures: 1 detections, in {out}" in capsys.readouterr().out


@pytest.mark.parametrize("size", [(300, 400), (301, 743), (1017, 500), (200, 310)])
def test_letterbox_is_undone(size: tuple[int, int], tmp_path: Path) -> None:
    """Boxes put through the letterbox by hand return to where they were."""
    from aigp_lightning.media.detections import in_original

    item = open_sources(paint(tmp_path / "a.png", True, *size), 320)[0]
    inner = [round(side * 320 / max(size)) for side in size]
    pad = np.array([round((item["image"].shape[1] - inner[1]) / 2 - 0.1),
                    round((item["image"].shape[0] - inner[0]) / 2 - 0.1)] * 2)  # fmt: skip
    gain = np.array([inner[1] / size[1], inner[0] / size[0]] * 2)  # what the resize did, each way
    boxes = torch.tensor(np.array([BOX]) * gain + pad, dtype=torch.float32)
    prediction = Prediction(boxes, torch.ones(1), torch.zeros(1, dtype=torch.int64))
    found = in_original(prediction, item["ori_shape"], item["ratio_pad"])
    np.testing.assert_allclose(found.boxes, [BOX], atol=0.001)


def test_keypoints_reach_text_and_json_unclipped(tmp_path: Path) -> None:
    out = predict(tmp_path, Data(paint(tmp_path / "a.png"), imgsz=416), Finder(keypoints=True))
    (entry,) = json.loads((out / "predictions.json").read_text())
    points = np.array(entry["detections"][0]["keypoints"])
    np.testing.assert_allclose(points, [[100, 60, 0.75], [-1000 / 1.04, (5 - 4) / 1.04, 0.125]], atol=0.6)
    values = np.array((out / "labels" / "a.txt").read_text().split(), float)
    np.testing.assert_allclose(values[5:8], [0.25, 0.2, 0.75], atol=0.002)
    assert len(values) == 5 + 6 + 1 and values[-1] == 0.875


def test_text_is_what_ultralytics_writes(tmp_path: Path) -> None:
    from ultralytics.engine.results import Results

    out = predict(tmp_path, Data(paint(tmp_path / "a.png")))
    (entry,) = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
    row = torch.tensor([[*entry["detections"][0]["box"], 0.875, 3]])
    Results(np.zeros((300, 400, 3), np.uint8), "a.png", NAMES, boxes=row).save_txt(tmp_path / "u.txt", save_conf=True)
    ours, theirs = ((path.read_text().split()) for path in (out / "labels" / "a.txt", tmp_path / "u.txt"))
    assert ours[0] == theirs[0] and ours[-1] == theirs[-1]
    np.testing.assert_allclose(np.array(ours, float), np.array(theirs, float), atol=1e-5)


def test_broken_pictures_are_listed_and_the_others_predicted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """One broken from the start, one that breaks once its header was read."""
    for name in "acd":
        paint(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "b.png").write_bytes(b"nonsense")
    data = Data(str(tmp_path / "in"))
    data.break_later = [tmp_path / "in" / "c.png"]
    with caplog.at_level(logging.WARNING):
        out = predict(tmp_path, data)
    entries = json.loads((out / "predictions.json").read_text())
    assert [Path(entry["file"]).name for entry in entries] == ["a.png", "d.png"]
    lines = (out / "unreadable.txt").read_text().splitlines()
    assert len(lines) == 2 and "b.png: " in lines[0] and "c.png: " in lines[1]
    assert "2 could not be read or drawn" in caplog.text
    assert "predicted 2 pictures" in capsys.readouterr().out


def test_a_lone_broken_picture_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"a\.png"):
        predict(tmp_path, Data(str(tmp_path / "a.png")))


def test_confidences_can_be_left_out_of_the_text(tmp_path: Path) -> None:
    folder = predict(tmp_path, Data(paint(tmp_path / "in" / "a.png")), save_conf=False)
    assert (folder / "labels" / "a.txt").read_text(encoding="utf-8").split() == ["3", "0.5", "0.4", "0.5", "0.4"]


def test_crops_are_those_of_ultralytics(tmp_path: Path) -> None:
    """Pixels, bytes of the files, names and folders, of boxes inside, at the edges, across them and of no size."""
    from ultralytics.engine.results import Results

    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (120, 160, 3), np.uint8)
    boxes = (rng.random((40, 2, 2)) * (200, 160) - 20).astype(np.float32)
    boxes = np.concatenate([boxes.min(1), boxes.max(1)], axis=1).clip(0, [160, 120, 160, 120]).astype(np.float32)
    boxes[0], boxes[1] = (0, 0, 160, 120), (80.5, 40.25, 80.5, 40.25)
    labels = rng.integers(0, 2, 40)
    names = {0: "gate", 1: "Säule"}
    found = torch.from_numpy(np.concatenate([boxes, np.ones((40, 1)), labels[:, None]], axis=1)).float()
    Results(image[..., ::-1].copy(), "a.png", names, boxes=found).save_crop(tmp_path / "theirs", "a.jpg")
    write_crops(tmp_path / "ours", "a", image, boxes, labels, names)
    ours, theirs = (
        {str(path.relative_to(tmp_path / who)): path.read_bytes() for path in (tmp_path / who).rglob("*.jpg")}
        for who in ("ours", "theirs")
    )
    assert len(ours) == 40 and ours == theirs
    assert {"gate/a.jpg", "gate/a-2.jpg", "Säule/a.jpg"} <= set(ours)
    assert write_crops(tmp_path / "none", "a", image, np.array([[300, 0, 400, 9]], np.float32), labels[:1], names) == []


def test_crops_of_pictures_and_videos(tmp_path: Path) -> None:
    make_video(tmp_path / "in" / "clip.avi")
    paint(tmp_path / "in" / "a.png")
    paint(tmp_path / "in" / "dark.png", found=False)
    folder = predict(tmp_path, Data(str(tmp_path / "in")), save_crop=True, save_images=False)
    left, top, right, bottom = crop_bounds(np.array([BOX], np.float32), (300, 400))[0].tolist()
    crops = {path.name: read(path).shape for path in (folder / "crops" / "Säule").iterdir()}
    assert crops["a.jpg"] == (bottom - top, right - left, 3) == (133, 214, 3)
    assert sorted(crops) == sorted(["a.jpg", *(f"clip_{frame}.jpg" for frame in range(len(crops) - 1))])


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 10])
def test_vid_stride_takes_the_frames_of_ultralytics(stride: int, tmp_path: Path) -> None:
    """Ten frames; ours looks at the last one of a video that is shorter than the stride, where theirs looks at none."""
    from ultralytics.data.loaders import LoadImagesAndVideos

    video = str(make_video(tmp_path / "clip.avi", frames=10))
    theirs = [images[0] for _, images, _ in LoadImagesAndVideos(video, vid_stride=stride)]
    ours = open_sources(video, 320, vid_stride=stride)
    assert len(ours) == len(theirs) == 10 // stride
    reader = VideoReader(video)
    for index, image in enumerate(theirs):
        frame = ours.locate(index)[1]
        assert frame == (index + 1) * stride - 1
        np.testing.assert_array_equal(reader.frame(frame), image[..., ::-1])
    assert [ours.name(index) for index in range(len(ours))][:1] == [f"{video}#{stride - 1}"]
    short = open_sources(video, 320, vid_stride=99)
    assert len(short) == 1 and short.locate(0)[1] == 9


def test_a_drawn_video_lasts_as_long_with_a_stride(tmp_path: Path) -> None:
    video = make_video(tmp_path / "in" / "clip.avi", frames=10, fps=10)
    data = Data(str(video))
    data.vid_stride = 5
    drawn = next((predict(tmp_path, data) / "videos").iterdir())
    reader = cv2.VideoCapture(str(drawn))
    assert (reader.get(cv2.CAP_PROP_FPS), reader.get(cv2.CAP_PROP_FRAME_COUNT)) == (2.0, 2.0)
    reader.release()


@pytest.mark.parametrize("stride", [1, 3])
def test_frames_are_pictures_as_those_of_ultralytics(stride: int, tmp_path: Path) -> None:
    """A picture of each frame that is looked at, in a folder beside the video; ours count from 0, theirs from 1."""
    from types import SimpleNamespace

    from ultralytics.data.loaders import LoadImagesAndVideos
    from ultralytics.models.yolo.detect import DetectionPredictor

    video = make_video(tmp_path / "clip.avi", frames=7)
    loader = LoadImagesAndVideos(str(video), vid_stride=stride)
    theirs = SimpleNamespace(
        dataset=loader, save_dir=tmp_path / "theirs", vid_writer={}, plotted_img=None,
        args=SimpleNamespace(vid_stride=stride, save_frames=True),
    )  # fmt: skip
    for _, images, _ in loader:
        theirs.plotted_img = images[0]
        DetectionPredictor.save_predicted_images(theirs, tmp_path / "theirs" / "clip.avi", loader.frame)  # type: ignore[arg-type]
    data = Data(str(video), imgsz=416)
    data.vid_stride = stride
    ours = predict(tmp_path, data, save_frames=True)
    pictures = sorted((ours / "videos" / "clip_frames").iterdir())
    numbers = [(number + 1) * stride - 1 for number in range(7 // stride)]
    assert [path.name for path in pictures] == [f"clip_{number}.jpg" for number in numbers]
    assert [path.name for path in sorted((tmp_path / "theirs" / "clip_frames").iterdir())] == [
        f"clip_{(number + 1) // stride}.jpg" for number in numbers
    ]
    reader = cv2.VideoCapture(str(next(path for path in (ours / "videos").iterdir() if path.is_file())))
    for path in pictures:  # the video's frames, boxes and all; as JPEG, they have no second loss
        filmed = reader.read()[1][..., ::-1].astype(int)
        assert np.abs(read(path).astype(int) - filmed).mean() < 4
    reader.release()
    grey = [int(read(path)[280, 380].astype(int).mean()) for path in pictures]
    assert np.abs(np.array(grey) - 10 * np.array(numbers)).max() <= 3


def test_frames_alone_and_no_video(tmp_path: Path) -> None:
    make_video(tmp_path / "in" / "clip.avi", frames=2)
    paint(tmp_path / "in" / "a.png")
    out = predict(
        tmp_path, Data(str(tmp_path / "in")), save_frames=True, save_images=False, save_txt=False, save_json=False
    )
    assert files_in(out) == ["videos/clip_frames/clip_0.jpg", "videos/clip_frames/clip_1.jpg"]


def test_video_comes_back_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (400, 300))
    if not writer.isOpened():
        pytest.skip("OpenCV has no MP4 encoder here")
    for i in range(9):
        image = np.full((300, 400, 3), 30, np.uint8)
        if i != 4:
            image[60 + 2 * i : 180 + 2 * i, 100:300] = 255
        writer.write(image)
    writer.release()
    out = predict(tmp_path, Data([str(path), paint(tmp_path / "a.png")], workers=2))
    labels = [f"labels/clip_{i}.txt" for i in range(9) if i != 4]
    assert files_in(out) == sorted(["images/a.jpg", "labels/a.txt", *labels, "predictions.json", "videos/clip.mp4"])
    entries = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
    assert [entry.get("frame") for entry in entries] == [*range(9), None]
    for i in set(range(9)) - {4}:
        box = entries[i]["detections"][0]["box"]
        np.testing.assert_allclose(box, [100, 60 + 2 * i, 300, 180 + 2 * i], atol=2)  # the encoder blurs edges
    drawn = cv2.VideoCapture(str(out / "videos" / "clip.mp4"))
    frames = [drawn.read()[1] for _ in range(9)]
    assert drawn.get(cv2.CAP_PROP_FPS) == 25.0 and not drawn.read()[0]
    assert all(frame.shape == (300, 400, 3) for frame in frames)
    assert abs(int(frames[8][90, 200].min()) - 255) < 12 and abs(int(frames[0][190, 200].max()) - 30) < 12
    tag = frames[0][52:58, 106:150].reshape(-1, 3).mean(0)[::-1]  # above the box: yellow with a little ink
    assert tag[0] > 130 and tag[0] - tag[2] > 60
    assert "predicted 1 pictures and 9 video frames: 9 detections" in capsys.readouterr().out


def test_pictures_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    paint(tmp_path / "in" / "left" / "a.png"), paint(tmp_path / "in" / "right" / "a.png", found=False)
    paint(tmp_path / "in" / "right" / "a.bmp", height=200)
    out = predict(tmp_path, Data(str(tmp_path / "in" / "*" / "*.*")), save_json=False)
    assert files_in(out) == [
        "images/left/a.jpg", "images/right/a-2.jpg", "images/right/a.jpg", "labels/left/a.txt", "labels/right/a.txt",
    ]  # fmt: skip
    assert read(out / "images" / "right" / "a.jpg").shape == (200, 400, 3)
    assert read(out / "images" / "right" / "a-2.jpg").shape == (300, 400, 3)


def test_names_of_outputs() -> None:
    def named(*paths: str, video: str = "") -> list[str]:
        return list(output_names([SourceFile(path, (9, 9), int(path == video)) for path in paths]).values())

    assert named("/x/a.png", "/y/b.v2.png") == ["a", "b.v2"]
    assert named("/x/1/A.png", "/x/2/a.png") == ["1/A", "2/a"]
    assert named("/x/a.png", "/x/a.jpg", "/x/a-2.png") == ["a", "a-2", "a-2-2"]
    assert named("/x/clip.mp4", "/x/clip_7.png", video="/x/clip.mp4") == ["clip-2", "clip_7"]


def test_only_what_is_asked_for_is_written(tmp_path: Path) -> None:
    out = predict(tmp_path, Data(paint(tmp_path / "a.png")), save_images=False, save_txt=False)
    assert files_in(out) == ["predictions.json"]


def test_text_of_an_earlier_run_goes_when_nothing_is_found_now(tmp_path: Path) -> None:
    predict(tmp_path, Data(paint(tmp_path / "a.png")))
    out = predict(tmp_path, Data(paint(tmp_path / "a.png", found=False)))
    assert files_in(out) == ["images/a.jpg", "predictions.json"]


def test_a_folder_that_cannot_be_written_ends_the_run_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "predictions").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="predictions cannot be written"):
        predict(tmp_path, Data(paint(tmp_path / "a.png")))


def test_a_network_that_fails_leaves_no_thread(tmp_path: Path) -> None:
    import threading

    class Failing(Finder):
        def predict_step(self, batch: DetectionBatch, batch_idx: int) -> list[Prediction]:
            if batch_idx:
                raise RuntimeError("out of memory")
            return super().predict_step(batch, batch_idx)

    for name in "abc":
        paint(tmp_path / "in" / f"{name}.png")
    with pytest.raises(RuntimeError, match="out of memory"):
        predict(tmp_path, Data(str(tmp_path / "in")), Failing())
    assert not [thread for thread in threading.enumerate() if thread.name == "predictions"]


def test_other_loaders_are_refused(tmp_path: Path) -> None:
    class Other(pl.LightningDataModule):
        def predict_dataloader(self) -> DataLoader[Any]:
            return DataLoader(TensorDataset(torch.zeros(2, 3)))

    with pytest.raises(ConfigError, match="PredictionWriter"):
        predict(tmp_path, Other())  # type: ignore[arg-type]


def test_long_names_of_pictures_and_classes_are_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They cost the whole job: a name and what is added to it have more bytes than a file system takes."""
    long, video = "z" * 251, "v" * 251
    paint(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "b.png").rename(tmp_path / "in" / f"{long}.png")
    make_video(tmp_path / "v.avi", 2).rename(tmp_path / "in" / f"{video}.avi")
    paint(tmp_path / "in" / "zz.png")
    module = Finder()
    module.names = {0: "gate", 3: "ü" * 190}
    with caplog.at_level(logging.INFO):
        out = predict(tmp_path, Data(str(tmp_path / "in")), module, save_crop=True, save_frames=True)
    assert "3 names of pictures or classes have over 200 bytes" in caplog.text
    cut, film, kind = map(short_name, (long, video, "ü" * 190))
    frames = [f"{film}_{frame}" for frame in (0, 1)]
    stems = [*frames, cut, "zz"]
    wanted = [
        *(f"crops/{kind}/{name}.jpg" for name in stems), *(f"images/{name}.jpg" for name in (cut, "zz")),
        *(f"labels/{name}.txt" for name in stems), *(f"videos/{film}_frames/{name}.jpg" for name in frames),
    ]  # fmt: skip
    assert set(files_in(out)) - {f"videos/{film}.mp4", f"videos/{film}.avi"} == {*wanted, "predictions.json"}


def test_a_picture_whose_files_cannot_be_named_is_listed_and_the_others_predicted(tmp_path: Path) -> None:
    """Folders of many long names make a path that no system takes."""
    folder = tmp_path / "in"
    room = 4085 - len(f"{folder}/b.png")  # of 4095; where it is written, more stands in front
    deep = folder.joinpath(*["d" * 190] * (room // 191), "e" * max(room % 191 - 1, 1), "b.png")
    sources = [paint(folder / "a.png"), paint(deep), paint(folder / "b.png")]
    out = predict(tmp_path, Data(sources))
    assert len(json.loads((out / "predictions.json").read_text(encoding="utf-8"))) == 3
    told = (out / "unreadable.txt").read_text(encoding="utf-8")
    assert told == f"{deep}: its name is too long here for files named so\n"
    assert (out / "labels" / "a.txt").is_file() and (out / "labels" / "b.txt").is_file()
