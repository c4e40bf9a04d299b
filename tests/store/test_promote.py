"""From a run to the store: what is promoted, when the gates let it, and what is printed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from receipt_runs import MAP, make_policy_run, make_run
from scored_runs import IMAGES, make_scored, scored

from aigp_lightning.errors import ConfigError, DataError, WeightsError
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, read_results
from aigp_lightning.run.lock import lock_run_folder
from aigp_lightning.store.candidate import candidate_of
from aigp_lightning.store.journal import read_journal
from aigp_lightning.store.kept_results import as_kept
from aigp_lightning.store.places import StorePlaces
from aigp_lightning.store.promote import PromoteOptions, promote
from aigp_lightning.store.receipt import read_receipt
from aigp_lightning.store.receipt_check import check_receipt
from aigp_lightning.store.verify import check


def promoted(run: Path, places: StorePlaces, **options: Any) -> str | None:
    """Promote; returns the version, or None where it was refused."""
    outcome = promote(PromoteOptions(run=run, store=places.root, draws=200, **options))
    assert outcome.name == options.get("name", run.name)
    if outcome.promoted is None:
        return None
    checks = check_receipt(places.version(outcome.promoted.version) / "receipt.json", run)
    assert [each for each in checks if each.outcome == "wrong"] == [], "what is promoted can be checked"
    return outcome.promoted.version


def test_a_better_one_is_promoted_a_worse_one_refused_unless_forced(places: StorePlaces, tmp_path: Path) -> None:
    good, bad, better = (make_scored(tmp_path / name, right) for name, right in (("a", 30), ("b", 4), ("c", 36)))
    first = promoted(good, places, name="gates")
    assert promoted(bad, places, name="gates") is None
    folder = places.latest("gates")
    assert folder is not None
    assert folder.name == first
    assert len(places.version_ids()) == 1
    line = read_journal(places.journal).lines[-1]
    assert (line.event, line.gates[0]["metric"], line.gates[0]["passed"]) == ("refused", MAP, False)
    assert line.reason.startswith("worse by 0.6")
    second = promoted(better, places, name="gates")
    assert second not in (None, first)
    assert promoted(bad, places, name="gates", gates=[f"{MAP} >= latest - 0.1"]) is None
    forced = promoted(bad, places, name="gates", force="the others crash")
    folder = places.latest("gates")
    assert folder is not None
    assert folder.name == forced
    decision = read_receipt(folder / "receipt.json")["decision"]
    assert (decision["forced"], decision["passed"], decision["latest"]) == ("the others crash", False, second)
    assert read_journal(places.journal).lines[-1].reason == "the others crash"
    events = [line.event for line in read_journal(places.journal).lines]
    assert events == ["promoted", "refused", "promoted", "refused", "promoted"]
    assert check(places).problems == []


def test_within_the_noise_is_not_worse_and_the_same_run_is_the_same_version(
    places: StorePlaces, tmp_path: Path
) -> None:
    one, other = make_scored(tmp_path / "a", 30), make_scored(tmp_path / "b", 29)
    first = promoted(one, places, name="gates")
    assert promoted(other, places, name="gates") is not None
    assert promoted(one, places, name="gates") == first
    assert len(places.version_ids()) == 2
    assert promoted(other, places, name="gates", gates=[f"{MAP} > latest"]) is None


def test_what_is_in_a_version_and_what_it_gives_away(places: StorePlaces, tmp_path: Path) -> None:
    run = make_scored(tmp_path / "gates-2", 30)
    weights = run / "weights"
    for name in ("best.pt", "best.onnx", "best.torchscript", "last.ckpt"):
        (weights / name).write_bytes(name.encode())
    old = (weights / "best.ckpt").stat().st_mtime - 60
    os.utime(weights / "best.onnx", (old, old))
    (run / "config.yaml").write_text("run: {name: gates}\n", encoding="utf-8")
    outcome = promote(PromoteOptions(run=run, store=places.root))
    assert outcome.name == "gates"
    assert list(outcome.candidate.notes) == [
        "best.onnx is older than best.ckpt, and left out; --format onnx makes it anew",
        "best.pt is no file of family dot's, and is left out",
        "best.torchscript is no file of family dot's, and is left out",
    ]
    folder = places.latest("gates")
    assert folder is not None
    names = {"best.ckpt", RESULTS_FILE, "receipt.json"}
    assert {path.name for path in folder.iterdir()} == names
    kept = read_results(folder / RESULTS_FILE)
    assert kept.files == as_kept(scored(run, 30)).files
    assert len(set(kept.files)) == IMAGES
    assert kept.about["metrics"] == scored(run, 30).about["metrics"]
    texts = [places.journal, folder / "receipt.json"]
    assert all("somebody" not in path.read_text(encoding="utf-8") for path in texts)
    assert "somebody" not in json.dumps([kept.files, kept.about])
    assert str(tmp_path) not in "".join(path.read_text(encoding="utf-8") for path in texts)


def test_a_checkpoint_that_changes_after_it_was_measured_is_not_promoted(places: StorePlaces, tmp_path: Path) -> None:
    run = make_scored(tmp_path / "a", 30)
    results = read_results(run / RESULTS_FILE)
    files = {"best.ckpt": run / "weights" / "best.ckpt"}
    from aigp_lightning.store.decision import Decision
    from aigp_lightning.store.gates import Judgement
    from aigp_lightning.store.locked_store import LockedStore
    from aigp_lightning.store.promote import ReceiptWriter
    from aigp_lightning.store.promotion import promote_files

    decision = Decision(Judgement(True, []), None, {}, results)
    writer = ReceiptWriter(candidate_of(run), decision, "a", None)
    torch.save({**torch.load(files["best.ckpt"], weights_only=True), "epoch": 9}, files["best.ckpt"])
    with pytest.raises(ConfigError, match="has changed since it was measured"), LockedStore(places) as store:
        promote_files(store, "a", files, writer, 5)
    assert not places.root.exists()


def test_runs_that_have_nothing_to_promote(tmp_path: Path) -> None:
    run = tmp_path / "a"
    with pytest.raises(DataError, match="there is no such folder"):
        candidate_of(run)
    run.mkdir()
    with pytest.raises(DataError, match=r"has no weights/best.ckpt, so there is nothing to promote"):
        candidate_of(run)
    (run / "weights").mkdir()
    (run / "weights" / "last.ckpt").touch()
    with pytest.raises(WeightsError, match=r"has weights/last.ckpt and no weights/best.ckpt"):
        candidate_of(run)
    make_run(tmp_path / "b")
    file = tmp_path / "b" / "weights" / "best.ckpt"
    with lock_run_folder(tmp_path / "b", "fit"), pytest.raises(ConfigError, match=r"still being written .* \(fit, "):
        candidate_of(tmp_path / "b")
    data = file.read_bytes()
    at = data.index(b"PK\x01\x02") - 40  # within what the archive's last member holds
    file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(WeightsError, match="is damaged"):
        candidate_of(tmp_path / "b")
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match=r"cannot read|is damaged"):
        candidate_of(tmp_path / "b")


def test_options_that_cannot_be_meant(places: StorePlaces, tmp_path: Path) -> None:
    run = make_scored(tmp_path / "a", 30)
    for options, message in (
        ({"keep": 0}, "--keep 0: a number from 1"),
        ({"force": " "}, "--force needs the reason"),
        ({"name": "../x"}, "--name '../x' must be a plain name"),
        ({"gates": ["mAP is fine"]}, "--gate 'mAP is fine' cannot be read"),
        ({"gates": ["metrics/mAP >= 0.1"]}, "there is no metric 'metrics/mAP'"),
    ):
        with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
            promote(PromoteOptions(run=run, store=places.root, **options))  # type: ignore[arg-type]
    assert not places.root.exists()


def flying(run: Path, success: float, steps: int, data: bytes = b"statistics") -> Path:
    """A policy's run, complete."""
    import zipfile

    make_policy_run(run, success, 200, steps)
    with zipfile.ZipFile(run / "best" / "model.zip", "w") as archive:
        archive.writestr("data", str(steps))
    (run / "best" / "vecnormalize.pkl").write_bytes(data)
    return run


def test_policies_by_their_success(places: StorePlaces, tmp_path: Path) -> None:
    good, near, bad = (
        flying(tmp_path / name, success, steps)
        for name, success, steps in (("a", 0.9, 100), ("b", 0.89, 200), ("c", 0.5, 300))
    )
    (good / "best" / "policy.onnx").write_bytes(b"a network")
    first = promoted(good, places, name="policy")
    assert promoted(bad, places, name="policy") is None
    folder = places.latest("policy")
    assert folder is not None
    assert folder.name == first
    names = {"model.zip", "vecnormalize.pkl", "about.json", "receipt.json"}  # the export is none
    assert {path.name for path in folder.iterdir()} == names
    assert promoted(near, places, name="policy", gates=["success_rate >= 0.95"]) is None
    assert promoted(near, places, name="policy") is not None
    (bad / "best" / "vecnormalize.pkl").unlink()
    with pytest.raises(WeightsError, match=r"without its vecnormalize.pkl"):
        candidate_of(bad)
    detector = make_scored(tmp_path / "detector", 30)
    with pytest.raises(ConfigError, match=r"is a model for policy, and .* is for detect. Give it another --name"):
        promote(PromoteOptions(run=detector, store=places.root, name="policy"))
    assert check(places).problems == []


def test_typed_in(
    places: StorePlaces, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = make_scored(tmp_path / "a", 30), make_scored(tmp_path / "b", 4)
    store = ("--store", places.root)
    assert run_cli("promote", good, "--name", "gates", *store) == 0
    printed = capsys.readouterr().out
    assert f"{places.link('gates')}: version " in printed
    assert "there is no latest yet" in printed
    assert run_cli("promote", bad, "--name", "gates", *store, "--draws", 100) == 1
    printed = capsys.readouterr().out
    assert "refused" in printed
    assert f"{MAP}: worse by 0.6" in printed
    assert "Nothing was changed" in printed
    assert run_cli("promote", bad, "--name", "gates", *store, "--force", "a test", "--keep", 1, "--draws", 100) == 0
    assert "rollback --name gates --store" in capsys.readouterr().out
    assert run_cli("models", *store, "--json") == 0
    rows = json.loads(capsys.readouterr().out)["versions"]
    assert [(row["state"], row["run"], row["forced"]) for row in rows] == [
        ("latest", "b", "a test"),
        ("backup", "a", None),
    ]
    assert rows[1]["metrics"][MAP] == pytest.approx(scored(good, 30).about["metrics"][MAP])
    assert rows[0]["bytes"] == sum(
        path.stat().st_size for path in (places.versions / rows[0]["version"]).iterdir() if path.name != "receipt.json"
    )
    assert run_cli("rollback", *store) == 0
    assert run_cli("models", *store) == 0
    printed = capsys.readouterr().out
    assert f"{rows[1]['version'][:8]} latest" in " ".join(printed.split())
    assert run_cli("models", "verify", *store) == 0
    assert "everything is as it was written" in capsys.readouterr().out
    path = places.versions / rows[0]["version"] / "best.ckpt"
    path.write_bytes(b"?" + path.read_bytes()[1:])
    assert run_cli("models", "verify", *store) == 1
    assert f"{path}: it is not the file" in capsys.readouterr().out
    assert run_cli("models", "--store", tmp_path / "none") == 2
    assert not (tmp_path / "none").exists()
