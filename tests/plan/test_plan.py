"""What `plan` announces is what a run then draws and hands over."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import REPO, small, tiny_network

from aigp_lightning.loggers.wandb_config import channels_without_switch
from aigp_lightning.loggers.wandb_options import WandbOptions
from aigp_lightning.media.ledger.ledger import read_ledger
from aigp_lightning.media.routing import ATTACHED
from aigp_lightning.plan.report import _channels
from aigp_lightning.terminal.output import print_tables

OVERLAYS = ("--config", REPO / "configs" / "detector.yaml", "--config", REPO / "configs" / "logger" / "both.yaml")
SHORT = ("--trainer.max_epochs", 3, "--media.max_images", 4, "--model.optim.nbs", 8, "--close_mosaic.epochs", 0)


@pytest.fixture
def plan(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """The plan of a tiny run with TensorBoard and W&B, as JSON."""

    def planned(*options: object, status: int = 0) -> dict[str, Any]:
        capfd.readouterr()
        words = [*OVERLAYS, *small(shapes, tmp_path), *tiny_network(tmp_path), *SHORT, *options, "--json"]
        assert run_cli("plan", *words) == status
        content: dict[str, Any] = json.loads(capfd.readouterr().out)
        return content

    return planned


@pytest.fixture(autouse=True)
def no_wandb_left() -> Any:
    """Close W&B if a test opened it."""
    import sys

    yield
    if "wandb" in sys.modules:
        import wandb

        wandb.finish()
        wandb.teardown()


def test_a_run_hands_over_what_the_plan_announced(
    plan: Callable[..., dict[str, Any]], shapes: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    """The same files as often to the same places; what does not depend on training to the byte; MB within 20 %."""
    options = ["--media.val_every_n_epochs", 2, "--media.val_batches", 2, "--media.val_errors", 1,
               "--media.val_table", 5, "--media.routes.train_batch", "[tensorboard]",
               "--media.routes.val_labels", "[wandb]", "--media.private", "[images/val/004.png]"]  # fmt: skip
    planned = plan(*options)
    words = [*OVERLAYS, *small(shapes, tmp_path), *tiny_network(tmp_path), *SHORT]
    assert run_cli("fit", *words, *options) == 0
    every = read_ledger(tmp_path / "detect" / "gates" / "media.jsonl")
    lines = [line for line in every if line.kind not in ATTACHED]
    assert len(every) - len(lines) == 2 * 5 + 2 * 4  # in W&B the private one has none
    announced: Counter[tuple[str, str]] = Counter()
    for file in planned["files"]:
        for destination in ("file", *file["destinations"]):
            announced[Path(file["file"]).stem, destination] += file["count"]
    assert Counter((line.key, line.destination) for line in lines) == announced
    sizes = {(line.key, line.destination): line.bytes for line in lines}
    for file in planned["files"]:
        if file["kind"] in ("train_batch", "labels", "labels_correlogram", "val_labels"):
            key = Path(file["file"]).stem
            assert sizes[key, "file"] == file["bytes"], file["file"]
            if "wandb" in file["destinations"]:
                assert sizes[key, "wandb"] == file["remote_bytes"], file["file"]
    for total in planned["destinations"]:
        assert sum(line.destination == total["name"] for line in lines) == total["pictures"]
        assert sum(line.bytes for line in every if line.destination == total["name"]) == pytest.approx(
            total["bytes"], rel=0.2
        )


def test_the_plan_leaves_nothing(
    plan: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No run folder, no scratch folder, no W&B run, not even online without an account."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.delenv("WANDB_MODE")
    plan()
    assert not (tmp_path / "detect").exists()
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "wandb").exists()


def test_over_budget(plan: Callable[..., dict[str, Any]]) -> None:
    whole = plan()
    size = whole["remote_megabytes"]
    assert plan("--media.max_mb", size + 0.01)["over_budget"] is False
    over = plan("--media.max_mb", size * 0.9, status=1)
    assert over["over_budget"] is True
    held = sum(row["bytes"] for row in over["held_back"])
    assert 0 < size - held / 1e6 <= size * 0.9
    assert "validation mosaics" in over["withheld"][0] or "only the curves" in over["withheld"][0]


def test_nothing_remote_is_never_over_budget(plan: Callable[..., dict[str, Any]]) -> None:
    planned = plan("--media.routes.everything", "[file,tensorboard]", "--media.max_mb", 0)
    assert planned["remote_megabytes"] == 0
    assert planned["over_budget"] is False


def test_counts_follow_the_run(plan: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer batches than mosaics asked for, no validation, every second epoch; W&B left out: what the run would do."""

    def counts(planned: dict[str, Any]) -> Counter[str]:
        found: Counter[str] = Counter()
        for file in planned["files"]:
            found[file["kind"]] += file["count"]
        return found

    assert counts(plan("--media.val_batches", 9))["val_pred"] == 3 * 3
    assert counts(plan("--trainer.limit_train_batches", 2))["train_batch"] == 2
    monkeypatch.setenv("AIGP_WANDB", "off")
    planned = plan("--trainer.check_val_every_n_epoch", 2)
    assert counts(planned)["val_labels"] == 3
    assert planned["left_out"] == ["WandbLogger (AIGP_WANDB is off)"]
    assert [total["name"] for total in planned["destinations"]] == ["file", "tensorboard"]
    monkeypatch.setenv("AIGP_WANDB", "on")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    planned = plan("--trainer.limit_val_batches", 0)
    assert counts(planned) == {"labels": 1, "labels_correlogram": 1, "train_batch": 3, "results": 1}
    assert planned["left_out"] == ["WandbLogger (W&B's mode is disabled)"]


def test_private_images_are_announced(plan: Callable[..., dict[str, Any]]) -> None:
    files = {file["file"]: file for file in plan("--media.private", "[images/val/004.png]")["files"]}
    assert sum(file["private"] for file in files.values() if file["kind"] == "val_pred") == 1
    held = plan("--media.private", "[images/val/004.png]", "--media.private_action", "withhold")
    secret = [file for file in held["files"] if file["private"]]
    assert [file["remote_bytes"] for file in secret] == [0, 0]


def test_a_bucket_named_by_a_variable_is_remote(
    plan: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUCKET", "memory://bucket")
    overlay = ("--config", REPO / "configs" / "logger" / "tensorboard.yaml")
    planned = plan(*overlay, "--trainer.logger.init_args.save_dir", "$BUCKET")
    assert [(each["name"], each["remote"]) for each in planned["destinations"]] == [
        ("file", False), ("tensorboard", True),
    ]  # fmt: skip
    assert planned["remote_megabytes"] > 0


def test_what_fit_refuses_plan_refuses(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    words = [*OVERLAYS, *small(shapes, tmp_path), *tiny_network(tmp_path), *SHORT]
    secret = ["--media.private", "val/004.png", "--media.private_action", "refuse"]
    assert run_cli("plan", *words, *secret) == 2
    assert "--media.private_action is refuse" in capfd.readouterr().err
    assert run_cli("plan", *words, "--media.private", "garage/*") == 2
    assert "fits no image of this data set" in capfd.readouterr().err


def test_side_channels_are_listed(plan: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    channels = {channel["name"]: channel["on"] for channel in plan("--wandb.console", "true")["side_channels"]}
    assert channels["console"] is True
    assert channels["git"] is channels["weights"] is channels["host"] is False
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_LOG_MODEL", "true")
    assert {channel["name"]: channel["on"] for channel in plan()["side_channels"]}["weights"] is True


def test_words_about_the_run_are_announced_as_they_are(
    plan: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The logger's own before the group's, and a variable of wandb's last; telemetry has no switch."""
    monkeypatch.setenv("WANDB_NOTES", "of the hall")
    words = ("--wandb.tags", '["[night]", "640px"]', "--wandb.group", "seeds", "--wandb.entity", "team")
    rows = {row["name"]: row for row in plan(*words)["side_channels"]}
    assert rows["notes"]["on"] is rows["telemetry"]["on"] is True
    assert rows["notes"]["sends"] == "entity team; tags [night], 640px; group seeds; notes of the hall"
    options = WandbOptions(notes="ours", tags=["ours"], job_type="finetune")
    (row, _) = channels_without_switch(options, [{"notes": "theirs", "settings": {"run_group": "inner"}}])
    assert row.sends == "tags ours; group inner; job_type finetune; notes theirs"
    monkeypatch.delenv("WANDB_NOTES")
    assert not channels_without_switch(WandbOptions(), [{}])[0].on
    print_tables(_channels([row._replace(sends="tags [night]")]))
    assert "tags [night]" in capfd.readouterr().out


def test_the_table_for_people(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "120")
    target = tmp_path / "plan.json"
    assert run_cli("plan", *small(shapes, tmp_path), *tiny_network(tmp_path), *SHORT, "--json", target) == 0
    printed = capfd.readouterr().out
    assert "val_pred" in printed
    assert "Nothing leaves this machine" in printed
    planned = json.loads(target.read_text())
    assert planned["side_channels"] == []
    total = next(one for one in planned["destinations"] if one["name"] == "file")
    assert f"{total['pictures']} / {total['bytes'] / 1e6:.1f}" in printed


def test_mistakes_are_fit_s(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("plan", *small(shapes, tmp_path), "--media.val_files", "none-*.png") == 2
    assert "fits no image of the validation split" in capfd.readouterr().err
