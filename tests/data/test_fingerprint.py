"""The fingerprint changes with any byte of a picture and any label, and with nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.fingerprint import DataFingerprint, fingerprint
from aigp_lightning.data.scan import scan_split


def of(yaml: Path) -> DataFingerprint:
    spec = read_data_yaml(yaml)
    return fingerprint(scan_split(spec, "val", progress=False).records, dict(enumerate(spec.names.values())))


def test_a_copy_elsewhere_has_the_same(shapes: Path, tmp_path: Path) -> None:
    copy = tmp_path / "deep" / "copy"
    shutil.copytree(shapes.parent, copy)
    found = of(shapes)
    assert of(copy / "data.yaml") == found
    assert (found.images, found.labels, len(found.sha256)) == (11, 22, 64)


def test_every_change_is_seen(shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes.parent, tmp_path / "copy")
    yaml, found = tmp_path / "copy" / "data.yaml", [of(shapes).sha256]
    picture, label = (tmp_path / "copy" / part / "val" / name for part, name in
                      (("images", "003.png"), ("labels", "003.txt")))  # fmt: skip
    with picture.open("ab") as file:
        file.write(b"\0")
    found.append(of(yaml).sha256)
    label.write_text("\n".join(label.read_text(encoding="utf-8").splitlines()[:1]), encoding="utf-8")
    found.append(of(yaml).sha256)
    picture.rename(picture.with_name("moved.png"))
    label.rename(label.with_name("moved.txt"))
    found.append(of(yaml).sha256)
    yaml.write_text(yaml.read_text(encoding="utf-8").replace("disc", "ball"), encoding="utf-8")
    found.append(of(yaml).sha256)
    assert len(set(found)) == 5


def test_the_order_of_records_and_of_classes_makes_no_difference(shapes: Path) -> None:
    spec = read_data_yaml(shapes)
    records = scan_split(spec, "val", progress=False).records
    turned = [replace(record, cls=1 - record.cls) for record in records[::-1]]
    expected = fingerprint(records, {0: "square", 1: "disc"})
    assert fingerprint(turned, {0: "disc", 1: "square"}) == expected
    assert fingerprint(turned, {0: "square", 1: "disc"}) != expected
    posed = [replace(record, keypoints=np.zeros((len(record.cls), 4, 3), np.float32)) for record in records]
    assert fingerprint(posed, {0: "square", 1: "disc"}) != expected
