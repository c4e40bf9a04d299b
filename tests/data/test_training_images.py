"""Training images are decoded at reduced size where they are larger than needed, and are nearly the same then."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import ultralytics
from PIL import Image

from aigp_lightning.data.augment.letterbox import load_size, resize_long_side
from aigp_lightning.data.images import read_image
from aigp_lightning.data.training_images import read_training_image
from aigp_lightning.errors import DataError

PHOTOGRAPHS = Path(ultralytics.__file__).parent / "assets"


def shades(height: int, width: int, cells: int = 40) -> np.ndarray:
    noise = np.random.default_rng(cells).integers(0, 256, (cells, cells, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def written(folder: Path, image: np.ndarray, name: str = "a.jpg") -> str:
    cv2.imwrite(str(folder / name), image)
    return str(folder / name)


def in_full(file: str, imgsz: int) -> np.ndarray:
    """All pixels, resized, as validation does it."""
    return resize_long_side(read_image(file), imgsz)


def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other)


@pytest.mark.parametrize(("name", "imgsz", "mean", "most"), [("zidane", 640, 0.5, 4), ("shades", 640, 0.8, 4)])
def test_half_the_size_hardly_differs(tmp_path, name, imgsz, mean, most):
    file = str(PHOTOGRAPHS / f"{name}.jpg") if name != "shades" else written(tmp_path, shades(720, 1280))
    reduced = read_training_image(file, (720, 1280), imgsz)
    difference = apart(reduced, in_full(file, imgsz))
    assert 0 < difference.mean() < mean  # 0: it was not decoded at reduced size
    assert np.percentile(difference, 99) <= most


@pytest.mark.parametrize(("name", "imgsz"), [("zidane", 416), ("zidane", 320), ("bus", 480), ("bus", 128)])
def test_photographs_that_are_not_twice_as_large_are_as_sharp_as_in_validation(name, imgsz):
    file = str(PHOTOGRAPHS / f"{name}.jpg")
    assert (read_training_image(file, read_image(file).shape[:2], imgsz) == in_full(file, imgsz)).all()


@pytest.mark.parametrize("shape", [(128, 256), (129, 257), (255, 127), (300, 511), (1030, 37), (511, 511), (64, 1100)])
@pytest.mark.parametrize("imgsz", [64, 128])
def test_size_is_that_of_the_full_decode(tmp_path, shape, imgsz):
    image = read_training_image(written(tmp_path, shades(*shape)), shape, imgsz)
    assert image.shape[:2] == load_size(shape, imgsz)
    assert image.flags.c_contiguous


def test_half_is_decoded_only_where_it_is_the_size_needed(tmp_path, monkeypatch):
    """Asked of the decoder itself."""
    asked: list[int] = []
    decode = cv2.imdecode

    def count(data: np.ndarray, flags: int) -> np.ndarray:
        image = decode(data, flags)
        asked.append(max(image.shape[:2]))
        return image

    monkeypatch.setattr(cv2, "imdecode", count)
    for side in (126, 127, 128, 129, 255, 256, 1100):
        read_training_image(written(tmp_path, shades(40, side)), (40, side), 64)
    read_training_image(written(tmp_path, shades(39, 128)), (39, 128), 64)
    assert asked == [126, 127, 64, 129, 255, 256, 1100, 128]  # 39: half a row would move all others


@pytest.mark.parametrize("orientation", range(1, 9))
def test_reduced_images_are_upright(tmp_path, orientation):
    file, exif = tmp_path / "a.jpg", Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(shades(128, 256, 4)).save(file, exif=exif, quality=95)
    shape = (256, 128) if orientation > 4 else (128, 256)
    image = read_training_image(str(file), shape, 64)
    assert apart(image, in_full(str(file), 64)).max() < 12


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_reduced_images_of_other_colours(tmp_path, mode):
    file = str(tmp_path / "a.jpg")
    Image.fromarray(shades(128, 256, 4)).convert(mode).save(file, quality=95)
    assert apart(read_training_image(file, (128, 256), 64), in_full(file, 64)).max() < 12


def test_file_that_changed_since_the_scan_is_decoded_in_full(tmp_path):
    file = written(tmp_path, shades(100, 256))
    assert (read_training_image(file, (300, 512), 64) == in_full(file, 64)).all()


def test_other_kinds_and_smaller_images_have_the_pixels_of_a_full_decode(tmp_path):
    large, small = written(tmp_path, shades(128, 256), "a.png"), written(tmp_path, shades(60, 127))
    assert (read_training_image(large, (128, 256), 64) == in_full(large, 64)).all()
    assert (read_training_image(small, (60, 127), 64) == in_full(small, 64)).all()


def test_broken_file_is_an_error_as_ever(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(b"\xff\xd8\xff broken")
    with pytest.raises(DataError, match=r"a\.jpg: cannot be decoded|a\.jpg: not an image"):
        read_training_image(str(file), (128, 256), 64)
    with pytest.raises(DataError, match=r"gone\.jpg: cannot be read"):
        read_training_image(str(tmp_path / "gone.jpg"), (128, 256), 64)


def test_jpeg_is_decoded_to_rgb_by_each_way_of_opencv(tmp_path):
    """What later versions decode themselves is what earlier ones convert."""
    for mode in ("RGB", "L", "CMYK"):
        file = tmp_path / f"{mode}.jpg"
        Image.fromarray(shades(60, 90)).convert(mode).save(file)
        pixels = cv2.cvtColor(cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        assert (read_image(str(file)) == pixels).all()
