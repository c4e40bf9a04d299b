"""Pictures as bytes, and the size that a file's header says."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from aigp_lightning.media.encode import encode, picture_size


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack((rows, columns, rows // 2 + columns // 2), axis=2).astype(np.uint8)


def pillow(image: np.ndarray, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def segments(data: bytes) -> list[int]:
    """Markers of a JPEG up to its scan."""
    found, place = [], 2
    while data[place + 1] != 0xDA:
        found.append(data[place + 1])
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return found


def test_png_gives_back_the_very_pixels() -> None:
    image = noise(31, 47)
    with Image.open(io.BytesIO(encode(image, ".png"))) as file:
        assert file.format == "PNG" and file.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(file), image)


def test_jpeg_is_baseline_quality_95_in_rgb_with_full_colour() -> None:
    """As Pillow writes it with 95 and 4:4:4: the same quantisation tables, one sample of each colour a pixel."""
    image = smooth(200, 240)
    data, theirs = encode(image, ".jpg"), pillow(image, "JPEG", quality=95, subsampling=0)
    assert 0xC0 in segments(data) and 0xC2 not in segments(data)
    with Image.open(io.BytesIO(data)) as file, Image.open(io.BytesIO(theirs)) as reference:
        assert file.quantization == reference.quantization
        assert file.layer == reference.layer and [part[1:3] for part in file.layer] == [(1, 1)] * 3
        assert np.abs(np.asarray(file).astype(int) - image).max() <= 6


def test_a_thin_line_keeps_its_colour_in_a_jpeg() -> None:
    """One pixel wide, orange on grey; with halved colour it would be off by more than 60."""
    image = np.full((64, 64, 3), 114, np.uint8)
    image[:, 31] = (230, 159, 0)
    found = cv2.imdecode(np.frombuffer(encode(image, ".jpg"), np.uint8), cv2.IMREAD_COLOR_RGB)[:, 31].astype(int)
    assert np.abs(found - (230, 159, 0)).max() < 20


def test_any_view_can_be_encoded() -> None:
    """Planes, mirrored and cut arrays, and such as may not be written."""
    planes = np.ascontiguousarray(noise(20, 30).transpose(2, 0, 1))
    planes.flags.writeable = False
    for view in (planes.transpose(1, 2, 0), planes.transpose(1, 2, 0)[::-1, ::-1, ::-1], noise(40, 40)[3:20:2, 5:]):
        with Image.open(io.BytesIO(encode(view, ".png"))) as file:
            np.testing.assert_array_equal(np.asarray(file), view)


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jpeg", ".png", ".PNG"])
def test_suffix_in_any_case(suffix: str) -> None:
    data = encode(noise(11, 7), suffix)
    assert data.startswith(b"\x89PNG" if "p" in suffix.lower()[1:2] else b"\xff\xd8")
    assert picture_size(data) == (7, 11)


@pytest.mark.parametrize("suffix", ["jpg", ".webp", ""])
def test_other_suffixes_are_refused(suffix: str) -> None:
    with pytest.raises(ValueError, match=r"written as \.jpg or \.png"):
        encode(noise(4, 4), suffix)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)],
)
def test_arrays_that_are_no_pictures_are_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8, not"):
        encode(image, ".png")


def test_too_large_for_a_jpeg() -> None:
    with pytest.raises(ValueError, match=r"70000x1 pixels cannot be encoded as \.jpg"):
        encode(np.zeros((1, 70000, 3), np.uint8), ".jpg")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 5, "optimize": True}, {"restart": 4}])
def test_size_of_jpegs_of_all_kinds(options: dict[str, object]) -> None:
    """Progressive ones have another frame marker; tables may come before it."""
    image = smooth(123, 250)
    if options.pop("restart", 0):
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_RST_INTERVAL, 4])[1].tobytes()
        assert 0xDD in segments(data)
    else:
        data = pillow(image, "JPEG", **options)
    assert (0xC2 in segments(data)) == ("progressive" in options)
    assert picture_size(data) == (250, 123)


def test_size_of_a_grey_jpeg() -> None:
    assert picture_size(pillow(np.zeros((9, 5), np.uint8), "JPEG")) == (5, 9)


def test_a_thumbnail_in_the_exif_data_is_not_the_picture() -> None:
    """A whole smaller JPEG lies in an APP1 segment before the frame."""
    small = pillow(smooth(40, 30), "JPEG")
    data = pillow(smooth(123, 250), "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00" + small)
    assert data.index(small) < data.index(b"\xff\xc0", data.index(small) + len(small))
    assert 0xE1 in segments(data)
    assert picture_size(data) == (250, 123)


def test_filling_before_a_marker_and_markers_without_length() -> None:
    data = pillow(smooth(60, 20), "JPEG")
    assert picture_size(data[:2] + b"\xff\x01" + b"\xff\xff\xff" + data[2:]) == (20, 60)


def test_size_of_pngs() -> None:
    assert picture_size(pillow(smooth(70, 300), "PNG")) == (300, 70)
    assert picture_size(pillow(np.zeros((3, 1000), np.uint8), "PNG", optimize=True)) == (1000, 3)


@pytest.mark.parametrize("data", [b"", b"\xff", b"GIF89a\x01\x00", b"RIFF\x00\x00\x00\x00WEBP", b"hello, world"])
def test_other_files_have_no_size(data: bytes) -> None:
    with pytest.raises(ValueError, match="neither a JPEG nor a PNG file"):
        picture_size(data)


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_every_cut_of_a_header_is_an_error_and_never_a_wrong_size(kind: str) -> None:
    data = encode(smooth(123, 250), kind)
    frame = 24 if kind == ".png" else data.index(b"\xff\xc0") + 9
    for length in range(frame):
        with pytest.raises(ValueError, match=r"breaks off|neither"):
            picture_size(data[:length])
    assert picture_size(data[:frame]) == (250, 123)


def test_broken_headers_say_what_is_broken() -> None:
    jpeg, png = pillow(smooth(60, 20), "JPEG"), pillow(smooth(60, 20), "PNG")
    frame = jpeg.index(b"\xff\xc0")
    with pytest.raises(ValueError, match="no marker at byte 2"):
        picture_size(jpeg[:2] + b"xx" + jpeg[2:])
    with pytest.raises(ValueError, match="without a size"):
        picture_size(b"\xff\xd8\xff\xd9")
    with pytest.raises(ValueError, match="20x0 pixels"):
        picture_size(jpeg[: frame + 5] + b"\x00\x00" + jpeg[frame + 7 :])
    with pytest.raises(ValueError, match="does not begin with its header but with b'IDAT'"):
        picture_size(png.replace(b"IHDR", b"IDAT"))
    with pytest.raises(ValueError, match="0x60 pixels"):
        picture_size(png[:16] + bytes(4) + png[20:])
