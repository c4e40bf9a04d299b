"""The summary that W&B makes of an online run's records is no difference, of a resumed run either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import REPO, small, tiny_network
from wandb_standin import WandbStandin, serve

from aigp_lightning.audit.check import audit
from aigp_lightning.audit.conclusion import conclusion_of, shares_of
from aigp_lightning.logfiles.wandb_run import wandb_folders


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbStandin]:
    monkeypatch.setenv("HOME", str(tmp_path))  # nobody's ~/.netrc
    monkeypatch.delenv("NETRC", raising=False)
    yield from serve(monkeypatch)


def test_a_resumed_online_run_matches(
    server: WandbStandin, shapes: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    """With another switch the second time; a value that was changed in the file afterwards is a difference."""
    words = ("--config", REPO / "configs/logger/wandb.yaml", *small(shapes, tmp_path), *tiny_network(tmp_path))
    words += ("--run.name", "online")
    quick = ("--trainer.limit_train_batches", 1, "--trainer.limit_val_batches", 1, "--media.val_batches", 1)
    assert run_cli("fit", *words, *quick, "--trainer.max_epochs", 1) == 0
    again = ("--trainer.max_epochs", 2, "--extend", "--ckpt_path", "last", "--wandb.requirements", "true")
    assert run_cli("fit", *words, *quick, *again) == 0
    run = tmp_path / "detect" / "online"
    result = audit(run)
    assert result.findings == []
    assert [(one.pictures, one.epochs) for one in shares_of(result, result.ledger or ()) if one.state == "left"] == [
        (result.tallies["wandb"].handed, [0, 1])
    ]
    assert "Nothing left this machine." not in conclusion_of(result)
    assert all("an online run keeps no record" in note for note in result.notes)
    (_, last) = (folder / "files" / "wandb-summary.json" for folder in wandb_folders(run))
    text = last.read_text()
    assert '"epoch":1' in text
    last.write_text(text.replace('"epoch":1', '"epoch":123456'))
    (finding,) = audit(run).findings
    assert "wandb-summary.json: epoch has a value that is in no record of the run's" in finding.message
