"""`contract.json` has the SHA-256 of each exported file, by which the runtime tells other weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_models import FIELDS, exported, write_graph

from aigp_lightning.deploy import runtime
from aigp_lightning.deploy.contract_file import NAME, write_contract
from aigp_lightning.deploy.export import export
from aigp_lightning.deploy.exports_file import entry_of
from aigp_lightning.deploy.options import ExportOptions
from aigp_lightning.deploy.runtime import CONTRACT_FILES, ContractError, Model
from aigp_lightning.files import sha256_of

pytestmark = pytest.mark.usefixtures("one_thread")

ANSWER = np.zeros((1, 18, 5), np.float32)


def noted(*files: Path) -> list[dict[str, Any]]:
    return [{**entry_of([file]), "format": "onnx"} for file in files]


def files_in(folder: Path) -> dict[str, str]:
    return json.loads((folder / NAME).read_text(encoding="utf-8"))[CONTRACT_FILES]  # type: ignore[no-any-return]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A model and its contract.json."""
    write_contract(tmp_path, FIELDS, noted(write_graph(tmp_path / "best.onnx", ANSWER)))
    return tmp_path


def test_an_export_with_other_weights_is_refused(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The contract and its hashes are the same; some of the weights are not."""
    file = kept / "best.onnx"
    model = Model.load(file, kept / NAME)
    assert model.file_sha256 == sha256_of(file) == files_in(kept)["best.onnx"]
    other = ANSWER.copy()
    other[0, 0, 0] = 0.5
    write_graph(file, other)
    assert Model.load(file).contract_sha256 == model.contract_sha256  # without an expectation nobody can tell
    told = f"sha256: the file's is {sha256_of(file)}, expected {model.file_sha256}: it is another export"
    for expects in (kept / NAME, json.loads((kept / NAME).read_text(encoding="utf-8"))):
        with pytest.raises(ContractError, match=told):
            Model.load(file, expects)
    assert runtime.main([str(file), "--expects", str(kept / NAME)]) == 2
    assert told in capsys.readouterr().err


def test_a_file_may_be_renamed(kept: Path) -> None:
    shutil.copy(kept / "best.onnx", kept / "flies.onnx")
    assert len(Model.load(kept / "flies.onnx", kept / NAME)(np.zeros((64, 64, 3), np.uint8))) == 0
    other = write_graph(kept / "third.onnx", ANSWER + 1)
    with pytest.raises(
        ContractError, match=f"sha256: the file's is {sha256_of(other)}, which {CONTRACT_FILES} has of none"
    ):
        Model.load(other, kept / NAME)
    write_contract(kept, FIELDS, noted(other))
    shutil.copy(other, kept / "best.onnx")  # one file that was exported in the place of another
    content = json.loads((kept / NAME).read_text(encoding="utf-8"))
    with pytest.raises(ContractError, match=r"sha256: .*it is another export"):
        Model.load(kept / "best.onnx", content)


def test_what_an_earlier_export_wrote_stays(kept: Path) -> None:
    """If it carries the same contract and has not changed."""
    second, third = (write_graph(kept / name, ANSWER + 1) for name in ("second.onnx", "third.onnx"))
    write_contract(kept, FIELDS, noted(second, third))
    assert sorted(files_in(kept)) == ["best.onnx", "second.onnx", "third.onnx"]
    (kept / "second.onnx").unlink()
    write_graph(kept / "third.onnx", ANSWER + 2)
    write_contract(kept, FIELDS, [])
    assert sorted(files_in(kept)) == ["best.onnx"]
    write_contract(kept, {**FIELDS, "classes": ["tree", "flag"]}, noted(kept / "third.onnx"))
    assert sorted(files_in(kept)) == ["third.onnx"]


@pytest.mark.parametrize("content", [b"", b"[1]", b"{}", b"[" * 100_000])
def test_a_damaged_file_is_written_anew(content: bytes, kept: Path) -> None:
    (kept / NAME).write_bytes(content)
    write_contract(kept, FIELDS, noted(kept / "best.onnx"))
    assert files_in(kept) == {"best.onnx": sha256_of(kept / "best.onnx")}


def test_export_notes_each_file_that_carries_the_contract(tmp_path: Path) -> None:
    """One after the other; weights files carry none."""
    file = exported("pose8", tmp_path)
    assert files_in(tmp_path) == {"best.onnx": sha256_of(file)}
    export(ExportOptions(str(file.with_suffix(".ckpt")), format=["torchscript", "pt"], imgsz=96))
    assert files_in(tmp_path) == {name: sha256_of(tmp_path / name) for name in ("best.onnx", "best.torchscript")}
    assert Model.load(file, tmp_path / NAME).file_sha256 == sha256_of(file)


def test_a_contract_that_the_runtime_refuses_is_told_when_it_is_written(caplog: pytest.LogCaptureFixture) -> None:
    from aigp_lightning.deploy.contract import _tell

    _tell({**FIELDS, "thresholds": {**FIELDS["thresholds"], "conf": 2.0}}, Path("no/such/best.ckpt"))
    assert "runtime.py refuses files with this contract: thresholds.conf: 2.0 is no number from 0 to 1" in caplog.text
