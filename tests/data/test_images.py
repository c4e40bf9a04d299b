"""Finding images and decoding every kind of them."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from aigp_lightning.data.data_yaml import DataSpec
from aigp_lightning.data.images import label_path, read_image
from aigp_lightning.data.listing import find_images, list_images
from aigp_lightning.data.verify import check_image
from aigp_lightning.errors import DataError


def spec(root: Path, *sources: str) -> DataSpec:
    return DataSpec(root / "data.yaml", root, {0: "x"}, {"train": tuple(str(root / s) for s in sources)})


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def quadrants() -> np.ndarray:
    """24 rows, 40 columns: red, green above blue, white."""
    image = np.zeros((24, 40, 3), np.uint8)
    image[:12, :20], image[:12, 20:] = (200, 0, 0), (0, 200, 0)
    image[12:, :20], image[12:, 20:] = (0, 0, 200), (200, 200, 200)
    return image


# ---- finding


def test_folder_is_searched_below_and_sorted_as_text(tmp_path):
    names = ["b.jpg", "a/z.PNG", "a.b/c.webp", "a1.jpeg", "notes.txt", ".hidden.jpg", ".git/x.jpg", "x.doc"]
    touch(*(tmp_path / n for n in names))
    found = list_images(spec(tmp_path, "."), "train")
    assert [os.path.relpath(f, tmp_path) for f in found] == ["a.b/c.webp", "a/z.PNG", "a1.jpeg", "b.jpg"]


def test_link_that_leads_up_is_followed_once(tmp_path):
    touch(tmp_path / "images" / "a.jpg")
    (tmp_path / "images" / "loop").symlink_to(tmp_path / "images", target_is_directory=True)
    assert list_images(spec(tmp_path, "images"), "train") == [str(tmp_path / "images" / "a.jpg")]


def test_globs_lists_and_single_images_together(tmp_path):
    touch(*(tmp_path / n for n in ("s1/a.jpg", "s1/b.jpg", "s2/c.jpg", "one.png", "t/d.jpg")))
    (tmp_path / "l1.txt").write_text("t/d.jpg\n")
    found = list_images(spec(tmp_path, "s*", "one.png", "l?.txt", "s1/b*"), "train")
    assert [os.path.relpath(f, tmp_path) for f in found] == [
        "one.png", "s1/a.jpg", "s1/b.jpg", "s1/b.jpg", "s2/c.jpg", "t/d.jpg",
    ]  # fmt: skip


def test_recursive_glob_names_each_image_once(tmp_path):
    touch(tmp_path / "a" / "b" / "c.jpg", tmp_path / "a" / "d.jpg")
    found = list_images(spec(tmp_path, "a/**"), "train")
    assert [os.path.relpath(f, tmp_path) for f in found] == ["a/b/c.jpg", "a/d.jpg"]


def test_folder_with_brackets_in_its_name(tmp_path):
    touch(tmp_path / "set[1]" / "a.jpg")
    assert list_images(spec(tmp_path, "set[1]"), "train") == [str(tmp_path / "set[1]" / "a.jpg")]


def test_list_places_relative_names(tmp_path, monkeypatch):
    """`./` means the list's folder; a bare name is looked for there, in the root and in the working directory."""
    work = tmp_path / "work"
    touch(tmp_path / "lists/near.jpg", tmp_path / "root.jpg", work / "cwd.jpg")
    monkeypatch.chdir(work)
    text = f"\ufeff./near.jpg\nnear.jpg\n\n root.jpg \ncwd.jpg\n./gone.jpg\n{tmp_path}/root.jpg\n"
    (tmp_path / "lists" / "a.txt").write_text(text, encoding="utf-8")
    assert list_images(spec(tmp_path, "lists/a.txt"), "train") == sorted(
        [
            *[str(tmp_path / "lists/near.jpg")] * 2,
            *[str(tmp_path / "root.jpg")] * 2,
            str(work / "cwd.jpg"),
            str(tmp_path / "lists/gone.jpg"),
        ]
    )


def test_lines_that_name_no_image_are_problems(tmp_path):
    touch(tmp_path / "a.jpg")
    (tmp_path / "l.txt").write_text("./a.jpg\nreadme.md\n")
    images, problems = find_images(spec(tmp_path, "l.txt"), "train")
    assert images == [str(tmp_path / "a.jpg")]
    assert [(p.file, p.line, p.kind, p.fatal) for p in problems] == [
        (str(tmp_path / "l.txt"), 2, "not an image", False)
    ]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("gone", "there is no"),
        ("gone*", "nothing matches"),
        ("empty", "has no images; looked in"),
        ("empty.txt", "has no images; looked in"),
        ("bad.txt", "UTF-8 list"),
    ],
)
def test_wrong_source_is_named(tmp_path, source, says):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").touch()
    (tmp_path / "bad.txt").write_bytes(b"\xff\xff")
    with pytest.raises(DataError) as error:
        list_images(spec(tmp_path, source), "train")
    assert says in str(error.value)
    assert str(tmp_path / source) in str(error.value)


def test_missing_split():
    with pytest.raises(DataError, match="no 'test' split; add 'test:'"):
        list_images(spec(Path("/d"), "x"), "test")


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("/d/images/train/a.jpg", "/d/labels/train/a.txt"),
        ("/images/d/images/a.b.png", "/images/d/labels/a.b.txt"),
        ("/d/images.v2/a.jpg", "/d/images.v2/a.txt"),
        ("/d/myimages/images/a.jpg", "/d/myimages/labels/a.txt"),
        ("images/a.jpg", "labels/a.txt"),
        ("/d/pictures/a.jpg", "/d/pictures/a.txt"),
    ],
)
@pytest.mark.skipif(os.sep != "/", reason="paths as on POSIX")
def test_label_path(image, label):
    assert label_path(image) == label


# ---- decoding


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp", "Tor ünï 门.png"])
def test_lossless_kinds_decode_exactly(tmp_path, name):
    file = tmp_path / name
    Image.fromarray(quadrants()).save(file, **({"lossless": True} if name.endswith("webp") else {}))
    np.testing.assert_array_equal(read_image(str(file)), quadrants())


@pytest.mark.parametrize("suffix", ["jpg", "avif", "jp2"])
def test_lossy_kinds_decode_closely(tmp_path, suffix):
    file = tmp_path / f"Tor ünï 门.{suffix}"
    Image.fromarray(quadrants()).save(file, quality=95)
    image = read_image(str(file))
    assert image.shape == (24, 40, 3)
    for y, x in ((3, 3), (3, 35), (20, 3), (20, 35)):
        np.testing.assert_allclose(image[y, x].astype(int), quadrants()[y, x], atol=16)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_exif_rotation(tmp_path, suffix):
    """Orientation 6: the first row of the file is the right side of the picture."""
    exif = Image.Exif()
    exif[274] = 6
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(quadrants()).save(file, exif=exif, quality=95)
    image = read_image(str(file))
    assert image.shape == (40, 24, 3)
    corners = [(3, 20), (35, 20), (3, 3), (35, 3)]  # red, green, blue, white
    for (y, x), color in zip(corners, ((200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 200)), strict=True):
        np.testing.assert_allclose(image[y, x].astype(int), color, atol=16)
    assert check_image(str(file)) == ((40, 24), None)


def test_other_colours(tmp_path):
    """Grey is repeated, a palette is looked up, alpha is dropped and not blended."""
    source = Image.fromarray(quadrants())
    grey = np.asarray(source.convert("L"))
    source.convert("L").save(tmp_path / "l.png")
    source.quantize(4).save(tmp_path / "p.png")
    alpha = np.dstack((quadrants(), np.full((24, 40), 7, np.uint8)))
    Image.fromarray(alpha).save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(read_image(str(tmp_path / "l.png")), np.dstack([grey] * 3))
    np.testing.assert_array_equal(read_image(str(tmp_path / "p.png")), quadrants())
    np.testing.assert_array_equal(read_image(str(tmp_path / "rgba.png")), quadrants())


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_keep_the_high_byte(tmp_path, suffix):
    grey = (np.arange(24 * 40).reshape(24, 40) * 68).astype(np.uint16)
    color = np.dstack([grey, grey // 2, grey // 3]).astype(np.uint16)
    for name, image in (("g", grey), ("c", color)):
        cv2.imwrite(str(tmp_path / f"{name}.{suffix}"), image)
    np.testing.assert_array_equal(read_image(str(tmp_path / f"g.{suffix}")), np.dstack([grey >> 8] * 3))
    np.testing.assert_array_equal(read_image(str(tmp_path / f"c.{suffix}")), (color >> 8)[..., ::-1])


def tiff(
    pixels: np.ndarray | bytes, bits: int, *more: tuple[int, int], photometric: int = 1, big: bool = False
) -> bytes:
    """An uncompressed TIFF of 24 rows and 40 columns; `more` are further tags and their values."""
    order = ">" if big else "<"
    channels = pixels.shape[2] if isinstance(pixels, np.ndarray) and pixels.ndim == 3 else 1
    data = pixels if isinstance(pixels, bytes) else pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    tags = dict([(256, 40), (257, 24), (258, bits), (259, 1), (262, photometric), (277, channels), (278, 24), *more])
    if channels > 2:
        tags[258] = None  # one number for each channel, behind the tags
    tags[279], tags[273] = len(data), 0
    end = 8 + 2 + 12 * len(tags) + 4
    tags[273] = end + 2 * channels
    entries = b"".join(
        struct.pack(f"{order}HHII", tag, 3, channels, end)
        if value is None
        else struct.pack(f"{order}HHII", tag, 4, 1, value)
        for tag, value in sorted(tags.items())
    )
    head = (b"MM\0*" if big else b"II*\0") + struct.pack(f"{order}IH", 8, len(tags))
    return head + entries + bytes(4) + struct.pack(f"{order}H", bits) * channels + data


GREY = np.add.outer(np.arange(24) * 4, np.arange(40) * 4).astype(np.uint8)
COLOR = np.dstack([GREY, 255 - GREY, GREY // 2])
DEEP = GREY.astype(np.uint16) * 257


def twelve_bits(values: np.ndarray) -> bytes:
    """Two numbers in three bytes."""
    a, b = values.astype(np.uint16).reshape(-1, 2).T
    return np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], 1).astype(np.uint8).tobytes()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (tiff(DEEP, 16), GREY),
        (tiff(DEEP, 16, big=True), GREY),
        (tiff(twelve_bits(DEEP >> 4), 12), GREY),
        (tiff(np.dstack([DEEP, 65535 - DEEP, DEEP // 2]), 16, photometric=2), COLOR),
        (tiff(np.dstack([DEEP, 65535 - DEEP, DEEP // 2]), 16, photometric=2, big=True), COLOR),
        (tiff(255 - GREY, 8, photometric=0), GREY),
        (tiff(np.packbits(GREY > 99, axis=1), 1), np.where(GREY > 99, 255, 0)),
        (tiff(np.packbits(GREY <= 99, axis=1), 1, photometric=0), np.where(GREY > 99, 255, 0)),
        (tiff(np.dstack([255 - COLOR, np.zeros_like(GREY)]), 8, photometric=5), COLOR),
        (tiff(np.dstack([COLOR, GREY]), 8, (338, 2), photometric=2), COLOR),
        (tiff(GREY, 8, (274, 6)), np.rot90(GREY, -1)),
    ],
    ids=["16", "16 big-endian", "12", "16 colour", "16 colour big-endian", "white is 0", "1", "1, white is 0", "CMYK",
         "RGBA", "turned"],
)  # fmt: skip
def test_depths_of_a_tiff_are_read_as_they_show(tmp_path, data, expected):
    """Whatever its name ends in."""
    for name in ("a.tif", "a.jpg"):
        (tmp_path / name).write_bytes(data)
        image = read_image(str(tmp_path / name))
        np.testing.assert_array_equal(image, expected if expected.ndim == 3 else np.dstack([expected] * 3))
        assert check_image(str(tmp_path / name)) == (image.shape[:2], None)


WHOLE = "signed or 32-bit whole numbers as pixels; save it with 8 or 16 bits"
SIGNED = "pixels that are not unsigned whole numbers; save it with 8 or 16 bits"
UNKNOWN = "not an image of a kind that can be read"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (tiff(DEEP.astype(np.int32), 32, (339, 2)), WHOLE),
        (tiff(DEEP.astype(np.int32), 32, (339, 2), big=True), WHOLE),
        (tiff(DEEP.astype(np.uint32), 32), WHOLE),
        (tiff(GREY.astype(np.int16), 16, (339, 2)), WHOLE),
        (tiff(GREY.astype(np.float32), 32, (339, 3)), "floating-point pixels; save it with 8 or 16 bits"),
        (tiff(GREY.astype(np.int8), 8, (339, 2)), SIGNED),
        (tiff(DEEP, 16, photometric=0), "16-bit pixels whose zero is white; save it with black as zero"),
        (tiff(GREY, 8, (254, 1)), "its first page is a preview; save the picture itself"),
        (tiff(COLOR, 8, photometric=8), "pixels of the kind LAB; save it as RGB or grey"),
        (tiff(GREY.astype(np.float64), 64, (339, 3)), UNKNOWN),
        (tiff(GREY.astype(np.float16), 16, (339, 3)), UNKNOWN),
        (tiff(COLOR.astype(np.float32), 32, (339, 3), photometric=2), UNKNOWN),
        (b"P6 24 24 255 " + bytes(24 * 24 * 3), UNKNOWN),
    ],
    ids=["int32", "int32 big-endian", "uint32", "int16", "float32", "int8", "16, white is 0", "preview", "LAB",
         "float64", "float16", "float32 colour", "PPM"],
)  # fmt: skip
def test_other_depths_are_refused_by_scan_and_reader(tmp_path, data, says, capfd):
    for name in ("a.tif", "a.png"):
        (tmp_path / name).write_bytes(data)
        shape, problem = check_image(str(tmp_path / name))
        assert (shape, problem.kind, problem.text) == (None, "unreadable image", says)
        with pytest.raises(
            DataError, match=r"a\.(tif|png): " + ("not an image" if says == UNKNOWN else f"cannot be read: {says}")
        ):
            read_image(str(tmp_path / name))
    assert capfd.readouterr() == ("", "")  # OpenCV tells of an int32 TIFF on its own


def test_of_several_frames_the_first_is_read(tmp_path):
    first, second = (Image.fromarray(image).quantize(8) for image in (COLOR, 255 - COLOR))
    for name, form in (("a.gif", "GIF"), ("b.tif", "TIFF"), ("c.jpg", "GIF")):
        first.save(tmp_path / name, form, save_all=True, append_images=[second])
        image = read_image(str(tmp_path / name))
        np.testing.assert_array_equal(image, np.asarray(first.convert("RGB")))
        assert check_image(str(tmp_path / name)) == ((24, 40), None)


@pytest.mark.parametrize("content", [None, b"", b"not an image", b"\xff\xd8\xff\xe0", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_unreadable_image_is_named(tmp_path, content):
    file = tmp_path / "a.jpg"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.jpg"):
        read_image(str(file))
    assert check_image(str(file))[0] is None


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "avif", "jp2"])
def test_truncated_image_is_found_and_left_alone(tmp_path, suffix):
    file = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(file)
    whole = file.read_bytes()
    assert check_image(str(file)) == ((64, 64), None)
    for length in (len(whole) // 2, len(whole) - 9):
        file.write_bytes(whole[:length])
        shape, problem = check_image(str(file))
        assert shape is None
        assert problem.kind in {"truncated image", "unreadable image"}
        assert file.read_bytes() == whole[:length]


def test_bytes_after_the_end_of_a_jpeg_are_fine(tmp_path):
    file = tmp_path / "a.jpg"
    Image.fromarray(quadrants()).save(file)
    file.write_bytes(file.read_bytes() + b"\0" * 100)
    assert check_image(str(file)) == ((24, 40), None)


def test_xmp_rotation_is_not_taken_for_exif(tmp_path):
    """Pillow would turn the shape, the decoder does not."""
    file = tmp_path / "a.jpg"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    Image.fromarray(quadrants()).save(file, xmp=xmp)
    assert check_image(str(file))[0] == read_image(str(file)).shape[:2] == (24, 40)


@pytest.mark.parametrize(("size", "kind"), [((9, 40), "image too small"), ((20000, 20000), "image too large")])
def test_absurd_sizes(tmp_path, size, kind):
    """Found in the header: the second one holds no pixels at all."""
    header = b"IHDR" + struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, b"IDAT", b"IEND")
    )
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    assert check_image(str(tmp_path / "a.png"))[1].kind == kind


def test_broken_image_asks_ultralytics_for_nothing(tmp_path, monkeypatch):
    """Ultralytics replaces `PIL.Image.open` by one that installs a package when it meets a broken file."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("PIL.Image.open was called")

    monkeypatch.setattr(Image, "open", refuse)
    (tmp_path / "a.jpg").write_bytes(b"nonsense")
    assert check_image(str(tmp_path / "a.jpg"))[1].text == "not an image of a kind that can be read"
    Image.fromarray(quadrants()).save(tmp_path / "b.png")
    assert check_image(str(tmp_path / "b.png")) == ((24, 40), None)


def test_agrees_with_ultralytics(tmp_path):
    imread = pytest.importorskip("ultralytics.utils.patches").imread
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (31, 47, 3), np.uint8))
    for name in ("a.jpg", "a.png", "a.webp", "a.tif", "a.bmp", "a.avif", "a.jp2"):
        noise.save(tmp_path / name)
        np.testing.assert_array_equal(read_image(str(tmp_path / name)), imread(tmp_path / name)[..., ::-1])
    noise.convert("CMYK").save(tmp_path / "c.jpg")
    np.testing.assert_array_equal(read_image(str(tmp_path / "c.jpg")), imread(tmp_path / "c.jpg")[..., ::-1])


def test_import_is_light():
    code = (
        "import sys, aigp_lightning.data.scan, aigp_lightning.data.data_yaml; "
        "print(sorted({'torch', 'cv2', 'PIL', 'rich', 'yaml', 'ultralytics'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
