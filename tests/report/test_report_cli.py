"""The verb `report`, as it is typed, on runs that were trained."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report_run import HOME, RunBuilder, noise

from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, read_results

DATA = re.compile(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', re.DOTALL)


def payload_in(page: Path) -> dict[str, Any]:
    """What a page was given to show."""
    found = DATA.search(page.read_text(encoding="utf-8"))
    assert found is not None
    return json.loads(found[1])


def test_a_finished_run(run_cli: Callable[..., int], finished: Path, tmp_path: Path, capsys: Any) -> None:
    page = tmp_path / "of it.html"
    assert run_cli("report", finished, "--out", page) == 0
    said = capsys.readouterr().out
    run = payload_in(page)["runs"][0]
    about = read_results(finished / RESULTS_FILE).about
    metrics = json.loads((finished.parent.parent / "metrics.json").read_text(encoding="utf-8"))
    assert f"report: {page} (" in said and "shapes: 2 epochs, " in said and "11 validation images" in said
    assert (
        run["classes"] == about["table"]
        and run["metrics"]["metrics/mAP50(B)"] == metrics["metrics"]["metrics/mAP50(B)"]
    )
    assert len(run["pictures"]["items"]) == 11 and all(item["picture"] for item in run["pictures"]["items"])
    assert {len(row["x"]) for row in run["curves"]} == {200} and run["corners"] is None
    assert sum(map(sum, run["confusion"]["matrix"])) >= run["classes"][0]["instances"]
    assert {"PR_curve", "confusion_matrix", "results"} <= {each["key"] for each in run["closing"]}
    assert run["scalars"]["epochs"] == [1, 2] and run["best_epoch"] in (1, 2) and run["warnings"] == []
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r'id="p-([^"]+)"', text)) == pictures_named(run)
    assert str(finished.parent) not in text


def pictures_named(run: dict[str, Any]) -> set[str]:
    """Ids of the pictures that a run names."""
    singles = {each["picture"] for each in [*run["training"], *run["closing"], *run["pictures"]["items"]]}
    mosaics = (name for one in run["mosaics"] for which in ("labels", "pred") for name in one[which].values())
    return {*singles, *mosaics}


def test_two_runs_side_by_side_in_the_current_folder(
    run_cli: Callable[..., int], finished: Path, finished_pose: Path, capsys: Any
) -> None:
    assert run_cli("report", finished, finished_pose, "no such run", finished) == 0
    payload = payload_in(Path("report.html"))
    assert [run["task"] for run in payload["runs"]] == ["detect", "pose"]
    pose = payload["runs"][1]
    assert {row["prefix"] for row in pose["curves"]} == {"Box", "Pose"}
    assert (
        pose["corners"]["bands"][-1]["gates"] == len([1 for item in pose["pictures"]["items"] for _ in item["true"]])
        and len(pose["pictures"]["items"][0]["true_points"][0]) == 4
    )
    assert "model.class_path" in [row["option"] for row in payload["comparison"]["options"]]
    assert any("no such run is left out" in note for note in payload["notes"])
    assert "warning: left out: no such run: there is no such folder" in capsys.readouterr().out


def test_what_cannot_be_reported_is_one_line(run_cli: Callable[..., int], tmp_path: Path, capsys: Any) -> None:
    policy = tmp_path / "racer"
    policy.mkdir()
    (policy / "config.yaml").write_text("env: {}\n", encoding="utf-8")
    (policy / "versions.json").write_text("{}", encoding="utf-8")
    run = RunBuilder(tmp_path / "run").run
    (tmp_path / "nothing").mkdir()
    cases = {
        (policy,): "racer is a policy's run",
        (tmp_path / "nothing",): "is empty, so there is nothing to report",
        (tmp_path,): "Choose one of them:",
        (run, "--max-mb", "0"): "--max-mb 0: a number above 0.",
        (run, "--max-pictures", "-1"): "--max-pictures -1",
        (run, "--out", tmp_path): "is a folder; name a file.",
        (run, "--out", run / "run.json" / "x.html"): "there is no folder",
    }
    for words, told in cases.items():
        assert run_cli("report", *words) == 2
        error = capsys.readouterr().err
        assert told in error and "Traceback" not in error


def test_a_page_never_holds_private_pixels(run_cli: Callable[..., int], tmp_path: Path, capsys: Any) -> None:
    from base64 import b64encode

    build = RunBuilder(tmp_path / "run", media={"private": "val/home/*"})
    build.picture("val_batch0_pred.jpg", noise(1), 0, [HOME])
    encoded = b64encode(noise(1)).decode()
    assert run_cli("report", build.run) == 0
    page = build.run / "report.html"
    assert encoded not in page.read_text(encoding="utf-8") and "1 picture that would show" in capsys.readouterr().out
    assert run_cli("report", build.run, "--include-private") == 0
    assert encoded in page.read_text(encoding="utf-8")


def test_a_run_that_kept_no_results_is_measured(
    run_cli: Callable[..., int], finished: Path, tmp_path: Path, capsys: Any
) -> None:
    run = tmp_path / "older"
    shutil.copytree(finished, run, ignore=shutil.ignore_patterns(RESULTS_FILE))
    assert run_cli("report", run) == 0
    assert f"{run}: the run kept no results image by image; measuring best.ckpt" in capsys.readouterr().out
    content = payload_in(run / "report.html")["runs"][0]
    kept = read_results(finished / RESULTS_FILE)
    assert content["classes"] == kept.about["table"] and len(content["pictures"]["items"]) == len(kept.files)
    assert content["warnings"][-1].endswith("was evaluated for this.")


def test_no_file_is_written_where_no_run_is_or_no_folder(
    run_cli: Callable[..., int], tmp_path: Path, capfd: Any
) -> None:
    other = tmp_path / "other"
    (other / "sub").mkdir(parents=True)
    (other / "passwd").write_text("root", encoding="utf-8")
    assert run_cli("report", other) == 2
    told = capfd.readouterr().err
    assert "other is no run's folder: it has neither media.jsonl, run.json" in told and told.count("\n") == 1
    assert sorted(path.name for path in other.iterdir()) == ["passwd", "sub"]
    run = RunBuilder(tmp_path / "run").run
    assert run_cli("report", run, "--out", tmp_path / "none" / "x.html") == 2
    told = capfd.readouterr().err
    assert f"there is no folder {tmp_path / 'none'}; make it first" in told and told.count("\n") == 1
    assert not (tmp_path / "none").exists()
    for file in ("weights/best.ckpt", "wandb/run-20250101_120000-a/x.wandb", "tensorboard/events.out.tfevents.1.h"):
        old = tmp_path / "old" / file.partition("/")[0]
        (old / file).parent.mkdir(parents=True)
        (old / file).write_bytes(b"")
        assert run_cli("report", old) == 0, file
