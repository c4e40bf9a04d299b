"""Files near to valid ones, as hypothesis strategies: what people, other programs and attackers write."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# ---- label files ----------------------------------------------------------------------------------------------------

ODD = (
    *("0", "1", "2", "-0", "-0.0", "1.0", "1e0", "1e9", "1e400", "-1e400", "nan", "-nan", "inf", "Infinity", "1e-400"),
    *("1e-45", "0.99999999", "1.0000001", "1.01", "1.0100001", "-0.01", "-0.0100001", "2.5", "-1", "3", "16777217"),
    *("1_0", "٠.٥", "１", "0x1", "1j", "(1)", "0,5", "+0.5", ".5", "5.", "1e", "--1", "0.5\0", "\u00bd", "𝟎", "'0'"),
    *("-0.3", "1.3", "-1", "4.9", "5.1", "-4.1", "320.5", "640", "0.5000001", "1.0099999"),
    *("0." + "3" * 400, "9" * 400, "class", "", "None", "\x1b[31m", "\u202e0.5"),
)
number = st.one_of(
    st.floats(0, 1, width=32).map(lambda value: f"{value:.6g}"), st.sampled_from(ODD), st.floats().map(repr)
)
good = st.floats(0, 1, width=32).map(lambda value: f"{value:.6g}")
gap = st.sampled_from([" ", " ", " ", "\t", "  ", "\u00a0", "\u3000", "\x0b"])
columns = st.sampled_from([0, 1, 4, 5, 5, 5, 5, 6, 7, 8, 9, 11, 11, 12, 15, 400])


@st.composite
def row(draw: Any) -> str:
    """A class and numbers, mostly possible ones."""
    each = draw(st.sampled_from([good, good, number]))
    words = [draw(st.sampled_from(["0", "1", "2", "0", "1", *ODD])), *draw(_some(each, draw(columns)))]
    return draw(gap).join(words)


def _some(each: SearchStrategy[str], count: int) -> SearchStrategy[list[str]]:
    if count > 20:
        return each.map(lambda word: [word] * count)
    return st.lists(each, min_size=max(count - 1, 0), max_size=max(count - 1, 0))


newline = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", "\x0c", "\u2028", "\x85", "\n\n", "\0"])
encoding = st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"])


@st.composite
def label(draw: Any) -> bytes:
    """Rows, repeated rows, any line ends, any encoding, and sometimes bytes in between."""
    rows = draw(st.lists(row(), max_size=8))
    rows = rows * draw(st.sampled_from([1, 1, 1, 2, 60])) if rows else rows
    text = draw(newline).join(rows) + draw(st.sampled_from(["", "\n"]))
    data = text.encode(draw(encoding), "replace")
    return draw(mutated(st.just(data))) if draw(st.integers(0, 4)) == 0 else data


# ---- data.yaml ------------------------------------------------------------------------------------------------------

HOSTILE_YAML = (
    *("!!python/object/apply:os.system ['touch ran']", "!!python/name:os.system", "!!python/object/new:os.system [x]"),
    *(
        "!!timestamp x",
        "!!bool x",
        "!!int x",
        "!!float x",
        "!!binary é",
        "!!omap [0: a]",
        "!!set {a}",
        "!!pairs [0: a]",
    ),
    *("!!null x", "!!map [a]", "!!seq {a: b}", "2001-99-99", "2001-01-01", "&a [*a]", "*a", "*nowhere", ".inf", ".nan"),
    *("0x" + "f" * 5000, "9" * 400, "9" * 5000, "1:30", "1e300", "100000001", "-1", "true", "null", "~", "''", "0.5"),
    *(
        "{.inf: a}",
        "{0.5: a}",
        "{0: a, 2: b}",
        "{-1: a}",
        "{true: a, 0: b}",
        "{'0': a}",
        "{? [a] : b}",
        "[[a]]",
        "[null]",
    ),
    *('"\\e[31m"', '["\\ud800"]', '["a\\nb"]', '"\\0"', "[" * 200 + "]" * 200, "[" * 3000, "'" + "a" * 300 + "'"),
    *(
        "~nosuchuser/x",
        "a" * 5000,
        "../../../../etc",
        "/dev/zero",
        "images/*",
        "images/**",
        "'[[['",
        "'*" * 3,
        "%",
        "@a",
    ),
    *(
        "[4, 3]",
        "[17, 2]",
        "[1, 0, 3, 2]",
        "[[0, 1]]",
        "[1000000000, 3]",
        "[.nan]",
        "[true, 3]",
        "[4.0, 3]",
        "{0: [a]}",
    ),
    "&b {<<: *b}",
    *("[yes, no, on, off]", "[007, 010, 1e3]", "[12:30:45, 2024-99-99]", "[=, <<]", "[a, ~]", "[a, a]", "[' ']"),
    *("[e\u0301, \u00e9]", "{no: a, yes: b}", "{0: a, 00: b}", "[1e-2, 25e-3, .5, 2]", "[0x1, 02, 010]", "!!str null"),
)
KEYS = ("train", "val", "test", "names", "nc", "path", "kpt_shape", "flip_idx", "flip_idx_vertical", "kpt_names",
        "skeleton", "kpt_oks_sigmas", "<<", "validation", "? [a]", "'\\e'", "1", "download",
        "sigmas", "flipidx", "vale", "name")  # fmt: skip
USUAL = {"train": "images", "val": "images", "names": "[gate, tree]", "nc": "2", "path": ".", "kpt_shape": "[4, 3]",
         "flip_idx": "[1, 0, 3, 2]", "skeleton": "[[0, 1]]", "kpt_oks_sigmas": "[1, 1, 1, 1]"}  # fmt: skip
plain = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.none(), st.floats().map(str), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=6,
).map(json.dumps)
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)


@st.composite
def data_yaml(draw: Any) -> bytes:
    """The usual keys with one to three values that are odd, in any order; sometimes a thousand million laughs."""
    values = {key: USUAL[key] for key in ("train", "val", "names")}
    values.update({key: USUAL[key] for key in draw(st.lists(st.sampled_from(list(USUAL)), max_size=4))})
    odd = st.one_of(st.sampled_from(HOSTILE_YAML), plain)
    values.update(draw(st.dictionaries(st.sampled_from(KEYS), odd, max_size=3)))
    before = ""
    if draw(st.integers(0, 9)) == 0:
        before, values[draw(st.sampled_from(KEYS[:12]))] = LAUGHS, "*j"
    lines = draw(st.permutations([f"{key}: {value}" for key, value in values.items()]))
    data = (before + draw(st.sampled_from(["\n", "\n", "\r\n"])).join(lines)).encode(draw(encoding), "replace")
    return draw(mutated(st.just(data))) if draw(st.integers(0, 4)) == 0 else data


# ---- anything binary ------------------------------------------------------------------------------------------------


@st.composite
def mutated(draw: Any, seeds: SearchStrategy[bytes]) -> bytes:
    """A valid file with some bytes flipped, cut, repeated or put in."""
    data = bytearray(draw(seeds))
    for _ in range(draw(st.integers(1, 6))):
        if not data:
            break
        # mostly near the beginning, where the sizes are
        at = draw(st.integers(0, min(len(data), 64) - 1) | st.integers(0, len(data) - 1))
        kind = draw(st.sampled_from(["flip", "flip", "set", "set", "cut", "insert", "remove", "repeat"]))
        if kind == "flip":
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set":
            values = draw(st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xff", b"\0", b"\x80"]))
            data[at : at + len(values)] = values
        elif kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=8))
        elif kind == "remove":
            del data[at : at + draw(st.integers(1, 16))]
        else:
            data += data[at : at + 200]
    return bytes(data)


def _picture(form: str, **options: Any) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    mode = options.pop("mode", "RGB")
    _converted(Image.fromarray(pixels), mode).save(out, form, **options)
    return out.getvalue()


def _converted(image: Any, mode: str) -> Any:
    """Convert, also to the mode that Pillow's own `convert` does not reach from colour, and to CIE's."""
    from PIL import ImageCms

    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    return image.convert("L").convert(mode) if mode.startswith("I") else image.convert(mode)


@cache
def pictures(form: str) -> tuple[bytes, ...]:
    """Small pictures of one form: usual, turned, of other colours."""
    from PIL import Image

    exif = Image.Exif()
    exif[274] = 6
    turned = {"exif": exif.tobytes()} if form in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    modes = {
        "JPEG": ["L", "CMYK"],
        "PNG": ["P", "LA", "RGBA", "1"],
        "WEBP": ["RGBA"],
        "BMP": ["L", "1"],
        "TIFF": ["CMYK", "L", "LA", "P", "1", "I", "I;16", "F", "LAB"],
        "GIF": ["P", "L"],
    }
    return (_picture(form), _picture(form, **turned), *(_picture(form, mode=mode) for mode in modes[form]))


@cache
def clip() -> bytes:
    """A video of six frames."""
    import cv2

    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (32, 32))
        for number in range(6):
            writer.write(np.full((32, 32, 3), number * 40, np.uint8))
        writer.release()
        return path.read_bytes()


@cache
def ledger_file() -> bytes:
    """A ledger of four lines."""
    from aigp_lightning.media.ledger.ledger import Entry, Ledger

    with TemporaryDirectory() as folder:
        path = Path(folder) / "media.jsonl"
        book = Ledger(path)
        for epoch in range(4):
            book.add(Entry("val", "val_batch0", "a.jpg", "0" * 64, 5, epoch, epoch, ["x.jpg"], "wandb", "sent"))
        book.close()
        return path.read_bytes()


@cache
def event_file() -> bytes:
    """TensorBoard's file of two scalars and a picture."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    image = Summary.Image(encoded_image_string=b"picture", width=1, height=1)
    values = [Summary.Value(tag="a", simple_value=1), Summary.Value(tag="b", image=image)]
    out = io.BytesIO()
    writer = RecordWriter(out)
    for step in range(3):
        writer.write(Event(step=step, summary=Summary(value=values)).SerializeToString())
    return out.getvalue()


def wandb_file(records: list[bytes]) -> bytes:
    """W&B's run file of these records, checksums right."""
    import struct
    import zlib

    out = b":W&B\xe1\xbe\x00"
    for record in records:
        out += struct.pack("<IHB", zlib.crc32(b"\x01" + record), len(record), 1) + record
    return out


VALUES = ('{"_type": "image-file", "path": "media/a.png", "sha256": "0", "size": 5}', '"x"', "NaN", "Infinity", "1e999",
          '{"_type": "images/separated", "filenames": ["a", 1, null]}', '{"_type": "x", "path": "a", "size": "big"}',
          '{"_type": "x", "path": "a", "size": Infinity}', '{"_type": "x", "path": "/etc/hostname"}',
          '{"_type": 1, "path": "../../x\\u0000", "size": null}',
          "[" * 500 + "]" * 500, '{"a":' * 500 + "1" + "}" * 500, "9" * 5000, "{", "", "null", "[1]")  # fmt: skip


@st.composite
def wandb(draw: Any) -> bytes:
    """Records that are W&B's by form and odd by content, sometimes with bytes changed."""
    from wandb.proto.wandb_internal_pb2 import Record

    records = []
    for number in range(draw(st.integers(1, 4))):
        record = Record()
        kind = draw(st.sampled_from(["history", "history", "config", "run", "files", "exit"]))
        if kind == "history":
            for key in draw(st.lists(st.sampled_from(["epoch", "_step", "val", "\x1b[1m"]), max_size=4)):
                item = record.history.item.add()
                item.nested_key.append(key)
                item.value_json = draw(st.sampled_from(VALUES))
        elif kind in ("config", "run"):
            update = record.config.update.add() if kind == "config" else record.run.config.update.add()
            update.key, update.value_json = (
                draw(st.sampled_from(["_wandb", "machine", "command", "", "a"])),
                draw(st.sampled_from(VALUES)),
            )
        elif kind == "files":
            record.files.files.add().path = draw(st.sampled_from(["a", "../x", "media/\0", "C:\\x", ""]))
        else:
            record.exit.exit_code = number
        records.append(record.SerializeToString())
    data = wandb_file([draw(mutated(st.just(one))) if draw(st.integers(0, 3)) == 0 else one for one in records])
    return draw(mutated(st.just(data))) if draw(st.booleans()) else data


RESULTS = b"epoch,time,train/box_loss,metrics/mAP50(B)\n1,2.5,1.5,0.5\n2,5,1.25,0.625\n3,7,1,0.75\n"
LOGGERS = (
    b'{"wandb_run_id": "abc", "loggers": [{"destination": "tensorboard", "folder": "tensorboard", "others": ["a"]}, '
    b'{"destination": "wandb", "folder": "wandb/run-20260101_000000-abc", "id": "abc", "channels": ["config"]}]}'
)
CONFIG = (
    b"trainer:\n  logger:\n  - class_path: x.WandbLogger\n    init_args: {save_dir: x, log_model: true}\n"
    b"  - class_path: x.TensorBoardLogger\n    init_args: {save_dir: y, name: z, version: 1}\nwandb: {code: true}\n"
)
RECEIPT = (
    b'{"receipt": 1, "files": {"best.ckpt": {"sha256": "ab", "bytes": 9}}, "run": {"name": "a", "task": "detect"}, '
    b'"evaluation": {"by": "pictures", "metrics": {"fitness": 0.5}, "settings": {"iou": 0.7}, "model_sha256": "ab"}, '
    b'"data": {"split": "val", "sha256": "cd", "images": 1, "labels": 2}, "plan": {"sha256": "ef"}, '
    b'"configuration": {"sha256": "ef", "earlier": {"config-before-epoch2.yaml": "ab"}}, "thresholds": {}, '
    b'"ledger": {"head": "%b", "lines": 0, "totals": {}, "destinations": []}, "not_recorded": ["git"]}' % (b"0" * 64)
)
WORDS = (b"nan", b"inf", b"-1", b"1e999", b"", b"x", b'"', b"\0", b"\xff", b"1,2,3", b"\n", b",,", b"\xef\xbb\xbf")


@st.composite
def replaced(draw: Any, data: bytes, words: tuple[bytes, ...]) -> bytes:
    """A text file with some of its words replaced, or bytes changed."""
    import re

    parts = re.split(rb"([,\n :\"])", data)
    for _ in range(draw(st.integers(1, 4))):
        parts[draw(st.integers(0, len(parts) - 1))] = draw(st.sampled_from(words))
    return draw(mutated(st.just(b"".join(parts)))) if draw(st.booleans()) else b"".join(parts)


@cache
def cache_file() -> bytes:
    """What a scan of two images and one box leaves."""
    from aigp_lightning.data import scan_cache

    columns = scan_cache.Columns(
        np.array([True, True]), np.array([[48, 64]] * 2), np.array([1, 0]), np.array([1]),
        np.float32([[0.5, 0.5, 0.1, 0.1]]), None, [],
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        assert scan_cache.save(Path(folder) / "a.npz", "d" * 64, columns)
        return (Path(folder) / "a.npz").read_bytes()


TINY = {"nc": 2, "backbone": [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "Conv", [16, 3, 2]]],
        "head": [[[0, 1], 1, "Detect", ["nc"]]]}  # fmt: skip


@cache
def checkpoint_content() -> dict[str, Any]:
    """What one of our checkpoints holds, of a network of two layers."""
    import torch

    from aigp_lightning.modules.detector import DetectorModule
    from aigp_lightning.modules.yolo.build import build_model

    torch.manual_seed(0)
    module = DetectorModule()
    module.set_network(build_model(TINY, {0: "gate", 1: "tree"}, {}))
    content: dict[str, Any] = {"state_dict": module.state_dict(), "epoch": 1}
    module.on_save_checkpoint(content)
    return content


SPOILT = (None, True, -1, 10**30, float("nan"), "", "x", "\x1b[31m", [], {}, [None], {"a": 1}, "__import__('os')",
          "nn.SiLU()", "TorchVision", "DetectionModel", "https://example.invalid/a.yaml",
          [[-1, 1, "Conv", [1e9]]])  # fmt: skip


def spoil(draw: Any, value: Any, depth: int = 0) -> Any:
    """A copy of nested plain values with one of them replaced."""
    if isinstance(value, dict | list | tuple) and value and (depth == 0 or draw(st.integers(0, 4))):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        chosen = draw(st.sampled_from(keys))
        changed = dict(value) if isinstance(value, dict) else list(value)
        if draw(st.integers(0, 9)) == 0:
            del changed[chosen]
        else:
            changed[chosen] = spoil(draw, changed[chosen], depth + 1)
        return changed
    return draw(st.sampled_from(SPOILT))


@st.composite
def checkpoint(draw: Any) -> bytes:
    """Our checkpoint with values of its description or its tensors replaced, or bytes changed."""
    import torch

    content = dict(checkpoint_content())
    kind = draw(st.sampled_from(["aigp", "aigp", "aigp", "content", "bytes"]))
    if kind == "aigp":
        content["aigp"] = spoil(draw, content["aigp"])
    elif kind == "content":
        content = spoil(draw, content)
    out = io.BytesIO()
    torch.save(content, out)
    return draw(mutated(st.just(out.getvalue()))) if kind == "bytes" else out.getvalue()


@cache
def weights_file() -> bytes:
    """An Ultralytics `.pt` of a network of two layers."""
    from aigp_lightning.modules.yolo.build import build_model
    from aigp_lightning.modules.yolo.weights import save_pt

    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.pt"
        save_pt(path, build_model(TINY, {0: "gate", 1: "tree"}, {}))
        return path.read_bytes()


@st.composite
def weights(draw: Any) -> bytes:
    """That file with the bytes of its pickle changed, checksums right again; or any bytes."""
    import zipfile

    from fuzz.targets import repacked

    data = weights_file()
    if draw(st.integers(0, 4)) == 0:
        return draw(mutated(st.just(data)))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        member = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        pickled = bytearray(archive.read(member))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(pickled) - 1))
        pickled[at] = draw(st.integers(0, 255))
    return repacked(data, member, bytes(pickled))


def _of(form: str) -> Callable[[], SearchStrategy[bytes]]:
    return lambda: mutated(st.sampled_from(pictures(form)))


GENERATORS: dict[str, Callable[[], SearchStrategy[bytes]]] = {
    "label": label,
    "yaml": data_yaml,
    "jpg": _of("JPEG"),
    "png": _of("PNG"),
    "webp": _of("WEBP"),
    "bmp": _of("BMP"),
    "tif": _of("TIFF"),
    "gif": _of("GIF"),
    "mp4": lambda: mutated(st.just(clip())),
    "ledger": lambda: replaced(
        ledger_file(), (b"1", b"null", b"[]", b'"\\ud800"', b"1e999", b"{", b"NaN", b"\xff", b"\0")
    ),
    "event": lambda: mutated(st.just(event_file())),
    "wandb": wandb,
    "loggers": lambda: replaced(LOGGERS, (*WORDS, b"[]", b"{}", b"null", b'"../.."', b'"s3://x"', b'"~nobody/x"')),
    "config": lambda: replaced(CONFIG, (*WORDS, b"[]", b"{}", b"&a", b"*a", b"!!python/name:os.system", b"2001-99-99")),
    "mirrored": lambda: replaced(CONFIG, (*WORDS, b"[]", b"{}", b"&a", b"*a", b"!!set", b"? [1]")),
    "results": lambda: replaced(RESULTS, WORDS),
    "cache": lambda: mutated(st.just(cache_file())),
    "runjson": lambda: st.one_of(
        mutated(st.just(b'{"wandb_run_id": "abcdefgh"}\n')),
        st.sampled_from(
            [*VALUES, '{"wandb_run_id": 1}', '{"wandb_run_id": ["a"]}', "[[1, 2]]", '{"wandb_run_id": "\\u001b[31m"}']
        ).map(str.encode),
    ),
    "receipt": lambda: replaced(RECEIPT, (*WORDS, b"[]", b"{}", b"null", b'"../x"', b'"\\ud800"', b"1e999", b"7")),
    "ckpt": checkpoint,
    "pt": weights,
}
"""Kind of file to what makes such files."""
