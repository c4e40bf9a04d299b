"""MLflow as a logger: a server on this machine and folders on this disk, what they get, and every way to fail."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import REPO, small, tiny_network
from lightning.pytorch.loggers import MLFlowLogger
from mlflow.tracking._tracking_service import utils
from mlflow_standin import MLflowStandin

from aigp_lightning.audit.check import audit
from aigp_lightning.audit.conclusion import conclusion_of
from aigp_lightning.errors import ConfigError
from aigp_lightning.logfiles.folders import logger_folders
from aigp_lightning.logfiles.mlflow_store import read_stored_run
from aigp_lightning.loggers import mlflow as mlflow_module
from aigp_lightning.loggers import mlflow_config
from aigp_lightning.loggers.config import resolve_loggers
from aigp_lightning.loggers.mlflow import ResilientMLFlowLogger
from aigp_lightning.loggers.mlflow_opening import open_mlflow
from aigp_lightning.loggers.mlflow_options import MLFlowOptions
from aigp_lightning.media.hand_over import HandOver
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Ledger, Line, read_ledger
from aigp_lightning.media.sinks import MLFlowSink, sink_of
from aigp_lightning.media.types import RenderedImage, RenderJob
from aigp_lightning.run.recovery import FOUND, repair_run_folder

QUICK = ("--trainer.limit_train_batches", 1, "--trainer.limit_val_batches", 1, "--media.val_batches", 1)
FEW = tuple(
    word for kind in ("curves", "confusion_matrix", "labels_correlogram") for word in (f"--media.routes.{kind}", "[]")
)
PRIVATE = "003"
NOBODYS = ("mlflow.user", "mlflow.source")


@pytest.fixture
def server() -> Iterator[MLflowStandin]:
    standin = MLflowStandin()
    yield standin
    standin.stop()


def sent(run: Path) -> list[Line]:
    return [line for line in read_ledger(run / LEDGER_FILE) if line.destination == "mlflow" and line.outcome == "sent"]


def artifact_of(line: Line) -> str:
    return f"pictures/{line.key}/epoch{line.epoch:04d}{Path(line.file).suffix}"


def picture(key: str = "results", data: bytes = b"the very bytes") -> RenderedImage:
    return RenderedImage(RenderJob("results", f"{key}.png", draw=lambda masked: None), Path(f"run/{key}.png"), data)


def said(captured: Any) -> list[str]:
    return [line for line in captured.readouterr().err.splitlines() if line.startswith("MLflow: ")]


# ---- whole runs ------------------------------------------------------------------------------------------------------


def test_a_server_gets_what_the_ledger_says_and_nothing_about_who_and_where(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], server: MLflowStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "mustermann")
    monkeypatch.setattr(socket, "gethostname", lambda: "mustermanns-machine")
    assert getpass.getuser() == "mustermann"
    configs = ("--config", REPO / "configs/detector.yaml", "--config", REPO / "configs/logger/mlflow.yaml")
    words = ("--trainer.logger.tracking_uri", server.url, "--media.private", f"*val/{PRIVATE}*", "--run.name", "sent")
    words += (*tiny_network(tmp_path), "--trainer.max_epochs", 1)
    assert run_cli("fit", *configs, *small(shapes, tmp_path), *QUICK, *words) == 0
    run, lines = tmp_path / "detect" / "sent", sent(tmp_path / "detect" / "sent")
    assert {name: sha256(data).hexdigest() for name, data in server.artifacts.items()} == {
        artifact_of(line): line.sha256 for line in lines
    }
    shown = next(line for line in lines if line.key == "val_batch0_pred")
    assert shown.is_remote and shown.file == "masked/val_batch0_pred.jpg" and PRIVATE not in "".join(shown.sources)
    assert server.artifacts[artifact_of(shown)] == (run / shown.file).read_bytes()
    assert server.artifacts[artifact_of(shown)] != (run / "val_batch0_pred.jpg").read_bytes()
    names = {name for name, _, _ in server.metrics}
    assert {"metrics/mAP50B", "train/box_loss", "val/box_loss"} <= names
    assert server.params["data.imgsz"] == "96" and server.params["trainer.max_epochs"] == "1"
    head = read_ledger(run / LEDGER_FILE)
    assert server.tags == {"ledger/head": head.heads[-1], "ledger/lines": str(len(head))}
    (info,) = server.runs.values()
    assert (info["run_name"], info["status"], server.unknown) == ("sent", "FINISHED", [])
    assert "MLFLOW_TRACKING_URI" not in os.environ, "Lightning would set it, and the next run here would go there too"
    received = server.texts()
    for word in (str(tmp_path), str(REPO), "mustermann", *NOBODYS):
        assert word.encode() not in received, word
    result = audit(run)
    assert result.clean
    assert f"mlflow keeps its files in {server.url}, which can't be read back here." in result.notes
    assert any("to mlflow" in sentence and "masked" in sentence for sentence in conclusion_of(result))


LOGGERS = """\
trainer:
  logger:
    - class_path: lightning.pytorch.loggers.TensorBoardLogger
      init_args: {save_dir: "{run_folder}", name: tensorboard, version: ""}
    - class_path: lightning.pytorch.loggers.MLFlowLogger
      init_args: {experiment_name: "{wandb_project}", run_name: "{run_name}", tracking_uri: null,
                  save_dir: "{run_folder}/mlflow"}
    - class_path: lightning.pytorch.loggers.CSVLogger
      init_args: {save_dir: "{run_folder}", name: csv, version: ""}
"""


@pytest.fixture(scope="module")
def resumed(shapes: Path, made_once: Callable[..., Path], run_cli: Callable[..., int]) -> Path:
    """The folder of a run of two epochs with three loggers on this disk, resumed after the first one."""

    def make(root: Path) -> None:
        (root / "loggers.yaml").write_text(LOGGERS, encoding="utf-8")
        words = ("fit", "--config", root / "loggers.yaml", *small(shapes, root), *QUICK, *FEW, "--run.name", "local")
        words += tuple(tiny_network(root))
        assert run_cli(*words, "--trainer.max_epochs", 1) == 0
        again = ("--ckpt_path", root / "detect/local/weights/last.ckpt", "--extend", "true")
        assert run_cli(*words, "--trainer.max_epochs", 2, *again) == 0

    return made_once("mlflow resumed", make) / "detect" / "local"


@pytest.fixture
def run(resumed: Path, tmp_path: Path) -> Path:
    """A copy elsewhere, under another name."""
    return Path(shutil.copytree(resumed, tmp_path / "moved", ignore=shutil.ignore_patterns("weights")))


def artifacts(run: Path) -> Path:
    ((folder),) = [each.folder for each in logger_folders(run, "mlflow")]
    assert folder is not None
    return folder


def test_a_resumed_run_is_the_same_mlflow_run_and_logs_nothing_twice(resumed: Path) -> None:
    stored, lines = read_stored_run(artifacts(resumed)), sent(resumed)
    assert Counter((x.key, x.epoch, x.sha256) for x in stored.pictures) == Counter(
        (x.key, x.epoch, x.sha256) for x in lines
    )
    assert {line.epoch for line in lines if line.key == "val_batch0_pred"} == {0, 1}
    assert not any(line.is_remote for line in lines)
    history = (artifacts(resumed).parent / "metrics" / "val" / "box_loss").read_text(encoding="utf-8").splitlines()
    assert [line.split()[2] for line in history] == sorted({line.split()[2] for line in history}) and len(history) == 2
    rows = (resumed / "csv" / "metrics.csv").read_text(encoding="utf-8").splitlines()
    heading = rows[0].split(",")
    values = [dict(zip(heading, row.split(","), strict=True)) for row in rows[1:]]
    steps = [row["step"] for row in values if row["val/box_loss"]]
    assert len(steps) == 2 and len(set(steps)) == 2
    assert json.loads((resumed / "run.json").read_text(encoding="utf-8"))["loggers"][1]["server"] == "mlflow"


def test_the_audit_reads_the_artifacts_back(run: Path) -> None:
    result = audit(run)
    assert (result.findings, result.tallies["mlflow"].found) == ([], len(sent(run)))
    assert result.anchors and any("MLflow" in place for place in result.anchors)
    first, second, *_ = sorted(artifacts(run).rglob("epoch0001.jpg"))
    first.write_bytes(b"other")
    second.unlink()
    (second.parent / "epoch0007.jpg").write_bytes(b"more")
    found = {(finding.what, finding.destination) for finding in audit(run).findings}
    assert found == {("changed", "mlflow"), ("missing", "mlflow"), ("unlisted", "mlflow")}


def test_a_moved_run_goes_on_in_its_own_folder(run: Path, resumed: Path) -> None:
    before = {path: path.read_bytes() for path in resumed.rglob("*") if path.is_file()}
    repair_run_folder(run)
    (row,) = logger_folders(run, "mlflow")
    utils._artifact_repos_cache.clear()  # of this process, which has seen the run before
    logger = ResilientMLFlowLogger(
        save_dir=str(run / "mlflow"), experiment_name="aigp-gate-detector", run_id=row.run_id
    )
    sink, image = sink_of(logger), picture()
    assert isinstance(sink, MLFlowSink)
    sink.send(HandOver([image]), epoch=9, step=0)
    assert (artifacts(run) / "pictures/results/epoch0009.png").read_bytes() == image.data
    assert {path: path.read_bytes() for path in resumed.rglob("*") if path.is_file()} == before


def test_a_kill_while_artifacts_are_stored_is_settled_by_what_is_there(run: Path) -> None:
    """What is there in full was sent; what is not, or only in half, is handed over again."""
    here = next(line for line in sent(run) if line.key == "val_batch0_pred")
    data = b"a picture whose line is open"
    there = artifacts(run) / "pictures" / here.key / "epoch0007.jpg"
    there.write_bytes(data)
    (there.parent / ".artifact.uploading.x1").write_bytes(b"half")
    came = replace(here.entry, epoch=7, sha256=sha256(data).hexdigest(), bytes=len(data), outcome="unknown")
    lost = replace(came, key="val_batch0_labels", sha256="0" * 64)
    ledger = Ledger(run / LEDGER_FILE, reopen=True)
    with ledger.hand_over([came, lost]):
        pass  # as a kill leaves it: no outcome
    ledger.close()
    repair_run_folder(run)
    last = {(line.key, line.epoch): line for line in read_ledger(run / LEDGER_FILE) if line.destination == "mlflow"}
    assert (last[here.key, 7].outcome, last[here.key, 7].reason) == ("sent", FOUND)
    assert ("val_batch0_labels", 7) not in last
    assert not list(artifacts(run).rglob(".artifact*"))


# ---- local or remote -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "remote"),
    [
        ({"save_dir": "runs/mlflow"}, False),
        ({"tracking_uri": "./mlruns"}, False),
        ({"tracking_uri": "file:mlruns"}, False),
        ({"tracking_uri": "sqlite:///mlflow.db"}, False),
        ({"tracking_uri": "file://elsewhere/mlruns"}, True),
        ({"tracking_uri": "http://127.0.0.1:5000"}, True),
        ({"tracking_uri": "https://me:secret@host/mlflow"}, True),
        ({"tracking_uri": "databricks"}, True),
        ({"tracking_uri": "postgresql://host/runs"}, True),
        ({"tracking_uri": "sqlite://"}, True),
        ({"save_dir": "m", "artifact_location": "s3://bucket/x"}, True),
        ({"save_dir": "m", "artifact_location": "file:///srv/x"}, False),
        ({"tracking_uri": "http://host", "artifact_location": "/srv/x"}, True),
    ],
)
def test_the_addresses_of_runs_and_artifacts_decide_what_leaves(arguments: dict[str, str], remote: bool) -> None:
    """Lightning's own logger too, where one is built without the command line; it makes folders, ours makes none."""
    ours = sink_of(ResilientMLFlowLogger(**arguments))
    assert ours is not None and (ours.name, ours.remote, list(Path().iterdir())) == ("mlflow", remote, [])
    if "tracking_uri" in arguments and "sqlite" not in arguments["tracking_uri"]:
        plain = SimpleNamespace(
            _tracking_uri=arguments["tracking_uri"], _artifact_location=arguments.get("artifact_location")
        )
        assert MLFlowSink(plain).remote == remote  # type: ignore[arg-type]


def test_the_variable_names_the_server_where_nobody_else_does(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@host:5000/x")
    (sink,) = [sink_of(ResilientMLFlowLogger())]
    assert sink is not None and sink.remote
    entry = {
        "class_path": "lightning.pytorch.loggers.MLFlowLogger",
        "init_args": {"tracking_uri": None, "save_dir": "m"},
    }
    resolved = resolve_loggers(entry, Path("run"))
    assert resolved["init_args"]["tracking_uri"] == Path("m").absolute().as_uri()
    assert said(capsys) == ["MLflow: MLFLOW_TRACKING_URI has no effect, the configuration says m."]
    made = sink_of(ResilientMLFlowLogger(**resolved["init_args"]))
    assert made is not None and not made.remote


def test_an_experiment_that_keeps_artifacts_elsewhere_is_seen_before_it_is_opened(tmp_path: Path) -> None:
    """The store's own note counts, and not the option: MLflow reads it for new experiments only."""
    first = ResilientMLFlowLogger(save_dir="m", experiment_name="gates", artifact_location=str(tmp_path / "here"))
    assert first.run_id and Path(tmp_path / "here") in mlflow_module.artifact_place(first).parents  # type: ignore[union-attr]
    (meta,) = (path for path in Path("m").glob("*/meta.yaml") if "name: gates" in path.read_text(encoding="utf-8"))
    text = meta.read_text(encoding="utf-8").replace((tmp_path / "here").as_uri(), "s3://bucket/x")
    meta.write_text(text.replace(str(tmp_path / "here"), "s3://bucket/x"), encoding="utf-8")
    again = sink_of(ResilientMLFlowLogger(save_dir="m", experiment_name="gates"))
    other = sink_of(ResilientMLFlowLogger(save_dir="m", experiment_name="poses"))
    assert again is not None and other is not None and (again.remote, other.remote) == (True, False)


def test_artifacts_that_would_go_elsewhere_after_all_are_not_sent(server: MLflowStandin) -> None:
    logger = ResilientMLFlowLogger(save_dir="m")
    sink = sink_of(logger)
    assert sink is not None and not sink.remote
    logger._tracking_uri = server.url
    image = picture()
    progress = HandOver([image])
    with pytest.raises(ConfigError, match="another place than was announced"):
        sink.send(progress, 0, 0)
    assert (progress.outcome(image), server.artifacts) == ("failed", {})


def test_a_server_whose_artifacts_are_on_this_disk_counts_as_remote_and_is_read_back(tmp_path: Path) -> None:
    standin = MLflowStandin(root=(tmp_path / "store").as_uri())
    try:
        logger = ResilientMLFlowLogger(tracking_uri=standin.url)
        sink, image = sink_of(logger), picture()
        assert sink is not None and sink.remote
        sink.send(HandOver([image]), 2, 0)
        (stored,) = read_stored_run(mlflow_module.artifact_place(logger)).pictures  # type: ignore[arg-type]
        assert (stored.key, stored.epoch, stored.path.read_bytes()) == ("results", 2, image.data)
        assert logger.logged_pictures(2) == {("results", sha256(image.data).hexdigest())}
    finally:
        standin.stop()


# ---- what else could leave -------------------------------------------------------------------------------------------


def test_parameters_are_those_that_wandb_would_get_and_git_only_if_asked_for(server: MLflowStandin) -> None:
    config = {
        "data": {"imgsz": 640, "data_yaml": "/data/mine.yaml"}, "trainer": {"max_epochs": 3, "api_key": 5},
        "run": {"name": "mine"}, "model": {"init_args": {"optim": {"name": "auto", "lr0": 0.01}}},
    }  # fmt: skip
    trainer = SimpleNamespace(loggers=[ResilientMLFlowLogger(tracking_uri=server.url)], default_root_dir="run")
    assert open_mlflow(trainer, MLFlowOptions(), config) == []  # type: ignore[arg-type]
    optim = {"model.optim.name": "auto", "model.optim.lr0": "0.01"}
    assert server.params == {"data.imgsz": "640", "trainer.max_epochs": "3", **optim}
    assert server.tags == {}
    commit_words = ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-m", "x"]
    for words in (["init", "-q"], ["remote", "add", "origin", "https://me:secret@host/gates.git"], commit_words):
        subprocess.run(["git", *words], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    trainer.loggers = [ResilientMLFlowLogger(tracking_uri=server.url)]
    assert open_mlflow(trainer, MLFlowOptions(config=False, git=True), config) == []  # type: ignore[arg-type]
    assert server.params == {}
    assert server.tags == {
        "mlflow.source.git.commit": commit, "mlflow.source.git.repoURL": "https://host/gates.git",
    }  # fmt: skip


def test_a_logger_of_the_users_own_without_the_fence_is_refused() -> None:
    class Mine(MLFlowLogger):
        pass

    trainer = SimpleNamespace(loggers=[Mine(tracking_uri="http://127.0.0.1:9")], default_root_dir="run")
    with pytest.raises(ConfigError, match="Mine inherits from Lightning's MLFlowLogger"):
        open_mlflow(trainer, MLFlowOptions(), {})  # type: ignore[arg-type]


TELEMETRY = """\
import os, sys
for name in ("CI", "PYTEST_CURRENT_TEST", "MLFLOW_DISABLE_TELEMETRY"):
    os.environ.pop(name, None)
asked = []
watched = ("socket.getaddrinfo", "socket.connect")
sys.addaudithook(lambda event, given: asked.append(event) if event in watched else None)
import aigp_lightning
from aigp_lightning.loggers.mlflow_config import folder_address, prepare_environment
assert "mlflow" not in sys.modules
prepare_environment()
from mlflow.tracking import MlflowClient
client = MlflowClient(folder_address("m"))
run = client.create_run("0").info.run_id
client.log_metric(run, "a", 1.0)
client.set_terminated(run)
from mlflow.telemetry import get_telemetry_client
print(get_telemetry_client(), asked, os.environ.get("MLFLOW_TRACKING_URI"), sorted(os.listdir()))
"""


def test_mlflow_tells_its_makers_nothing(tmp_path: Path) -> None:
    """Outside of tests and CI, where its telemetry is off by itself; the home folder stays empty, too."""
    (tmp_path / "home").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(REPO), "HOME": str(tmp_path / "home")}
    words = [sys.executable, "-c", TELEMETRY]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "None [] None ['home', 'm']\n", done.stderr
    assert list((tmp_path / "home").rglob("*mlflow*")) == []


# ---- what can go wrong -----------------------------------------------------------------------------------------------


def test_no_server_is_one_line_and_the_run_does_without(capsys: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        trainer = SimpleNamespace(loggers=[ResilientMLFlowLogger(tracking_uri=address)], default_root_dir="run")
        begun = time.monotonic()
        assert open_mlflow(trainer, MLFlowOptions(), {}) == [f"MLFlowLogger ({address} does not answer)"]  # type: ignore[arg-type]
        assert time.monotonic() - begun < 30
    assert trainer.loggers == []
    assert said(capsys) == [f"MLflow: {address} does not answer, so this run does without; everything is in run."]


def test_scalars_that_a_server_did_not_take_are_sent_when_it_answers_again(
    server: MLflowStandin, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    logger = ResilientMLFlowLogger(tracking_uri=server.url)
    logger.log_metrics({"a": 1.0}, 1)
    server.refuse = 500
    logger.log_metrics({"a": 2.0}, 2)
    tried = len(server.requests)
    logger.log_metrics({"a": 3.0}, 3)
    assert len(server.requests) == tried, "it is not asked again at once"
    assert [step for _, _, step in server.metrics] == [1]
    server.refuse = None
    logger._resume_at = 0.0
    logger.log_metrics({"a": 4.0}, 4)
    assert [step for _, _, step in server.metrics] == [1, 2, 3, 4]
    server.refuse = 500
    logger.log_metrics({"a": 5.0}, 5)
    logger.finalize("success")
    first, last = said(capsys)
    assert "scalars wait here" in first and "Training goes on" in first
    assert last == f"MLflow: {server.url} lacks 1 values of scalars; results.csv has them."


def test_a_picture_that_a_server_turned_away_counts_as_unknown(
    server: MLflowStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    logger = ResilientMLFlowLogger(tracking_uri=server.url)
    sink, images = sink_of(logger), [picture("one"), picture("two")]
    assert sink is not None and logger.run_id
    server.refuse = 500
    progress = HandOver(images)
    with pytest.raises(Exception, match="500"):
        sink.send(progress, 0, 0)
    assert [progress.outcome(image) for image in images] == ["unknown", "failed"]


def test_without_mlflow_the_run_does_without_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(mlflow_config, "find_spec", lambda name: None)
    entries = [
        {"class_path": "lightning.pytorch.loggers.MLFlowLogger"},
        {"class_path": "lightning.pytorch.loggers.CSVLogger"},
    ]
    left_out: list[str] = []
    (kept,) = resolve_loggers(entries, Path("runs/gates"), left_out=left_out)
    assert kept["class_path"].endswith("ResilientCSVLogger")
    assert left_out == ["MLFlowLogger (mlflow is not installed)"]
    assert said(capsys) == [
        "MLflow: not installed (`pip install 'aigp_lightning[mlflow]'`); this run does without, and everything is in "
        "runs/gates."
    ]


def test_a_database_without_sqlalchemy_is_refused_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        mlflow_config, "find_spec", lambda name: SimpleNamespace(origin=name) if name == "mlflow" else None
    )
    entry = {
        "class_path": "lightning.pytorch.loggers.MLFlowLogger",
        "init_args": {"tracking_uri": "sqlite:///mlflow.db"},
    }
    with pytest.raises(ConfigError, match=r"tracking_uri sqlite:///mlflow.db needs the package sqlalchemy"):
        resolve_loggers(entry, Path("run"))


def test_a_run_that_is_gone_from_the_server_begins_anew(server: MLflowStandin, capsys: Any) -> None:
    logger = ResilientMLFlowLogger(tracking_uri=server.url, run_id="f" * 32)
    logger.log_metrics({"a": 1.0}, 1)
    assert ([logger.run_id], logger.failed) == (list(server.runs), False)
    assert said(capsys) == [f"MLflow: {server.url} has no run {'f' * 32} any more; another one is begun."]


def test_a_resumed_run_asks_the_server_what_it_has(server: MLflowStandin) -> None:
    first = ResilientMLFlowLogger(tracking_uri=server.url)
    for step in (1, 2):
        first.log_metrics({"metrics/mAP50(B)": 0.5, "loss": 1.0}, step)
    again = ResilientMLFlowLogger(tracking_uri=server.url, run_id=first.run_id, skip_logged=True)
    assert again.run_id == first.run_id
    for step in (2, 3):
        again.log_metrics({"metrics/mAP50(B)": 0.5, "loss": 1.0}, step)
    steps = Counter((name, step) for name, _, step in server.metrics)
    assert steps == Counter({(name, step): 1 for name in ("metrics/mAP50B", "loss") for step in (1, 2, 3)})
