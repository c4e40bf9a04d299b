"""A plain value of a checkpoint, read without torch."""

from __future__ import annotations

import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from aigp_lightning.checkpoints.load import read_ledger_anchor
from aigp_lightning.checkpoints.plain_values import read_plain_value
from aigp_lightning.errors import WeightsError

ANCHOR = {"head": "ab" * 32, "lines": 3, "totals": {"wandb": {"sent": {"pictures": 2, "bytes": 2**40}}}}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint with what Lightning's have: tensors, views, parameters, ordered and nested values."""
    path = tmp_path / "last.ckpt"
    weight = torch.nn.Parameter(torch.arange(12.0).reshape(3, 4))
    state = OrderedDict(weight=weight, view=weight.detach()[1:, ::2], half=torch.ones(2, dtype=torch.bfloat16))
    content = {"state_dict": state, "epoch": 4, "optimizer_states": [{"state": {0: state}}], "ledger": ANCHOR}
    torch.save({**content, "rng": (torch.get_rng_state(), [1, 2.5, None, True]), "shape": torch.Size([1])}, path)
    return path


def test_the_value_is_torchs(checkpoint: Path) -> None:
    assert read_ledger_anchor(checkpoint) == ANCHOR
    assert [read_plain_value(checkpoint, key) for key in ("epoch", "nothing")] == [4, None]


def test_torch_is_not_imported(checkpoint: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from aigp_lightning.checkpoints.load import read_ledger_anchor as read; "
        f"print(read(Path({str(checkpoint)!r}))['lines'], 'torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "3 False\n"
    )


class Evil:
    """Would make a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.target,)


def test_no_code_is_run(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.ckpt", "w") as archive:
        archive.writestr("evil/data.pkl", pickle.dumps({"ledger": Evil(tmp_path / "made"), "epoch": 1}))
    assert read_plain_value(tmp_path / "evil.ckpt", "epoch") == 1
    assert read_ledger_anchor(tmp_path / "evil.ckpt") == {}
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_what_is_no_checkpoint(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"cannot read .*a\.ckpt"):
        read_plain_value(tmp_path / "a.ckpt", "epoch")
