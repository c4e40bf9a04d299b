"""What is not a family's own names no family: a second one needs no line in callbacks, checkpoints, export or data."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from helpers import REPO

from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.families import CLASSES

PACKAGE = REPO / "aigp_lightning"
OWN = (
    *("modules/detector.py", "modules/pose.py", "modules/segment.py", "modules/yolo/", "modules/rfdetr/"),
    *("modules/families.py", "recipes/", "cli/from_ultralytics.py", "cli/ultralytics_words.py"),
)
"""Where a family's names may stand: its own files, the table of all families, and what reads Ultralytics' recipes."""
SHARED_METRICS = "aigp_lightning.modules.yolo.metrics"
"""Ultralytics' definitions of the metrics, which count for every family; `modules/metrics/` alone asks for them."""
FAMILY = re.compile(r"aigp_lightning\.modules\.(detector|pose|yolo|rfdetr)\b|(ultralytics|rfdetr)\b")


def files() -> Iterator[Path]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if not path.relative_to(PACKAGE).as_posix().startswith(OWN):
            yield path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_nothing_outside_a_family_imports_it() -> None:
    found = {
        f"{path.relative_to(REPO).as_posix()} imports {name}"
        for path in files()
        for name in imported(path)
        if FAMILY.match(name) and not (path.parent.name == "metrics" and name.startswith(SHARED_METRICS))
    }
    assert found == set()


def test_nothing_outside_a_family_looks_at_its_name() -> None:
    """No comparison with a family's or a class's name, and no `isinstance` of one family's class."""
    names = {family for family, _ in CLASSES} | {"DetectorModule", "PoseModule", "RFDETRModule"}
    found = []
    for path in files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            compared = isinstance(node, ast.Compare) or (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance"
            )
            words = (
                {getattr(part, "value", getattr(part, "id", None)) for part in ast.walk(node)} if compared else set()
            )
            found += [f"{path.relative_to(REPO)}:{node.lineno}" for name in names if name in words]
    assert found == []


def test_every_family_fills_in_the_contract() -> None:
    asked = ("build_network", "network_description", "compute_loss", "evaluate", "predict_batch")
    for (family, task), class_of in CLASSES.items():
        kind = class_of()
        assert issubclass(kind, BaseModule)
        assert (kind.family, kind.task) == (family, task)
        assert [name for name in asked if getattr(kind, name) is getattr(BaseModule, name)] == []
        kind()  # a checkpoint's class is built without arguments
