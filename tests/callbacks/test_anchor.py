"""The anchor of a run: in its checkpoints, signed at each epoch, printed, in W&B's summary; however the run ends."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from helpers import REPO, small, tiny_network
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import Logger
from lightning.pytorch.trainer.states import TrainerFn

from aigp_lightning.audit.check import audit
from aigp_lightning.callbacks.media import Media
from aigp_lightning.errors import ConfigError
from aigp_lightning.logfiles.wandb_run import read_wandb_run, wandb_folders
from aigp_lightning.media.ledger.anchor import anchor_of
from aigp_lightning.media.ledger.keys import make_keys, read_public_key
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Entry, Ledger, read_ledger
from aigp_lightning.media.ledger.signatures import SIGNATURE_FILE, is_valid
from aigp_lightning.media.ledger.signer import read_signatures
from aigp_lightning.media.routing import Routes

Cli = Callable[..., int]
NOTHING = Routes(labels=[], labels_correlogram=[])


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "my-signing-key"
    make_keys(path)
    return path


@pytest.fixture(scope="module")
def made(
    shapes: Path, key: Path, tmp_path_factory: pytest.TempPathFactory, run_cli: Cli
) -> Iterator[tuple[Path, list[str]]]:
    """A signed run of two epochs with W&B offline, and what it printed."""
    root = tmp_path_factory.mktemp("signed")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        patch.chdir(root)
        options = *tiny_network(key.parent), "--trainer.max_epochs", 2, "--model.optim.nbs", 8, "--media.sign", key
        assert (
            run_cli("fit", "--config", REPO / "configs/logger/wandb-offline.yaml", *small(shapes, root), *options) == 0
        )
    yield root / "detect" / "gates", printed.getvalue().splitlines()


def test_a_run_prints_head_and_how_to_compare_it(
    made: tuple[Path, list[str]], run_cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    run, printed = made
    head = read_ledger(run / LEDGER_FILE).heads[-1]
    lines = len(read_ledger(run / LEDGER_FILE))
    assert f"ledger: {lines} lines, head {head}" in printed
    (command,) = (line for line in printed if line.startswith("to compare it later: "))
    words = command.partition("aigp_lightning ")[2].split()
    assert words == ["audit", str(run), "--head", head]
    assert run_cli(*words) == 0
    assert f"The head is the one that was asked for: {head}, {lines} lines." in capsys.readouterr().out


def anchor_in(run: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(run / "weights" / name, map_location="cpu", weights_only=True)["ledger"]
    return content


def test_checkpoints_know_the_ledger_as_it_was(made: tuple[Path, list[str]]) -> None:
    """As plain values; each is a state that the ledger was in."""
    run, _ = made
    lines = read_ledger(run / LEDGER_FILE)
    for name in ("last.ckpt", "best.ckpt"):
        content = anchor_in(run, name)
        assert content == anchor_of(lines, content["lines"]).as_dict()
        assert json.loads(json.dumps(content)) == content


def test_every_epoch_and_the_end_are_signed(made: tuple[Path, list[str]], key: Path) -> None:
    """An epoch's signature covers all pictures of that epoch, and the last one every line."""
    run, _ = made
    lines, signatures = read_ledger(run / LEDGER_FILE), read_signatures(run / SIGNATURE_FILE)
    assert [(one.moment, one.epoch) for one in signatures] == [("start", -1), ("epoch", 0), ("epoch", 1), ("end", 1)]
    assert all(map(is_valid, signatures))
    of_first = [line.number for line in lines if line.epoch == 0]
    assert signatures[1].lines == max(of_first)
    assert signatures[3].lines == len(lines) > signatures[2].lines > signatures[1].lines
    assert {one.run for one in signatures} == {"gates"}
    result = audit(run, read_public_key(f"{key}.pub"))
    assert result.clean, result.findings
    assert any("4 signatures by SHA256:" in note for note in result.notes)


def test_wandb_gets_the_head_and_nothing_of_the_key(made: tuple[Path, list[str]], key: Path) -> None:
    run, _ = made
    lines = read_ledger(run / LEDGER_FILE)
    (folder,) = wandb_folders(run)
    recorded = read_wandb_run(folder)
    assert recorded.summary["ledger/head"] == lines.heads[-1]
    assert recorded.summary["ledger/lines"] == len(lines)
    assert not any("ledger/head" in row for row in recorded.history)
    assert audit(run).anchors[f"W&B's summary in {folder.name}"] == len(lines)
    secret = b"".join(key.read_bytes().splitlines()[1:-1])
    for path in (path for path in run.rglob("*") if path.is_file()):
        data = path.read_bytes()
        assert secret not in data
        if path.name != "config.yaml":
            assert b"my-signing-key" not in data, path
    assert f"sign: {key}" in (run / "config.yaml").read_text(encoding="utf-8")


def test_a_changed_source_is_found_whatever_is_chained_anew(
    made: tuple[Path, list[str]], key: Path, tmp_path: Path
) -> None:
    """By the checkpoints too, without any key."""
    from audit_signed_run import rewrite

    run = Path(shutil.copytree(made[0], tmp_path / "gates", symlinks=True))
    rewrite(run, lambda lines: lines[2].update(time="2001-01-01T00:00:00Z"))
    findings = audit(run, read_public_key(f"{key}.pub")).findings
    assert {finding.what for finding in findings} == {"anchor", "signature"}
    assert [finding.line for finding in findings if finding.what == "signature"] == [1]
    (run / SIGNATURE_FILE).unlink()
    (run / "config.yaml").unlink()
    # how far a checkpoint knows the ledger depends on how fast pictures were drawn beside the training
    known = {f"weights/{name}" for name in ("last.ckpt", "best.ckpt") if anchor_in(run, name)["lines"] >= 3}
    assert {finding.file.partition(" ")[0] for finding in audit(run).findings} == {*known, "W&B's"}


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["fit", "plan"])
def test_a_key_that_cannot_sign_is_told_before_the_run(
    verb: str, key: Path, shapes: Path, tmp_path: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    """And leaves no run folder."""
    assert run_cli(verb, *small(shapes, tmp_path), "--media.sign", f"{key}.pub") == 2
    assert f"error: --media.sign {key}.pub is a public key; a ledger is signed with the private one." in (
        capsys.readouterr().err.splitlines()
    )
    assert not list((tmp_path / "detect").glob("*")) if verb == "fit" else not (tmp_path / "detect").exists()


def test_a_run_that_is_resumed_with_another_key_is_refused(
    made: tuple[Path, list[str]], key: Path, shapes: Path, tmp_path: Path, run_cli: Cli,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Before anything is written."""
    run = Path(shutil.copytree(made[0], tmp_path / "detect" / "gates", symlinks=True))
    before = (run / SIGNATURE_FILE).read_bytes(), (run / LEDGER_FILE).read_bytes()
    make_keys(tmp_path / "other")
    words = [*small(shapes, tmp_path), "--ckpt_path", run / "weights" / "last.ckpt"]
    words += ["--trainer.max_epochs", 3, "--extend", *tiny_network(key.parent)]
    assert run_cli("fit", *words, "--model.optim.nbs", 8, "--media.sign", tmp_path / "other") == 2
    assert "A run is signed by one key: go on with that one, or without." in capsys.readouterr().err
    assert ((run / SIGNATURE_FILE).read_bytes(), (run / LEDGER_FILE).read_bytes()) == before


@pytest.mark.parametrize("kept", [SIGNATURE_FILE, "last.ckpt"])
def test_a_run_whose_ledger_is_gone_does_not_go_on_sending(
    kept: str, made: tuple[Path, list[str]], shapes: Path, key: Path, tmp_path: Path, run_cli: Cli,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Its budget would begin anew. The checkpoint knows, and so do the signatures."""
    run = Path(shutil.copytree(made[0], tmp_path / "detect" / "gates", symlinks=True))
    count = anchor_in(run, "last.ckpt")["lines"]
    (run / LEDGER_FILE).unlink()
    if kept == "last.ckpt":
        (run / SIGNATURE_FILE).unlink()
    before = sorted(wandb_folders(run)[0].rglob("*.jpg"))
    words = [*small(shapes, tmp_path), "--run.resume", "always", "--media.max_mb", 1]
    words += ["--trainer.max_epochs", 3, "--extend", *tiny_network(key.parent)]
    overlay = "--config", REPO / "configs/logger/wandb-offline.yaml"
    assert run_cli("fit", *overlay, *words, "--model.optim.nbs", 8) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert line.startswith(
        f"error: {run / LEDGER_FILE} is not the ledger that last.ckpt knows: it had {count} lines, and has 0. "
    )
    assert not (run / LEDGER_FILE).exists()
    assert sorted(run.rglob("offline*/**/*.jpg")) == before


def test_keys(tmp_path: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("keys", tmp_path / "key") == 0
    printed = capsys.readouterr().out
    assert f"private key: {tmp_path / 'key'}\npublic key: {tmp_path / 'key'}.pub\nfingerprint: SHA256:" in printed
    assert run_cli("keys", tmp_path / "key") == 2
    assert "no key is ever overwritten" in capsys.readouterr().err


# ---- other ends, by a trainer of one's own ---------------------------------------------------------------------------


class Failing(BoringModel):
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if self.trainer.current_epoch == 1:
            raise RuntimeError("the disk is gone")
        return super().training_step(batch, batch_idx)


def pictureless(**options: Any) -> Media:
    """Draws nothing by itself."""
    return Media(train_batches=0, val_batches=0, routes=NOTHING, **options)


class Curves(pl.Callback):
    """Puts a picture at the start of each epoch."""

    def __init__(self, media: Media) -> None:
        self.media = media

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        import numpy as np

        from aigp_lightning.media.types import RenderJob

        job = RenderJob("results", "results.png", lambda masked: np.full((8, 8, 3), trainer.current_epoch, np.uint8))
        self.media.put(trainer, [job], trainer.current_epoch)


def train(folder: Path, media: Media, model: pl.LightningModule, **options: Any) -> None:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    quiet |= {"logger": False, "accelerator": "cpu", "limit_train_batches": 1, "limit_val_batches": 0, "max_epochs": 2}
    trainer = pl.Trainer(default_root_dir=folder, callbacks=[media, Curves(media)], **{**quiet, **options})
    trainer.fit(model)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Our lines on the terminal."""
    logger = logging.getLogger("lightning_utilities.core.rank_zero")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)
    logger.setLevel(level)


def test_a_run_that_fails_is_signed_to_its_last_line_and_says_its_head(
    key: Path, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RuntimeError, match="the disk is gone"):
        train(tmp_path, pictureless(sign=str(key)), Failing())
    signatures, lines = read_signatures(tmp_path / SIGNATURE_FILE), read_ledger(tmp_path / LEDGER_FILE)
    assert [(one.moment, one.epoch, one.lines) for one in signatures] == [
        ("start", -1, 0),
        ("epoch", 0, 1),
        ("stop", 0, 2),
    ]
    assert f"ledger: 2 lines, head {lines.heads[-1]}" in said.messages


def test_a_run_that_is_not_signed_leaves_no_signatures_and_warns_if_it_was(
    key: Path, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    train(tmp_path / "plain", pictureless(), BoringModel())
    assert not (tmp_path / "plain" / SIGNATURE_FILE).exists()
    train(tmp_path / "signed", pictureless(sign=str(key)), BoringModel(), fast_dev_run=True)
    assert [one.moment for one in read_signatures(tmp_path / "signed" / SIGNATURE_FILE)] == ["start", "epoch", "end"]
    assert not [text for text in said.messages if "without --media.sign" in text]
    train(tmp_path / "signed", pictureless(), BoringModel())
    assert [text for text in said.messages if "without --media.sign its lines from now on are not" in text]


def test_a_run_goes_on_with_the_same_key_alone(key: Path, tmp_path: Path) -> None:
    train(tmp_path, pictureless(sign=str(key)), BoringModel(), max_epochs=1)
    train(tmp_path, pictureless(sign=str(key), resuming=True), BoringModel(), max_epochs=1)
    signatures = read_signatures(tmp_path / SIGNATURE_FILE)
    assert [one.n for one in signatures] == list(range(len(signatures)))
    assert len({(one.id, one.key) for one in signatures}) == 1
    make_keys(tmp_path / "other")
    with pytest.raises(ConfigError, match="A run is signed by one key"):
        train(tmp_path, pictureless(sign=str(tmp_path / "other")), BoringModel())
    assert read_signatures(tmp_path / SIGNATURE_FILE) == signatures


def test_no_picture_at_all(tmp_path: Path, key: Path) -> None:
    """An empty ledger is signed as one: that nothing was drawn is worth a signature too."""
    media = pictureless(sign=str(key))
    trainer = pl.Trainer(
        default_root_dir=tmp_path, callbacks=[media], max_epochs=1, limit_train_batches=1, limit_val_batches=0,
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        accelerator="cpu",
    )  # fmt: skip
    trainer.fit(BoringModel())
    assert [(one.moment, one.lines) for one in read_signatures(tmp_path / SIGNATURE_FILE)] == [
        ("start", 0),
        ("epoch", 0),
        ("end", 0),
    ]
    assert audit(tmp_path, read_public_key(f"{key}.pub")).clean


@pytest.mark.parametrize("make", [Path.mkdir, getattr(os, "mkfifo", Path.mkdir)])
def test_signatures_that_cannot_be_kept_are_told_at_the_start(
    make: Callable[[Path], None], key: Path, tmp_path: Path
) -> None:
    """Nobody waits at a pipe."""
    make(tmp_path / SIGNATURE_FILE)
    with pytest.raises(ConfigError, match=f"--media.sign: {tmp_path / SIGNATURE_FILE} cannot be used: "):
        train(tmp_path, pictureless(sign=str(key)), BoringModel(), max_epochs=1)


# ---- a ledger that lacks what was kept of it -------------------------------------------------------------------------


class Board(Logger):
    """A logger of somebody's own, which counts as remote."""

    name, version, save_dir = "board", 0, None

    def __init__(self) -> None:
        super().__init__()
        self.got: list[str] = []

    def log_metrics(self, *args: Any, **kwargs: Any) -> None: ...

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None: ...

    def log_image(self, key: str, images: list[Any], **kwargs: Any) -> None:
        self.got.append(key)


def lines_of(run: Path) -> list[bytes]:
    return (run / LEDGER_FILE).read_bytes().splitlines(keepends=True)


def cut(run: Path) -> None:
    (run / LEDGER_FILE).write_bytes(b"".join(lines_of(run)[:-1]))


def rechain(run: Path) -> None:
    from audit_signed_run import rewrite

    rewrite(run, lambda lines: lines[0].update(bytes=1))


def leave(run: Path) -> None: ...


def grow(run: Path) -> None:
    """Written after the checkpoint, before the kill; with a last line that lost its end."""
    ledger = Ledger(run / LEDGER_FILE)
    ledger.add(Entry("results", "results", "results.png", "0" * 64, 9, 0, 1, [], "file", "written"))
    ledger.close()
    (run / LEDGER_FILE).write_bytes((run / LEDGER_FILE).read_bytes()[:-1])


@pytest.mark.parametrize("remote", [True, False])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda run: (run / LEDGER_FILE).unlink(), "it had 2 lines, and has 0"),
        (lambda run: (run / LEDGER_FILE).write_bytes(b""), "it had 2 lines, and has 0"),
        (cut, "it had 2 lines, and has 1"),
        (rechain, "line 2 of it, or one before, was changed"),
        (leave, ""),
        (grow, ""),
    ],
    ids=["removed", "emptied", "cut", "rewritten", "as it was", "grown"],
)
def test_a_ledger_is_compared_with_the_checkpoint_before_the_run_goes_on(
    change: Callable[[Path], None], told: str, remote: bool, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    """A run without remote destinations goes on with a warning."""
    board, media = Board(), pictureless()
    quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False}
    quiet |= {"accelerator": "cpu", "limit_train_batches": 1, "limit_val_batches": 0, "enable_checkpointing": False}
    quiet["default_root_dir"] = tmp_path
    trainer = pl.Trainer(callbacks=[media, Curves(media)], max_epochs=1, logger=board, **quiet)
    trainer.fit(BoringModel())
    assert [line.destination for line in read_ledger(tmp_path / LEDGER_FILE)] == ["file", "other:Board"]
    checkpoint = tmp_path / "last.ckpt"
    trainer.save_checkpoint(checkpoint)
    change(tmp_path)
    media = pictureless()
    trainer = pl.Trainer(callbacks=[media, Curves(media)], max_epochs=2, logger=remote and board, **quiet)
    if told and remote:
        with pytest.raises(ConfigError) as error:
            trainer.fit(BoringModel(), ckpt_path=checkpoint)
        assert str(error.value).startswith(
            f"{tmp_path / LEDGER_FILE} is not the ledger that last.ckpt knows: {told}. What was sent so far is not"
        )
    else:
        trainer.fit(BoringModel(), ckpt_path=checkpoint)
    warned = [text for text in said.messages if "is not the ledger that last.ckpt knows" in text]
    assert len(warned) == (bool(told) and not remote)
    assert len(board.got) == (2 if remote and not told else 1)


def test_another_runs_checkpoint_says_nothing_of_this_ledger(tmp_path: Path) -> None:
    train(tmp_path / "one", media := pictureless(), BoringModel(), max_epochs=1)
    media.anchor.add_to(checkpoint := {})  # type: ignore[union-attr]
    assert checkpoint["ledger"]["lines"] == 1
    trainer = pl.Trainer(default_root_dir=tmp_path / "two", logger=False, enable_checkpointing=False)
    trainer.state.fn = TrainerFn.FITTING
    for place, kept in (("one", {}), ("two", {"last.ckpt": checkpoint["ledger"]})):
        trainer.ckpt_path = tmp_path / place / "last.ckpt"
        (other := pictureless()).on_load_checkpoint(trainer, BoringModel(), checkpoint)
        assert other._kept == kept
