"""What `predict` looks at."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from aigp_lightning.data.augment.letterbox import input_shape
from aigp_lightning.data.collate import collate
from aigp_lightning.data.predict_batches import PredictBatchSampler
from aigp_lightning.data.sources import SourceDataset, SourceFile, open_sources
from aigp_lightning.data.video import VideoReader
from aigp_lightning.errors import DataError


def save(path: Path, height: int = 48, width: int = 64, value: int = 100) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(value).integers(0, 255, (height, width, 3), dtype=np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return str(path)


def save_video(path: Path, frames: int = 12, codec: str = "mp4v", size: tuple[int, int] = (64, 48)) -> str:
    """Frame i is grey of level 20·i."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25.0, size)
    if not writer.isOpened():
        pytest.skip(f"OpenCV has no {codec} encoder here")
    for i in range(frames):
        writer.write(np.full((size[1], size[0], 3), 20 * i, np.uint8))
    writer.release()
    return str(path)


def batches_of(dataset: SourceDataset, size: int, ranks: int) -> list[list[list[int]]]:
    return [list(PredictBatchSampler(dataset, size, rank, ranks)) for rank in range(ranks)]


# ---- finding


def test_folder_is_read_one_level_deep_and_sorted(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", ".hidden.png", "sub/c.png"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    dataset = open_sources(str(tmp_path), 64)
    assert [dataset.name(i) for i in range(len(dataset))] == [str(tmp_path / "a.JPG"), str(tmp_path / "b.png")]


@pytest.mark.parametrize("source", ["", "*"])
def test_pictures_with_other_endings_are_set_aside_and_named(tmp_path: Path, source: str) -> None:
    save(tmp_path / "a.png")
    Path(save(tmp_path / "b.ppm")).replace(tmp_path / "b.pic")
    Path(save(tmp_path / "c.jpg")).replace(tmp_path / "c.jfif")
    (tmp_path / "notes.csv").write_text("a,b", encoding="utf-8")
    dataset = open_sources(str(tmp_path / source) if source else str(tmp_path), 64)
    assert [Path(file.path).name for file in dataset.files] == ["a.png", "c.jfif"]
    assert dataset.unreadable == {
        str(tmp_path / "b.pic"): "a picture whose name does not end like one's; rename or convert it"
    }


def test_glob_list_and_odd_names(tmp_path: Path) -> None:
    """Spaces, brackets and non-ASCII letters; a picture named twice comes once; the order of the list is kept."""
    first, second = save(tmp_path / "ü [1]" / "b ß.png"), save(tmp_path / "z" / "a.png")
    globbed = str(tmp_path / "*" / "*.png")
    assert [file.path for file in open_sources([second, globbed], 64).files] == [second, first]
    assert [file.path for file in open_sources(str(tmp_path / "ü [1]"), 64).files] == [first]
    assert [file.path for file in open_sources(first, 64).files] == [first]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "source to predict is empty"),
        ([], "source to predict is empty"),
        ("nowhere.png", r"nowhere\.png: there is no such file"),
        ("rtsp://camera", "cameras and streams are not read"),
        ("empty", "nothing to predict in this folder"),
        ("*.bmp", "no file matches"),
        ("*.csv", "1 files match, none to predict"),
        ("table.csv", "neither a picture nor a video by its name"),
        ("broken.png", r"broken\.png: .*not an image"),
        ("broken.mp4", "not one frame of this video"),
        ("cut.jpg", r"cut\.jpg"),
    ],
)
def test_bad_sources_say_what_is_wrong(
    source: str | list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("table.csv").write_text("a,b")
    for name in ("broken.png", "broken.mp4"):
        Path(name).write_bytes(b"no picture at all")
    whole = Path(save(tmp_path / "whole.jpg", 200, 200)).read_bytes()
    Path("cut.jpg").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(DataError, match=message):
        open_sources(source, 64)


def test_broken_pictures_in_a_folder_are_set_aside(tmp_path: Path) -> None:
    good = save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"")
    dataset = open_sources(str(tmp_path), 64)
    assert [file.path for file in dataset.files] == [good]
    assert dataset.unreadable == {str(tmp_path / "bad.png"): "the file is empty"}


def test_a_picture_that_breaks_later_is_left_out_of_its_batch(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{name}.png", value=i) for i, name in enumerate("abc")]
    dataset = open_sources(str(tmp_path), 64)
    Path(paths[1]).write_bytes(b"overwritten")
    assert [item["im_file"] for item in dataset.__getitems__([0, 1, 2])] == [paths[0], paths[2]]
    with pytest.raises(DataError, match=r"b\.png"):
        dataset[1]


# ---- pixels


@pytest.mark.parametrize("size", [(48, 64), (375, 500), (427, 641), (500, 333), (1, 300), (720, 1280), (33, 33)])
def test_pixels_are_those_of_ultralytics_predictor(size: tuple[int, int], tmp_path: Path) -> None:
    from ultralytics.data.augment import LetterBox

    path = save(tmp_path / "a.png", *size) if min(size) >= 10 else None
    image = cv2.imread(path) if path else np.random.default_rng(1).integers(0, 255, (*size, 3), dtype=np.uint8)
    assert image is not None
    reference = LetterBox((640, 640), auto=True, stride=32)(image=image)
    assert input_shape(size, 640)[1] == reference.shape[:2]
    if path:
        item = open_sources(path, 640)[0]
        np.testing.assert_array_equal(item["image"], reference[..., ::-1])
        assert item["ori_shape"] == size and item["im_file"] == path


def test_ratio_pad_leads_back_to_the_picture(tmp_path: Path) -> None:
    """A white square is found in the input where gain and padding put it."""
    image = np.zeros((300, 500, 3), np.uint8)
    image[100:200, 250:400] = 255
    path = tmp_path / "a.png"
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    item = open_sources(str(path), 320)[0]
    (gain_h, gain_w), (left, top) = item["ratio_pad"]
    rows, columns = np.nonzero(item["image"].min(2) > 200)
    assert item["image"].shape == (192, 320, 3)
    back = [(columns.min() - left) / gain_w, (rows.min() - top) / gain_h]
    back += [(columns.max() + 1 - left) / gain_w, (rows.max() + 1 - top) / gain_h]
    np.testing.assert_allclose(back, [250, 100, 400, 200], atol=1.6)


def test_a_picture_of_another_size_than_its_header_says_still_fits_its_batch(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 50, 100)
    item = SourceDataset([SourceFile(path, (100, 100))], 64)[0]
    assert item["image"].shape == (64, 64, 3) and item["ori_shape"] == (50, 100)
    assert item["ratio_pad"] == ((0.64, 0.64), (0.0, 16.0))


# ---- videos


def test_video_frames_in_any_order(tmp_path: Path) -> None:
    path = save_video(tmp_path / "clip ü.mp4")
    dataset = open_sources(path, 64)
    assert len(dataset) == 12 and dataset.files[0] == SourceFile(path, (48, 64), 12, 25.0)
    assert dataset.name(3) == f"{path}#3"
    for i in (0, 1, 5, 11, 3, 2, 10):
        assert abs(float(dataset[i]["image"][24, 32].mean()) - 20 * i) < 4
    assert VideoReader(path).frame(12) is None


def test_frames_of_containers_whose_headers_guess_are_counted(tmp_path: Path) -> None:
    path = save_video(tmp_path / "clip.mkv", frames=7)
    assert open_sources(path, 64).files[0].frames == 7


def test_data_set_travels_to_workers_with_an_open_video(tmp_path: Path) -> None:
    path = save_video(tmp_path / "clip.mp4")
    dataset = open_sources([path, save(tmp_path / "a.png")], 64)
    dataset[4]
    copy = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(copy[4]["image"], dataset[4]["image"])


def test_two_workers_read_every_frame_in_order(tmp_path: Path) -> None:
    path = save_video(tmp_path / "clip.mp4")
    dataset = open_sources(path, 64)
    batches: Any = PredictBatchSampler(dataset, 3)
    loader = DataLoader(dataset, batch_sampler=batches, num_workers=2, collate_fn=collate)  # type: ignore[arg-type]
    loaded = list(loader)
    assert [name for batch in loaded for name in batch["im_file"]] == [f"{path}#{i}" for i in range(12)]
    levels = np.concatenate([batch["img"][:, 0, 24, 32].numpy() for batch in loaded])
    np.testing.assert_allclose(levels, 20 * np.arange(12), atol=4)


# ---- batches


def tall_and_wide() -> SourceDataset:
    sizes = [(32, 64), (64, 128), (64, 32), (32, 64), (32, 64), (32, 64)]
    files = [SourceFile(f"{i}.png", size) for i, size in enumerate(sizes)]
    return SourceDataset([*files[:4], SourceFile("v.mp4", (32, 64), 5, 25.0), *files[4:]], 64)


def test_batches_are_runs_of_one_shape_and_videos_stay_apart() -> None:
    assert batches_of(tall_and_wide(), 2, 1) == [[[0, 1], [2], [3], [4, 5], [6, 7], [8], [9, 10]]]


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_each_image_once_over_all_processes_in_as_many_steps(ranks: int) -> None:
    dataset = tall_and_wide()
    shares = batches_of(dataset, 2, ranks)
    assert len({len(share) for share in shares}) == 1
    assert sorted(index for share in shares for batch in share for index in batch) == list(range(11))
    for share in shares:
        flat = [index for batch in share for index in batch]
        assert flat == sorted(flat)
    owners = {rank for rank, share in enumerate(shares) for batch in share for index in batch if 4 <= index < 9}
    assert len(owners) == 1
