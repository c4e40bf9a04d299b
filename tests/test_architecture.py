"""Who may import whom: the rooms stay apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import REPO

PACKAGE = REPO / "aigp_lightning"
FILES = sorted(path.relative_to(REPO).as_posix() for path in PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at any depth, outside `if TYPE_CHECKING`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("file", FILES)
def test_only_the_yolo_family_imports_ultralytics(file: str) -> None:
    assert "/modules/yolo/" in file or "ultralytics" not in roots(REPO / file)


@pytest.mark.parametrize("file", [file for file in FILES if "/media/" in file])
def test_media_knows_no_trainer_and_no_logger(file: str) -> None:
    if not file.endswith("sinks.py"):
        assert roots(REPO / file).isdisjoint({"lightning", "wandb", "tensorboard"})
    rooms = {name.split(".")[1] for name in imports(REPO / file) if name.startswith("aigp_lightning.")}
    assert rooms <= {"media", "types", "errors", "files", "boxes"}


@pytest.mark.parametrize("file", [file for file in FILES if "/audit/" in file])
def test_audit_shares_nothing_with_what_it_checks(file: str) -> None:
    """It has the ledger's reader and the shapes of the loggers' records; no sink, no callback, no logger."""
    names = set(imports(REPO / file))
    ours = {
        name for name in names if name.startswith("aigp_lightning.") and name.split(".")[1] not in ("audit", "logfiles")
    }
    assert ours <= {"aigp_lightning.errors", "aigp_lightning.media.ledger"}
    assert roots(REPO / file).isdisjoint({"lightning", "torch"})
    loggers = {name for name in names if name.split(".")[0] in ("wandb", "tensorboard")}
    assert loggers <= {"wandb.proto.wandb_internal_pb2", "tensorboard.compat.proto.event_pb2"}


@pytest.mark.parametrize("file", [file for file in FILES if "/data/" in file or "/modules/" in file])
def test_data_and_modules_know_no_callbacks_and_no_command_line(file: str) -> None:
    rooms = {name.split(".")[1] for name in imports(REPO / file) if name.startswith("aigp_lightning.")}
    assert rooms.isdisjoint({"callbacks", "cli"})


@pytest.mark.parametrize("file", [file for file in FILES if "/policy/" in file or file.endswith("cli/ppo.py")])
def test_the_policy_stays_by_itself(file: str) -> None:
    """It trains without Lightning and logs to this machine alone: nothing that could send is within reach."""
    assert roots(REPO / file).isdisjoint({"lightning", "lightning_utilities", "wandb", "torchvision", "albumentations"})
    ours = {name.split(".", 1)[1] for name in imports(REPO / file) if name.startswith("aigp_lightning.")}
    shared = {"errors", "files", "cli.parser", "run.folder", "terminal.screen", "terminal.view"}
    assert {name for name in ours if not name.startswith("policy")} <= shared
    assert not file.startswith("aigp_lightning/policy/env/") or all(
        name.startswith(("policy.env", "errors")) for name in ours
    )


@pytest.mark.parametrize("file", FILES)
def test_one_lightning(file: str) -> None:
    """`pytorch_lightning`'s classes are others than `lightning.pytorch`'s."""
    assert "pytorch_lightning" not in roots(REPO / file)


@pytest.mark.parametrize("file", FILES)
def test_no_eval_no_exec(file: str) -> None:
    tree = ast.parse((REPO / file).read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert called.isdisjoint({"eval", "exec", "__import__"})
