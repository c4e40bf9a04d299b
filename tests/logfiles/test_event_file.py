"""TensorBoard's event files, as TensorBoard writes them."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from audit_run import SIZE, draw

from aigp_lightning.logfiles.crc32c import masked_crc32c
from aigp_lightning.logfiles.event_file import read_event_file

STEPS = 30


@pytest.fixture(scope="module")
def event_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty pictures under one tag, scalars, a text, hyper-parameters' summaries and a histogram."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from torch.utils.tensorboard import SummaryWriter

    folder = tmp_path_factory.mktemp("events ü")
    with SummaryWriter(str(folder)) as writer:
        for step in range(STEPS):
            data = draw(folder / f"{step}.jpg", step).read_bytes()
            image = Summary.Image(encoded_image_string=data, width=SIZE[0], height=SIZE[1], colorspace=3)
            value = Summary.Value(tag="val_batch0_pred", image=image)
            writer._get_file_writer().add_summary(Summary(value=[value]), step)
            writer.add_scalar("loss", 1 / (step + 1), step)
        writer.add_text("note", "hello")
        writer.add_histogram("weights", np.arange(10))
    return next(folder.glob("events*"))


@pytest.mark.parametrize("size", [0, 1, 9, 2047, 2048, 2049, 10_000])
def test_checksums_are_tensorboards(size: int) -> None:
    from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

    data = os.urandom(size)
    assert masked_crc32c(data) == pywrap_tensorflow.masked_crc32c(data)


def test_checksum_of_the_standard() -> None:
    """RFC 3720, appendix B.4; masked, as TFRecord files have it."""
    for data, crc in ((bytes(32), 0x8A9136AA), (bytes(range(32)), 0x46DD794E)):
        assert masked_crc32c(data) == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def test_every_picture_is_seen(event_file: Path) -> None:
    """TensorBoard's accumulator would show four of them."""
    found = read_event_file(event_file)
    files = [event_file.parent / f"{step}.jpg" for step in range(STEPS)]
    assert [(image.tag, image.step) for image in found.images] == [("val_batch0_pred", step) for step in range(STEPS)]
    assert [image.sha256 for image in found.images] == [sha256(file.read_bytes()).hexdigest() for file in files]
    assert [image.size for image in found.images] == [file.stat().st_size for file in files]
    assert found.scalars == {"loss": STEPS}
    assert found.other == {"text note/text_summary": 1, "histo weights": 1}
    assert found.damage == []


def test_an_array_and_a_tensor_image_count_as_pictures(tmp_path: Path) -> None:
    """`add_image` encodes a PNG; the newer form is a tensor of strings: width, height, picture."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from torch.utils.tensorboard import SummaryWriter

    picture = draw(tmp_path / "a.png", 1).read_bytes()
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_image("array", np.zeros((3, 4, 4), np.uint8), 1)
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="images"))
        tensor = TensorProto(dtype=7, string_val=[b"48", b"32", picture])
        value = Summary.Value(tag="tensor", metadata=metadata, tensor=tensor)
        writer._get_file_writer().add_summary(Summary(value=[value]), 2)
    found = read_event_file(next(tmp_path.glob("events*")))
    assert [(image.tag, image.step) for image in found.images] == [("array", 1), ("tensor", 2)]
    assert found.images[1].sha256 == sha256(picture).hexdigest()


def test_a_changed_record_is_told_and_the_rest_is_read(event_file: Path, tmp_path: Path) -> None:
    data = bytearray(event_file.read_bytes())
    picture = (event_file.parent / "3.jpg").read_bytes()
    data[data.index(picture) + 500] ^= 1
    copy = tmp_path / "events.out.tfevents.1"
    copy.write_bytes(bytes(data))
    found, whole = read_event_file(copy), read_event_file(event_file)
    assert len(found.damage) == 1
    assert "checksum differs" in found.damage[0]
    different = [one.step for one, other in zip(found.images, whole.images, strict=True) if one != other]
    assert different == [3]
    assert found.scalars == whole.scalars


@pytest.mark.parametrize("lost", [1, 4, 5, 20])
def test_a_cut_file_is_read_as_far_as_it_goes(lost: int, event_file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "events.out.tfevents.1"
    copy.write_bytes(event_file.read_bytes()[:-lost])
    found = read_event_file(copy)
    assert len(found.images) == STEPS
    assert len(found.damage) == 1
    assert "it ends within the record" in found.damage[0]


def test_a_damaged_length_ends_the_reading(event_file: Path, tmp_path: Path) -> None:
    data = bytearray(event_file.read_bytes())
    data[1] ^= 1
    copy = tmp_path / "events.out.tfevents.1"
    copy.write_bytes(bytes(data))
    assert read_event_file(copy).damage == [
        "the length of the record at byte 0 is damaged; nothing after it can be read."
    ]


def test_a_record_that_pretends_to_be_huge_costs_no_memory(tmp_path: Path) -> None:
    """Its length is right and the file is sparse: the record is passed over, and what follows is read."""
    import struct

    from torch.utils.tensorboard import SummaryWriter

    from aigp_lightning.logfiles.crc32c import masked_crc32c

    source = tmp_path / "events.out.tfevents.1"
    with SummaryWriter(str(tmp_path / "small")) as writer:
        writer.add_scalar("loss", 1.0, 0)
    rest = next((tmp_path / "small").iterdir()).read_bytes()
    length = struct.pack("<Q", 1 << 33)
    with source.open("wb") as file:
        file.write(length + struct.pack("<I", masked_crc32c(length)))
        file.seek((1 << 33) + 4, 1)
        file.write(rest)
    found = read_event_file(source)
    assert found.damage == ["the record at byte 0 has 8589934592 bytes, more than are read."]
    assert found.scalars == {"loss": 1}
    source.write_bytes(length + struct.pack("<I", masked_crc32c(length)) + b"x")
    assert "it ends within the record at byte 0" in read_event_file(source).damage[0]
