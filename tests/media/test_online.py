"""A whole run with pictures against a W&B stand-in: what arrives is what the ledger says, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from helpers import REPO, small, tiny_network
from wandb_standin import WandbStandin, serve

from aigp_lightning.media.ledger.ledger import read_ledger

CONFIGS = ("--config", REPO / "configs" / "detector.yaml", "--config", REPO / "configs" / "logger" / "both.yaml")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbStandin]:
    monkeypatch.setenv("HOME", str(tmp_path))
    yield from serve(monkeypatch)


def pictures(server: WandbStandin) -> list[str]:
    return sorted(sha256(data).hexdigest() for name, data in server.files.items() if name.startswith("media/"))


def test_what_arrives_is_what_the_ledger_says(
    server: WandbStandin, shapes: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    """With routes, a private image and a budget; resumed once; audited at the end."""
    words = [*CONFIGS, *small(shapes, tmp_path), "--run.name", "r", "--media.max_images", 4, "--model.optim.nbs", 8]
    words += ["--media.routes.train_batch", "[file]", "--media.private", "[images/val/004.png]"]
    words += ["--media.max_mb", 1.6, "--wandb.init_timeout", 20, "--media.val_table", 1, "--media.val_batches", 1]
    words += tiny_network(tmp_path)
    assert run_cli("fit", *words, "--trainer.max_epochs", 2) == 0
    assert run_cli("fit", *words, "--trainer.max_epochs", 3, "--extend", "--ckpt_path", "last") == 0
    run = tmp_path / "detect" / "r"
    lines = read_ledger(run / "media.jsonl")
    assert lines.problems == []
    sent = [line for line in lines if (line.destination, line.outcome) == ("wandb", "sent")]
    # A file's name has its key, W&B's step and its hash: the same picture of two epochs is two files.
    assert pictures(server) == sorted(line.sha256 for line in sent)
    assert not [name for name in server.files if "train_batch" in name]
    withheld = [line for line in lines if line.outcome == "withheld"]
    assert withheld
    assert {line.reason for line in withheld} == {"budget"}
    assert {line.key for line in sent if line.key.startswith("val_table")} == {
        "val_table0", "val_table0.labels", "val_table0.predictions",
    }  # fmt: skip
    assert 0.3e6 < sum(line.bytes for line in sent) <= 1.6e6
    for line in sent:
        key, _, boxes = line.key.partition(".")
        row = next(row for row in server.history if row["epoch"] == line.epoch and key in row)
        assert (row[key]["boxes"][boxes] if boxes else row[key])["sha256"] == line.sha256
        assert row["trainer/global_step"] == line.step
    assert server.unknown == []
    assert run_cli("audit", run) == 0


def test_a_server_that_dies_costs_no_picture_here(
    server: WandbStandin, shapes: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    words = [*CONFIGS, *small(shapes, tmp_path), "--run.name", "r", "--media.max_images", 4]
    words += ["--wandb.finish_timeout", 2, "--trainer.max_epochs", 1, *tiny_network(tmp_path)]
    stopped = server._graphql

    def dying(body: dict[str, object], address: str) -> dict[str, object]:
        answer = stopped(body, address)
        if "CreateRunFiles" in str(body.get("query", "")):
            server.refuse = 500
        return answer

    server._graphql = dying  # type: ignore[method-assign, assignment]
    assert run_cli("fit", *words) == 0
    run = tmp_path / "detect" / "r"
    lines = read_ledger(run / "media.jsonl")
    assert {line.outcome for line in lines if line.destination == "tensorboard"} == {"sent"}
    for line in lines:
        if line.destination == "file":
            assert sha256((run / line.file).read_bytes()).hexdigest() == line.sha256
    mirror = {sha256(path.read_bytes()).hexdigest() for path in run.glob("wandb/run-*/files/media/images/*")}
    assert mirror == {line.sha256 for line in lines if line.destination == "wandb"}
