"""Results that a run kept: those that lack what a comparison needs, or contradict themselves, are not used."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from receipt_runs import MAP, make_run, one_object

from aigp_lightning.evaluation.recorded import contradiction, fault_of, results_of
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, read_results


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "gates"
    make_run(folder)
    return folder


def test_a_version_in_the_store_has_the_results_that_it_was_promoted_with(run: Path, tmp_path: Path) -> None:
    """They lie beside its files; of another checkpoint they are not used."""
    kept = results_of(run / "weights" / "best.ckpt")
    shutil.copy(run / RESULTS_FILE, tmp_path)
    shutil.copy(run / "weights" / "best.ckpt", tmp_path)
    found = results_of(tmp_path / "best.ckpt")
    assert kept is not None and found is not None and found.about == kept.about
    (tmp_path / "best.ckpt").write_bytes(b"another")
    assert results_of(tmp_path / "best.ckpt") is None


CHANGES: dict[str, tuple[Mapping[str, Any], str]] = {
    "no task": ({"task": None}, "it does not say its 'task'"),
    "no family": ({"family": None}, "it does not say its 'family'"),
    "no names": ({"names": None}, "found_label has a class that is not among its 'names'"),
    "no metrics": ({"metrics": None}, "it does not say its 'metrics'"),
    "no size": ({"settings": {"conf": 0.001}}, "it does not say its 'imgsz'"),
    "a size that is none": ({"settings": {"imgsz": {"a": [1]}}}, "its 'imgsz' is no size of pictures"),
    "a huge size": ({"settings": {"imgsz": 10**400}}, "its 'imgsz' is no size of pictures"),
    "no data": ({"data": {"split": "val"}}, "it does not say its 'data_yaml'"),
    "another task": ({"task": "segment"}, "it is of task segment, and the checkpoint of task detect"),
    "other classes": ({"names": {"0": "tree"}}, "it is of other classes than the checkpoint"),
    "another figure": ({"metrics": {MAP: 0.99}}, f"it says that {MAP} is 0.99, and its arrays give 0.2985"),
    "a huge figure": ({"metrics": {MAP: 10**400}}, "its 'metrics' has another form"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_unusable_results_are_told_in_a_line(
    run: Path, tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    copy, (about, line) = tmp_path / "gates", CHANGES[change]
    shutil.copytree(run, copy)
    kept = read_results(copy / RESULTS_FILE)
    assert results_of(copy / "weights" / "best.ckpt") is not None
    changed = {key: value for key, value in {**kept.about, **about}.items() if value is not None}
    replace(kept, about=changed).save(copy / RESULTS_FILE)
    with caplog.at_level("INFO", "lightning.pytorch.utilities.rank_zero"):
        assert results_of(copy / "weights" / "best.ckpt") is None
    (told,) = caplog.messages
    assert line in told and "\n" not in told


def test_only_what_arrays_give_is_compared_within_rounding(run: Path) -> None:
    kept = read_results(run / RESULTS_FILE)
    for metrics in ({MAP: 0.29851}, {MAP: None}, {"gate/elsewhere": 7.0}):
        assert fault_of(replace(kept, about={**kept.about, "metrics": metrics})) == ""


def test_keypoints_that_were_taken_out_leave_no_figures_to_believe(run: Path) -> None:
    about = {**read_results(run / RESULTS_FILE).about, "task": "pose", "keypoints": ["a", "b"]}
    about["metrics"] = {MAP: 0.2985, "metrics/mAP50-95(P)": 0.2985}
    assert fault_of(one_object("a.jpg", about, keypoints=2)) == ""
    stripped = replace(one_object("a.jpg", about, keypoints=2), correct_pose=np.zeros((1, 0), np.bool_))
    assert fault_of(stripped) == "it has no keypoints picture by picture"


def test_rows_of_corners_of_another_width_are_no_traceback(run: Path) -> None:
    kept = one_object("a.jpg", read_results(run / RESULTS_FILE).about)
    assert "its arrays give no figures" in contradiction(replace(kept, corner_rows=np.ones((1, 2), np.float32)))
