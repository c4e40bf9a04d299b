"""Receipts: what stands in them, and what must not."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
from copy import deepcopy
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from receipt_runs import CONFIG, MAP, METRICS, make_policy_run, make_run, version_of

from aigp_lightning.errors import DataError
from aigp_lightning.store.public_text import public_text, public_values
from aigp_lightning.store.receipt import (
    FileFact,
    build_receipt,
    file_fact,
    read_receipt,
    receipt_bytes,
    receipt_sha256,
    texts_of,
    write_receipt,
)
from aigp_lightning.store.run_facts import plan_sha256

MADE = datetime(2026, 11, 28, tzinfo=timezone.utc)


PLANTED = ("somebody", "colleague", "planted-host")
"""Names of users and machines that stand in what the tests build runs of."""


def private_texts(receipt: dict[str, Any]) -> list[str]:
    """Texts that hold a path, a planted name or, where it is no word that receipts have anyway, one of this machine."""
    real = [name for name in (socket.gethostname(), getpass.getuser()) if re.fullmatch(r"(?=.*\d).{6,}", name)]
    named = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in (*PLANTED, *real)))
    home = str(Path.home())
    return [
        text
        for text in texts_of(receipt)
        if public_text(text) != text or named.search(text) or (len(home) > 1 and home in text)
    ]


def test_a_receipt_of_a_detector(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "gates"
    results = make_run(run)
    (run / "config-before-epoch2.yaml").write_text("media: {}\n", encoding="utf-8")
    (run / "weights" / "thresholds.json").write_text('{"gate": 0.31}', encoding="utf-8")
    files = version_of(run, tmp_path / "version")
    receipt = build_receipt(run, files, results, {"passed": True}, MADE)
    assert receipt["made"] == "2026-11-28T00:00:00Z" and receipt["not_recorded"] == []
    digest = sha256((run / "weights" / "best.ckpt").read_bytes()).hexdigest()
    assert receipt["files"]["best.ckpt"] == {
        "sha256": digest,
        "bytes": (run / "weights" / "best.ckpt").stat().st_size,
    }
    assert receipt["files"]["best.onnx"] == {"sha256": sha256(b"a network").hexdigest(), "bytes": 9}
    assert receipt["run"] == {"name": "gates", "task": "detect", "family": "yolo", "epochs": 3, "best_epoch": 2}
    evaluation = receipt["evaluation"]
    assert evaluation["metrics"] == METRICS
    assert evaluation["settings"]["iou"] == 0.7 and evaluation["settings"]["resize"] == "letterbox"
    assert evaluation["model_sha256"] == digest and evaluation["classes"] == ["gate"]
    assert receipt["data"] == {"split": "val", "sha256": "cd" * 32, "images": 11, "labels": 20}
    written = sha256((run / "config.yaml").read_bytes()).hexdigest()
    earlier = sha256(b"media: {}\n").hexdigest()
    assert receipt["configuration"] == {
        "file": "config.yaml",
        "sha256": written,
        "earlier": {"config-before-epoch2.yaml": earlier},
    }
    assert receipt["plan"]["sha256"] == plan_sha256(CONFIG)
    assert receipt["thresholds"]["content"] == {"gate": 0.31}
    assert receipt["seeds"] == {"seed_everything": 3, "data.seed": 4}
    assert receipt["hardware"]["gpus"] == ["NVIDIA H100"] and receipt["hardware"]["processes"] == 2
    assert {"python", "torch", "aigp_lightning"} <= set(receipt["versions"])


def test_the_ledger_in_a_receipt(tmp_path: Path) -> None:
    results = make_run(tmp_path / "gates")
    ledger = build_receipt(tmp_path / "gates", {}, results, {})["ledger"]
    last = (tmp_path / "gates" / "media.jsonl").read_bytes().splitlines()[-1]
    assert (ledger["lines"], ledger["head"], ledger["problems"]) == (4, sha256(last).hexdigest(), 0)
    assert ledger["totals"]["wandb"]["withheld"] == {"pictures": 1, "bytes": 100}
    counts = {"written": 0, "sent": 1, "withheld": 1, "failed": 0, "unknown": 1}
    assert ledger["destinations"] == [
        {**dict.fromkeys(counts, 0), "destination": "file", "remote": False, "written": 1, "bytes": 100},
        {**counts, "destination": "wandb", "remote": True, "bytes": 200},
    ]


def test_nothing_of_the_machine_stands_in_a_receipt(tmp_path: Path) -> None:
    run = tmp_path / "gates"
    results = make_run(run)
    decision = {
        "reason": f"see {run}/notes.txt, ~colleague/x.md and C:\\Users\\colleague\\y.md; metrics/mAP50(B) of 5/6 km/h",
        "latest": run,
        "interval": [float("nan"), 0.5],
    }
    receipt = build_receipt(run, version_of(run, tmp_path / "version"), results, decision)
    assert private_texts(receipt) == []
    assert receipt["decision"]["reason"] == "see notes.txt, x.md and y.md; metrics/mAP50(B) of 5/6 km/h"
    assert receipt["decision"]["latest"] == "gates" and receipt["decision"]["interval"] == [None, 0.5]
    assert private_texts({"a": "/etc/passwd"}) and private_texts({"planted-host": 1}), "the check finds them"
    make_policy_run(tmp_path / "policy")
    assert private_texts(build_receipt(tmp_path / "policy", {}, None, {})) == []


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("see /home/root/my secret dir/x", "see x"),
        ("'/home/root/my secret dir/a b' is gone", "'a b' is gone"),
        ("C:\\Users\\bob\\k.txt", "k.txt"),
        ("see C:\\Program Files (x86)\\bob, jr\\k.txt now", "see k.txt now"),
        ("C:\\Users/bob mc\\my dir\\k.txt", "k.txt"),
        ("\\\\server\\share of bob\\x", "x"),
        ("Users\\bob\\k.txt and %USERPROFILE%\\bob\\x", "x"),
        ("/a/b.txt, ~bob/c d/e.txt; 5/6 km/h", "b.txt, e.txt; 5/6 km/h"),
        ("at:/home/bob/x: no such file", "x: no such file"),
        ("file:///home/bob/x, https://bob@host.example/a b/c", "x, c"),
        ("../../home/bob/x ./runs/gates", "x gates"),
        ("/home/bob is bob's, and so is /home/bob/", "~ is bob's, and so is ~"),
        ("see /Users/bob", "see ~"),
        ("train / val, metrics/mAP50-95(B) >= latest - 0.002", "train / val, metrics/mAP50-95(B) >= latest - 0.002"),
    ],
)
def test_no_folder_of_a_path_stays_in_a_text(text: str, left: str) -> None:
    assert public_text(text) == left
    assert public_text(left) == left
    assert public_values({text: [Path("/a/b"), text]}) == {left: ["b", left]}


def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    run = tmp_path / "gäte"
    results = make_run(run)
    files = version_of(run, tmp_path / "version")
    one = build_receipt(run, files, results, {"a": 1, "b": 2}, MADE)
    other = build_receipt(run, dict(reversed(files.items())), results, {"b": 2, "a": 1}, MADE)
    assert receipt_bytes(one) == receipt_bytes(other)
    assert write_receipt(tmp_path / "receipt.json", one) == receipt_sha256(one)
    written = (tmp_path / "receipt.json").read_bytes()
    assert sha256(written).hexdigest() == receipt_sha256(one) and "gäte".encode() in written
    assert read_receipt(tmp_path / "receipt.json") == one


def test_where_git_did_not_answer_its_part_is_not_recorded(tmp_path: Path) -> None:
    run = tmp_path / "gates"
    results = make_run(run)
    content = json.loads((run / "run.json").read_text(encoding="utf-8"))
    nothing = {"working_folder": None, "code": None}
    for git, named in ((None, ["git"]), (nothing, []), ({**nothing, "why": "git did not answer in time"}, ["git"])):
        content["starts"][0]["git"] = git
        (run / "run.json").write_text(json.dumps(content), encoding="utf-8")
        receipt = build_receipt(run, {}, results, {})
        assert receipt["not_recorded"] == named and receipt["git"] == git


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_told_as_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "receipt.json")
    with pytest.raises(DataError, match="is no regular file"):
        read_receipt(tmp_path / "receipt.json")


def test_what_an_earlier_run_has_not_recorded_is_named(tmp_path: Path) -> None:
    run = tmp_path / "gates"
    make_run(run)
    (run / "run.json").unlink()
    (run / "media.jsonl").unlink()
    receipt = build_receipt(run, {}, None, {})
    assert receipt["not_recorded"] == ["ledger", "data", "split_leak", "versions", "git", "seeds", "hardware"]
    assert receipt["evaluation"] == {"metrics": {MAP: 0.25}, "settings": None, "by": "results.csv"}


def test_a_receipt_of_a_resumed_run_has_all_starts(tmp_path: Path) -> None:
    from aigp_lightning.run.provenance import record_start

    run = tmp_path / "gates"
    results = make_run(run)
    record_start(run, {"seed_everything": 8})
    receipt = build_receipt(run, {}, results, {})
    assert receipt["seeds"] == {"seed_everything": 8}
    assert [start["seeds"]["seed_everything"] for start in receipt["earlier_starts"]] == [3]


def test_a_receipt_of_a_policy(tmp_path: Path) -> None:
    make_policy_run(tmp_path / "race")
    fact = file_fact(tmp_path / "race" / "best" / "model.zip")
    receipt = build_receipt(tmp_path / "race", {"model.zip": fact}, None, {})
    assert receipt["run"] == {"name": "race", "task": "policy", "family": "ppo"}
    evaluation = receipt["evaluation"]
    assert evaluation["metrics"] == {"success_rate": 0.75, "pass_rate": 0.9, "episodes": 40}
    assert evaluation["interval"] == [0.6, 0.86] and evaluation["steps"] == 4096 and evaluation["by"] == "ppo evaluate"
    assert evaluation["settings"] == {"env": "aigp/GateRace-v0", "kwargs": {"track": "oval.json"}, "starts": 7}
    assert receipt["versions"] == {"python": "3.11.7", "torch": "2.8.0"} and receipt["seeds"] == {"seed": 0}
    assert receipt["ledger"] is None and receipt["not_recorded"] == ["git", "hardware"]


def test_an_evaluation_of_an_earlier_policy_does_not_count(tmp_path: Path) -> None:
    make_policy_run(tmp_path / "race")
    about = tmp_path / "race" / "best" / "about.json"
    about.write_text(about.read_text(encoding="utf-8").replace("4096", "8192"), encoding="utf-8")
    evaluation = build_receipt(tmp_path / "race", {}, None, {})["evaluation"]
    assert evaluation["by"] == "training" and evaluation["metrics"] == {"success_rate": 1.0, "episodes": 8}
    assert evaluation["settings"] == {"env": "aigp/GateRace-v0", "kwargs": {}, "starts": 1000}


def test_the_plans_hash_follows_what_decides_the_plan() -> None:
    before = plan_sha256(CONFIG)
    assert plan_sha256(dict(reversed(CONFIG.items()))) == before
    assert plan_sha256({**CONFIG, "model": {}, "data": {}}) == before
    for group, option, value in (("media", "max_mb", 5.0), ("wandb", "config", False), ("trainer", "logger", None)):
        changed = deepcopy(CONFIG)
        changed[group][option] = value
        assert plan_sha256(changed) != before, option


@pytest.mark.parametrize(
    "content",
    [
        "{", "[]", "{}", '{"receipt": 2, "files": {}}', '{"receipt": 1}', '{"receipt": 1, "files": {"a": {}}}',
        '{"receipt": 1, "files": {}, "ledger": 5}',
    ],
)  # fmt: skip
def test_what_is_no_receipt_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "receipt.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"receipt"):
        read_receipt(tmp_path / "receipt.json")
    with pytest.raises(DataError, match="is missing"):
        read_receipt(tmp_path / "elsewhere.json")


def test_files_are_told_by_hash_and_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (1 << 20) + b"y")
    assert file_fact(tmp_path / "a") == FileFact(sha256(b"x" * (1 << 20) + b"y").hexdigest(), (1 << 20) + 1)
    assert json.loads(receipt_bytes({"a": None})) == {"a": None}
