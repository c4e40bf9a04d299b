"""Everything of a report but its pictures: values, tables, images one by one, what is not told, what is damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from report_run import HOME, STREET, RunBuilder, noise, results_of

from aigp_lightning.modules.metrics.corner_report import DISTANCE, FOUND, HEAD, WHOLE, row_width
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE
from aigp_lightning.report.options import flat, shown_config
from aigp_lightning.report.payload import ReportOptions, build_report
from aigp_lightning.report.results import corners_of, tables_of


def payload_of(*runs: Path, **options: object) -> dict:
    return build_report(runs, ReportOptions(**options)).payload  # type: ignore[arg-type]


def content_of(run: Path) -> dict:
    return payload_of(run)["runs"][0]


# ---- values ----------------------------------------------------------------------------------------------------------


def test_scalars_are_those_of_results_csv(tmp_path: Path) -> None:
    build = RunBuilder(tmp_path / "run")
    build.scalars(3)
    build.checkpoint(epoch=1)
    content = content_of(build.run)
    assert content["scalars"] == {
        "epochs": [1, 2, 3],
        "series": {"train/box_loss": [1, 0.5, 0.3333], "metrics/mAP50(B)": [0.1, 0.2, 0.3], "val/box_loss": [None] * 3},
    }
    assert (content["epochs"], content["best_epoch"], content["metrics"]) == (3, 2, {"metrics/mAP50(B)": 0.2})
    assert (content["task"], content["family"], content["name"]) == ("detect", "yolo", "run")


def test_images_come_with_most_errors_first_and_with_pairs_of_their_own(tmp_path: Path) -> None:
    build = RunBuilder(tmp_path / "run")
    build.checkpoint()
    build.results(["/data/a.jpg", "/data/b.jpg", "/data/c.jpg"])
    pictures = content_of(build.run)["pictures"]
    assert pictures["names"] == {"0": "gate", "1": "drone"} and pictures["conf"] == 0.25
    assert [item["file"] for item in pictures["items"]] == ["a.jpg", "b.jpg", "c.jpg"]
    second = pictures["items"][1]
    assert (second["width"], second["height"], second["picture"], second["found_points"]) == (120, 90, None, None)
    assert second["found"] == [[0, 0.9, 10, 10, 30, 30, 0], [1, 0.6, 50, 50, 60, 60, -1]]
    assert second["true"] == [[0, 11, 10, 31, 30, None], [1, 70, 10, 90, 40, None]]
    assert "not on this disk any more" in pictures["scale_note"]
    assert (len(pictures["items"][2]["found"]), len(pictures["items"][2]["true"])) == (1, 1)


def test_the_worst_image_is_first_wherever_it_was(tmp_path: Path) -> None:
    build = RunBuilder(tmp_path / "run")
    build.checkpoint()
    results = build.results(["/data/a.jpg", "/data/b.jpg", "/data/c.jpg"])
    results.found_score[:] = [0.9, 0.01, 0.2, 0.6, 0.2]  # b has two misses and a false alarm, c a miss
    results.save(build.run / RESULTS_FILE)
    items = content_of(build.run)["pictures"]["items"]
    assert [item["file"] for item in items] == ["b.jpg", "a.jpg", "c.jpg"]
    assert [len(item["found"]) for item in items] == [2, 1, 1]  # the one of 0.01 is left out


def test_confusion_and_curves_are_those_of_the_results() -> None:
    tables = tables_of(results_of(["a.jpg", "b.jpg", "c.jpg"]))
    # three gates are found, two drones missed, two false alarms of drones
    assert tables["confusion"] == {
        "names": ["gate", "drone", "background"],
        "matrix": [[3, 0, 0], [0, 0, 2], [0, 2, 0]],
    }
    curves = {(row["prefix"], row["which"]): row for row in tables["curves"]}
    assert set(curves) == {("", which) for which in ("PR", "F1", "P", "R")}
    recall = curves["", "R"]
    assert len(recall["x"]) == 200 and recall["x"][0] == 0 and recall["x"][-1] == 1
    assert recall["series"]["gate"][0] == 1 and recall["series"]["gate"][-1] == 0
    assert set(recall["series"]["drone"]) == {0.0}
    assert tables["corners"] is None


def test_corners_are_summed_up_by_distance() -> None:
    results = results_of(["a.jpg", "b.jpg"])
    rows = np.full((3, row_width(4)), np.nan, np.float32)
    rows[:, FOUND], rows[:, WHOLE], rows[:, DISTANCE] = [1, 1, 0], 1, [3, 7, 30]
    rows[:2, HEAD : HEAD + 4] = [[1] * 4, [2] * 4]
    about = {**results.about, "keypoints": ["a", "b", "c", "d"], "bands": [5.0, 10.0]}
    fields = {**vars(results), "corner_rows": rows, "about": about}
    corners = corners_of(type(results)(**fields))
    assert corners is not None
    assert [(band["band"], band["gates"], band["error_px_mean"]) for band in corners["bands"]] == [
        ("0–5 m", 1, 1.0), ("5–10 m", 1, 2.0), ("over 10 m", 1, None), ("all", 3, 1.5),
    ]  # fmt: skip
    assert (corners["distance"], corners["error"], corners["limits"]) == ([3, 7], [1, 2], [5, 10])


def test_the_ledger_is_summed_up_by_destination(tmp_path: Path) -> None:
    build = RunBuilder(tmp_path / "run")
    build.picture("val_batch0_pred.jpg", noise(1), 0)
    build.note("val_batch0_pred.jpg", noise(1), 0, "wandb", [])
    build.note("val_batch1_pred.jpg", noise(2), 1, "wandb", [], "withheld")
    build.note("val_table0.labels.boxes2D.json", b"boxes", 1, "wandb", [])
    ledger = content_of(build.run)["ledger"]
    size = len(noise(1))
    nothing = {"withheld": 0, "failed": 0, "unknown": 0}
    assert ledger["destinations"] == [
        {"destination": "file", "remote": False, "sent": 1, **nothing, "bytes": size},
        {"destination": "wandb", "remote": True, "sent": 1, **nothing, "withheld": 1, "bytes": size + 5},
    ]
    assert (ledger["lines"], ledger["problems"], ledger["head"]) == (4, [], build.ledger.anchor().head)
    assert [row[1:5] for row in ledger["rows"]][-2] == [2, "val_batch1_pred", "wandb", "withheld"]


# ---- results that are of something else ------------------------------------------------------------------------------


def test_results_of_another_checkpoint_are_not_shown(tmp_path: Path) -> None:
    build = RunBuilder(tmp_path / "run")
    build.checkpoint()
    build.results(["a.jpg"], of=b"another one")
    content = content_of(build.run)
    assert content["pictures"] is None and content["confusion"] is None and content["classes"] == []
    assert any("is of another checkpoint than weights/best.ckpt" in text for text in content["warnings"])


def test_results_without_the_masks_of_a_segmentation_run_are_shown_with_a_line(tmp_path: Path) -> None:
    """Those that a run kept before masks were among them."""
    build = RunBuilder(tmp_path / "run")
    build.checkpoint()
    for task, told in (("detect", False), ("segment", True)):
        results = build.results(["a.jpg", "b.jpg"])
        replace(results, about={**results.about, "task": task}).save(build.run / RESULTS_FILE)
        content = content_of(build.run)
        line = f"{RESULTS_FILE} has no masks: the run kept none, so there are no curves of them."
        assert (line in content["warnings"]) is told
        assert {curve["prefix"] for curve in content["curves"]} == {""}


def test_a_run_without_results_is_evaluated(tmp_path: Path) -> None:
    build = RunBuilder(tmp_path / "run")
    build.checkpoint()
    asked: list[Path] = []

    def evaluate(model: Path):
        asked.append(model)
        return results_of(["/data/a.jpg"])

    content = payload_of(build.run, evaluate=evaluate)["runs"][0]
    assert asked == [build.run / "weights/best.ckpt"] and len(content["pictures"]["items"]) == 1
    assert any("was evaluated for this" in text for text in content["warnings"])


# ---- what is not told ------------------------------------------------------------------------------------------------


def test_places_secrets_and_private_names_are_not_told(tmp_path: Path) -> None:
    private = {"private": ["val/home/*", "attic.jpg"], "val_files": [STREET, HOME]}
    model = {"init_args": {"api_key": "xyzzy-plugh", "weights": "~/x/y.pt", "hub": "https://me:secret@host/a?token=1"}}
    build = RunBuilder(tmp_path / "run", media=private, model=model)
    build.note("val_batch0_pred.jpg", noise(1), 0, "wandb", [STREET, HOME, "attic.jpg"], "failed")
    payload = payload_of(build.run)
    options, text = payload["runs"][0]["options"], json.dumps(payload)
    assert options["media.private"] == "(2 entries, not shown)" and options["media.private_action"] == "mask"
    assert options["media.val_files"] == ["street.jpg", "(a private image)"]
    assert options["model.init_args.api_key"] == "***" and options["model.init_args.weights"] == "y.pt"
    assert options["data.data_yaml"] == "gates.yaml" and options["run.root"] == "runs"
    for word in ("somebody", "home", "attic", "kitchen", "xyzzy-plugh", ":secret", "token=1", str(tmp_path)):
        assert word not in text, word
    assert yaml.safe_load(payload["runs"][0]["config"])["data"] == {"data_yaml": "gates.yaml", "imgsz": 96}


def test_options_of_loggers_have_names_with_their_number() -> None:
    config = {"trainer": {"logger": [{"class_path": "A", "init_args": {"dir": "/x/y"}}], "devices": [0, 1]}, "a": {}}
    assert dict(flat(shown_config(config, lambda image: False, False))) == {
        "trainer.logger.0.class_path": "A",
        "trainer.logger.0.init_args.dir": "y",
        "trainer.devices": [0, 1],
        "a": {},
    }


def test_commands_and_keys_tell_no_secret_and_no_place() -> None:
    config = {
        "cmd": "--token hunter2SECRET --imgsz 640",
        "words": ["run", "--api-key", "hunter2", "--data", "/home/me/a.yaml"],
        "json": '{"password": "hunter2"}', "sh": "WANDB_API_KEY=hunter2 sh -c 'go --token=hunter2 /home/me/b'",
        "/home/me/data/a": {"/srv/b.yaml": 1, "/opt/b.yaml": 2, "token": "hunter2"}, "text": "lr: 0.1, warm-up -3",
    }  # fmt: skip
    shown = shown_config(config, lambda image: False, False)
    assert shown == {
        "cmd": "--token *** --imgsz 640",
        "words": ["run", "--api-key", "***", "--data", "a.yaml"], "json": "***",
        "sh": "WANDB_API_KEY=*** sh -c 'go --token=*** b'", "a": {"b.yaml": 1, "b.yaml (2)": 2, "token": "***"},
        "text": "lr: 0.1, warm-up -3",
    }  # fmt: skip


# ---- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("config.yaml", b"\xff\xfe: [", "config.yaml is not valid YAML"),
        ("results.csv", b"epoch\n\xff\xfe\n", "results.csv cannot be read"),
        ("results.csv", b"epoch,a\nx,1\n2,5\n", "results.csv: 1 line without a possible epoch left out"),
        ("weights/best.ckpt", b"PK\x03\x04 cut", "cannot read weights/best.ckpt"),
        (RESULTS_FILE, b"no zip", "image_results.npz: the results of a validation cannot be read"),
        ("history/epoch0000/val_batch0_pred.jpg", b"\xff\xd8\xff nothing", "1 picture could not be read"),
    ],
)
def test_what_is_damaged_is_named_and_the_rest_shown(tmp_path: Path, file: str, content: bytes, told: str) -> None:
    build = RunBuilder(tmp_path / "run")
    build.scalars(2)
    build.checkpoint()
    build.results(["/data/a.jpg"])
    build.picture("val_batch0_pred.jpg", noise(1), 0)
    build.picture("val_batch0_labels.jpg", noise(2), 0)
    (build.run / file).write_bytes(content)
    payload = payload_of(build.run)
    run = payload["runs"][0]
    said = [*run["warnings"], *payload["notes"]]
    assert any(told in text for text in said), said
    assert run["ledger"]["lines"] == 2
    assert (run["scalars"]["epochs"] != [1, 2]) == (file == "results.csv")


def test_a_changed_ledger_is_told(tmp_path: Path) -> None:
    build = RunBuilder(tmp_path / "run")
    for epoch in range(2):
        build.picture("val_batch0_pred.jpg", noise(epoch), epoch)
    path = build.run / "media.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"epoch": 0', b'"epoch": 7'))
    problems = content_of(build.run)["ledger"]["problems"]
    assert len(problems) == 1 and problems[0].startswith("line 2 (val_batch0_pred.jpg, epoch 1, file)")


def test_a_run_that_goes_on_is_reported_as_it_is(tmp_path: Path) -> None:
    from aigp_lightning.run.lock import lock_run_folder

    build = RunBuilder(tmp_path / "run")
    build.scalars(1)
    with lock_run_folder(build.run, "fit"):
        assert any("The run goes on (fit)" in text for text in content_of(build.run)["warnings"])
    assert not any("goes on" in text for text in content_of(build.run)["warnings"])


# ---- several runs ----------------------------------------------------------------------------------------------------


def test_runs_are_set_beside_each_other(tmp_path: Path) -> None:
    runs = []
    for name, size in (("a", 96), ("b", 128)):
        build = RunBuilder(tmp_path / name, data={"imgsz": size}, run={"name": name})
        build.checkpoint()
        results = build.results(["/data/a.jpg"])
        results.about["metrics"]["metrics/mAP50(B)"] = size / 1000
        results.save(build.run / RESULTS_FILE)
        runs.append(build.run)
    payload = payload_of(*runs)
    assert payload["title"] == "2 runs: a, b"
    assert payload["comparison"] == {
        "options": [{"option": "data.imgsz", "values": [96, 128]}],
        "metrics": [{"metric": "metrics/mAP50(B)", "values": [0.096, 0.128]}],
        "classes": [{"class": "all", "values": [{"mAP50": 0.5, "mAP50-95": 0.25}] * 2}],
    }
    assert payload_of(runs[0])["comparison"] is None


def test_runs_on_the_same_images_share_their_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(noise(1))
    runs = []
    for name in ("a", "b"):
        build = RunBuilder(tmp_path / name)
        build.checkpoint()
        build.results([str(tmp_path / "a.jpg")])
        runs.append(build.run)
    report = build_report(runs, ReportOptions())
    names = [run["pictures"]["items"][0]["picture"] for run in report.payload["runs"]]
    assert names[0] == names[1] and list(report.pictures) == names[:1]
